//! A part of a scan on the grid on which a stage looks at it.

use hepar_model::stage::{Grid, Stage};
use hepar_volume::{Geometry, Margin, Share, Volume, VoxelBox, resize_linear, resize_mean};
use ndarray::{Array2, ArrayView2, Axis, Zip};

use crate::cut::cut;

/// Which voxels of a scan a stage looks at, and how many it sees.
///
/// The stage's grid has its outer faces on those of the voxels that it covers, so that the first and the last voxels of
/// both share them. Along an axis on which it is coarser than the scan its voxels are means of what they cover; else
/// values are linear between the centres of the scan's voxels, and beyond the outermost of them those of the outermost.
/// Voxels that are not covered are not looked at.
///
/// A part of the scan that gives fewer voxels than a window has is extended first, evenly on both sides as far as the
/// scan reaches, until it gives enough: a window sees real CT around a small object. Only what then still is missing is
/// padded, at the end of the axis, with the low end of the stage's window. Slices that are resized to a given number of
/// pixels are never extended in plane: that would change what their pixels show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    region: VoxelBox,
    covered: VoxelBox,
    shape: [usize; 3],
}

/// Two neighbours along an axis, and how much the upper one counts.
#[derive(Debug, Clone, Copy)]
struct Tap {
    lower: usize,
    upper: usize,
    weight: f32,
}

impl Frame {
    /// The frame of `region` of a scan in canonical orientation, for a stage. The region is clipped to the scan.
    pub fn new(stage: &Stage, scan: &Geometry, region: &VoxelBox) -> Self {
        let region = clipped(region, scan);
        let (mut start, mut end) = (region.start(), region.end());
        for axis in 0..3 {
            if axis > 0 && matches!(stage.grid, Grid::ResizedInPlane { .. }) {
                continue;
            }
            let enough = |voxels: usize| {
                let mut shape = region.shape();
                shape[axis] = voxels;
                stage.grid.shape(shape, scan.spacing())[axis] >= stage.patch[axis]
            };
            (start[axis], end[axis]) = extended(start[axis], end[axis], scan.shape()[axis], enough);
        }
        // Extending never empties a box.
        let covered = VoxelBox::new(start, end).unwrap_or(region);
        Self { region, covered, shape: stage.grid.shape(covered.shape(), scan.spacing()) }
    }

    /// The voxels of the scan for which probabilities are asked.
    pub fn region(&self) -> &VoxelBox {
        &self.region
    }

    /// The voxels of the scan over which the grid lies: the region and perhaps more.
    pub fn covered(&self) -> &VoxelBox {
        &self.covered
    }

    /// Number of voxels of the grid, `[k, j, i]`, without padding.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Number of voxels of the grid once it is padded to hold a window of `patch` voxels, both `[k, j, i]`.
    pub fn padded_shape(&self, patch: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|axis| self.shape[axis].max(patch[axis]))
    }

    /// Distances of the grid's voxels along its axes in millimetres, `[k, j, i]`.
    pub fn spacing(&self, scan: &Geometry) -> [f64; 3] {
        let (covered, spacing) = (self.covered.shape(), scan.spacing());
        std::array::from_fn(|axis| spacing[axis] * covered[axis] as f64 / self.shape[axis] as f64)
    }

    /// Volume of a voxel of the grid in cubic millimetres.
    pub fn voxel_volume(&self, scan: &Geometry) -> f64 {
        let (covered, shape) = (self.covered.shape(), self.shape);
        scan.voxel_volume() * (0..3).map(|axis| covered[axis] as f64 / shape[axis] as f64).product::<f64>()
    }

    /// Slice `k` of the grid in Hounsfield units, `[j, i]`; resampled before the stage's window is applied.
    ///
    /// # Panics
    /// When the grid has no slice `k` or the scan is not that of the frame.
    pub fn slice(&self, scan: &Volume<i16>, k: usize) -> Array2<f32> {
        let data = scan.data();
        let covered = data.slice_each_axis(cut(self.covered.start(), self.covered.end()));
        let share = Share::of(k, self.shape[0], self.covered.shape()[0]);
        let [_, height, width] = self.covered.shape();
        let mut mixed = Array2::<f32>::zeros((height, width));
        for (native, weight) in covered.axis_iter(Axis(0)).skip(share.first).zip(&share.weights) {
            mixed.zip_mut_with(&native, |mixed, &hu| *mixed += weight * f32::from(hu));
        }
        if [self.shape[1], self.shape[2]] == [height, width] {
            return mixed;
        }
        let mixed = mixed.insert_axis(Axis(0));
        resize_mean(mixed.view(), [1, self.shape[1], self.shape[2]]).index_axis_move(Axis(0), 0)
    }

    /// The voxels of the scan that a `part` of the grid reaches into, by its outer faces.
    pub fn to_scan(&self, part: &VoxelBox) -> VoxelBox {
        let (covered, start) = (self.covered.shape(), self.covered.start());
        // Exact in integers: voxel g lies over the scan's voxels from g·n/m to (g + 1)·n/m.
        let first = std::array::from_fn(|axis| start[axis] + part.start()[axis] * covered[axis] / self.shape[axis]);
        let end = std::array::from_fn(|axis| {
            start[axis] + (part.end()[axis] * covered[axis]).div_ceil(self.shape[axis]).min(covered[axis])
        });
        VoxelBox::new(first, end).unwrap_or(self.covered)
    }

    /// The voxels of the region whose probabilities depend on those of the grid from `start` up to but without `end`,
    /// both `[k, j, i]`; `None` when there are none.
    pub fn dependents(&self, start: [usize; 3], end: [usize; 3]) -> Option<VoxelBox> {
        let (mut first, mut after) = ([0; 3], [0; 3]);
        for axis in 0..3 {
            let (covered, offset) = (self.covered.shape()[axis], self.covered.start()[axis]);
            let depends = |&voxel: &usize| {
                let [lower, upper] = Tap::reach(voxel - offset, covered, self.shape[axis]);
                upper >= start[axis] && lower < end[axis]
            };
            let mut region = self.region.start()[axis]..self.region.end()[axis];
            first[axis] = region.clone().find(depends)?;
            after[axis] = region.rfind(depends)? + 1;
        }
        VoxelBox::new(first, after)
    }
}

/// Brings slices of probabilities on a frame's grid, which come one by one, back to the voxels of its region.
///
/// Linear between the centres of the grid's voxels, as [`Frame::slice`]; of the grid two slices are held.
pub(crate) struct BackToScan<'a> {
    frame: &'a Frame,
    /// The grid's slice before the one that comes next.
    before: Array2<f32>,
    /// The region's slice that comes next.
    next: usize,
}

impl<'a> BackToScan<'a> {
    pub(crate) fn new(frame: &'a Frame) -> Self {
        Self { frame, before: Array2::zeros((frame.shape[1], frame.shape[2])), next: 0 }
    }

    /// Takes slice `k` of the grid, each once and in order, and gives the slices of the region that are then known.
    pub(crate) fn take(
        &mut self,
        k: usize,
        slice: ArrayView2<'_, f32>,
        sink: &mut dyn FnMut(usize, ArrayView2<'_, f32>),
    ) {
        let (region, covered) = (self.frame.region, self.frame.covered);
        let offset: [usize; 3] = std::array::from_fn(|axis| region.start()[axis] - covered.start()[axis]);
        let [depth, height, width] = region.shape();
        let within = [offset[1], offset[2]];
        let within = cut(within, [within[0] + height, within[1] + width]);
        while self.next < depth {
            let tap = Tap::new(offset[0] + self.next, covered.shape()[0], self.frame.shape[0]);
            if tap.upper > k {
                break;
            }
            let mixed = match tap.lower == k {
                true => slice.to_owned(),
                // The slices between have been given already, so `lower` is the one before.
                false => Zip::from(&self.before).and(slice).map_collect(|&a, &b| mix(a, b, tap.weight)),
            };
            let native = resized(mixed.view(), [covered.shape()[1], covered.shape()[2]]);
            sink(self.next, native.slice_each_axis(&within));
            self.next += 1;
        }
        self.before.assign(&slice);
    }
}

impl Tap {
    /// The voxels, along an axis of `from` voxels, around the centre of voxel `index` of `to` voxels over the same
    /// extent.
    fn new(index: usize, to: usize, from: usize) -> Self {
        let position = Self::position(index, to, from);
        // The cast cuts off the fraction, which rounds down what is not negative.
        let lower = position as usize;
        let weight = (position - lower as f64) as f32;
        let upper = if weight > 0.0 { (lower + 1).min(from - 1) } else { lower };
        Self { lower, upper, weight }
    }

    /// The first and the last voxel that may count, however positions are rounded.
    fn reach(index: usize, to: usize, from: usize) -> [usize; 2] {
        const ROUNDING: f64 = 1e-6;
        if to == from {
            return [index; 2];
        }
        let position = Self::position(index, to, from);
        [(position - ROUNDING) as usize, ((position + ROUNDING).ceil() as usize).min(from - 1)]
    }

    fn position(index: usize, to: usize, from: usize) -> f64 {
        ((index as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, (from - 1) as f64)
    }
}

/// The part of `region` that lies in the scan, or the scan's nearest voxels when none does.
pub(crate) fn clipped(region: &VoxelBox, scan: &Geometry) -> VoxelBox {
    region.padded(Margin::NONE, scan)
}

/// The range from `start` up to `end`, extended evenly within `0..len` until it has `enough` voxels or all.
fn extended(start: usize, end: usize, len: usize, enough: impl Fn(usize) -> bool) -> (usize, usize) {
    let mut voxels = end - start;
    while voxels < len && !enough(voxels) {
        voxels += 1;
    }
    let before = (voxels - (end - start)) / 2;
    let first = start.saturating_sub(before).min(len - voxels);
    (first, first + voxels)
}

fn resized(slice: ArrayView2<'_, f32>, [height, width]: [usize; 2]) -> Array2<f32> {
    if slice.dim() == (height, width) {
        return slice.to_owned();
    }
    resize_linear(slice.insert_axis(Axis(0)), [1, height, width]).index_axis_move(Axis(0), 0)
}

fn mix(a: f32, b: f32, weight: f32) -> f32 {
    a + (b - a) * weight
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_model::stage::{BoxMargin, Window};
    use hepar_model::topology::Dimensions;
    use ndarray::Array3;
    use proptest::prelude::*;

    fn stage(grid: Grid, patch: [usize; 3]) -> Stage {
        Stage {
            network: Dimensions::Spatial,
            widths: [4; 6],
            weights: "none".into(),
            sha256: String::new(),
            window: Window([-100.0, 200.0]),
            grid,
            patch,
            overlap: [0.0; 3],
            threshold: 0.5,
            least_volume_ml: 0.0,
            margin: BoxMargin { in_plane_voxels: 0, through_plane_mm: 0.0 },
            mirror: false,
            liver_hu: None,
            greatest_exposure: None,
            sheet: None,
            centred_votes: false,
            enclosed: false,
            ensemble: Vec::new(),
        }
    }

    fn scan(shape: [usize; 3], spacing: [f64; 3]) -> Volume<i16> {
        let geometry = Geometry::axis_aligned(shape, spacing).unwrap();
        Volume::from_fn(geometry, |[k, j, i]| ((k * 7919 + j * 104_729 + i * 1_299_709) % 1001) as i16 - 500)
    }

    fn voxels(start: [usize; 3], end: [usize; 3]) -> VoxelBox {
        VoxelBox::new(start, end).unwrap()
    }

    #[test]
    fn a_small_part_is_extended_by_real_ct_as_far_as_the_scan_reaches() {
        let geometry = Geometry::axis_aligned([20, 100, 100], [1.0; 3]).unwrap();
        let region = voxels([4, 40, 95], [10, 50, 100]);
        let frame = Frame::new(&stage(Grid::Native, [32; 3]), &geometry, &region);
        assert_eq!(frame.covered(), &voxels([0, 29, 68], [20, 61, 100]));
        assert_eq!((frame.shape(), frame.padded_shape([32; 3])), ([20, 32, 32], [32, 32, 32]));
    }

    #[test]
    fn a_resized_part_is_extended_until_its_grid_holds_a_window() {
        let geometry = Geometry::axis_aligned([100, 100, 100], [5.0, 0.5, 0.5]).unwrap();
        let region = voxels([50, 10, 10], [51, 90, 20]);
        let frame = Frame::new(&stage(Grid::Spacing { mm: [2.5, 1.0, 1.0] }, [32; 3]), &geometry, &region);
        assert_eq!(frame.covered(), &voxels([43, 10, 0], [59, 90, 63]));
        assert_eq!(frame.shape(), [32, 40, 32]);
    }

    #[test]
    fn slices_resized_to_a_size_are_not_extended_in_plane() {
        let geometry = Geometry::axis_aligned([100, 100, 100], [1.0; 3]).unwrap();
        let grid = Grid::ResizedInPlane { size: [16, 64] };
        let frame = Frame::new(&stage(grid, [32; 3]), &geometry, &voxels([50, 10, 10], [52, 20, 20]));
        assert_eq!((frame.covered(), frame.shape()), (&voxels([35, 10, 10], [67, 20, 20]), [32, 16, 64]));
    }

    prop_compose! {
        fn layout()(
            len in prop::array::uniform3(1..14usize),
            spacing in prop::array::uniform3(0.5..3.0f64),
            start in prop::array::uniform3(0.0..1.0f64),
            end in prop::array::uniform3(0.0..1.0f64),
            patch in prop::array::uniform3(1..9usize),
            kind in 0..3,
            size in prop::array::uniform2(1..20usize),
            mm in prop::array::uniform3(0.5..3.0f64),
        ) -> (Volume<i16>, Stage, VoxelBox) {
            let first: [usize; 3] = std::array::from_fn(|a| (start[a] * len[a] as f64) as usize);
            let after = std::array::from_fn(|a| first[a] + 1 + (end[a] * (len[a] - first[a]) as f64) as usize);
            let grid = match kind {
                0 => Grid::Native,
                1 => Grid::ResizedInPlane { size },
                _ => Grid::Spacing { mm },
            };
            let scan = scan(len, spacing);
            let region = clipped(&voxels(first, after), scan.geometry());
            (scan, stage(grid, patch), region)
        }
    }

    proptest! {
        #[test]
        fn slices_are_those_of_the_covered_part_resized_at_once((scan, stage, region) in layout()) {
            let frame = Frame::new(&stage, scan.geometry(), &region);
            let resized = resize_mean(scan.crop(frame.covered()).data(), frame.shape());
            for (k, expected) in resized.axis_iter(Axis(0)).enumerate() {
                let largest = (&frame.slice(&scan, k) - &expected).fold(0.0f32, |m, v| m.max(v.abs()));
                prop_assert!(largest < 1e-2, "{largest}");
            }
        }

        #[test]
        fn what_comes_back_is_the_grid_resized_at_once((scan, stage, region) in layout()) {
            let frame = Frame::new(&stage, scan.geometry(), &region);
            let [depth, height, width] = frame.shape();
            let value = |(k, j, i)| ((k * 31 + j * 17 + i * 7) % 19) as f32;
            let grid = Array3::from_shape_fn((depth, height, width), value);
            let mut back = BackToScan::new(&frame);
            let mut slices = Vec::new();
            for (k, slice) in grid.axis_iter(Axis(0)).enumerate() {
                back.take(k, slice, &mut |k, slice| slices.push((k, slice.to_owned())));
            }
            prop_assert_eq!(slices.len(), region.shape()[0]);
            let all = resize_linear(grid.view(), frame.covered().shape());
            let offset: [usize; 3] = std::array::from_fn(|a| region.start()[a] - frame.covered().start()[a]);
            for (n, (k, slice)) in slices.iter().enumerate() {
                prop_assert_eq!(n, *k);
                for ((j, i), value) in slice.indexed_iter() {
                    prop_assert!((value - all[[offset[0] + k, offset[1] + j, offset[2] + i]]).abs() < 1e-4);
                }
            }
        }

        #[test]
        fn only_dependents_change_with_a_part_of_the_grid(
            (scan, stage, region) in layout(),
            at in prop::array::uniform3(0.0..1.0f64),
            len in prop::array::uniform3(1..5usize),
        ) {
            let frame = Frame::new(&stage, scan.geometry(), &region);
            let shape = frame.shape();
            let start: [usize; 3] = std::array::from_fn(|a| (at[a] * shape[a] as f64) as usize);
            let end: [usize; 3] = std::array::from_fn(|a| (start[a] + len[a]).min(shape[a]));
            let dependents = frame.dependents(start, end);
            let within = voxels(start, end);
            let mut back = BackToScan::new(&frame);
            let mut changed = Vec::new();
            for k in 0..shape[0] {
                let slice = Array2::from_shape_fn((shape[1], shape[2]), |(j, i)| f32::from(within.contains([k, j, i])));
                back.take(k, slice.view(), &mut |k, slice| {
                    changed.extend(slice.indexed_iter().filter(|(_, v)| **v != 0.0).map(|((j, i), _)| [k, j, i]));
                });
            }
            for index in changed {
                let voxel = std::array::from_fn(|a| region.start()[a] + index[a]);
                prop_assert!(dependents.is_some_and(|part| part.contains(voxel)), "{voxel:?} {dependents:?}");
            }
        }

        #[test]
        fn a_part_of_the_grid_reaches_into_the_voxels_under_its_faces((scan, stage, region) in layout()) {
            let frame = Frame::new(&stage, scan.geometry(), &region);
            let all = voxels([0; 3], frame.shape());
            prop_assert_eq!(frame.to_scan(&all), *frame.covered());
            let volume = frame.voxel_volume(scan.geometry()) * frame.shape().iter().product::<usize>() as f64;
            let expected = scan.geometry().voxel_volume() * frame.covered().shape().iter().product::<usize>() as f64;
            prop_assert!((volume - expected).abs() < 1e-9 * expected);
            let first = frame.to_scan(&voxels([0; 3], [1; 3]));
            for axis in 0..3 {
                let (n, m) = (frame.covered().shape()[axis], frame.shape()[axis]);
                prop_assert_eq!(first.shape()[axis], n.div_ceil(m));
            }
        }
    }
}
