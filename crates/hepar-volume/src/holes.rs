use ndarray::Array3;

use crate::runs::{Connectivity, Runs};

/// Makes true the false voxels of `mask`, `[k, j, i]`, from which no way leads to the array's border.
///
/// A way goes from face to face through false voxels, in all three dimensions.
pub fn fill_holes(mask: &mut Array3<bool>) {
    let (depth, height, width) = mask.dim();
    let background = Runs::connected(mask.view(), false, Connectivity::Faces6);
    let mut open = vec![false; background.sizes().len()];
    for (component, k, j, along) in background.iter() {
        let at_border = k == 0 || k + 1 == depth || j == 0 || j + 1 == height || along.start == 0 || along.end == width;
        open[component] |= at_border;
    }
    for (_, k, j, along) in background.iter().filter(|(component, ..)| !open[*component]) {
        for i in along {
            mask[[k, j, i]] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
