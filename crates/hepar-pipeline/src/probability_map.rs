//! Probabilities that outlive their stage.

use hepar_volume::{Geometry, Reorientation, Volume, VoxelBox};
use ndarray::{Array3, ArrayView2, Axis, Zip};

use crate::cut::index_in;

/// What stands for a probability of 1.
const CERTAIN: f32 = 255.0;

/// How probable an object is in each voxel of a part of a scan in canonical orientation, in steps of 1/255; outside of
/// the part, and where nobody asked, it is 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbabilityMap {
    bounds: VoxelBox,
    /// `[k, j, i]` within the box.
    values: Array3<u8>,
}

impl ProbabilityMap {
    /// A map of the voxels in `bounds`, 0 everywhere.
    pub(crate) fn new(bounds: VoxelBox) -> Self {
        Self { bounds, values: Array3::zeros(bounds.shape()) }
    }

    /// Takes the probabilities `[j, i]`, 0..=1, of the `k`th slice of the box, where they are `wanted`.
    pub(crate) fn set_slice(&mut self, k: usize, probabilities: ArrayView2<'_, f32>, wanted: ArrayView2<'_, bool>) {
        Zip::from(self.values.index_axis_mut(Axis(0), k)).and(probabilities).and(wanted).for_each(
            |value, &probability, &wanted| {
                // A conversion from f32 to u8 saturates.
                *value = if wanted { (probability * CERTAIN).round() as u8 } else { 0 };
            },
        );
    }

    /// The same map, 0 in voxels that are not `wanted`.
    pub(crate) fn only(mut self, wanted: impl Fn([usize; 3]) -> bool) -> Self {
        let [k0, j0, i0] = self.bounds.start();
        for ((k, j, i), value) in self.values.indexed_iter_mut().filter(|(_, value)| **value > 0) {
            if !wanted([k0 + k, j0 + j, i0 + i]) {
                *value = 0;
            }
        }
        self
    }

    /// The probability of a voxel `[k, j, i]` of the scan in canonical orientation, 0..=1.
    pub fn at(&self, voxel: [usize; 3]) -> f64 {
        f64::from(self.values.get(index_in(self.bounds.start(), voxel)).copied().unwrap_or(0)) / f64::from(CERTAIN)
    }

    /// The map on a whole grid as it is stored: 255 stands for a probability of 1.
    ///
    /// `stored` is the grid of the scan whose canonical form the map belongs to.
    pub fn to_volume(&self, stored: &Geometry) -> Volume<u8> {
        let from_canonical = Reorientation::to_canonical(stored).inverse();
        let shape = Reorientation::to_canonical(stored).geometry(stored).shape();
        let mut volume = Volume::filled(stored.clone(), 0);
        let mut data = volume.data_mut();
        let [k0, j0, i0] = self.bounds.start();
        for ((k, j, i), &value) in self.values.indexed_iter().filter(|(_, value)| **value > 0) {
            data[from_canonical.index([k0 + k, j0 + j, i0 + i], shape)] = value;
        }
        volume
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn map() -> ProbabilityMap {
        let mut map = ProbabilityMap::new(VoxelBox::new([1, 2, 3], [3, 3, 5]).unwrap());
        map.set_slice(1, array![[0.2, 1.0]].view(), array![[true, true]].view());
        map.set_slice(0, array![[0.9, 1.5]].view(), array![[false, true]].view());
        map
    }

    #[test]
    fn probabilities_are_kept_to_a_255th_within_the_box_and_are_0_outside() {
        let map = map();
        assert_eq!(map.at([2, 2, 3]), 0.2);
        assert_eq!((map.at([2, 2, 4]), map.at([1, 2, 4]), map.at([1, 2, 3])), (1.0, 1.0, 0.0));
        assert_eq!((map.at([0, 2, 3]), map.at([3, 2, 3]), map.at([2, 2, 5]), map.at([2, 3, 3])), (0.0, 0.0, 0.0, 0.0));
    }

    #[test]
    fn a_voxel_that_is_not_wanted_any_more_has_no_probability() {
        let map = map().only(|[k, _, i]| (k, i) == (2, 3));
        assert_eq!((map.at([2, 2, 3]), map.at([2, 2, 4]), map.at([1, 2, 4])), (0.2, 0.0, 0.0));
    }

    #[test]
    fn a_map_becomes_a_volume_in_the_order_in_which_the_scan_is_stored() {
        // i runs up the body, k to the patient's left: canonical [k, j, i] is stored at [i, j, k].
        let affine = [[0.0, 0.0, -1.0, 0.0], [0.0, -1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        let stored = Geometry::new(affine, [6, 4, 3]).unwrap();
        let volume = map().to_volume(&stored);
        assert_eq!((volume.data()[[3, 2, 2]], volume.data()[[4, 2, 2]], volume.data()[[4, 2, 1]]), (51, 255, 255));
        assert_eq!(volume.data().iter().filter(|&&value| value > 0).count(), 3);
    }
}
