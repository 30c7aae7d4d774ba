//! How the pixels of a frame lie on the axes of a volume.

use hepar_volume::{Geometry, Millimetres};

use crate::dicom::error::DicomError;
use crate::dicom::plane::Plane;
use crate::dicom::vectors::{Vector, flipped};

/// How far, in voxels, a frame may lie from the grid that it is put on.
const OFF_TARGET: f64 = 0.1;

/// How the pixels of a frame lie on the axes of a volume: along its axes, forwards or backwards.
pub(crate) struct Steps {
    start: [i64; 3],
    by_row: [i64; 3],
    by_column: [i64; 3],
}

impl Steps {
    /// # Errors
    /// When the frame is turned against the volume's axes, has other pixels, or lies between its slices.
    pub(crate) fn of(geometry: &Geometry, plane: &Plane, size: [usize; 2]) -> Result<Self, DicomError> {
        Self::by(|point| geometry.to_index(Millimetres(flipped(point))), plane, size)
    }

    /// As [`Steps::of`], in a volume where `index` says where a point lies, in voxels.
    pub(crate) fn by(
        index: impl Fn(Vector) -> [f64; 3],
        plane: &Plane,
        [rows, columns]: [usize; 2],
    ) -> Result<Self, DicomError> {
        let index = |column: f64, row: f64| index(plane.point(column, row));
        let whole = |index: [f64; 3]| {
            let rounded = index.map(f64::round);
            let off = (0..3).map(|axis| (index[axis] - rounded[axis]).abs()).fold(0.0, f64::max);
            (off <= OFF_TARGET).then(|| rounded.map(|v| v as i64))
        };
        let (last_row, last_column) = ((rows - 1) as f64, (columns - 1) as f64);
        let corners = [(0.0, 0.0), (last_column, 0.0), (0.0, last_row)].map(|(c, r)| whole(index(c, r)));
        let steps = corners.map(|corner| corner.ok_or(()));
        let [Ok(start), Ok(across), Ok(down)] = steps else {
            let text = "its frames do not lie on the voxels of the grid that it is to be put on";
            return Err(DicomError::OtherGrid(text.to_owned()));
        };
        let step = |to: [i64; 3], count: usize| -> [i64; 3] {
            let pixels = (count - 1).max(1) as i64;
            std::array::from_fn(|axis| (to[axis] - start[axis]) / pixels)
        };
        let (by_row, by_column) = (step(down, rows), step(across, columns));
        let unit = |step: [i64; 3], count: usize| count == 1 || step.map(i64::abs).iter().sum::<i64>() == 1;
        if !unit(by_row, rows) || !unit(by_column, columns) {
            return Err(DicomError::OtherGrid("its pixels are not the voxels of the grid".to_owned()));
        }
        Ok(Self { start, by_row, by_column })
    }

    /// The voxel of a pixel; `None` outside of the volume.
    pub(crate) fn index(&self, row: usize, column: usize, shape: [usize; 3]) -> Option<[usize; 3]> {
        let mut index = [0; 3];
        for axis in 0..3 {
            let at = self.start[axis] + row as i64 * self.by_row[axis] + column as i64 * self.by_column[axis];
            index[axis] = usize::try_from(at).ok().filter(|at| *at < shape[axis])?;
        }
        Some(index)
    }

    /// The axis across the frame, and where on it the frame is.
    pub(crate) fn layer(&self) -> (usize, i64) {
        let is_across = |axis: &usize| self.by_row[*axis] == 0 && self.by_column[*axis] == 0;
        // Two steps along axes leave one of three.
        let axis = (0..3).find(is_across).unwrap_or(0);
        (axis, self.start[axis])
    }
}
