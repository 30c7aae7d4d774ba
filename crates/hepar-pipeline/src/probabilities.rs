//! From a part of a scan to its probabilities: windows, votes, and back to the scan's voxels.

use std::ops::Range;

use hepar_model::engine::{EngineError, Network, Wanted};
use hepar_model::stage::{Stage, StageName};
use hepar_model::topology::Dimensions;
use hepar_volume::{Volume, VoxelBox};
use ndarray::{Array3, Array5, ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

use crate::cut::cut;
use crate::error::PipelineError;
use crate::frame::{BackToScan, Frame};
use crate::vote::Votes;
use crate::watch::{Progress, Watch};
use crate::windows::windows;

/// Voxels of a window's depth of slices beyond which a scan is refused; no body at any of the grids in use comes near.
const LARGEST_SLAB: usize = 1 << 29;

/// Voxels of a whole grid beyond which a scan is refused where a mask of all of it is needed: a byte each, so that the
/// largest mask takes as much memory as the largest slab.
const LARGEST_MASK: usize = 1 << 31;

/// Windows of a planar network that go through it together. A window of a spatial one is work enough by itself.
const PLANAR_BATCH: usize = 8;

/// A stage with the network that runs it.
pub struct StageRun<'a> {
    /// Which stage, for messages and progress.
    pub name: StageName,
    /// Its values.
    pub stage: &'a Stage,
    /// Its network.
    pub network: &'a mut dyn Network,
}

/// Whether nobody wants to know the probabilities of the voxels in a box of the scan.
pub type Skip<'a> = dyn Fn(&VoxelBox) -> bool + Sync + 'a;

impl StageRun<'_> {
    /// Probabilities of the voxels of `region` of a `scan` in canonical orientation and Hounsfield units.
    ///
    /// `sink` is given the region's slices in order, each once: the slice's index from 0, and the mean of the votes,
    /// `[j, i]`, brought back linearly from the stage's grid. No more memory is used than a slab of a window's depth
    /// takes, however many slices the region has.
    ///
    /// `skip` is asked for every window, and for parts of windows, with the voxels of the scan whose probabilities
    /// depend on it. A window that is skipped counts as a vote for 0, a part of one as any vote: voxels outside all
    /// boxes that are skipped have the same probability as if none was. A window in which nothing is brighter than the low
    /// end of the stage's window, as in the air around a patient, is no work for the network and counts as a vote for 0.
    ///
    /// # Errors
    /// When the network fails or the watch cancels.
    pub fn probabilities(
        &mut self,
        scan: &Volume<i16>,
        region: &VoxelBox,
        skip: &Skip<'_>,
        watch: &dyn Watch,
        sink: &mut dyn FnMut(usize, ArrayView2<'_, f32>),
    ) -> Result<(), PipelineError> {
        let frame = Frame::new(self.stage, scan.geometry(), region);
        self.check_size(&frame)?;
        let mut back = BackToScan::new(&frame);
        self.grid_probabilities(scan, &frame, skip, watch, &mut |k, slice| back.take(k, slice, sink))
    }

    /// As [`StageRun::probabilities`], but `sink` is given the slices of the frame's grid, without its padding.
    ///
    /// # Errors
    /// When the network fails or the watch cancels.
    pub fn grid_probabilities(
        &mut self,
        scan: &Volume<i16>,
        frame: &Frame,
        skip: &Skip<'_>,
        watch: &dyn Watch,
        sink: &mut dyn FnMut(usize, ArrayView2<'_, f32>),
    ) -> Result<(), PipelineError> {
        let (patch, step, shape) = (self.stage.patch, self.stage.step(), frame.shape());
        let padded = frame.padded_shape(patch);
        self.check_size(frame)?;
        let is_wanted = |start: &[usize; 3]| {
            let end = std::array::from_fn(|axis| start[axis] + patch[axis]);
            frame.dependents(*start, end).is_some_and(|voxels| !skip(&voxels))
        };
        let starts: Vec<[usize; 3]> = windows(padded, patch, step).filter(is_wanted).collect();
        let mut settled = |k: usize, slice: ArrayView2<'_, f32>| {
            if k < shape[0] {
                sink(k, slice.slice_each_axis(cut([0; 2], [shape[1], shape[2]])));
            }
        };
        let batch = if self.network.config().dimensions == Dimensions::Planar { PLANAR_BATCH } else { 1 };
        let progress = Progress::begin(watch, self.name, starts.len());
        let mut slab = Slab::new(frame, self.stage);
        let mut votes = Votes::new(padded, patch, step, self.stage.centred_votes);
        for starts in starts.chunks(batch) {
            progress.check()?;
            let wanted = |sample: usize, part: [Range<usize>; 3]| {
                let start = std::array::from_fn(|axis| starts[sample][axis] + part[axis].start);
                let end = std::array::from_fn(|axis| starts[sample][axis] + part[axis].end);
                frame.dependents(start, end).is_some_and(|voxels| !skip(&voxels))
            };
            let output = self.forward_where_anything_is(slab.windows(scan, starts), &wanted)?;
            for (start, window) in starts.iter().zip(output.axis_iter(Axis(0))) {
                votes.cast(*start, window.index_axis(Axis(0), 0), &mut settled);
                progress.step();
            }
        }
        votes.finish(&mut settled);
        Ok(())
    }

    /// Refuses a frame of which a window's depth of slices, or a mask of the whole grid, does not fit the memory.
    ///
    /// Whoever makes such a mask for [`StageRun::grid_probabilities`] asks first.
    pub(crate) fn check_mask(&self, frame: &Frame) -> Result<(), PipelineError> {
        self.check_size(frame)?;
        self.check_voxels(frame, frame.shape(), LARGEST_MASK)
    }

    /// Refuses a frame of which a window's depth of slices does not fit the memory.
    fn check_size(&self, frame: &Frame) -> Result<(), PipelineError> {
        let [_, height, width] = frame.padded_shape(self.stage.patch);
        self.check_voxels(frame, [self.stage.patch[0], height, width], LARGEST_SLAB)
    }

    /// Refuses a frame when what is to be made of it has a `shape` of more voxels than `most`.
    fn check_voxels(&self, frame: &Frame, shape: [usize; 3], most: usize) -> Result<(), PipelineError> {
        let voxels = shape.into_iter().try_fold(1, usize::checked_mul);
        if voxels.is_none_or(|voxels| voxels > most) {
            return Err(PipelineError::TooLarge { stage: self.name, grid: frame.shape() });
        }
        Ok(())
    }

    /// What the network says of those windows that are not 0 everywhere; of the others 0.
    fn forward_where_anything_is(
        &mut self,
        input: Array5<f32>,
        wanted: &Wanted<'_>,
    ) -> Result<Array5<f32>, PipelineError> {
        let windows = input.axis_iter(Axis(0)).enumerate();
        let seen: Vec<usize> =
            windows.filter(|(_, window)| window.iter().any(|value| *value != 0.0)).map(|(sample, _)| sample).collect();
        if seen.len() == input.len_of(Axis(0)) {
            return self.mean_forward(input, wanted);
        }
        let mut output = Array5::zeros(input.dim());
        if seen.is_empty() {
            return Ok(output);
        }
        let wanted = |sample: usize, part: [Range<usize>; 3]| wanted(seen[sample], part);
        let found = self.mean_forward(input.select(Axis(0), &seen), &wanted)?;
        for (sample, window) in seen.iter().zip(found.axis_iter(Axis(0))) {
            output.index_axis_mut(Axis(0), *sample).assign(&window);
        }
        Ok(output)
    }

    /// What the network says of windows; of a stage that mirrors, the mean over them and their mirror images.
    fn mean_forward(&mut self, input: Array5<f32>, wanted: &Wanted<'_>) -> Result<Array5<f32>, PipelineError> {
        if !self.stage.mirror {
            return self.forward(input, wanted);
        }
        let [_, height, width] = self.stage.patch;
        let mut sum = Array5::zeros(input.dim());
        for mirrored in [[false, false], [false, true], [true, false], [true, true]] {
            let wanted_there = |sample: usize, [k, j, i]: [Range<usize>; 3]| {
                wanted(sample, [k, turned(j, height, mirrored[0]), turned(i, width, mirrored[1])])
            };
            let mut output =
                self.forward(turn(input.clone(), mirrored).as_standard_layout().into_owned(), &wanted_there)?;
            output = turn(output, mirrored);
            sum += &output;
        }
        Ok(sum * 0.25)
    }

    /// Runs the network on N × 1 × D × H × W values; the probabilities have the same shape.
    fn forward(&mut self, input: Array5<f32>, wanted: &Wanted<'_>) -> Result<Array5<f32>, PipelineError> {
        let failed = |source| PipelineError::Engine { stage: self.name, source };
        let output = self.network.forward_wanted(input.view(), wanted).map_err(failed)?;
        if output.dim() != input.dim() {
            let shapes = format!("it made {:?} of an input of {:?}", output.shape(), input.shape());
            return Err(failed(EngineError::Failed(shapes)));
        }
        // A comparison with NaN is false: without this, a broken engine would find no liver.
        if output.iter().any(|probability| !probability.is_finite()) {
            return Err(failed(EngineError::Failed("it made probabilities that are no numbers".into())));
        }
        Ok(output)
    }
}

/// Windows N × 1 × D × H × W with their rows, their columns or both in the opposite order.
fn turn(mut windows: Array5<f32>, [rows, columns]: [bool; 2]) -> Array5<f32> {
    for (axis, _) in [(Axis(3), rows), (Axis(4), columns)].into_iter().filter(|(_, turned)| *turned) {
        windows.invert_axis(axis);
    }
    windows
}

/// A part of an axis of `length` voxels as it lies when the axis is turned round.
fn turned(part: Range<usize>, length: usize, is_turned: bool) -> Range<usize> {
    if is_turned { length - part.end..length - part.start } else { part }
}

/// What the network sees of the slices that a window covers: normalised values 0..=1 on the padded grid.
struct Slab<'a> {
    frame: &'a Frame,
    stage: &'a Stage,
    /// `[depth of a window, j, i]`; 0, the low end of the stage's window, where there is only padding.
    values: Array3<f32>,
    /// First slice of the grid that is held.
    first: Option<usize>,
}

impl<'a> Slab<'a> {
    fn new(frame: &'a Frame, stage: &'a Stage) -> Self {
        let [_, height, width] = frame.padded_shape(stage.patch);
        Self { frame, stage, values: Array3::zeros((stage.patch[0], height, width)), first: None }
    }

    /// The windows at `starts`, `[k, j, i]`, as a batch N × 1 × D × H × W.
    fn windows(&mut self, scan: &Volume<i16>, starts: &[[usize; 3]]) -> Array5<f32> {
        let [depth, height, width] = self.stage.patch;
        let mut batch = Array5::zeros((starts.len(), 1, depth, height, width));
        for (mut input, &[k, j, i]) in batch.axis_iter_mut(Axis(0)).zip(starts) {
            let values = self.at(scan, k);
            input
                .index_axis_mut(Axis(0), 0)
                .assign(&values.slice_each_axis(cut([0, j, i], [depth, j + height, i + width])));
        }
        batch
    }

    /// The slices of the grid from `first` on.
    fn at(&mut self, scan: &Volume<i16>, first: usize) -> ArrayView3<'_, f32> {
        if self.first != Some(first) {
            let [depth, height, width] = self.frame.shape();
            self.values.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(k, mut slice)| {
                if first + k < depth {
                    let window = self.stage.window;
                    let values = self.frame.slice(scan, first + k).mapv_into(|hu| window.apply(hu));
                    slice.slice_each_axis_mut(cut([0; 2], [height, width])).assign(&values);
                } else {
                    slice.fill(0.0);
                }
            });
            self.first = Some(first);
        }
        self.values.view()
    }
}
