use ndarray::{ArrayView3, Axis, Slice};

use crate::{geometry::Geometry, volume::Volume};

/// A box of voxels of a grid, `[k, j, i]`, that holds at least one: from `start` up to but without `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoxelBox {
    start: [usize; 3],
    end: [usize; 3],
}

/// How far a box is grown along `[k, j, i]`, on both sides of each axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margin(pub [Reach; 3]);

/// A distance along one axis of a grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reach {
    /// A number of voxels.
    Voxels(usize),
    /// Millimetres, rounded up to whole voxels; what is negative or no number counts as zero.
    Millimetres(f64),
}

impl VoxelBox {
    /// The voxels from `start` up to but without `end`, both `[k, j, i]`, or `None` when there are none.
    pub fn new(start: [usize; 3], end: [usize; 3]) -> Option<Self> {
        (0..3).all(|axis| start[axis] < end[axis]).then_some(Self { start, end })
    }

    /// The smallest box that holds both of two voxels `[k, j, i]`.
    pub(crate) fn spanning(a: [usize; 3], b: [usize; 3]) -> Self {
        let [start, end] = [[0, 1, 2].map(|axis| a[axis].min(b[axis])), [0, 1, 2].map(|axis| a[axis].max(b[axis]) + 1)];
        Self { start, end }
    }

    /// All voxels of a grid.
    pub fn whole(geometry: &Geometry) -> Self {
        Self { start: [0; 3], end: geometry.shape() }
    }

    /// The smallest box around the voxels of `data`, `[k, j, i]`, that are `inside`, or `None` when none is.
    pub fn around<T>(data: ArrayView3<T>, inside: impl Fn(&T) -> bool) -> Option<Self> {
        let (mut start, mut end) = ([usize::MAX; 3], [0; 3]);
        for (k, slice) in data.axis_iter(Axis(0)).enumerate() {
            for (j, row) in slice.axis_iter(Axis(0)).enumerate() {
                let Some(first) = row.iter().position(&inside) else { continue };
                let after = row.iter().rposition(&inside).map_or(first + 1, |last| last + 1);
                for (axis, (low, high)) in [(k, k + 1), (j, j + 1), (first, after)].into_iter().enumerate() {
                    start[axis] = start[axis].min(low);
                    end[axis] = end[axis].max(high);
                }
            }
        }
        Self::new(start, end)
    }

    /// The first voxel, `[k, j, i]`.
    pub fn start(&self) -> [usize; 3] {
        self.start
    }

    /// One more than the index of the last voxel along each axis, `[k, j, i]`.
    pub fn end(&self) -> [usize; 3] {
        self.end
    }

    /// Number of voxels along `[k, j, i]`, each at least 1.
    pub fn shape(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.end[axis] - self.start[axis])
    }

    /// The box grown by `margin` on every side and clipped to the grid of `geometry`, in which it lies.
    pub fn padded(&self, margin: Margin, geometry: &Geometry) -> Self {
        let (shape, spacing) = (geometry.shape(), geometry.spacing());
        let reach: [usize; 3] = std::array::from_fn(|axis| margin.0[axis].voxels(spacing[axis]));
        // A box of another grid, beyond the edge of this one, becomes the voxels at that edge.
        let start: [usize; 3] =
            std::array::from_fn(|axis| self.start[axis].saturating_sub(reach[axis]).min(shape[axis] - 1));
        let end = std::array::from_fn(|axis| self.end[axis].saturating_add(reach[axis]).min(shape[axis]));
        Self { start, end }
    }

    /// The voxels that both boxes hold, or `None` when there are none.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let start = std::array::from_fn(|axis| self.start[axis].max(other.start[axis]));
        let end = std::array::from_fn(|axis| self.end[axis].min(other.end[axis]));
        Self::new(start, end)
    }

    /// Whether voxel `index`, `[k, j, i]`, lies in the box.
    pub fn contains(&self, index: [usize; 3]) -> bool {
        (0..3).all(|axis| (self.start[axis]..self.end[axis]).contains(&index[axis]))
    }

    fn along(&self, axis: Axis) -> Slice {
        Slice::from(self.start[axis.index()]..self.end[axis.index()])
    }
}

impl Margin {
    /// Nothing is grown.
    pub const NONE: Self = Self([Reach::Voxels(0); 3]);
}

impl Reach {
    /// Number of voxels of `spacing` millimetres that the distance takes.
    pub fn voxels(self, spacing: f64) -> usize {
        match self {
            Self::Voxels(voxels) => voxels,
            // A spacing stored as f32 must not cost a voxel more: 20 mm are 25 voxels of 0.79999995 mm. The cast turns
            // what is negative or no number into 0.
            Self::Millimetres(millimetres) => (millimetres / spacing - 1e-3).ceil() as usize,
        }
    }
}

impl<T: Clone> Volume<T> {
    /// The voxels of a box, in C order, on their own grid.
    ///
    /// # Panics
    /// As any index that is out of bounds, when the box reaches beyond the volume.
    pub fn crop(&self, voxels: &VoxelBox) -> Volume<T> {
        let data = self.data();
        let part = data.slice_each_axis(|axis| voxels.along(axis.axis));
        Volume::on_grid(part.as_standard_layout().into_owned(), self.geometry().block(voxels.start, voxels.shape()))
    }

    /// Overwrites the voxels from `at`, `[k, j, i]`, on with `part`; what lies beyond the volume is left out.
    pub fn paste(&mut self, part: ArrayView3<T>, at: [usize; 3]) {
        let corner = std::array::from_fn(|axis| at[axis].saturating_add(part.shape()[axis]));
        let pasted = VoxelBox::new(at, corner).and_then(|part| part.intersection(&VoxelBox::whole(self.geometry())));
        let Some(pasted) = pasted else { return };
        let part = part.slice_each_axis(|axis| Slice::from(..pasted.shape()[axis.axis.index()]));
        self.data_mut().slice_each_axis_mut(|axis| pasted.along(axis.axis)).assign(&part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    fn oblique(shape: [usize; 3]) -> Geometry {
        let affine = [[-0.7, 0.1, 0.3, 12.0], [0.05, 0.8, -0.4, -7.0], [0.2, 0.1, 2.4, 100.0], [0.0, 0.0, 0.0, 1.0]];
        Geometry::new(affine, shape).unwrap()
    }

    #[test]
    fn a_box_holds_at_least_one_voxel() {
        assert_eq!(VoxelBox::new([1, 2, 3], [2, 2, 4]), None);
        assert_eq!(VoxelBox::new([1, 2, 3], [2, 1, 4]), None);
        assert_eq!(VoxelBox::new([1, 2, 3], [2, 3, 4]).unwrap().shape(), [1, 1, 1]);
        assert_eq!(VoxelBox::around(Array3::<u8>::zeros((2, 3, 4)).view(), |&v| v > 0), None);
    }

    #[test]
    fn the_box_around_voxels_is_tight() {
        let mut labels = Array3::<u8>::zeros((5, 6, 7));
        for index in [[3, 1, 5], [1, 4, 2], [2, 2, 4]] {
            labels[index] = 2;
        }
        labels[[0, 0, 0]] = 1;
        assert_eq!(VoxelBox::around(labels.view(), |&v| v == 2), VoxelBox::new([1, 1, 2], [4, 5, 6]));
        let reversed = labels.t();
        assert_eq!(VoxelBox::around(reversed, |&v| v == 2), VoxelBox::new([2, 1, 1], [6, 5, 4]));
    }

    #[test]
    fn a_margin_counts_voxels_in_plane_and_millimetres_through_plane() {
        let grid = Geometry::axis_aligned([40, 50, 60], [3.0, 0.7, 0.7]).unwrap();
        let liver = VoxelBox::new([10, 20, 5], [12, 30, 55]).unwrap();
        let margin = Margin([Reach::Millimetres(20.0), Reach::Voxels(10), Reach::Voxels(10)]);
        assert_eq!(liver.padded(margin, &grid), VoxelBox::new([3, 10, 0], [19, 40, 60]).unwrap());
        assert_eq!(liver.padded(Margin::NONE, &grid), liver);
    }

    #[test]
    fn millimetres_are_rounded_up_but_not_for_the_noise_of_f32() {
        assert_eq!(Reach::Millimetres(20.0).voxels(2.5), 8);
        assert_eq!(Reach::Millimetres(20.0).voxels(0.799_999_95), 25);
        assert_eq!(Reach::Millimetres(20.1).voxels(2.5), 9);
        assert_eq!(Reach::Millimetres(-1.0).voxels(2.5), 0);
        assert_eq!(Reach::Millimetres(f64::NAN).voxels(2.5), 0);
    }

    #[test]
    fn boxes_intersect_where_both_have_voxels() {
        let a = VoxelBox::new([0, 0, 0], [4, 4, 4]).unwrap();
        let b = VoxelBox::new([2, 3, 1], [9, 9, 2]).unwrap();
        assert_eq!(a.intersection(&b), VoxelBox::new([2, 3, 1], [4, 4, 2]));
        assert_eq!(a.intersection(&VoxelBox::new([4, 0, 0], [5, 1, 1]).unwrap()), None);
        assert!(a.contains([3, 0, 3]) && !a.contains([3, 4, 3]));
    }

    #[test]
    fn a_crop_keeps_values_and_their_places() {
        let volume = Volume::from_fn(oblique([5, 6, 7]), |[k, j, i]| (100 * k + 10 * j + i) as i16);
        let voxels = VoxelBox::new([1, 2, 3], [4, 6, 5]).unwrap();
        let part = volume.crop(&voxels);
        assert!(part.data().is_standard_layout());
        assert_eq!(part.data()[[2, 3, 1]], 354);
        assert_eq!(*part.geometry(), volume.geometry().window([1, 2, 3], [3, 4, 2]).unwrap());
        assert_eq!(volume.crop(&VoxelBox::whole(volume.geometry())), volume);
    }

    #[test]
    fn what_is_pasted_beyond_the_volume_is_left_out() {
        let mut volume = Volume::filled(oblique([3, 3, 3]), 0u8);
        let part = Array3::from_shape_fn((2, 2, 2), |(k, j, i)| (1 + 4 * k + 2 * j + i) as u8);
        volume.paste(part.view(), [2, 1, 2]);
        let pasted: Vec<_> = volume.data().indexed_iter().filter(|(_, v)| **v > 0).map(|(at, v)| (at, *v)).collect();
        assert_eq!(pasted, [((2, 1, 2), 1), ((2, 2, 2), 3)]);
        let before = volume.clone();
        volume.paste(part.view(), [3, 0, 0]);
        volume.paste(part.view(), [usize::MAX; 3]);
        assert_eq!(volume, before);
    }

    #[test]
    fn a_pasted_crop_changes_nothing() {
        let mut volume = Volume::from_fn(oblique([5, 6, 7]), |[k, j, i]| (100 * k + 10 * j + i) as i16);
        let before = volume.clone();
        let voxels = VoxelBox::new([1, 2, 3], [4, 6, 5]).unwrap();
        volume.paste(before.crop(&voxels).data(), voxels.start());
        assert_eq!(volume, before);
    }
}
