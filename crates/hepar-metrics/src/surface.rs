//! The voxels at the surface of a mask.

use ndarray::{Array3, ArrayView3, Axis};
use rayon::prelude::*;

/// Slices and rows from a voxel to the rows of its 18 neighbours, and whether the voxels beside it there are neighbours
/// too.
const NEIGHBOURS: [([isize; 2], bool); 8] = [
    ([-1, -1], false),
    ([-1, 0], true),
    ([-1, 1], false),
    ([0, -1], true),
    ([0, 1], true),
    ([1, -1], false),
    ([1, 0], true),
    ([1, 1], false),
];

/// The voxels of `mask`, `[k, j, i]`, of whose 18 neighbours by faces and edges one does not belong to it; what is
/// outside the array does not.
///
/// These are the voxels that one erosion takes away (scoring.md of LiTS: the scorer's surface).
pub fn surface(mask: ArrayView3<'_, bool>) -> Array3<bool> {
    let mask = mask.as_standard_layout();
    let (depth, height, width) = mask.dim();
    let mut result = Array3::from_elem((depth, height, width), false);
    // Both arrays are in C order.
    let Some(voxels) = mask.as_slice() else { return result };
    let row_at = |k: usize, j: usize| &voxels[(k * height + j) * width..][..width];
    result.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(k, mut slice)| {
        let mut inner = vec![false; width];
        for (j, mut out) in slice.rows_mut().into_iter().enumerate() {
            let row = row_at(k, j);
            if !row.contains(&true) {
                continue;
            }
            inner.copy_from_slice(row);
            beside(&mut inner, row);
            for ([slices, rows], wide) in NEIGHBOURS {
                let (to_k, to_j) = (k.wrapping_add_signed(slices), j.wrapping_add_signed(rows));
                if to_k >= depth || to_j >= height {
                    inner.fill(false);
                    break;
                }
                let near = row_at(to_k, to_j);
                inner.iter_mut().zip(near).for_each(|(inner, near)| *inner &= near);
                if wide {
                    beside(&mut inner, near);
                }
            }
            out.iter_mut().zip(row.iter().zip(&inner)).for_each(|(out, (here, inner))| *out = *here && !*inner);
        }
    });
    result
}

/// Keeps what has both neighbours in `row`.
fn beside(inner: &mut [bool], row: &[bool]) {
    let width = row.len();
    if width < 2 {
        return inner.fill(false);
    }
    inner[1..].iter_mut().zip(row).for_each(|(inner, before)| *inner &= before);
    inner[..width - 1].iter_mut().zip(&row[1..]).for_each(|(inner, after)| *inner &= after);
    inner[0] = false;
    inner[width - 1] = false;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether one of the 18 neighbours of a voxel is not set.
    fn is_open(mask: &Array3<bool>, [k, j, i]: [usize; 3]) -> bool {
        (0..27isize).any(|step| {
            let steps = [step / 9 - 1, step / 3 % 3 - 1, step % 3 - 1];
            let to = [0, 1, 2].map(|axis| [k, j, i][axis].wrapping_add_signed(steps[axis]));
            steps.iter().map(|v| v.abs()).sum::<isize>() <= 2 && mask.get(to) != Some(&true)
        })
    }

    proptest! {
        #[test]
        fn the_surface_is_what_misses_a_neighbour(
            (shape, voxels) in prop::array::uniform3(1..6usize).prop_flat_map(|shape| {
                (Just(shape), prop::collection::vec(prop::bool::weighted(0.85), shape.iter().product::<usize>()))
            }),
        ) {
            let mask = Array3::from_shape_vec(shape, voxels).unwrap();
            let open = |(k, j, i)| mask[[k, j, i]] && is_open(&mask, [k, j, i]);
            prop_assert_eq!(surface(mask.view()), Array3::from_shape_fn(shape, open));
            let turned = surface(mask.t());
            prop_assert_eq!(turned.t(), surface(mask.view()));
        }
    }

    #[test]
    fn a_corner_that_is_missing_does_not_open_the_middle() {
        let mut mask = Array3::from_elem((3, 3, 3), true);
        mask[[0, 0, 0]] = false;
        assert!(!surface(mask.view())[[1, 1, 1]]);
        mask[[0, 0, 1]] = false;
        assert!(surface(mask.view())[[1, 1, 1]]);
    }
}
