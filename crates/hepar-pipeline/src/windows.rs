//! Where the windows of a stage lie.

use std::num::NonZeroUsize;

/// Starts of the windows that cover `len` voxels with windows of `size`, `step` apart; ascending, at least one.
///
/// The last window is moved back to end at `len`, so neighbours may overlap more there. An axis not longer than `size`
/// gives the single start 0; the caller pads. With a step greater than `size` voxels between windows stay uncovered.
pub fn window_starts(len: usize, size: usize, step: NonZeroUsize) -> impl Iterator<Item = usize> + Clone {
    let last = len.saturating_sub(size);
    (0..last).step_by(step.get()).chain([last])
}

/// Starts `[k, j, i]` of the windows of `patch` voxels that cover a grid of `shape`, `step` apart, all `[k, j, i]`; in
/// ascending order. A step of 0 counts as 1.
pub fn windows(shape: [usize; 3], patch: [usize; 3], step: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    let [ks, js, is] = axis_starts(shape, patch, step);
    ks.flat_map(move |k| {
        let is = is.clone();
        js.clone().flat_map(move |j| is.clone().map(move |i| [k, j, i]))
    })
}

/// [`window_starts`] of each axis.
pub(crate) fn axis_starts(
    shape: [usize; 3],
    patch: [usize; 3],
    step: [usize; 3],
) -> [impl Iterator<Item = usize> + Clone; 3] {
    [0, 1, 2]
        .map(|axis| window_starts(shape[axis], patch[axis], NonZeroUsize::new(step[axis]).unwrap_or(NonZeroUsize::MIN)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn starts(len: usize, size: usize, step: usize) -> Vec<usize> {
        window_starts(len, size, NonZeroUsize::new(step).unwrap()).collect()
    }

    #[test]
    fn the_last_window_is_moved_back_to_end_at_the_edge() {
        assert_eq!(starts(75, 32, 20), [0, 20, 40, 43]);
        assert_eq!(starts(72, 32, 20), [0, 20, 40]);
        assert_eq!(starts(32, 32, 20), [0]);
        assert_eq!(starts(5, 32, 20), [0]);
        assert_eq!(starts(0, 32, 20), [0]);
    }

    proptest! {
        #[test]
        fn windows_cover_every_voxel_and_stay_within_the_grid(
            len in 1..400usize, size in 1..80usize, share in 0.0..1.0f64,
        ) {
            let step = ((size as f64 * share) as usize).max(1);
            let starts = starts(len, size, step);
            prop_assert!(starts.windows(2).all(|pair| pair[0] < pair[1] && pair[1] - pair[0] <= step));
            prop_assert_eq!(starts[0], 0);
            prop_assert_eq!(starts[starts.len() - 1] + size, len.max(size));
        }
    }

    #[test]
    fn windows_come_in_ascending_order() {
        let all: Vec<_> = windows([50, 40, 33], [32, 32, 32], [16, 16, 16]).collect();
        assert_eq!(all.len(), 3 * 2 * 2);
        assert!(all.is_sorted());
    }
}
