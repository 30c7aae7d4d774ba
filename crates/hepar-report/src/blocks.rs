//! Volumes with fewer voxels: blocks of voxels become one.

use hepar_volume::{Geometry, GeometryError};
use ndarray::{Array3, ArrayView3, Axis};
use rayon::prelude::*;

/// How many voxels along `[k, j, i]` become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blocks(pub(crate) [usize; 3]);

impl Blocks {
    /// The smallest blocks, as near to cubes as can be, of which a grid of `shape` and `spacing` has at most `limit`.
    pub(crate) fn at_most(limit: usize, shape: [usize; 3], spacing: [f64; 3]) -> Self {
        let mut blocks = Self([1; 3]);
        while blocks.count(shape) > limit.max(1) {
            let side = |axis: usize| blocks.0[axis] as f64 * spacing[axis];
            let can_grow = (0..3).filter(|&axis| blocks.0[axis] < shape[axis]);
            let Some(shortest) = can_grow.min_by(|&a, &b| side(a).total_cmp(&side(b))) else { break };
            blocks.0[shortest] += 1;
        }
        blocks
    }

    /// Number of blocks along `[k, j, i]` of a grid of `shape`; the last ones may reach beyond it.
    pub(crate) fn shape(self, shape: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|axis| shape[axis].div_ceil(self.0[axis]))
    }

    fn count(self, shape: [usize; 3]) -> usize {
        self.shape(shape).into_iter().product()
    }

    /// The grid of the blocks' centres.
    ///
    /// # Errors
    /// When the grid's axes are all but parallel.
    pub(crate) fn geometry(self, geometry: &Geometry) -> Result<Geometry, GeometryError> {
        let mut affine = *geometry.affine();
        let first = geometry.to_world(self.0.map(|size| (size as f64 - 1.0) / 2.0)).0;
        for row in 0..3 {
            // Columns are i, j, k.
            for (column, axis) in [2, 1, 0].into_iter().enumerate() {
                affine[row][column] *= self.0[axis] as f64;
            }
            affine[row][3] = first[row];
        }
        Geometry::new(affine, self.shape(geometry.shape()))
    }

    /// What `fold` makes of the voxels of every block, `[k, j, i]`.
    pub(crate) fn fold<T: Sync, U: Default + Clone + Send + Sync>(
        self,
        data: ArrayView3<'_, T>,
        fold: impl Fn(ArrayView3<'_, T>) -> U + Sync,
    ) -> Array3<U> {
        let (depth, height, width) = data.dim();
        let lengths = [depth, height, width];
        let mut result = Array3::from_elem(self.shape(lengths), U::default());
        result.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(k, mut slice)| {
            for ((j, i), value) in slice.indexed_iter_mut() {
                *value = fold(data.slice_each_axis(|axis| {
                    let axis = axis.axis.index();
                    let start = [k, j, i][axis] * self.0[axis];
                    ndarray::Slice::from(start..(start + self.0[axis]).min(lengths[axis]))
                }));
            }
        });
        result
    }

    /// Share of every block, 0 to 1, whose voxels are `inside`; what reaches beyond the grid is not.
    pub(crate) fn shares<T: Sync>(self, data: ArrayView3<'_, T>, inside: impl Fn(&T) -> bool + Sync) -> Array3<f32> {
        let size = self.0.into_iter().product::<usize>() as f32;
        self.fold(data, |block| block.iter().filter(|voxel| inside(voxel)).count() as f32 / size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_volume::Volume;

    #[test]
    fn blocks_are_nearly_cubes_and_no_more_than_asked_for() {
        assert_eq!(Blocks::at_most(1000, [10, 10, 10], [1.0; 3]), Blocks([1; 3]));
        let blocks = Blocks::at_most(4_000_000, [250, 400, 400], [1.0, 0.7, 0.7]);
        assert!(blocks.count([250, 400, 400]) <= 4_000_000, "{blocks:?}");
        assert_eq!(Blocks::at_most(100_000, [60, 200, 200], [4.0, 0.8, 0.8]), Blocks([1, 5, 5]));
        assert_eq!(Blocks::at_most(0, [3, 1, 7], [1.0, 2.0, 1e9]), Blocks([3, 1, 7]));
    }

    #[test]
    fn a_block_lies_where_its_voxels_do() {
        let affine = [[-1.0, 0.2, 0.0, 9.0], [0.0, -2.0, 0.3, 8.0], [0.0, 0.0, 4.0, 7.0], [0.0, 0.0, 0.0, 1.0]];
        let geometry = Geometry::new(affine, [2, 6, 5]).unwrap();
        let blocks = Blocks([1, 3, 2]);
        let coarse = blocks.geometry(&geometry).unwrap();
        assert_eq!(coarse.shape(), [2, 2, 3]);
        let [fine, block] = [geometry.to_world([1.0, 4.0, 2.5]).0, coarse.to_world([1.0, 1.0, 1.0]).0];
        assert!((0..3).all(|axis| (fine[axis] - block[axis]).abs() < 1e-12), "{fine:?} {block:?}");
        let volume = Volume::from_fn(geometry, |[_, j, i]| j >= 3 && i == 4);
        let shares = blocks.shares(volume.data(), |&inside| inside);
        // The last block along i has one voxel of two.
        assert_eq!((shares[[0, 1, 2]], shares[[0, 1, 1]], shares[[0, 0, 2]]), (0.5, 0.0, 0.0));
    }
}
