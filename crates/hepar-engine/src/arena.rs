//! Which maps share memory.

use crate::plan::Plan;
use crate::steps::Shape;

/// A place in memory for each value of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    /// Place of the map that each step makes.
    pub of: Vec<usize>,
    /// How many places there are.
    pub count: usize,
}

impl Places {
    /// Gives each map a place that no map has that is needed at the same time.
    ///
    /// Among free places, a map takes the one whose largest map so far is nearest to it in size.
    pub fn new(plan: &Plan) -> Self {
        let last_use = last_uses(plan);
        let mut places: Vec<(u64, Option<usize>)> = Vec::new();
        let mut of = Vec::with_capacity(plan.shapes.len());
        for (value, shape) in plan.shapes.iter().enumerate() {
            let size = relative(*shape);
            // A map is free after the step that reads it last, which still must not write over it.
            let is_free = |owner: Option<usize>| owner.is_none_or(|owner| last_use[owner] < value);
            let free = places.iter().enumerate().filter(|(_, (_, owner))| is_free(*owner));
            let best = free.min_by_key(|(_, (largest, _))| (*largest < size, largest.abs_diff(size))).map(|(at, _)| at);
            let place = best.unwrap_or_else(|| {
                places.push((0, None));
                places.len() - 1
            });
            places[place] = (places[place].0.max(size), Some(value));
            of.push(place);
        }
        Self { of, count: places.len() }
    }
}

/// The last step that reads each map; the step that makes it when none does.
fn last_uses(plan: &Plan) -> Vec<usize> {
    let mut last: Vec<usize> = (0..plan.shapes.len()).collect();
    for (at, step) in plan.steps.iter().enumerate() {
        for value in step.what.reads() {
            last[value.0] = at;
        }
    }
    last
}

/// The size of a map in 2⁻²⁴ of a volume; in planar networks only a guess, on which nothing but the choice of places
/// depends.
fn relative(shape: Shape) -> u64 {
    (shape.channels as u64) << (24 - 3 * shape.level.min(8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_model::generated::generated;
    use hepar_model::topology::NetworkConfig;

    #[test]
    fn no_map_is_written_over_while_it_is_needed() {
        let plan = Plan::new(&generated(NetworkConfig::RA_UNET_I)).unwrap();
        let (places, last) = (Places::new(&plan), last_uses(&plan));
        for (value, &place) in places.of.iter().enumerate() {
            let later = places.of.iter().enumerate().skip(value + 1).find(|(_, other)| **other == place);
            assert!(later.is_none_or(|(later, _)| later > last[value]), "the map of step {value}");
        }
        assert!(places.count < 16, "{}", places.count);
    }
}
