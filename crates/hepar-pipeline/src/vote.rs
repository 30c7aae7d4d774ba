//! The vote: the mean of the probabilities that overlapping windows give a voxel.
//!
//! Near a side of a window the network sees only half of what surrounds a voxel. Centred votes count less there: along each
//! axis by Tukey's biweight, (1 − x²)² at the distance x from the middle, 1 at the outer face. Unlike a Gaussian, it is the
//! same number on every machine.

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Axis, Zip};

use crate::cut::cut;
use crate::windows::axis_starts;

/// Running sums of the windows' probabilities, in which every slice is settled as soon as no later window reaches it.
///
/// Never more slices are held than a window has, however long the grid is. How much all votes for a voxel count is known
/// beforehand, as the product of what counts along each axis; a window that is left out counts as a vote for 0.
/// Windows must come in the order of their first slice; each voxel's votes are added in the order in which they come.
pub(crate) struct Votes {
    /// Sums of the slices that are not settled, slice k at `k % depth`; `[depth of a window, j, i]`.
    sums: Array3<f32>,
    /// How much the votes of a window count in each of its slices, rows and columns.
    weights: [Vec<f32>; 3],
    /// Sum of these of all windows over each slice, row and column of the grid.
    counts: [Vec<f32>; 3],
    /// How many slices are settled: the first ones.
    settled: usize,
}

/// Takes a settled slice: its index k and its mean probabilities, `[j, i]`.
pub(crate) type Settled<'a> = &'a mut dyn FnMut(usize, ArrayView2<'_, f32>);

impl Votes {
    /// No votes yet, for windows of `patch` voxels, `step` apart, on a grid of `shape`, all `[k, j, i]`; `centred` ones or
    /// such that count alike.
    ///
    /// No axis of the grid is shorter than a window.
    pub(crate) fn new(shape: [usize; 3], patch: [usize; 3], step: [usize; 3], centred: bool) -> Self {
        let weights = patch.map(|side| if centred { biweight(side) } else { vec![1.0; side] });
        let mut starts = axis_starts(shape, patch, step).into_iter();
        let counts = [0, 1, 2].map(|axis| {
            let mut counts = vec![0.0; shape[axis]];
            for start in starts.next().into_iter().flatten() {
                let over = counts[start..start + patch[axis]].iter_mut();
                over.zip(&weights[axis]).for_each(|(count, weight)| *count += weight);
            }
            counts
        });
        Self { sums: Array3::zeros((patch[0], shape[1], shape[2])), weights, counts, settled: 0 }
    }

    /// Adds the votes of the window at `start`, `[k, j, i]`, after the slices before it are settled.
    pub(crate) fn cast(&mut self, start: [usize; 3], probabilities: ArrayView3<'_, f32>, settled: Settled<'_>) {
        self.settle_before(start[0], settled);
        let depth = self.sums.dim().0;
        let (_, height, width) = probabilities.dim();
        let window = cut([start[1], start[2]], [start[1] + height, start[2] + width]);
        for (k, votes) in probabilities.axis_iter(Axis(0)).enumerate() {
            let mut sums = self.sums.index_axis_mut(Axis(0), (start[0] + k) % depth);
            let mut sums = sums.slice_each_axis_mut(&window);
            let [slices, rows, columns] = &self.weights;
            for ((mut sums, votes), row) in sums.outer_iter_mut().zip(votes.outer_iter()).zip(rows) {
                let weight = slices[k] * row;
                Zip::from(&mut sums)
                    .and(votes)
                    .and(columns)
                    .for_each(|sum, vote, column| *sum += weight * column * vote);
            }
        }
    }

    /// Settles the slices that are left.
    pub(crate) fn finish(mut self, settled: Settled<'_>) {
        self.settle_before(self.counts[0].len(), settled);
    }

    fn settle_before(&mut self, end: usize, settled: Settled<'_>) {
        let (depth, height, width) = self.sums.dim();
        let mut mean = Array2::zeros((height, width));
        for k in self.settled..end {
            let mut sums = self.sums.index_axis_mut(Axis(0), k % depth);
            for ((j, i), mean) in mean.indexed_iter_mut() {
                let mean_vote = sums[[j, i]] / (self.counts[0][k] * self.counts[1][j] * self.counts[2][i]);
                // Rounding may take weighted ones beyond 1.
                *mean = mean_vote.min(1.0);
            }
            sums.fill(0.0);
            settled(k, mean.view());
        }
        self.settled = self.settled.max(end);
    }
}

/// Tukey's biweight at the centres of the voxels along a side of a window; none is 0.
fn biweight(side: usize) -> Vec<f32> {
    let weight = |index: usize| {
        let distance = (2 * index + 1) as f32 / side as f32 - 1.0;
        (1.0 - distance * distance).powi(2)
    };
    (0..side).map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::windows;
    use proptest::prelude::*;

    /// The settled means of windows that each vote what `vote` says, and how many slices were held at most.
    fn mean_of(
        shape: [usize; 3],
        patch: [usize; 3],
        step: [usize; 3],
        centred: bool,
        vote: impl Fn([usize; 3], [usize; 3]) -> Option<f32>,
    ) -> Array3<f32> {
        let mut mean = Array3::from_elem(shape, f32::NAN);
        let mut next = 0;
        let mut settled = |k: usize, slice: ArrayView2<f32>| {
            assert_eq!(k, next, "slices are settled in order, each once");
            next += 1;
            mean.index_axis_mut(Axis(0), k).assign(&slice);
        };
        let mut votes = Votes::new(shape, patch, step, centred);
        for start in windows(shape, patch, step) {
            let window = Array3::from_shape_fn(patch, |(k, j, i)| {
                vote(start, [start[0] + k, start[1] + j, start[2] + i]).unwrap_or(f32::NAN)
            });
            if !window.iter().any(|v| v.is_nan()) {
                votes.cast(start, window.view(), &mut settled);
            }
            assert_eq!(votes.sums.dim().0, patch[0], "no more slices than a window has");
        }
        votes.finish(&mut settled);
        assert_eq!(next, shape[0], "every slice is settled");
        mean
    }

    prop_compose! {
        fn layout()(
            patch in prop::array::uniform3(1..6usize),
            more in prop::array::uniform3(0..12usize),
            back in prop::array::uniform3(0..6usize),
        ) -> ([usize; 3], [usize; 3], [usize; 3]) {
            let each = |f: &dyn Fn(usize) -> usize| [f(0), f(1), f(2)];
            (each(&|a| patch[a] + more[a]), patch, each(&|a| patch[a].saturating_sub(back[a]).max(1)))
        }
    }

    proptest! {
        #[test]
        fn votes_for_1_average_to_1_for_any_overlap((shape, patch, step) in layout()) {
            prop_assert!(mean_of(shape, patch, step, false, |_, _| Some(1.0)).iter().all(|&v| v == 1.0));
            let centred = mean_of(shape, patch, step, true, |_, _| Some(1.0));
            prop_assert!(centred.iter().all(|&v| (v - 1.0).abs() < 1e-5));
        }

        #[test]
        fn the_mean_is_that_of_all_windows_over_a_voxel((shape, patch, step) in layout(), centred: bool) {
            let vote = |start: [usize; 3], [k, j, i]: [usize; 3]| {
                ((start[0] * 7 + start[1] * 5 + start[2] * 3 + k + 2 * j + 4 * i) % 11) as f32 / 10.0
            };
            let mean = mean_of(shape, patch, step, centred, |start, voxel| Some(vote(start, voxel)));
            for ((k, j, i), &mean) in mean.indexed_iter() {
                let voxel = [k, j, i];
                let over = |start: &[usize; 3]| (0..3).all(|a| (start[a]..start[a] + patch[a]).contains(&voxel[a]));
                let weight = |start: &[usize; 3]| match centred {
                    false => 1.0,
                    true => (0..3).map(|a| {
                        let x = (2 * (voxel[a] - start[a]) + 1) as f64 / patch[a] as f64 - 1.0;
                        (1.0 - x * x).powi(2)
                    }).product::<f64>(),
                };
                let (sum, all) = windows(shape, patch, step).filter(over).fold((0.0, 0.0), |(sum, all), start| {
                    (sum + weight(&start) * f64::from(vote(start, voxel)), all + weight(&start))
                });
                let expected: f64 = sum / all;
                prop_assert!((f64::from(mean) - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn windows_left_out_count_as_votes_for_0() {
        let mean = mean_of([6, 1, 1], [2, 1, 1], [1, 1, 1], false, |start, _| (start[0] == 4).then_some(1.0));
        assert_eq!(mean.into_raw_vec_and_offset().0, [0.0, 0.0, 0.0, 0.0, 0.5, 1.0]);
    }
}
