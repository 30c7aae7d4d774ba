use hepar_model::stage::BoxMargin;
use hepar_volume::{Geometry, Margin, Reach, Volume, VoxelBox, fill_slices};
use ndarray::{Array3, ArrayView3};

use crate::brightness::Brightness;
use crate::cut::{cut, index_in};
use crate::probability_map::ProbabilityMap;

/// An object in a scan in canonical orientation: the voxels of its tight box, and which of them belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMask {
    bounds: VoxelBox,
    mask: Array3<bool>,
}

impl ObjectMask {
    /// The object whose voxels are true in `mask`, `[k, j, i]`, the first voxel of which lies at `start` of the scan;
    /// `None` when there are none.
    pub fn new(start: [usize; 3], mask: ArrayView3<'_, bool>) -> Option<Self> {
        let tight = VoxelBox::around(mask, |&inside| inside)?;
        let mask = mask.slice_each_axis(cut(tight.start(), tight.end())).to_owned();
        let moved = |index: [usize; 3]| std::array::from_fn(|axis| start[axis] + index[axis]);
        Some(Self { bounds: VoxelBox::new(moved(tight.start()), moved(tight.end()))?, mask })
    }

    /// The smallest box around the object.
    pub fn bounds(&self) -> &VoxelBox {
        &self.bounds
    }

    /// Which voxels of the box belong to the object, `[k, j, i]`.
    pub fn mask(&self) -> ArrayView3<'_, bool> {
        self.mask.view()
    }

    /// Volume in millilitres on the scan's grid.
    pub fn volume_ml(&self, geometry: &Geometry) -> f64 {
        self.voxels().count() as f64 * geometry.voxel_volume() / 1000.0
    }

    /// How bright the object's own tissue is in the `scan` that it was found in, in Hounsfield units ([`Brightness`]).
    pub fn brightness_hu(&self, scan: &Volume<i16>) -> f32 {
        let start = self.bounds.start();
        let mut brightness = Brightness::new(self.bounds.shape(), scan.geometry().spacing());
        let hu = scan.data();
        self.voxels()
            .for_each(|voxel| brightness.add(std::array::from_fn(|axis| voxel[axis] - start[axis]), hu[voxel]));
        // An object has voxels.
        brightness.value().unwrap_or_default()
    }

    /// Whether the voxel `[k, j, i]` of the scan belongs to the object.
    pub fn contains(&self, voxel: [usize; 3]) -> bool {
        self.mask.get(index_in(self.bounds.start(), voxel)).is_some_and(|&inside| inside)
    }

    /// The object with all that it encloses within a slice of any direction ([`fill_slices`]).
    pub fn with_enclosed(&self) -> Self {
        let mut mask = self.mask.clone();
        fill_slices(&mut mask);
        Self { bounds: self.bounds, mask }
    }

    /// The voxels `[k, j, i]` of the object that are to stay; `None` when there are none.
    pub(crate) fn only(&self, stays: impl Fn([usize; 3]) -> bool) -> Option<Self> {
        let start = self.bounds.start();
        let mut mask = self.mask.clone();
        for ((k, j, i), inside) in mask.indexed_iter_mut() {
            *inside = *inside && stays([start[0] + k, start[1] + j, start[2] + i]);
        }
        Self::new(start, mask.view())
    }

    /// The voxels of the object and those of `other` within the object's box.
    pub(crate) fn with(&self, other: &Self) -> Self {
        let mut mask = self.mask.clone();
        let start = self.bounds.start();
        for voxel in other.voxels().filter(|&voxel| self.bounds.contains(voxel)) {
            mask[std::array::from_fn(|axis| voxel[axis] - start[axis])] = true;
        }
        Self { bounds: self.bounds, mask }
    }

    /// Whether a voxel of the object lies in `part`.
    pub fn touches(&self, part: &VoxelBox) -> bool {
        let Some(common) = self.bounds.intersection(part) else { return false };
        let within =
            |index: [usize; 3]| -> [usize; 3] { std::array::from_fn(|axis| index[axis] - self.bounds.start()[axis]) };
        self.mask.slice_each_axis(cut(within(common.start()), within(common.end()))).iter().any(|&inside| inside)
    }

    /// Indices `[k, j, i]` of the object's voxels in the scan, in array order.
    pub fn voxels(&self) -> impl Iterator<Item = [usize; 3]> + '_ {
        let [k0, j0, i0] = self.bounds.start();
        self.mask.indexed_iter().filter(|(_, inside)| **inside).map(move |((k, j, i), _)| [k0 + k, j0 + j, i0 + i])
    }
}

/// What a stage found in a scan in canonical orientation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The object; `None` when there is none.
    pub object: Option<ObjectMask>,
    /// How probable it is where the stage looked; `None` when that was not kept.
    pub probability: Option<ProbabilityMap>,
}

/// The part of a scan in canonical orientation that the next stage looks at, given the box of what this one found.
///
/// The box is grown on every side by `margin` and clipped to the scan.
pub fn grown(bounds: &VoxelBox, margin: BoxMargin, geometry: &Geometry) -> VoxelBox {
    let in_plane = Reach::Voxels(margin.in_plane_voxels);
    bounds.padded(Margin([Reach::Millimetres(margin.through_plane_mm), in_plane, in_plane]), geometry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_kept_in_its_tight_box() {
        let mut mask = Array3::from_elem((4, 5, 6), false);
        assert_eq!(ObjectMask::new([0; 3], mask.view()), None);
        mask[[1, 2, 3]] = true;
        mask[[2, 2, 5]] = true;
        let object = ObjectMask::new([10, 20, 30], mask.view()).unwrap();
        assert_eq!(object.bounds(), &VoxelBox::new([11, 22, 33], [13, 23, 36]).unwrap());
        assert_eq!(object.voxels().collect::<Vec<_>>(), [[11, 22, 33], [12, 22, 35]]);
        assert!(object.contains([11, 22, 33]) && object.contains([12, 22, 35]));
        assert!([[11, 22, 34], [10, 22, 33], [13, 22, 35]].into_iter().all(|voxel| !object.contains(voxel)));
        assert!(object.touches(&VoxelBox::new([0; 3], [12, 23, 34]).unwrap()));
        assert!(!object.touches(&VoxelBox::new([11, 22, 34], [12, 23, 36]).unwrap()));
        assert!(!object.touches(&VoxelBox::new([0; 3], [5, 5, 5]).unwrap()));
    }

    #[test]
    fn a_box_grows_by_voxels_in_plane_and_millimetres_across_and_stays_in_the_scan() {
        let geometry = Geometry::axis_aligned([20, 100, 100], [5.0, 0.7, 0.7]).unwrap();
        let margin = BoxMargin { in_plane_voxels: 10, through_plane_mm: 20.0 };
        let grown = grown(&VoxelBox::new([10, 5, 50], [12, 60, 95]).unwrap(), margin, &geometry);
        assert_eq!(grown, VoxelBox::new([6, 0, 40], [16, 70, 100]).unwrap());
    }
}
