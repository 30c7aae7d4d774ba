//! Arrays resized so that a coarser grid averages what its voxels cover.
//!
//! Taking values at the centres of a coarser grid keeps all the noise of thin slices and lets what lies between the
//! centres vanish; a scanner that makes thick slices averages, and so does this.

use ndarray::{Array3, ArrayView1, ArrayView3, Axis};
use rayon::prelude::*;

use crate::index_map::{AxisMap, between};

/// How much each voxel of an axis counts for a voxel of another axis over the same extent.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// The first voxel that counts.
    pub first: usize,
    /// How much it and those after it count; at least one, all positive, 1 together.
    pub weights: Vec<f32>,
}

impl Share {
    /// What voxel `index` of `to` voxels takes from `from` voxels, both at least 1.
    ///
    /// With fewer voxels than before, each counts by how much of it is covered; with more, values are linear between
    /// voxel centres and those of the outermost beyond.
    pub fn of(index: usize, to: usize, from: usize) -> Self {
        if to >= from {
            let pair = between(AxisMap::resize(to, from).at(index), from);
            return match pair.weight {
                0.0 => Self { first: pair.lower, weights: vec![1.0] },
                weight => Self { first: pair.lower, weights: vec![1.0 - weight, weight] },
            };
        }
        // In units of 1/to of a voxel everything is whole: voxel g lies over g·from to (g + 1)·from.
        let (start, end) = (index * from, (index + 1) * from);
        let (first, last) = (start / to, (end - 1) / to);
        let covered = |voxel: usize| end.min((voxel + 1) * to) - start.max(voxel * to);
        Self { first, weights: (first..=last).map(|voxel| (covered(voxel) as f64 / from as f64) as f32).collect() }
    }
}

/// An array, `[k, j, i]`, resized to `shape` voxels over the same outer extent: along axes that get fewer voxels the
/// mean of what each covers, along the others linear between voxel centres.
///
/// An array without voxels gives zeros. The number of threads changes nothing.
pub fn resize_mean<T: Copy + Into<f32> + Sync>(data: ArrayView3<T>, shape: [usize; 3]) -> Array3<f32> {
    let (depth, height, width) = data.dim();
    let mut result = Array3::zeros(shape);
    if [depth, height, width].contains(&0) || shape.contains(&0) {
        return result;
    }
    let shares = |axis: usize, from: usize| {
        (0..shape[axis]).map(|index| Share::of(index, shape[axis], from)).collect::<Vec<_>>()
    };
    let [ks, js, is] = [shares(0, depth), shares(1, height), shares(2, width)];
    result.axis_iter_mut(Axis(0)).into_par_iter().zip(&ks).for_each(|(mut slice, k)| {
        let mut mixed = vec![0.0; width];
        for (mut row, j) in slice.rows_mut().into_iter().zip(&js) {
            mixed.fill(0.0);
            for (at_k, weight_k) in k.weights.iter().enumerate() {
                for (at_j, weight_j) in j.weights.iter().enumerate() {
                    add(&mut mixed, row_of(data, k.first + at_k, j.first + at_j), weight_k * weight_j);
                }
            }
            for (voxel, i) in row.iter_mut().zip(&is) {
                *voxel = i.weights.iter().zip(&mixed[i.first..]).map(|(weight, value)| weight * value).sum();
            }
        }
    });
    result
}

fn row_of<T>(data: ArrayView3<'_, T>, k: usize, j: usize) -> ArrayView1<'_, T> {
    data.index_axis_move(Axis(0), k).index_axis_move(Axis(0), j)
}

fn add<T: Copy + Into<f32>>(sums: &mut [f32], row: ArrayView1<T>, weight: f32) {
    sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += weight * value.into());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resample::resize_linear;
    use proptest::prelude::*;

    fn scrambled(shape: [usize; 3]) -> Array3<i16> {
        Array3::from_shape_fn(shape, |(k, j, i)| ((k * 7919 + j * 104_729 + i * 1_299_709) % 4001) as i16 - 1024)
    }

    proptest! {
        #[test]
        fn every_voxel_counts_for_as_much_as_it_is_covered(to in 1..40usize, from in 1..40usize) {
            let shares: Vec<Share> = (0..to).map(|index| Share::of(index, to, from)).collect();
            let mut counted = vec![0.0; from];
            for share in &shares {
                let total: f32 = share.weights.iter().sum();
                prop_assert!((total - 1.0).abs() < 1e-5 && share.weights.iter().all(|&weight| weight > 0.0));
                share.weights.iter().enumerate().for_each(|(at, weight)| counted[share.first + at] += weight);
            }
            if to <= from {
                let each = to as f32 / from as f32;
                prop_assert!(counted.iter().all(|count| (count - each).abs() < 1e-4), "{counted:?}");
            }
        }

        #[test]
        fn the_mean_of_all_voxels_stays_when_there_are_fewer(
            shape in prop::array::uniform3(1..9usize),
            less in prop::array::uniform3(0..9usize),
        ) {
            let data = scrambled(shape);
            let to = [0, 1, 2].map(|axis| shape[axis].saturating_sub(less[axis]).max(1));
            let mean = |values: &Array3<f32>| values.sum() / values.len() as f32;
            let before = data.mapv(f32::from);
            prop_assert!((mean(&before) - mean(&resize_mean(data.view(), to))).abs() < 0.1);
        }

        #[test]
        fn with_more_voxels_it_is_linear(shape in prop::array::uniform3(1..6usize), more in prop::array::uniform3(0..6usize)) {
            let data = scrambled(shape);
            let to = [0, 1, 2].map(|axis| shape[axis] + more[axis]);
            let largest = (&resize_mean(data.view(), to) - &resize_linear(data.view(), to)).fold(0.0f32, |m, v| m.max(v.abs()));
            prop_assert!(largest < 2e-3, "{largest}");
        }
    }

    #[test]
    fn thin_slices_are_averaged_to_thick_ones() {
        let data = Array3::from_shape_vec((5, 1, 1), vec![0i16, 10, 20, 30, 40]).unwrap();
        let thick = resize_mean(data.view(), [2, 1, 1]);
        // 2.5 slices each: 0, 10 and half of 20; the other half of 20, 30 and 40.
        assert_eq!(thick.as_slice().unwrap(), [8.0, 32.0]);
        assert_eq!(resize_mean(data.view(), [5, 1, 1]), data.mapv(f32::from));
    }

    #[test]
    fn an_array_without_voxels_is_resized_to_zeros() {
        assert_eq!(resize_mean(Array3::<f32>::zeros((0, 2, 2)).view(), [1, 2, 1]), Array3::zeros((1, 2, 1)));
    }
}
