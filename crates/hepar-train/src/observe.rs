//! What there is to see while a network is trained.

use hepar_metrics::Overlap;
use ndarray::{Array2, ArrayView3, Axis};

/// Looks on while a network is trained.
pub trait Observer: Send + Sync {
    /// Called after each validation, when its row is in the log: steps that are done, and a slice of each of some
    /// held-out cases, the same ones every time.
    ///
    /// # Errors
    /// A sentence that says what went wrong; it ends the run, behind a checkpoint.
    fn validated(&self, step: u64, views: &[View]) -> Result<(), String>;
}

/// An axial slice of a held-out case: what is there, and what the network found.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Name of the case.
    pub case: String,
    /// Dice of the whole case, 0..=1.
    pub dice: f64,
    /// Hounsfield units, `[j, i]` in canonical orientation.
    pub hu: Array2<i16>,
    /// What the labels say, 1 for the stage's target, `[j, i]`.
    pub truth: Array2<u8>,
    /// What was found, `[j, i]`.
    pub found: Array2<u8>,
}

impl View {
    /// The slice with most of the target, or with most of what was found where there is no target; the middle one
    /// where there is neither. All arrays are `[k, j, i]`.
    pub(crate) fn of(
        case: &str,
        overlap: Overlap,
        hu: ArrayView3<'_, i16>,
        truth: ArrayView3<'_, u8>,
        found: ArrayView3<'_, u8>,
    ) -> Self {
        let slice = fullest(truth).or_else(|| fullest(found)).unwrap_or(hu.len_of(Axis(0)) / 2);
        Self {
            case: case.to_owned(),
            dice: overlap.dice(),
            hu: hu.index_axis(Axis(0), slice).to_owned(),
            truth: truth.index_axis(Axis(0), slice).to_owned(),
            found: found.index_axis(Axis(0), slice).to_owned(),
        }
    }
}

/// The slice with the most ones, the first of equal ones; `None` when there is none at all.
fn fullest(mask: ArrayView3<'_, u8>) -> Option<usize> {
    let counts = mask.outer_iter().map(|slice| slice.iter().filter(|&&value| value == 1).count());
    let (slice, count) = counts.enumerate().max_by_key(|&(slice, count)| (count, std::cmp::Reverse(slice)))?;
    (count > 0).then_some(slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn the_slice_with_most_of_the_target_is_shown() {
        let hu = Array3::from_shape_fn((5, 4, 4), |(k, _, _)| k as i16);
        let mask = |voxels: &[[usize; 3]]| {
            let mut mask = Array3::zeros(hu.raw_dim());
            voxels.iter().for_each(|&voxel| mask[voxel] = 1_u8);
            mask
        };
        let (truth, found) = (mask(&[[1, 0, 0], [3, 0, 0], [3, 1, 1]]), mask(&[[4, 2, 2]]));
        let shown = |truth: &Array3<u8>, found: &Array3<u8>| {
            View::of("a", Overlap::default(), hu.view(), truth.view(), found.view()).hu[[0, 0]]
        };
        assert_eq!(shown(&truth, &found), 3);
        assert_eq!(shown(&mask(&[]), &found), 4);
        assert_eq!(shown(&mask(&[]), &mask(&[])), 2);
        let view = View::of("a", Overlap::default(), hu.view(), truth.view(), found.view());
        assert_eq!((view.hu[[0, 0]], view.truth.sum(), view.found.sum()), (3, 2, 0));
    }
}
