//! The exact Euclidean distance transform of voxels that need not be cubes.
//!
//! Squared distances are separable: the least over a volume is the least over one axis after the other. Along i the
//! nearest seed is found by two sweeps; along j and k the least of the parabolas that the voxels of a line carry is
//! their lower envelope (Felzenszwalb and Huttenlocher, Distance Transforms of Sampled Functions, Theory of Computing
//! 2012). Every summand of a distance is `(n · spacing)²` in double precision.

use ndarray::{Array3, ArrayView2, ArrayView3, ArrayViewMut2, Axis};
use rayon::prelude::*;

/// Columns that are worked on together: their numbers share cache lines.
const COLUMNS: usize = 8;

/// Squared distance, in mm², of the centre of each voxel to that of the nearest voxel that is true in `seeds`, `[k, j,
/// i]`; infinite everywhere when there is none.
///
/// `spacing` is the distance of neighbouring centres along `[k, j, i]` in millimetres, positive and finite. The result
/// does not depend on the number of threads.
pub fn squared_distances(seeds: ArrayView3<'_, bool>, spacing: [f64; 3]) -> Array3<f64> {
    let mut distances = within_slices(seeds, spacing);
    let planes = distances.axis_iter_mut(Axis(1)).into_par_iter();
    planes.for_each_init(Scratch::default, |scratch, plane| along_columns(plane, spacing[0], scratch));
    distances
}

/// The [`squared_distances`] at the voxels that are true in `places`, of the shape of `seeds`, in array order.
///
/// Slices are searched from each place outwards until they are further away than what was found, which is soon where
/// two surfaces lie near each other.
pub fn squared_distances_at(places: ArrayView3<'_, bool>, seeds: ArrayView3<'_, bool>, spacing: [f64; 3]) -> Vec<f64> {
    let planar = within_slices(seeds, spacing);
    let depth = planar.dim().0;
    let nearest = |k: usize, j: usize, i: usize| {
        let mut best = planar[[k, j, i]];
        for steps in 1..depth {
            let apart = squared(steps, spacing[0]);
            if apart >= best {
                break;
            }
            if steps <= k {
                best = best.min(apart + planar[[k - steps, j, i]]);
            }
            if k + steps < depth {
                best = best.min(apart + planar[[k + steps, j, i]]);
            }
        }
        best
    };
    let of_slice = |(k, slice): (usize, ArrayView2<'_, bool>)| -> Vec<f64> {
        let places = slice.indexed_iter().filter(|(_, place)| **place);
        places.map(|((j, i), _)| nearest(k, j, i)).collect()
    };
    let slices: Vec<_> = places.axis_iter(Axis(0)).enumerate().collect();
    slices.into_par_iter().map(of_slice).collect::<Vec<_>>().concat()
}

/// Squared distances within each slice: to the nearest seed of the same slice.
fn within_slices(seeds: ArrayView3<'_, bool>, spacing: [f64; 3]) -> Array3<f64> {
    let mut distances = Array3::from_elem(seeds.dim(), f64::INFINITY);
    let slices = distances.axis_iter_mut(Axis(0)).into_par_iter().zip(seeds.axis_iter(Axis(0)));
    slices.for_each_init(Scratch::default, |scratch, (mut slice, seeds)| {
        let mut is_empty = true;
        for (mut row, seeds) in slice.rows_mut().into_iter().zip(seeds.rows()) {
            scratch.row.clear();
            scratch.row.extend(seeds.iter().copied());
            // The rows of an array that was just made are slices.
            if let (true, Some(row)) = (scratch.row.contains(&true), row.as_slice_mut()) {
                is_empty = false;
                along_row(row, &scratch.row, spacing[2]);
            }
        }
        if !is_empty {
            along_columns(slice, spacing[1], scratch);
        }
    });
    distances
}

/// Buffers of one thread.
#[derive(Default)]
struct Scratch {
    row: Vec<bool>,
    /// The lines of [`COLUMNS`] columns, one after the other.
    lines: Vec<f64>,
    envelope: Vec<Parabola>,
}

/// A parabola of the lower envelope of a line.
struct Parabola {
    /// The voxel that carries it.
    vertex: usize,
    /// Its least value, in mm².
    value: f64,
    /// From where on, in voxels, it is the lowest.
    start: f64,
}

/// `(n · spacing)²`, in mm².
fn squared(n: usize, spacing: f64) -> f64 {
    let length = n as f64 * spacing;
    length * length
}

/// Squared distances along a row, which holds none yet.
fn along_row(row: &mut [f64], seeds: &[bool], spacing: f64) {
    let mut last = None;
    for n in 0..row.len() {
        if seeds[n] {
            last = Some(n);
        }
        if let Some(last) = last {
            row[n] = squared(n - last, spacing);
        }
    }
    let mut next = None;
    for n in (0..row.len()).rev() {
        if seeds[n] {
            next = Some(n);
        }
        if let Some(next) = next {
            row[n] = row[n].min(squared(next - n, spacing));
        }
    }
}

/// Lets the distances in every column of `plane`, `[along, across]`, reach over its length.
fn along_columns(mut plane: ArrayViewMut2<'_, f64>, spacing: f64, scratch: &mut Scratch) {
    let (length, width) = plane.dim();
    if length < 2 {
        return;
    }
    scratch.lines.resize(COLUMNS * length, 0.0);
    for start in (0..width).step_by(COLUMNS) {
        let count = COLUMNS.min(width - start);
        for (n, row) in plane.rows().into_iter().enumerate() {
            for column in 0..count {
                scratch.lines[column * length + n] = row[start + column];
            }
        }
        for line in scratch.lines.chunks_exact_mut(length).take(count) {
            along_line(line, spacing, &mut scratch.envelope);
        }
        for (n, mut row) in plane.rows_mut().into_iter().enumerate() {
            for column in 0..count {
                row[start + column] = scratch.lines[column * length + n];
            }
        }
    }
}

/// Replaces each value of a line by the least of all its values plus the squared distances to them.
fn along_line(line: &mut [f64], spacing: f64, envelope: &mut Vec<Parabola>) {
    envelope.clear();
    // In voxels the parabola is (x − vertex)² + value · scale.
    let scale = 1.0 / (spacing * spacing);
    for (vertex, &value) in line.iter().enumerate().filter(|(_, value)| value.is_finite()) {
        let mut start = f64::NEG_INFINITY;
        while let Some(last) = envelope.last() {
            let (steps, between) = ((vertex - last.vertex) as f64, (vertex + last.vertex) as f64);
            start = 0.5 * ((value - last.value) * scale / steps + between);
            if start > last.start {
                break;
            }
            envelope.pop();
            start = f64::NEG_INFINITY;
        }
        envelope.push(Parabola { vertex, value, start });
    }
    let mut parabolas = envelope.iter().peekable();
    let Some(mut lowest) = parabolas.next() else { return };
    for (n, value) in line.iter_mut().enumerate() {
        while let Some(next) = parabolas.next_if(|next| next.start < n as f64) {
            lowest = next;
        }
        *value = squared(n.abs_diff(lowest.vertex), spacing) + lowest.value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_hand(seeds: &Array3<bool>, spacing: [f64; 3]) -> Array3<f64> {
        let at = |index: (usize, usize, usize)| [index.0, index.1, index.2];
        Array3::from_shape_fn(seeds.dim(), |index| {
            let to = |seed: [usize; 3]| {
                (0..3).map(|axis| squared(seed[axis].abs_diff(at(index)[axis]), spacing[axis])).sum::<f64>()
            };
            let seeds = seeds.indexed_iter().filter(|(_, seed)| **seed);
            seeds.map(|(seed, _)| to(at(seed))).fold(f64::INFINITY, f64::min)
        })
    }

    prop_compose! {
        fn seeds()(shape in prop::array::uniform3(1..9usize), density in 0.0..0.6f64)(
            voxels in prop::collection::vec(prop::bool::weighted(density), shape.iter().product::<usize>()),
            shape in Just(shape),
        ) -> Array3<bool> {
            Array3::from_shape_vec(shape, voxels).unwrap()
        }
    }

    proptest! {
        #[test]
        fn distances_are_those_found_by_trying_all_seeds(
            seeds in seeds(),
            spacing in prop::array::uniform3(0.3..6.0f64),
        ) {
            let (found, expected) = (squared_distances(seeds.view(), spacing), by_hand(&seeds, spacing));
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert!(found == expected || (found - expected).abs() <= 1e-12 * expected);
            }
        }

        #[test]
        fn distances_at_places_are_those_everywhere(
            (seeds, places) in (seeds(), prop::collection::vec(prop::bool::ANY, 512)),
            spacing in prop::array::uniform3(0.3..6.0f64),
        ) {
            let places = Array3::from_shape_fn(seeds.dim(), |(k, j, i)| places[(k * 8 + j) * 8 + i]);
            let everywhere = squared_distances(seeds.view(), spacing);
            let expected = everywhere.iter().zip(&places).filter(|(_, place)| **place).map(|(distance, _)| *distance);
            let found = squared_distances_at(places.view(), seeds.view(), spacing);
            prop_assert!(found.iter().copied().zip(expected).all(|(a, b)| a == b || (a - b).abs() <= 1e-12 * b));
            prop_assert_eq!(found.len(), places.iter().filter(|place| **place).count());
        }

        #[test]
        fn any_order_of_the_axes_gives_the_same(seeds in seeds()) {
            let turned = squared_distances(seeds.t(), [3.0, 2.0, 1.0]);
            prop_assert_eq!(turned.t(), squared_distances(seeds.view(), [1.0, 2.0, 3.0]));
        }
    }

    #[test]
    fn without_seeds_every_distance_is_infinite() {
        let distances = squared_distances(Array3::from_elem((2, 3, 4), false).view(), [1.0; 3]);
        assert!(distances.iter().all(|d| d.is_infinite()));
        assert_eq!(squared_distances(Array3::from_elem((0, 3, 4), false).view(), [1.0; 3]).len(), 0);
    }
}
