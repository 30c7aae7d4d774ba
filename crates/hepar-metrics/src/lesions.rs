//! Lesions as numbered components of a mask.

use std::collections::BTreeMap;

use hepar_volume::{Connectivity, VoxelBox, components};
use ndarray::{Array3, ArrayView3, Axis, Slice};

use crate::masks::Masks;

/// The components of a mask, numbered from 1 in array order of their first voxels.
pub(crate) struct Lesions {
    /// Number of the component of each voxel, 0 outside.
    pub(crate) labels: Array3<u32>,
    /// Voxels of each component; number `n` at `n - 1`.
    pub(crate) sizes: Vec<usize>,
    /// The box around each component.
    boxes: Vec<VoxelBox>,
}

impl Lesions {
    pub(crate) fn of(mask: ArrayView3<'_, bool>, connectivity: Connectivity) -> Self {
        let components = components(mask, connectivity);
        let boxes = components.boxes();
        Self { labels: components.labels, sizes: components.sizes, boxes }
    }

    pub(crate) fn count(&self) -> usize {
        self.sizes.len()
    }
}

/// How many voxels each predicted and each reference component share, by both numbers; pairs that share none are left
/// out.
pub(crate) fn shared(predicted: &Lesions, reference: &Lesions) -> BTreeMap<(usize, usize), u64> {
    let mut shared = BTreeMap::new();
    for (&p, &r) in predicted.labels.iter().zip(&reference.labels) {
        if p > 0 && r > 0 {
            *shared.entry((p as usize, r as usize)).or_insert(0) += 1;
        }
    }
    shared
}

/// The masks of the predicted components and of the reference components with some numbers; `spacing` as the arrays'
/// axes.
pub(crate) fn masks_of(
    (predicted, p_numbers): (&Lesions, &[usize]),
    (reference, r_numbers): (&Lesions, &[usize]),
    spacing: [f64; 3],
) -> Masks {
    let boxes =
        p_numbers.iter().map(|n| &predicted.boxes[n - 1]).chain(r_numbers.iter().map(|n| &reference.boxes[n - 1]));
    let (mut start, mut end) = ([usize::MAX; 3], [0; 3]);
    for part in boxes {
        for axis in 0..3 {
            start[axis] = start[axis].min(part.start()[axis]);
            end[axis] = end[axis].max(part.end()[axis]);
        }
    }
    let cut = |lesions: &'_ Lesions, numbers: &[usize]| {
        let along = |axis: Axis| Slice::from(start[axis.index()].min(end[axis.index()])..end[axis.index()]);
        let part = lesions.labels.slice_each_axis(|axis| along(axis.axis));
        part.map(|&label| numbers.contains(&(label as usize)))
    };
    Masks::cut(cut(predicted, p_numbers), cut(reference, r_numbers), spacing)
}
