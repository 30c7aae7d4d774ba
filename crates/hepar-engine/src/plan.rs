//! From the topology to a plan.

use std::rc::Rc;

use hepar_model::topology::{Kernel, Ops, ra_unet};
use hepar_model::weights::Weights;

use crate::fold::{Layers, Missing};
use crate::steps::{BlockInputs, Shape, Step, Value, What};

/// The steps of a network and the maps that they make, in order.
#[derive(Debug)]
pub(crate) struct Plan {
    pub steps: Vec<Step>,
    /// Shape of the map that each step makes; of the last step, which makes the output, there is none.
    pub shapes: Vec<Shape>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The topology does something for which there is no step.
    #[error("there is no step for {0}")]
    Unknown(String),
}

impl Plan {
    /// The plan of the network that the weights belong to.
    pub fn new(weights: &Weights) -> Result<Self, PlanError> {
        let mut planner = Planner { layers: Layers(weights), steps: Vec::new(), shapes: Vec::new(), error: None };
        let output = ra_unet(&mut planner, weights.config(), Map::Input);
        match (planner.error, output) {
            (Some(error), _) => Err(error),
            (None, Map::Output) if planner.steps.iter().any(|step| matches!(step.what, What::Entry(_))) => {
                Ok(Self { steps: planner.steps, shapes: planner.shapes })
            }
            (None, Map::Output) => Err(PlanError::Unknown("an end without a first layer".into())),
            (None, other) => Err(PlanError::Unknown(format!("{other:?} as the output"))),
        }
    }
}

/// What the topology sees of a map: a value that a step makes, or something that a later step will do on its way.
#[derive(Debug, Clone)]
enum Map {
    Input,
    /// The first layer at full resolution, which no step makes.
    Entry(String),
    Value(Value),
    /// A block that has not been computed yet, because what follows may be done in the same step.
    Block(Rc<Block>),
    /// A map that the next step upsamples.
    Upsampled(Value),
    /// An upsampled map and another one.
    Joined(Value, Value),
    /// An upsampled map and the first layer.
    JoinedEntry(Value),
    /// conv9 of these.
    Hidden(String, Value),
    /// The last convolution of it: hidden layer, output layer, the map before upsampling.
    Logits(String, String, Value),
    /// A convolution of 1³ of a map that is upsampled.
    Point(String, Value),
    /// Two of them.
    Points(String, String, Value),
    Output,
}

/// A block, and what it reads.
#[derive(Debug)]
struct Block {
    name: String,
    channels: usize,
    inputs: BlockInputs,
    /// Channels of `inputs.halves` that were upsampled.
    upsampled: usize,
    /// Step that has computed it, if one has: blocks are used more than once.
    done: std::cell::Cell<Option<Value>>,
}

struct Planner<'a> {
    layers: Layers<'a>,
    steps: Vec<Step>,
    shapes: Vec<Shape>,
    error: Option<PlanError>,
}

impl Planner<'_> {
    /// Keeps the first reason why there is no plan; what stands for the map is never used.
    fn fail(&mut self, error: impl Into<PlanError>) -> Value {
        self.error.get_or_insert(error.into());
        Value(0)
    }

    fn unknown(&mut self, what: String) -> Map {
        Map::Value(self.fail(PlanError::Unknown(what)))
    }

    fn push(&mut self, name: &str, shape: Shape, what: Result<What, Missing>) -> Value {
        match what {
            Ok(what) => {
                self.steps.push(Step { name: name.to_owned(), what });
                self.shapes.push(shape);
                Value(self.shapes.len() - 1)
            }
            Err(error) => self.fail(error),
        }
    }

    fn shape(&self, value: Value) -> Shape {
        self.shapes.get(value.0).copied().unwrap_or(Shape { channels: 1, level: 0 })
    }

    /// The map as something that a step has made.
    fn value(&mut self, map: Map) -> Value {
        match map {
            Map::Value(value) => value,
            Map::Block(block) => self.block_value(&block, block.inputs),
            other => self.fail(PlanError::Unknown(format!("{other:?} by itself"))),
        }
    }

    /// Computes a block with `inputs`, unless that has been done.
    fn block_value(&mut self, block: &Block, inputs: BlockInputs) -> Value {
        if let Some(value) = block.done.get().filter(|_| inputs == block.inputs) {
            return value;
        }
        let level = self.shape(inputs.from).level;
        let layer = self.layers.block(&block.name, block.upsampled);
        let what = layer.map(|(layer, _)| What::Block(layer, inputs));
        let value = self.push(&block.name, Shape { channels: block.channels, level }, what);
        if inputs == block.inputs {
            block.done.set(Some(value));
        }
        value
    }
}

impl Ops for Planner<'_> {
    type Map = Map;

    fn convolution(&mut self, name: &str, x: Map, _: usize, kernel: Kernel) -> Map {
        match (x, kernel) {
            (Map::Upsampled(low), Kernel::Point) => Map::Point(name.to_owned(), low),
            (Map::Point(first, low), Kernel::Point) => Map::Points(first, name.to_owned(), low),
            (Map::Hidden(hidden, low), Kernel::Wide) => Map::Logits(hidden, name.to_owned(), low),
            (x, kernel) => self.unknown(format!("the convolution {name} ({kernel:?}) of {x:?}")),
        }
    }

    fn norm_relu(&mut self, name: &str, x: Map) -> Map {
        self.unknown(format!("the normalisation {name} of {x:?}"))
    }

    fn pool(&mut self, x: Map) -> Map {
        if let Map::Entry(name) = x {
            let layer = self.layers.entry(&name);
            let channels = layer.as_ref().map_or(1, |layer| layer.channels());
            return Map::Value(self.push(&name, Shape { channels, level: 1 }, layer.map(What::Entry)));
        }
        let from = self.value(x);
        let shape = self.shape(from);
        Map::Value(self.push("pool", Shape { level: shape.level + 1, ..shape }, Ok(What::Pool(from))))
    }

    fn upsample(&mut self, x: Map) -> Map {
        Map::Upsampled(self.value(x))
    }

    fn add(&mut self, a: Map, b: Map) -> Map {
        match (a, b) {
            (Map::Upsampled(low), Map::Block(block)) if block.inputs.halves.is_none() => {
                let inputs = BlockInputs { sum: Some(low), ..block.inputs };
                Map::Value(self.block_value(&block, inputs))
            }
            (a, b) => self.unknown(format!("the sum of {a:?} and {b:?}")),
        }
    }

    fn concatenate(&mut self, first: Map, second: Map) -> Map {
        match (first, second) {
            (Map::Upsampled(low), Map::Entry(_)) => Map::JoinedEntry(low),
            (Map::Upsampled(low), second) => Map::Joined(low, self.value(second)),
            (first, second) => self.unknown(format!("{first:?} joined with {second:?}")),
        }
    }

    fn sigmoid(&mut self, x: Map) -> Map {
        match x {
            Map::Points(first, second, low) => {
                let layer = self.layers.points(&first, &second);
                let channels = layer.as_ref().map_or(1, |layer| layer.outputs());
                let shape = Shape { channels, ..self.shape(low) };
                Map::Upsampled(self.push(&first, shape, layer.map(|layer| What::Mask(layer, low))))
            }
            Map::Logits(hidden, output, low) => {
                let channels = self.shape(low).channels;
                match self.layers.exit(&hidden, &output, channels) {
                    Ok(layer) => self.steps.push(Step { name: hidden, what: What::Exit(layer, low) }),
                    Err(error) => drop(self.fail(error)),
                }
                Map::Output
            }
            x => self.unknown(format!("the logistic function of {x:?}")),
        }
    }

    fn gate(&mut self, mask: Map, trunk: Map) -> Map {
        match (mask, trunk) {
            (Map::Upsampled(low), Map::Block(block)) => {
                let inputs = BlockInputs { gate: Some(low), ..block.inputs };
                Map::Value(self.block_value(&block, inputs))
            }
            (mask, trunk) => self.unknown(format!("{trunk:?} gated by {mask:?}")),
        }
    }

    fn entry(&mut self, name: &str, x: Map, _: usize) -> Map {
        match x {
            Map::Input => Map::Entry(name.to_owned()),
            Map::JoinedEntry(low) => Map::Hidden(name.to_owned(), low),
            x => self.unknown(format!("the layer {name} of {x:?}")),
        }
    }

    fn block(&mut self, name: &str, x: Map, channels: usize) -> Map {
        let (inputs, upsampled) = if let Map::Joined(low, skip) = x {
            let Shape { channels: upsampled, level } = self.shape(low);
            let layer = self.layers.block(name, upsampled).map(|(_, halves)| halves);
            let outputs = layer.as_ref().map_or(1, |layer| layer.outputs());
            let what = layer.map(|layer| What::Halves(layer, low));
            let halves = self.push(name, Shape { channels: outputs, level }, what);
            (BlockInputs { halves: Some(halves), ..BlockInputs::of(skip) }, upsampled)
        } else {
            (BlockInputs::of(self.value(x)), 0)
        };
        Map::Block(Rc::new(Block { name: name.to_owned(), channels, inputs, upsampled, done: Default::default() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_model::generated::generated;
    use hepar_model::topology::NetworkConfig;

    #[test]
    fn every_block_is_computed_once_and_the_end_is_one_step() {
        let plan = Plan::new(&generated(NetworkConfig::RA_UNET_I)).unwrap();
        let count = |of: fn(&What) -> bool| plan.steps.iter().filter(|step| of(&step.what)).count();
        assert_eq!(count(|what| matches!(what, What::Block(..))), 52);
        assert_eq!(count(|what| matches!(what, What::Halves(..))), 4);
        assert_eq!(count(|what| matches!(what, What::Mask(..))), 4);
        assert!(matches!(plan.steps.last().map(|step| &step.what), Some(What::Exit(..))));
        let mut names: Vec<_> =
            plan.steps.iter().filter(|s| matches!(s.what, What::Block(..))).map(|s| &s.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 52);
    }

    #[test]
    fn a_step_reads_only_what_was_made_before() {
        let plan = Plan::new(&generated(NetworkConfig::RA_UNET_I)).unwrap();
        for (at, step) in plan.steps.iter().enumerate() {
            assert!(step.what.reads().iter().all(|value| value.0 < at), "{}", step.name);
        }
    }
}
