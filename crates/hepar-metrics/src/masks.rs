//! One object in a prediction and in a reference.

use hepar_volume::VoxelBox;
use ndarray::{Array3, ArrayView3, Axis, Slice};

use crate::overlap::{Overlap, ShapeMismatch, check_shapes};
use crate::surface_dice::surface_dice;
use crate::surface_distances::SurfaceDistances;

/// The masks of one object in a prediction and in a reference, cut to the box around both.
///
/// What is cut away is background, as everything outside an array is, so no score depends on the cut.
#[derive(Debug, Clone, PartialEq)]
pub struct Masks {
    prediction: Array3<bool>,
    reference: Array3<bool>,
    spacing: [f64; 3],
}

impl Masks {
    /// The voxels, `[k, j, i]`, whose labels belong to the object: of `prediction` by the first, of `reference` by the
    /// second condition. `spacing` is in millimetres along `[k, j, i]`, positive and finite.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn of<T: Copy + Sync>(
        prediction: ArrayView3<'_, T>,
        reference: ArrayView3<'_, T>,
        spacing: [f64; 3],
        predicted: impl Fn(T) -> bool + Sync,
        referred: impl Fn(T) -> bool + Sync,
    ) -> Result<Self, ShapeMismatch> {
        check_shapes(&prediction, &reference)?;
        let boxes = rayon::join(
            || VoxelBox::around(prediction.view(), |&label| predicted(label)),
            || VoxelBox::around(reference.view(), |&label| referred(label)),
        );
        let bounds = [boxes.0, boxes.1].into_iter().flatten().fold(None, |sum, part| Some(union(sum, &part)));
        let (prediction, reference) = (cut(&prediction, bounds), cut(&reference, bounds));
        Ok(Self { prediction: prediction.map(|&l| predicted(l)), reference: reference.map(|&l| referred(l)), spacing })
    }

    /// Masks of one shape, cut to the box around both already.
    pub(crate) fn cut(prediction: Array3<bool>, reference: Array3<bool>, spacing: [f64; 3]) -> Self {
        debug_assert_eq!(prediction.dim(), reference.dim());
        Self { prediction, reference, spacing }
    }

    /// How many voxels they have and share.
    pub fn overlap(&self) -> Overlap {
        let mut overlap = Overlap::default();
        for (&p, &r) in self.prediction.iter().zip(&self.reference) {
            overlap.add(p, r);
        }
        overlap
    }

    /// The distances of their surfaces; `None` when one of them has no voxel.
    pub fn surface_distances(&self) -> Option<SurfaceDistances> {
        SurfaceDistances::between(self.prediction.view(), self.reference.view(), self.spacing)
    }

    /// The shares of both surfaces that lie within `tolerances`, in millimetres, of each other; `None` when neither has
    /// a voxel. See [`surface_dice`].
    pub fn surface_dice<const N: usize>(&self, tolerances: [f64; N]) -> Option<[f64; N]> {
        surface_dice(self.prediction.view(), self.reference.view(), self.spacing, tolerances)
    }

    /// The prediction's mask and the reference's, `[k, j, i]`.
    pub fn views(&self) -> (ArrayView3<'_, bool>, ArrayView3<'_, bool>) {
        (self.prediction.view(), self.reference.view())
    }
}

/// Both label volumes, `[k, j, i]`, cut to the box around the voxels of either that are not background.
///
/// # Errors
/// When the shapes differ.
pub(crate) fn cut_background<'a>(
    prediction: ArrayView3<'a, u8>,
    reference: ArrayView3<'a, u8>,
) -> Result<[ArrayView3<'a, u8>; 2], ShapeMismatch> {
    check_shapes(&prediction, &reference)?;
    let around = |labels: ArrayView3<'a, u8>| VoxelBox::around(labels, |&label| label > 0);
    let boxes = rayon::join(|| around(prediction), || around(reference));
    let bounds = [boxes.0, boxes.1].into_iter().flatten().fold(None, |sum, part| Some(union(sum, &part)));
    Ok([cut(&prediction, bounds), cut(&reference, bounds)])
}

/// The part of an array in a box; nothing of it without a box.
fn cut<'a, T>(labels: &ArrayView3<'a, T>, bounds: Option<VoxelBox>) -> ArrayView3<'a, T> {
    let (start, end) = bounds.map_or(([0; 3], [0; 3]), |bounds| (bounds.start(), bounds.end()));
    let mut part = *labels;
    for axis in 0..3 {
        part.slice_axis_inplace(Axis(axis), Slice::from(start[axis]..end[axis]));
    }
    part
}

/// The box around two boxes.
fn union(sum: Option<VoxelBox>, part: &VoxelBox) -> VoxelBox {
    let Some(sum) = sum else { return *part };
    let start = std::array::from_fn(|axis| sum.start()[axis].min(part.start()[axis]));
    let end = std::array::from_fn(|axis| sum.end()[axis].max(part.end()[axis]));
    // A box around a box holds voxels.
    VoxelBox::new(start, end).unwrap_or(sum)
}
