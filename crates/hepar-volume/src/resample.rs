//! Values of a volume at the voxels of another grid.
//!
//! A value belongs to the centre of its voxel. Nothing is smoothed: a coarser grid takes the values at its own centres.
//! Each output voxel is computed by itself, so the number of threads changes nothing, and beside the output there are
//! only tables of an axis' length and one row a thread.

use ndarray::{Array3, ArrayView1, ArrayView3, Axis, Slice, Zip};
use rayon::prelude::*;

use crate::{
    geometry::Geometry,
    index_map::{AxisMap, Between, IndexMap, between, nearest, within},
    volume::Volume,
};

/// The values of `volume` at the voxels of `grid`, linear between voxel centres.
///
/// Beyond the outermost centres the value is that of the nearest point between centres.
pub fn resample_linear<T: Copy + Into<f32> + Sync>(volume: &Volume<T>, grid: &Geometry) -> Volume<f32> {
    linear(volume, grid, None)
}

/// As [`resample_linear`], but `outside` where `grid` lies beyond the outer faces of the volume's voxels.
///
/// Between the outermost centres and the outer faces the value is still that of the nearest point between centres.
/// This is what SimpleITK does with its default pixel value.
pub fn resample_linear_or<T: Copy + Into<f32> + Sync>(
    volume: &Volume<T>,
    grid: &Geometry,
    outside: f32,
) -> Volume<f32> {
    linear(volume, grid, Some(outside))
}

/// The value of the voxel of `volume` nearest to each voxel of `grid`, for labels.
///
/// `outside` where `grid` lies beyond the outer faces of the volume's voxels. Halfway between two voxels the one with
/// the greater index counts.
pub fn resample_nearest<T: Copy + Send + Sync>(volume: &Volume<T>, grid: &Geometry, outside: T) -> Volume<T> {
    let (data, lengths) = (volume.data(), volume.shape());
    let map = IndexMap::new(grid, volume.geometry());
    let mut result = Array3::from_elem(grid.shape(), outside);
    let slices = result.axis_iter_mut(Axis(0)).into_par_iter().enumerate();
    if let Some(maps) = map.by_axes(grid.shape()) {
        let [ks, js, is] = tables(maps, grid.shape(), |axis, position| {
            within(position, lengths[axis]).then(|| nearest(position, lengths[axis]))
        });
        slices.for_each(|(k, mut slice)| {
            let Some(k) = ks[k] else { return };
            for (mut row, j) in slice.rows_mut().into_iter().zip(&js) {
                let Some(j) = *j else { continue };
                let source = row_of(data, k, j);
                for (voxel, i) in row.iter_mut().zip(&is) {
                    *voxel = i.map_or(outside, |i| source[i]);
                }
            }
        });
    } else {
        slices.for_each(|(k, mut slice)| {
            for (j, mut row) in slice.rows_mut().into_iter().enumerate() {
                for (voxel, position) in row.iter_mut().zip(map.row(k, j)) {
                    if (0..3).all(|axis| within(position[axis], lengths[axis])) {
                        *voxel = data[[0, 1, 2].map(|axis| nearest(position[axis], lengths[axis]))];
                    }
                }
            }
        });
    }
    Volume::on_grid(result, grid.clone())
}

/// An array, `[k, j, i]`, resized to `shape` voxels over the same outer extent, linear between voxel centres.
///
/// The same as [`resample_linear`] onto [`Geometry::resized`]. An array without voxels gives zeros.
pub fn resize_linear<T: Copy + Into<f32> + Sync>(data: ArrayView3<T>, shape: [usize; 3]) -> Array3<f32> {
    let (depth, height, width) = data.dim();
    let lengths = [depth, height, width];
    if lengths.contains(&0) {
        return Array3::zeros(shape);
    }
    let maps = [0, 1, 2].map(|axis| AxisMap::resize(shape[axis], lengths[axis]));
    separable(data, &tables(maps, shape, |axis, position| Some(between(position, lengths[axis]))), 0.0)
}

/// Linear resampling; beyond the outer faces `outside`, or the value at the edge if there is none.
fn linear<T: Copy + Into<f32> + Sync>(volume: &Volume<T>, grid: &Geometry, outside: Option<f32>) -> Volume<f32> {
    let (data, lengths) = (volume.data(), volume.shape());
    let map = IndexMap::new(grid, volume.geometry());
    let around = |axis: usize, position: f64| {
        (outside.is_none() || within(position, lengths[axis])).then(|| between(position, lengths[axis]))
    };
    let fill = outside.unwrap_or(0.0);
    if let Some(maps) = map.by_axes(grid.shape()) {
        return Volume::on_grid(separable(data, &tables(maps, grid.shape(), around), fill), grid.clone());
    }
    let mut result = Array3::zeros(grid.shape());
    result.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(k, mut slice)| {
        for (j, mut row) in slice.rows_mut().into_iter().enumerate() {
            for (voxel, [at_k, at_j, at_i]) in row.iter_mut().zip(map.row(k, j)) {
                *voxel = match (around(0, at_k), around(1, at_j), around(2, at_i)) {
                    (Some(k), Some(j), Some(i)) => trilinear(data, [k, j, i]),
                    _ => fill,
                };
            }
        }
    });
    Volume::on_grid(result, grid.clone())
}

/// What `sample` says of every position that the voxels of a target of `shape` have along each axis of the source.
fn tables<S>(maps: [AxisMap; 3], shape: [usize; 3], sample: impl Fn(usize, f64) -> S) -> [Vec<S>; 3] {
    [0, 1, 2].map(|axis| (0..shape[axis]).map(|index| sample(axis, maps[axis].at(index))).collect())
}

/// Linear resampling between grids with parallel axes: rows are mixed along k and j first, then along i.
fn separable<T: Copy + Into<f32> + Sync>(
    data: ArrayView3<T>,
    [ks, js, is]: &[Vec<Option<Between>>; 3],
    outside: f32,
) -> Array3<f32> {
    let mut result = Array3::from_elem((ks.len(), js.len(), is.len()), outside);
    // Only these voxels of a row are asked for, when the target is a small part of the source.
    let low = is.iter().flatten().map(|i| i.lower).min().unwrap_or(0);
    let high = is.iter().flatten().map(|i| i.upper + 1).max().unwrap_or(0);
    result.axis_iter_mut(Axis(0)).into_par_iter().zip(ks).for_each(|(mut slice, k)| {
        let Some(k) = k else { return };
        let mut mixed = vec![0.0; high - low];
        for (mut row, j) in slice.rows_mut().into_iter().zip(js) {
            let Some(j) = j else { continue };
            let source = |k: usize, j: usize| row_of(data, k, j).slice_axis_move(Axis(0), Slice::from(low..high));
            mix_rows(
                &mut mixed,
                [k.lower, k.upper].map(|k| [j.lower, j.upper].map(|j| source(k, j))),
                [k.weight, j.weight],
            );
            for (voxel, i) in row.iter_mut().zip(is) {
                *voxel = i.map_or(outside, |i| mix(mixed[i.lower - low], mixed[i.upper - low], i.weight));
            }
        }
    });
    result
}

fn row_of<T>(data: ArrayView3<'_, T>, k: usize, j: usize) -> ArrayView1<'_, T> {
    data.index_axis_move(Axis(0), k).index_axis_move(Axis(0), j)
}

/// The mean of four rows, `[k][j]`, in which `weights` say how much the second k and the second j count.
fn mix_rows<T: Copy + Into<f32>>(mixed: &mut [f32], rows: [[ArrayView1<T>; 2]; 2], weights: [f32; 2]) {
    let [[a, b], [c, d]] = rows;
    Zip::from(mixed).and(a).and(b).and(c).and(d).for_each(|mixed, &a, &b, &c, &d| {
        *mixed = mix(mix(a.into(), b.into(), weights[1]), mix(c.into(), d.into(), weights[1]), weights[0]);
    });
}

/// The value at the position that three pairs of voxels, along k, j and i, enclose.
fn trilinear<T: Copy + Into<f32>>(data: ArrayView3<T>, [k, j, i]: [Between; 3]) -> f32 {
    let along_i = |k: usize, j: usize| mix(data[[k, j, i.lower]].into(), data[[k, j, i.upper]].into(), i.weight);
    let along_j = |k: usize| mix(along_i(k, j.lower), along_i(k, j.upper), j.weight);
    mix(along_j(k.lower), along_j(k.upper), k.weight)
}

/// `a` where `weight` is 0, nearly `b` where it is 1.
fn mix(a: f32, b: f32, weight: f32) -> f32 {
    a + (b - a) * weight
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orientation::Reorientation;
    use proptest::prelude::*;

    prop_compose! {
        /// A sheared, oblique grid with voxels of 0.5 mm to 3 mm.
        fn grid()(
            diagonal in prop::array::uniform3(0.5..3.0f64),
            askew in prop::array::uniform6(-0.2..0.2f64),
            origin in prop::array::uniform3(-300.0..300.0f64),
            shape in prop::array::uniform3(1..8usize),
        ) -> Geometry {
            let [x, y, z] = origin;
            let [a, b, c, d, e, f] = askew;
            let [i, j, k] = diagonal;
            Geometry::new([[i, a, b, x], [c, j, d, y], [e, f, k, z], [0.0, 0.0, 0.0, 1.0]], shape).unwrap()
        }
    }

    fn scrambled(geometry: &Geometry) -> Volume<i16> {
        Volume::from_fn(geometry.clone(), |[k, j, i]| ((k * 7919 + j * 104_729 + i * 1_299_709) % 4001) as i16 - 1024)
    }

    /// A value that grows linearly through space.
    fn ramp(position: [f64; 3]) -> f64 {
        3.0 + 0.5 * position[0] - 1.25 * position[1] + 2.0 * position[2]
    }

    proptest! {
        #[test]
        fn resampling_onto_the_same_grid_changes_nothing(grid in grid()) {
            let volume = scrambled(&grid);
            let expected = volume.map(|&v| f32::from(v));
            prop_assert_eq!(&resample_linear(&volume, &grid), &expected);
            prop_assert_eq!(&resample_linear_or(&volume, &grid, -5000.0), &expected);
            prop_assert_eq!(&resample_nearest(&volume, &grid, -5000), &volume);
        }

        #[test]
        fn a_linear_ramp_is_resampled_exactly_inside(source in grid(), target in grid()) {
            let volume = Volume::from_fn(source.clone(), |[k, j, i]| ramp([k as f64, j as f64, i as f64]) as f32);
            // The target's first voxel lies in the middle of the source.
            let middle = source.to_world(source.shape().map(|n| (n - 1) as f64 / 2.0)).0;
            let mut affine = *target.affine();
            (0..3).for_each(|row| affine[row][3] = middle[row]);
            let target = Geometry::new(affine, target.shape()).unwrap();
            let result = resample_linear(&volume, &target);
            for ((k, j, i), value) in result.data().indexed_iter() {
                let position = source.to_index(target.to_world([k as f64, j as f64, i as f64]));
                let clamped = [0, 1, 2].map(|axis| position[axis].clamp(0.0, (source.shape()[axis] - 1) as f64));
                prop_assert!((f64::from(*value) - ramp(clamped)).abs() < 1e-4);
            }
        }

        #[test]
        fn a_grid_with_the_axes_in_another_order_takes_the_same_values(grid in grid()) {
            let volume = scrambled(&grid);
            let turned = Reorientation::to_canonical(&grid).apply(&volume);
            let linear = resample_linear_or(&volume, turned.geometry(), -5000.0);
            prop_assert_eq!(linear, turned.map(|&v| f32::from(v)));
            let nearest = resample_nearest(&volume, turned.geometry(), -5000);
            prop_assert_eq!(nearest.data(), turned.data());
        }

        #[test]
        fn resizing_is_resampling_onto_the_resized_grid(grid in grid(), shape in prop::array::uniform3(1..12usize)) {
            let volume = scrambled(&grid);
            let resized = resize_linear(volume.data(), shape);
            let resampled = resample_linear(&volume, &grid.resized(shape).unwrap());
            let largest = resized.iter().zip(resampled.data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            prop_assert!(largest < 2e-3, "{largest}");
        }

        #[test]
        fn the_separable_way_and_the_general_way_agree(grid in grid(), shape in prop::array::uniform3(1..12usize)) {
            let volume = scrambled(&grid);
            let target = grid.resized(shape).unwrap();
            // Tilted by more than counts as parallel, by less than the values show.
            let mut affine = *target.affine();
            affine[0][1] += 2e-7;
            affine[1][2] += 2e-7;
            let tilted = Geometry::new(affine, shape).unwrap();
            let (a, b) = (resample_linear(&volume, &target), resample_linear(&volume, &tilted));
            let largest = a.data().iter().zip(b.data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            prop_assert!(largest < 0.1, "{largest}");
        }
    }

    fn line(values: &[i16], spacing: f64, first: f64, voxels: usize) -> (Volume<i16>, Geometry) {
        let geometry = Geometry::axis_aligned([1, 1, values.len()], [1.0; 3]).unwrap();
        let affine = [[spacing, 0.0, 0.0, first], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        let grid = Geometry::new(affine, [1, 1, voxels]).unwrap();
        (Volume::from_fn(geometry, |[_, _, i]| values[i]), grid)
    }

    #[test]
    fn beyond_the_outer_centres_values_are_clamped_and_beyond_the_faces_outside() {
        let (volume, grid) = line(&[10, 20, 40], 0.25, -0.75, 15);
        let clamped = resample_linear(&volume, &grid);
        let or_outside = resample_linear_or(&volume, &grid, -1.0);
        let nearest = resample_nearest(&volume, &grid, -1);
        let expected = [10., 10., 10., 10., 12.5, 15., 17.5, 20., 25., 30., 35., 40., 40., 40., 40.];
        assert_eq!(clamped.data().iter().copied().collect::<Vec<f32>>(), expected);
        let expected = [-1., 10., 10., 10., 12.5, 15., 17.5, 20., 25., 30., 35., 40., 40., 40., -1.];
        assert_eq!(or_outside.data().iter().copied().collect::<Vec<f32>>(), expected);
        let expected = [-1, 10, 10, 10, 10, 20, 20, 20, 20, 40, 40, 40, 40, 40, -1];
        assert_eq!(nearest.data().iter().copied().collect::<Vec<i16>>(), expected);
    }

    #[test]
    fn resizing_keeps_the_outer_faces_where_they_are() {
        let line = Array3::from_shape_vec((1, 1, 2), vec![0u8, 8]).unwrap();
        let resized = resize_linear(line.view(), [1, 1, 4]);
        assert_eq!(resized.as_slice().unwrap(), [0.0, 2.0, 6.0, 8.0]);
    }

    #[test]
    fn an_array_without_voxels_is_resized_to_zeros() {
        assert_eq!(resize_linear(Array3::<f32>::zeros((0, 2, 2)).view(), [1, 2, 1]), Array3::zeros((1, 2, 1)));
        assert!(resize_linear(Array3::<f32>::zeros((2, 2, 2)).view(), [1, 0, 1]).is_empty());
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let source = Geometry::axis_aligned([9, 10, 11], [2.0, 0.7, 0.8]).unwrap();
        let target = source.resized([5, 14, 15]).unwrap();
        let volume = scrambled(&source);
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| resample_linear(&volume, &target))
        };
        assert_eq!(with(1), with(4));
    }
}
