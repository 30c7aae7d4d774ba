//! The steps of a block on one plane, and their order where planes are walked through.

use pulp::Simd;

use super::panels::Panels;
use super::point::{Outputs, put, relu};
use super::{BlockLayer, Extras};
use crate::isa::{FEW, FEW_VECTORS, has_few};
use crate::maps::{MapLayout, doubled};
use crate::scratch::Scratch;

/// What all steps of a block know.
#[derive(Clone, Copy)]
pub(super) struct Planes<'a> {
    pub layer: &'a BlockLayer,
    /// Of the input.
    pub layout: MapLayout,
    /// Of the output.
    pub out: MapLayout,
    pub sizes: Sizes,
    pub from: &'a [f32],
    pub extras: Extras<'a>,
}

/// Lengths of a plane's parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Values of a run that has to be computed.
    pub run: usize,
    /// Values from one channel of the maps to the next.
    pub channel: usize,
    /// Values from one channel of the narrow maps before the wide convolution, with rows of zeros around, to the next.
    pub narrow_channel: usize,
    /// Values of a plane of these.
    pub narrow: usize,
    /// Values of a plane of the narrow maps behind the wide convolution.
    pub wide: usize,
    /// Values from one row to the next.
    pub row: usize,
    /// Rows and voxels of a row.
    pub sides: [usize; 2],
}

impl Sizes {
    pub fn new(layout: &MapLayout, narrow: usize) -> Self {
        let (run, row) = (layout.run(), layout.row());
        // A row of zeros above, and one voxel more at either end.
        let framed = (run + 2 * row + 2).next_multiple_of(16) + 16;
        Self {
            run,
            channel: layout.channel(),
            narrow_channel: framed,
            narrow: narrow * framed,
            wide: narrow * layout.channel(),
            row,
            sides: [layout.size[1], layout.size[2]],
        }
    }

    /// Where the first voxel lies in a channel of the framed narrow maps.
    fn frame(&self) -> usize {
        self.row + 1
    }
}

impl<'a> Planes<'a> {
    /// The planes of `narrow`, of which plane p lies at p modulo `kept`, around plane `plane`.
    pub fn neighbours<'n>(&self, plane: usize, narrow: &'n [f32], kept: usize) -> [Option<&'n [f32]>; 3] {
        let of = |plane: usize| Some(&narrow[plane % kept * self.sizes.narrow..][..self.sizes.narrow]);
        if self.layer.wide.depth() == 1 {
            return [of(plane), None, None];
        }
        let depth = self.out.size[0];
        let z = plane % depth;
        let above = if z > 0 { of(plane - 1) } else { None };
        let below = if z + 1 < depth { of(plane + 1) } else { None };
        [above, of(plane), below]
    }

    /// One plane of the input.
    fn input(&self, plane: usize) -> &'a [f32] {
        &self.from[plane * self.layout.plane()..][..self.layout.plane()]
    }

    /// One channel of a plane of maps half as large, doubled; they have `channels` channels.
    #[inline(always)]
    fn doubled(&self, maps: &[f32], channels: usize, plane: usize, c: usize, to: &mut [f32]) {
        let stride = [if self.layer.wide.depth() == 3 { 2 } else { 1 }, 2, 2];
        let small = self.out.divided(stride).with_channels(channels);
        let depth = self.out.size[0];
        let low = plane / depth * small.size[0] + plane % depth / stride[0];
        let from = &maps[low * small.plane() + c * small.channel()..][..small.channel()];
        doubled(&self.out, from, to);
    }
}

/// The step to the narrow maps for some channels of a plane, with a frame of zeros.
pub(super) struct Narrow<'a, 'to> {
    pub planes: Planes<'a>,
    pub plane: usize,
    /// First of the channels that are computed; `to` has room for them.
    pub first_channel: usize,
    pub to: &'to mut [f32],
}

/// The wide convolution for some channels of a plane.
pub(super) struct Wide<'a, 'to> {
    pub planes: Planes<'a>,
    pub narrow: [Option<&'a [f32]>; 3],
    pub first_channel: usize,
    pub to: &'to mut [f32],
}

/// The step to some channels of a plane of the output.
pub(super) struct Joined<'a, 'to> {
    pub planes: Planes<'a>,
    pub plane: usize,
    /// The plane behind the wide convolution.
    pub wide: &'a [f32],
    pub first_channel: usize,
    pub to: &'to mut [f32],
}

/// All steps for consecutive planes.
pub(super) struct Walk<'a, 'to> {
    pub planes: Planes<'a>,
    pub first: usize,
    pub to: &'to mut [f32],
}

dispatch!(Narrow<'_, '_> => (), few: [4, 2], many: [8, 3]);
dispatch!(Wide<'_, '_> => (), few: [4, 2], many: [8, 3]);
dispatch!(Joined<'_, '_> => (), few: [4, 2], many: [8, 3]);
dispatch!(Walk<'_, '_> => (), few: [4, 2], many: [8, 3]);

impl Narrow<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize, const V: usize>(self, simd: S) {
        if has_few::<C>(self.planes.layer.narrow.outputs()) {
            self.blocks::<S, FEW, FEW_VECTORS>(simd);
        } else {
            self.blocks::<S, C, V>(simd);
        }
    }

    #[inline(always)]
    fn blocks<S: Simd, const C: usize, const V: usize>(self, simd: S) {
        let Planes { layer, sizes, extras, .. } = self.planes;
        if let Some(halves) = extras.halves {
            let channels = layer.narrow.outputs() + layer.joined.outputs();
            for (c, to) in self.to.chunks_exact_mut(sizes.narrow_channel).enumerate() {
                self.planes.doubled(halves, channels, self.plane, self.first_channel + c, &mut to[sizes.frame()..]);
            }
        }
        let (x, channel) = (self.planes.input(self.plane), self.planes.layout.channel());
        let mut panels = Panels::new(layer.scale.len(), sizes.run, V * S::F32_LANES);
        let mut to = Outputs {
            maps: &mut *self.to,
            first_channel: self.first_channel,
            channel: sizes.narrow_channel,
            start: sizes.frame(),
            is_added: extras.halves.is_some(),
            is_rectified: true,
        };
        while let Some(panel) = panels.next() {
            panels.activate(simd, [&layer.scale, &layer.shift], x.chunks_exact(channel), &panel);
            layer.narrow.panel::<S, C, V>(simd, &panels.values, &panel, &mut to);
        }
        self.clear_frame();
    }

    /// Puts zeros where there is no voxel.
    #[inline(always)]
    fn clear_frame(self) {
        let sizes = self.planes.sizes;
        let [h, w] = sizes.sides;
        for channel in self.to.chunks_exact_mut(sizes.narrow_channel) {
            channel[..sizes.frame()].fill(0.0);
            for y in 0..h {
                channel[sizes.frame() + y * sizes.row + w] = 0.0;
            }
            channel[sizes.frame() + h * sizes.row..].fill(0.0);
        }
    }
}

impl Wide<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize, const V: usize>(self, simd: S) {
        if has_few::<C>(self.planes.layer.wide.channels()) {
            self.blocks::<S, FEW, FEW_VECTORS>(simd);
        } else {
            self.blocks::<S, C, V>(simd);
        }
    }

    #[inline(always)]
    fn blocks<S: Simd, const C: usize, const V: usize>(mut self, simd: S) {
        let (run, step) = (self.planes.sizes.run, V * S::F32_LANES);
        let whole = run / step * step;
        for at in (0..whole).step_by(step) {
            self.vectors::<S, C, V>(simd, at);
        }
        for at in (whole..run).step_by(S::F32_LANES) {
            self.vectors::<S, C, 1>(simd, at);
        }
    }

    #[inline(always)]
    fn vectors<S: Simd, const C: usize, const V: usize>(&mut self, simd: S, at: usize) {
        let Planes { layer, sizes, .. } = self.planes;
        let count = self.to.len() / sizes.channel;
        for first in (0..count).step_by(C) {
            let block = (self.first_channel + first) / C;
            let mut sums = layer.wide.sums::<S, C, V>(simd, block, self.narrow, sizes.narrow_channel, sizes.row, at);
            relu(simd, &mut sums);
            put::<S, C, V>(&sums, count - first, &mut self.to[first * sizes.channel..], sizes.channel, at);
        }
    }
}

impl Joined<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize, const V: usize>(self, simd: S) {
        if has_few::<C>(self.planes.layer.joined.outputs()) {
            self.blocks::<S, FEW, FEW_VECTORS>(simd);
        } else {
            self.blocks::<S, C, V>(simd);
        }
    }

    #[inline(always)]
    fn blocks<S: Simd, const C: usize, const V: usize>(mut self, simd: S) {
        let Planes { layer, sizes, extras, out, .. } = self.planes;
        let added = match extras {
            Extras { halves: Some(halves), .. } => {
                let narrow = layer.narrow.outputs();
                Some((halves, narrow + layer.joined.outputs(), narrow))
            }
            Extras { sum: Some(sum), .. } => Some((sum, out.channels, 0)),
            _ => None,
        };
        if let Some((maps, channels, first)) = added {
            for (c, to) in self.to.chunks_exact_mut(sizes.channel).enumerate() {
                self.planes.doubled(maps, channels, self.plane, first + self.first_channel + c, to);
            }
        }
        let (x, channel) = (self.planes.input(self.plane), self.planes.layout.channel());
        let mut panels = Panels::new(layer.joined.inputs(), sizes.run, V * S::F32_LANES);
        let mut to = Outputs {
            maps: &mut *self.to,
            first_channel: self.first_channel,
            channel: sizes.channel,
            start: 0,
            is_added: added.is_some(),
            is_rectified: false,
        };
        while let Some(panel) = panels.next() {
            panels.copy(x.chunks_exact(channel).chain(self.wide.chunks_exact(sizes.channel)), &panel);
            layer.joined.panel::<S, C, V>(simd, &panels.values, &panel, &mut to);
        }
        if let Some(gate) = extras.gate {
            self.gate(gate);
        }
    }

    /// Multiplies the channels by one plus the doubled mask.
    #[inline(always)]
    fn gate(&mut self, mask: &[f32]) {
        let sizes = self.planes.sizes;
        let mut doubled = vec![0.0; sizes.channel];
        for (c, to) in self.to.chunks_exact_mut(sizes.channel).enumerate() {
            self.planes.doubled(mask, self.planes.out.channels, self.plane, self.first_channel + c, &mut doubled);
            for (to, mask) in to.iter_mut().zip(&doubled) {
                *to *= 1.0 + mask;
            }
        }
    }
}

/// Planes of the narrow maps that a walk keeps.
const KEPT: usize = 4;

impl Walk<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize, const V: usize>(self, simd: S) {
        let Planes { sizes, out, layer, .. } = self.planes;
        let mut narrow = Scratch::take(KEPT * sizes.narrow);
        let mut wide = Scratch::take(sizes.wide);
        let last = self.planes.out.planes();
        let reach = layer.wide.depth() / 2;
        // Planes before this one are there, or are not needed.
        let mut next = self.first - if self.first.is_multiple_of(out.size[0]) { 0 } else { reach };
        for (at, to) in self.to.chunks_exact_mut(out.plane()).enumerate() {
            let plane = self.first + at;
            while next < (plane + reach + 1).min(last) {
                let to = &mut narrow[next % KEPT * sizes.narrow..][..sizes.narrow];
                Narrow { planes: self.planes, plane: next, first_channel: 0, to }.run::<S, C, V>(simd);
                next += 1;
            }
            let around = self.planes.neighbours(plane, &narrow, KEPT);
            Wide { planes: self.planes, narrow: around, first_channel: 0, to: &mut wide }.run::<S, C, V>(simd);
            Joined { planes: self.planes, plane, wide: &wide, first_channel: 0, to }.run::<S, C, V>(simd);
        }
    }
}
