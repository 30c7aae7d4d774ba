//! Where the voxels of one grid lie among the voxels of another.

use crate::geometry::Geometry;

/// Positions nearer than this, in voxels, are one: they differ by the rounding of matrices, not by intent.
const SAME: f64 = 1e-9;

/// Maps an index `[k, j, i]` of a target grid to a position, in voxels, in a source grid.
pub(crate) struct IndexMap {
    /// Rows and columns in the order k, j, i.
    matrix: [[f64; 3]; 3],
    offset: [f64; 3],
}

/// Maps an index of one axis of the target to a position along the same axis of the source.
#[derive(Clone, Copy)]
pub(crate) struct AxisMap {
    scale: f64,
    offset: f64,
}

/// The voxels before and after a position along an axis, and how much the second counts, 0 to 1.
#[derive(Clone, Copy)]
pub(crate) struct Between {
    pub(crate) lower: usize,
    pub(crate) upper: usize,
    pub(crate) weight: f32,
}

impl IndexMap {
    /// The map from indices of `target` to indices of `source`.
    pub(crate) fn new(target: &Geometry, source: &Geometry) -> Self {
        let (to_world, from_world) = (target.affine(), source.inverse_affine());
        // The difference of the origins keeps more digits than their indices, and is nothing for the same grid.
        let shift: [f64; 3] = std::array::from_fn(|row| to_world[row][3] - source.affine()[row][3]);
        let row = |axis: usize| &from_world[2 - axis];
        Self {
            matrix: std::array::from_fn(|axis| {
                std::array::from_fn(|column| (0..3).map(|m| row(axis)[m] * to_world[m][2 - column]).sum())
            }),
            offset: std::array::from_fn(|axis| (0..3).map(|m| row(axis)[m] * shift[m]).sum()),
        }
    }

    /// Positions, `[k, j, i]`, in the source of the voxels of row j in slice k of the target; there is no last one.
    pub(crate) fn row(&self, k: usize, j: usize) -> impl Iterator<Item = [f64; 3]> {
        let matrix = self.matrix;
        let first: [f64; 3] =
            std::array::from_fn(|axis| matrix[axis][0] * k as f64 + matrix[axis][1] * j as f64 + self.offset[axis]);
        (0u32..).map(move |i| std::array::from_fn(|axis| first[axis] + matrix[axis][2] * f64::from(i)))
    }

    /// The map of each axis alone, when the axes of both grids, of which the target has `shape`, are parallel.
    pub(crate) fn by_axes(&self, shape: [usize; 3]) -> Option<[AxisMap; 3]> {
        /// Voxels by which a position may be off at the far end of a grid; no f32 of a CT shows them.
        const DRIFT: f64 = 1e-7;
        let parallel = (0..3).all(|row| {
            (0..3).all(|column| row == column || self.matrix[row][column].abs() * shape[column] as f64 <= DRIFT)
        });
        parallel.then(|| [0, 1, 2].map(|axis| AxisMap { scale: self.matrix[axis][axis], offset: self.offset[axis] }))
    }
}

impl AxisMap {
    /// The map from an axis of `target` voxels to one of `source` voxels with the same outer faces.
    pub(crate) fn resize(target: usize, source: usize) -> Self {
        let scale = source as f64 / target as f64;
        Self { scale, offset: 0.5 * scale - 0.5 }
    }

    /// Position in the source of voxel `index` of the target.
    pub(crate) fn at(self, index: usize) -> f64 {
        self.scale * index as f64 + self.offset
    }
}

/// The voxels around `position` along an axis of `len` voxels, at least 1; beyond the ends it counts as the end.
pub(crate) fn between(position: f64, len: usize) -> Between {
    let position = position.clamp(0.0, (len - 1) as f64);
    // The cast cuts off the fraction, which rounds down what is not negative.
    let lower = ((position + SAME) as usize).min(len - 1);
    let weight = position - lower as f64;
    if weight < SAME {
        return Between { lower, upper: lower, weight: 0.0 };
    }
    Between { lower, upper: (lower + 1).min(len - 1), weight: weight as f32 }
}

/// The voxel nearest to `position` along an axis of `len` voxels, the later one of two; beyond the ends the end.
pub(crate) fn nearest(position: f64, len: usize) -> usize {
    ((position + (0.5 + SAME)) as usize).min(len - 1)
}

/// Whether `position` lies within the outer faces of an axis of `len` voxels.
pub(crate) fn within(position: f64, len: usize) -> bool {
    position >= -0.5 - SAME && position <= len as f64 - 0.5 + SAME
}
