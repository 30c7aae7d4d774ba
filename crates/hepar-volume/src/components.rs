//! Connected components of a mask.
//!
//! The labelling is our own, on runs (see `runs.rs`), rather than that of ndarray-ndimage: it needs a label type as
//! large as the number of provisional labels and panics when there are more, visits every voxel once for each
//! neighbouring row, and finds the largest component through `u16` labels.

use ndarray::{Array3, ArrayView3, Axis};

use crate::boxes::VoxelBox;
use crate::runs::{Connectivity, Runs};

/// The connected components of a mask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Components {
    /// Component of each voxel, `[k, j, i]`: 0 for the background, then 1, 2, … in array order of their first voxels.
    pub labels: Array3<u32>,
    /// Number of voxels of each component; component `n` is at `n - 1`.
    pub sizes: Vec<usize>,
}

impl Components {
    /// Number of components, without the background.
    pub fn count(&self) -> usize {
        self.sizes.len()
    }

    /// The smallest box around each component; that of component `n` is at `n - 1`.
    pub fn boxes(&self) -> Vec<VoxelBox> {
        let mut corners = vec![([usize::MAX; 3], [0; 3]); self.count()];
        for (k, slice) in self.labels.axis_iter(Axis(0)).enumerate() {
            for (j, row) in slice.rows().into_iter().enumerate() {
                for (i, &label) in row.iter().enumerate().filter(|(_, label)| **label > 0) {
                    let (start, end) = &mut corners[label as usize - 1];
                    for (axis, at) in [k, j, i].into_iter().enumerate() {
                        start[axis] = start[axis].min(at);
                        end[axis] = end[axis].max(at + 1);
                    }
                }
            }
        }
        // A component has a voxel, so that its box has one too.
        corners.into_iter().filter_map(|(start, end)| VoxelBox::new(start, end)).collect()
    }
}

/// The components of the voxels that are true in `mask`, `[k, j, i]`.
pub fn components(mask: ArrayView3<bool>, connectivity: Connectivity) -> Components {
    let runs = Runs::connected(mask, true, connectivity);
    let mut labels = Array3::zeros(mask.dim());
    if let Some(voxels) = labels.as_slice_mut() {
        for (component, positions) in runs.positions() {
            // More than 2³² components would need a mask of at least 8 GiB.
            voxels[positions].fill(component as u32 + 1);
        }
    }
    Components { labels, sizes: runs.sizes().to_vec() }
}

/// The component of `mask`, `[k, j, i]`, with the most voxels; of equal ones the first in array order.
///
/// A mask without voxels gives itself.
pub fn largest_component(mask: ArrayView3<bool>, connectivity: Connectivity) -> Array3<bool> {
    let runs = Runs::connected(mask, true, connectivity);
    let mut result = Array3::from_elem(mask.dim(), false);
    // Of equal maxima `max_by_key` takes the last, so the components go by in reverse.
    let largest = runs.sizes().iter().enumerate().rev().max_by_key(|(_, size)| **size);
    if let (Some((largest, _)), Some(voxels)) = (largest, result.as_slice_mut()) {
        for (_, positions) in runs.positions().filter(|(component, _)| *component == largest) {
            voxels[positions].fill(true);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Components found by walking from voxel to voxel.
    fn walked(mask: &Array3<bool>, connectivity: Connectivity) -> Components {
        let reach = match connectivity {
            Connectivity::Faces6 => 1,
            Connectivity::Edges18 => 2,
            Connectivity::Corners26 => 3,
        };
        let mut labels = Array3::zeros(mask.dim());
        let mut sizes = Vec::new();
        for ((k, j, i), _) in mask.indexed_iter().filter(|(_, inside)| **inside) {
            if labels[[k, j, i]] > 0 {
                continue;
            }
            sizes.push(0);
            let label = sizes.len() as u32;
            labels[[k, j, i]] = label;
            let mut open = vec![[k, j, i]];
            while let Some([k, j, i]) = open.pop() {
                sizes[label as usize - 1] += 1;
                for step in 0..27isize {
                    let steps = [step / 9 - 1, step / 3 % 3 - 1, step % 3 - 1];
                    let to = [0, 1, 2].map(|axis| [k, j, i][axis].wrapping_add_signed(steps[axis]));
                    let near = steps.iter().map(|v| v.abs()).sum::<isize>() <= reach;
                    if near && mask.get(to) == Some(&true) && labels[to] == 0 {
                        labels[to] = label;
                        open.push(to);
                    }
                }
            }
        }
        Components { labels, sizes }
    }

    prop_compose! {
        fn mask()(shape in prop::array::uniform3(0..7usize), density in 0.1..0.7f64)(
            voxels in prop::collection::vec(prop::bool::weighted(density), shape.iter().product::<usize>()),
            shape in Just(shape),
        ) -> Array3<bool> {
            Array3::from_shape_vec(shape, voxels).unwrap()
        }
    }

    proptest! {
        #[test]
        fn components_are_those_found_by_walking(mask in mask()) {
            for connectivity in [Connectivity::Faces6, Connectivity::Edges18, Connectivity::Corners26] {
                prop_assert_eq!(components(mask.view(), connectivity), walked(&mask, connectivity));
                let turned = mask.t();
                prop_assert_eq!(components(turned, connectivity), walked(&turned.to_owned(), connectivity));
            }
        }

        #[test]
        fn the_largest_component_is_the_first_of_the_largest_size(mask in mask()) {
            let all = walked(&mask, Connectivity::Faces6);
            let largest = all.sizes.iter().max().and_then(|most| all.sizes.iter().position(|size| size == most));
            let expected = all.labels.map(|&label| largest.is_some_and(|n| label as usize == n + 1));
            prop_assert_eq!(largest_component(mask.view(), Connectivity::Faces6), expected);
        }
    }

    #[test]
    fn voxels_that_share_a_corner_are_one_only_with_26_neighbours() {
        let mask = Array3::from_shape_fn((2, 2, 2), |(k, j, i)| k == j && j != i);
        assert_eq!(components(mask.view(), Connectivity::Faces6).sizes, [1, 1]);
        assert_eq!(components(mask.view(), Connectivity::Edges18).count(), 2);
        assert_eq!(components(mask.view(), Connectivity::Corners26).sizes, [2]);
    }

    #[test]
    fn of_two_equal_components_the_first_is_the_largest() {
        let mask = Array3::from_shape_fn((1, 1, 5), |(_, _, i)| i != 2);
        let largest = largest_component(mask.view(), Connectivity::Corners26);
        assert_eq!(largest.as_slice().unwrap(), [true, true, false, false, false]);
    }

    #[test]
    fn a_mask_without_voxels_has_no_components() {
        let mask = Array3::from_elem((2, 3, 4), false);
        assert_eq!(components(mask.view(), Connectivity::Faces6).count(), 0);
        assert_eq!(largest_component(mask.view(), Connectivity::Faces6), mask);
    }
}
