//! Surface Dice: which share of two surfaces lies within a tolerance of the other.

use hepar_volume::squared_distances_at;
use ndarray::{Array3, ArrayView3, Axis};
use rayon::prelude::*;

use crate::cell_areas::cell_areas;

/// A distance that exceeds a tolerance by no more than this, in millimetres, does so by rounding.
const ROUNDING: f64 = 1e-9;

/// The shares, 0 to 1, of both surfaces together that lie within each of `tolerances`, in millimetres, of the other;
/// `None` when neither mask has a voxel, 0 when one has none.
///
/// `prediction` and `reference` are `[k, j, i]` of one shape, `spacing` is in millimetres along these. A surface is
/// made of the cells between eight voxel centres of which some belong to the mask and some do not; what is outside the
/// array does not. An element lies at the middle of its cell and counts with the area of the surface in it: the surface
/// Dice of Nikolov et al., arXiv 1809.04430, as DeepMind's `surface-distance` computes it.
pub fn surface_dice<const N: usize>(
    prediction: ArrayView3<'_, bool>,
    reference: ArrayView3<'_, bool>,
    spacing: [f64; 3],
    tolerances: [f64; N],
) -> Option<[f64; N]> {
    let areas = cell_areas(spacing);
    let (predicted, referred) = (cells(prediction), cells(reference));
    let (mut within, mut total) = ([0.0; N], 0.0);
    for (from, to) in [(&predicted, &referred), (&referred, &predicted)] {
        if !from.iter().any(|&code| is_cut(code)) {
            continue;
        }
        let cut = |codes: &Array3<u8>| codes.map(|&code| is_cut(code));
        let distances = squared_distances_at(cut(from).view(), cut(to).view(), spacing);
        for (&code, squared) in from.iter().filter(|code| is_cut(**code)).zip(distances) {
            let (area, distance) = (areas[usize::from(code)], squared.sqrt());
            total += area;
            for (within, tolerance) in within.iter_mut().zip(tolerances) {
                if distance <= tolerance + ROUNDING {
                    *within += area;
                }
            }
        }
    }
    (total > 0.0).then(|| within.map(|within| within / total))
}

/// Whether a surface passes through a cell.
fn is_cut(code: u8) -> bool {
    code != 0 && code != 255
}

/// Which voxels of every cell belong to a mask: bit `4k + 2j + i`, see `cell_areas`. Cell `[k, j, i]` lies before voxel
/// `[k, j, i]` along each axis, so there is one more of them.
fn cells(mask: ArrayView3<'_, bool>) -> Array3<u8> {
    let (depth, height, width) = mask.dim();
    let mut codes = Array3::zeros((depth + 1, height + 1, width + 1));
    codes.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(cell, mut slice)| {
        for (upper, k) in [(0, cell.wrapping_sub(1)), (1, cell)] {
            if k >= depth {
                continue;
            }
            for (j, row) in mask.index_axis(Axis(0), k).rows().into_iter().enumerate() {
                for (i, _) in row.iter().enumerate().filter(|(_, inside)| **inside) {
                    // A voxel is the later one of the cells before it.
                    for (behind, right) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                        slice[[j + 1 - behind, i + 1 - right]] |= 1u8 << (4 * upper + 2 * behind + right);
                    }
                }
            }
        }
    });
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(from: usize, to: usize) -> Array3<bool> {
        Array3::from_shape_fn((5, 5, 9), |(k, j, i)| (1..4).contains(&k) && (1..4).contains(&j) && i >= from && i < to)
    }

    #[test]
    fn a_surface_agrees_with_itself_and_nothing_agrees_with_nothing() {
        let (mask, empty) = (block(1, 4), block(0, 0));
        assert_eq!(surface_dice(mask.view(), mask.view(), [1.0, 2.0, 3.0], [0.0, 1.0]), Some([1.0, 1.0]));
        assert_eq!(surface_dice(mask.view(), empty.view(), [1.0; 3], [1.0]), Some([0.0]));
        assert_eq!(surface_dice(empty.view(), mask.view(), [1.0; 3], [1.0]), Some([0.0]));
        assert_eq!(surface_dice(empty.view(), empty.view(), [1.0; 3], [1.0]), None);
    }

    #[test]
    fn a_shift_is_forgiven_within_its_length() {
        let shifted = surface_dice(block(1, 4).view(), block(2, 5).view(), [1.0, 1.0, 1.5], [1.0, 1.5, 2.0]).unwrap();
        assert!(shifted[0] > 0.3 && shifted[0] < 0.9, "{shifted:?}");
        assert_eq!(shifted[1..], [1.0, 1.0]);
    }

    #[test]
    fn a_cell_knows_its_voxels() {
        let mut mask = Array3::from_elem((1, 1, 2), false);
        mask[[0, 0, 1]] = true;
        let codes = cells(mask.view());
        // The voxel is the last of the cell before it and the first of the cell behind it.
        assert_eq!((codes[[0, 0, 1]], codes[[1, 1, 2]], codes[[0, 0, 0]]), (1 << 7, 1, 0));
    }
}
