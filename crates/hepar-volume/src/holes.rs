use ndarray::{Array3, ArrayViewMut2, ArrayViewMut3, Axis};

use crate::runs::{Connectivity, Runs};

/// Makes true the false voxels of `mask`, `[k, j, i]`, from which no way leads to the array's border.
///
/// A way goes from face to face through false voxels, in all three dimensions.
pub fn fill_holes(mask: &mut Array3<bool>) {
    let depth = mask.len_of(Axis(0));
    fill(mask.view_mut(), |k| k == 0 || k + 1 == depth);
}

/// Makes true the false voxels of `mask`, `[k, j, i]`, from which no way leads to the slice's border within a slice along k,
/// along j or along i: what is closed in one slice at least, even if it is open to the slices beside it.
///
/// What was filled may close slices of the other directions; in the end no slice has a hole.
pub fn fill_slices(mask: &mut Array3<bool>) {
    let mut has_changed = true;
    while has_changed {
        has_changed = false;
        for axis in 0..3 {
            for slice in mask.axis_iter_mut(Axis(axis)) {
                has_changed |= fill_slice(slice);
            }
        }
    }
}

/// Makes true the false pixels from which no way leads to the border, and says whether there were any.
fn fill_slice(slice: ArrayViewMut2<'_, bool>) -> bool {
    // Where there is nothing of the object there is nothing to fill.
    slice.iter().any(|&inside| inside) && fill(slice.insert_axis(Axis(0)), |_| false)
}

/// Makes true the false voxels of which no way leads to the ends of j and i, or to a slice k that is `open` all over, and
/// says whether there were any.
fn fill(mut mask: ArrayViewMut3<'_, bool>, open: impl Fn(usize) -> bool) -> bool {
    let (_, height, width) = mask.dim();
    let background = Runs::connected(mask.view(), false, Connectivity::Faces6);
    let mut is_open = vec![false; background.sizes().len()];
    for (component, k, j, along) in background.iter() {
        is_open[component] |= open(k) || j == 0 || j + 1 == height || along.start == 0 || along.end == width;
    }
    for (_, k, j, along) in background.iter().filter(|(component, ..)| !is_open[*component]) {
        for i in along {
            mask[[k, j, i]] = true;
        }
    }
    is_open.contains(&false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A cube of 5 voxels a side in a grid of 7 with a tunnel of 3 by 3 along `axis`, which its slices across close.
    fn tunnel(axis: usize) -> Array3<bool> {
        Array3::from_shape_fn((7, 7, 7), |(k, j, i)| {
            let voxel = [k, j, i];
            let is_within = |range: std::ops::Range<usize>| {
                (0..3).filter(|&along| along != axis).all(|along| range.contains(&voxel[along]))
            };
            is_within(1..6) && (1..6).contains(&voxel[axis]) && !is_within(2..5)
        })
    }

    #[test]
    fn a_tunnel_is_filled_by_slices_though_it_is_no_hole() {
        let solid = Array3::from_shape_fn((7, 7, 7), |(k, j, i)| [k, j, i].iter().all(|v| (1..6).contains(v)));
        for axis in 0..3 {
            let mut mask = tunnel(axis);
            fill_holes(&mut mask);
            assert_eq!(mask, tunnel(axis));
            fill_slices(&mut mask);
            assert_eq!(mask, solid, "along {axis}");
        }
    }

    #[test]
    fn a_notch_that_is_open_in_every_slice_stays() {
        let mut notched = tunnel(0);
        // Open along k, and to the side at i = 6.
        notched.indexed_iter_mut().for_each(|((_, j, i), inside)| *inside &= !((2..5).contains(&j) && i >= 5));
        let before = notched.clone();
        fill_slices(&mut notched);
        assert_eq!(notched, before);
    }

    proptest! {
        #[test]
        fn afterwards_no_slice_has_a_hole_and_nothing_is_gone(
            voxels in prop::collection::vec(prop::bool::weighted(0.6), 6 * 7 * 8),
        ) {
            let before = Array3::from_shape_vec((6, 7, 8), voxels).unwrap();
            let mut after = before.clone();
            fill_slices(&mut after);
            prop_assert!(before.iter().zip(&after).all(|(before, after)| *after || !before));
            prop_assert!((0..3).all(|axis| after.axis_iter_mut(Axis(axis)).all(|slice| !fill_slice(slice))));
        }
    }

    /// A cube of 5 voxels a side in a grid of 7, hollow inside.
    fn hollow() -> Array3<bool> {
        Array3::from_shape_fn((7, 7, 7), |(k, j, i)| {
            let depth = [k, j, i].map(|v: usize| v.min(6 - v)).into_iter().min();
            depth == Some(1)
        })
    }

    #[test]
    fn a_hollow_is_filled_and_what_surrounds_it_is_not() {
        let mut mask = hollow();
        fill_holes(&mut mask);
        let solid = Array3::from_shape_fn((7, 7, 7), |(k, j, i)| [k, j, i].iter().all(|v| (1..6).contains(v)));
        assert_eq!(mask, solid);
    }

    #[test]
    fn a_hollow_with_a_way_out_is_no_hole() {
        let mut open = hollow();
        open[[3, 1, 3]] = false;
        let before = open.clone();
        fill_holes(&mut open);
        assert_eq!(open, before);
    }

    #[test]
    fn a_way_out_over_an_edge_does_not_count() {
        let mut mask = hollow();
        // A voxel of the cube's edge touches the hollow by an edge only.
        mask[[3, 1, 1]] = false;
        fill_holes(&mut mask);
        assert!(mask[[3, 3, 3]] && !mask[[3, 1, 1]]);
    }

    #[test]
    fn a_hollow_at_the_border_of_the_array_is_open() {
        let mut ring = Array3::from_shape_fn((1, 3, 3), |(_, j, i)| (j, i) != (1, 1));
        let before = ring.clone();
        fill_holes(&mut ring);
        assert_eq!(ring, before);
    }

    #[test]
    fn masks_without_background_or_without_voxels_stay() {
        let mut full = Array3::from_elem((2, 2, 2), true);
        fill_holes(&mut full);
        assert!(full.iter().all(|v| *v));
        fill_holes(&mut Array3::from_elem((0, 2, 2), true));
    }
}
