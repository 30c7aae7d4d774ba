//! Where the slices of a series are in the volume that was made of them, so that what was drawn on them gets there.

use std::ops::Range;

use hepar_volume::Geometry;

use crate::dicom::plane::Plane;
use crate::dicom::stack::Placed;
use crate::dicom::steps::Steps;
use crate::dicom::vectors::{Vector, dot};

/// How far, in distances of slices, from a slice what was drawn on it may lie: positions are rounded text.
const OFF_SLICE: f64 = 0.1;

/// Slices are as near as one another when their distances differ by less than this, in millimetres.
const AS_NEAR: f64 = 1e-3;

/// A volume and the slices that it was made of.
///
/// A slice of the volume has the labels of the nearest of these, and so has one that was interpolated. That undoes what
/// [`DicomSource::on_frame`](crate::dicom::DicomSource::on_frame) does where labels are written.
#[derive(Debug, Clone)]
pub(crate) struct Slices {
    /// Grid of the volume.
    pub(crate) geometry: Geometry,
    normal: Vector,
    /// Rows and columns of a slice.
    size: [usize; 2],
    /// In their order along the normal.
    slices: Vec<Slice>,
}

#[derive(Debug, Clone)]
struct Slice {
    plane: Plane,
    /// Position along the normal, in millimetres.
    at: f64,
    /// Rows and columns of the volume before those of the slice.
    offset: [usize; 2],
    /// Slices of the volume that have its labels.
    layers: Range<usize>,
}

impl Slices {
    /// `slices`, one or more in any order, are those of one series, with `size` rows and columns; `geometry` is the
    /// grid of their volume.
    pub(crate) fn new(geometry: Geometry, size: [usize; 2], slices: Vec<(Plane, Placed)>) -> Self {
        let normal = slices.first().map(|(plane, _)| plane.normal()).unwrap_or_default();
        let slice = |(plane, placed): (Plane, Placed)| Slice {
            plane,
            at: dot(plane.position, normal),
            offset: placed.offset(),
            layers: 0..0,
        };
        let mut slices: Vec<Slice> = slices.into_iter().map(slice).collect();
        slices.sort_by(|a, b| a.at.total_cmp(&b.at));
        let (first, spacing) = (slices.first().map_or(0.0, |slice| slice.at), geometry.spacing()[0]);
        let depth = geometry.shape()[0];
        let mut all = Self { geometry, normal, size, slices };
        for k in 0..depth {
            let nearest = all.nearest(first + k as f64 * spacing);
            if let Some(Slice { layers, .. }) = all.slices.get_mut(nearest) {
                let start = if layers.start < layers.end { layers.start } else { k };
                *layers = start..k + 1;
            }
        }
        all
    }

    /// How many slices there are, and their rows and columns.
    pub(crate) fn shape(&self) -> [usize; 3] {
        [self.slices.len(), self.size[0], self.size[1]]
    }

    /// The slice nearest to a position along the normal; of two as near the lower.
    fn nearest(&self, at: f64) -> usize {
        let above = self.slices.partition_point(|slice| slice.at < at);
        let Some(below) = above.checked_sub(1) else { return 0 };
        let is_nearer = |next: &Slice| next.at - at + AS_NEAR < at - self.slices[below].at;
        if self.slices.get(above).is_some_and(is_nearer) { above } else { below }
    }

    /// The slice in which a point lies, if it lies in one.
    pub(crate) fn at(&self, point: Vector) -> Option<usize> {
        let n = self.nearest(dot(point, self.normal));
        (self.index(n, point)[0].abs() <= OFF_SLICE).then_some(n)
    }

    /// Where a point lies: in distances of slices from slice `n`, in rows and in columns from the centre of its first
    /// pixel.
    pub(crate) fn index(&self, n: usize, point: Vector) -> [f64; 3] {
        let slice = &self.slices[n];
        let [column, row] = slice.plane.pixel(point);
        [(dot(point, self.normal) - slice.at) / self.geometry.spacing()[0], row, column]
    }

    /// The slice that a frame with `size` rows and columns lies on, and how its pixels lie on those of the slice; `None`
    /// when it lies on none.
    pub(crate) fn of_frame(&self, plane: &Plane, size: [usize; 2]) -> Option<(usize, Steps)> {
        let n = self.at(plane.position)?;
        let steps = Steps::by(|point| self.index(n, point), plane, size).ok()?;
        (steps.layer() == (0, 0)).then_some((n, steps))
    }

    /// The voxels that have the label of a pixel of slice `n`; none where the volume ends.
    pub(crate) fn voxels(&self, n: usize, [row, column]: [usize; 2]) -> impl Iterator<Item = [usize; 3]> {
        let Slice { offset, layers, .. } = &self.slices[n];
        let [_, height, width] = self.geometry.shape();
        let (j, i) = (row + offset[0], column + offset[1]);
        let layers = if j < height && i < width { layers.clone() } else { 0..0 };
        layers.map(move |k| [k, j, i])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::stack::stack;

    /// The slices of a series at these heights, each shifted by `shift` rows for each millimetre.
    fn slices(heights: &[f64], shift: f64) -> Slices {
        let plane = |z: &f64| Plane {
            position: [0.0, shift * z, *z],
            along_row: [1.0, 0.0, 0.0],
            along_column: [0.0, 1.0, 0.0],
            spacing: [1.0, 1.0],
        };
        let planes: Vec<Plane> = heights.iter().map(plane).collect();
        let stack = stack(&planes, [6, 5], None, false).unwrap();
        Slices::new(stack.geometry, [6, 5], planes.into_iter().zip(stack.placed).collect())
    }

    fn layers(slices: &Slices) -> Vec<Range<usize>> {
        slices.slices.iter().map(|slice| slice.layers.clone()).collect()
    }

    #[test]
    fn a_slice_that_was_interpolated_has_the_labels_of_the_nearest() {
        assert_eq!(layers(&slices(&[6.0, 0.0, 4.0, 2.0], 0.0)), [0..1, 1..2, 2..3, 3..4]);
        assert_eq!(layers(&slices(&[0.0, 2.0, 4.0, 8.0, 10.0], 0.0)), [0..1, 1..2, 2..4, 4..5, 5..6]);
        assert_eq!(layers(&slices(&[0.0, 2.0, 4.0, 10.0, 12.0, 14.0], 0.0)), [0..1, 1..2, 2..4, 4..6, 6..7, 7..8]);
        // Two slices near one another: the volume has no room for both.
        assert_eq!(layers(&slices(&[0.0, 2.0, 2.5, 4.0, 6.0, 8.0], 0.0)), [0..1, 1..2, 0..0, 2..3, 3..4, 4..5]);
    }

    #[test]
    fn a_pixel_of_a_tilted_slice_is_where_the_volume_has_it() {
        let slices = slices(&[0.0, 5.0, 10.0], 0.3);
        assert_eq!(slices.at([2.0, 3.5, 5.2]), Some(1));
        assert_eq!(slices.at([2.0, 3.5, 7.5]), None);
        assert_eq!(slices.index(1, [2.0, 3.5, 5.0]), [0.0, 2.0, 2.0]);
        // The last slice begins 3 rows behind the first, with which the volume begins.
        let voxel = |n: usize| slices.voxels(n, [4, 1]).collect::<Vec<_>>();
        assert_eq!([voxel(0), voxel(2)], [[[0, 4, 1]], [[2, 7, 1]]]);
    }
}
