//! Convolutions of 1³ over whole maps, panel by panel.

use std::ops::Range;

use pulp::Simd;
use rayon::prelude::*;

use super::panel::{Matrix, Panel, Taken, VOXELS, dots};
use crate::isa::{arch, block};
use crate::joined::by_rows;
use crate::scratch::taken;

/// Maps that are read panel by panel.
#[derive(Clone, Copy)]
pub(super) struct Maps<'a> {
    /// N × channels × voxels.
    pub values: &'a [f32],
    pub channels: usize,
    pub taken: Taken<'a>,
}

/// How maps are split up: into panels, and where these are few also by channels.
#[derive(Clone, Copy)]
pub(super) struct Split {
    pub batch: usize,
    /// Voxels of a map.
    pub voxels: usize,
}

/// A part of the work: a panel of a sample.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub sample: usize,
    /// First voxel, and how many there are.
    pub first: usize,
    pub voxels: usize,
}

/// A panel, a range of channels, and where the voxels of each of these lie.
type Share<'to> = (Part, Range<usize>, Vec<&'to mut [f32]>);

/// Fewest panels that are not split by channels.
const PANELS: usize = 8;

/// Parts that channels are split into where panels are few.
const PARTS: usize = 4;

impl Split {
    fn per_sample(&self) -> usize {
        self.voxels.div_ceil(VOXELS)
    }

    /// All panels, sample by sample.
    pub fn parts(&self) -> Vec<Part> {
        let of_sample = move |sample: usize| {
            (0..self.per_sample()).map(move |at| {
                let first = at * VOXELS;
                Part { sample, first, voxels: VOXELS.min(self.voxels - first) }
            })
        };
        (0..self.batch).flat_map(of_sample).collect()
    }

    /// How many of `channels` channels are computed at once.
    pub fn share(&self, channels: usize) -> usize {
        let parts = if self.batch * self.per_sample() < PANELS { PARTS } else { 1 };
        channels.div_ceil(parts).next_multiple_of(block())
    }

    /// The maps `to`, split up: for each panel and share of channels these, and the voxels of each of them.
    pub fn shares<'to>(&self, to: &'to mut [f32], channels: usize) -> Vec<Share<'to>> {
        let share = self.share(channels);
        let rows = by_rows(to, self.batch, [1, self.voxels, 1], VOXELS);
        let mut shares = Vec::new();
        for (part, mut rows) in self.parts().into_iter().zip(rows) {
            for first in (0..channels).step_by(share) {
                let behind = rows.split_off(share.min(rows.len()));
                shares.push((part, first..first + rows.len(), std::mem::replace(&mut rows, behind)));
            }
        }
        shares
    }

    /// The product of a matrix with all channels of `from`, one map's behind the other's, plus a bias.
    pub fn multiply(&self, from: &[Maps<'_>], matrix: &Matrix, bias: &[f32]) -> Vec<f32> {
        let mut y = taken(self.batch * bias.len() * self.voxels);
        self.shares(&mut y, bias.len()).into_par_iter().with_max_len(1).for_each(|(part, channels, to)| {
            arch().dispatch(Multiply { split: *self, from, matrix, bias, part, channels, to });
        });
        y
    }

    /// Dot products over all voxels of the channels of `g` with those of `x`, `[channel of g, channel of x]`.
    pub fn dots(&self, g: Maps<'_>, x: &[Maps<'_>]) -> Vec<f32> {
        let (parts, share) = (self.parts(), self.share(g.channels));
        let shares: Vec<Range<usize>> =
            (0..g.channels).step_by(share).map(|first| first..(first + share).min(g.channels)).collect();
        let tasks = parts.len() * shares.len();
        let sums: Vec<Vec<f32>> = (0..tasks)
            .into_par_iter()
            .with_max_len(1)
            .map(|at| {
                let (part, channels) = (parts[at / shares.len()], shares[at % shares.len()].clone());
                arch().dispatch(Dots { split: *self, g, x, part, channels })
            })
            .collect();
        let of_share = |share: usize| {
            let sums: Vec<&Vec<f32>> = sums.iter().skip(share).step_by(shares.len()).collect();
            (0..sums[0].len())
                .map(|at| sums.iter().map(|sums| f64::from(sums[at])).sum::<f64>() as f32)
                .collect::<Vec<_>>()
        };
        (0..shares.len()).into_par_iter().flat_map_iter(of_share).collect()
    }
}

impl Maps<'_> {
    /// All channels of several maps in a panel.
    #[inline(always)]
    pub fn panel(maps: &[Self], split: Split, part: Part) -> Panel {
        let mut panel = Panel::take(maps.iter().map(|maps| maps.channels).sum(), part.voxels);
        let mut row = 0;
        for maps in maps {
            let sample = maps.channels * split.voxels;
            let values = &maps.values[part.sample * sample..][..sample];
            panel.read(row, values, split.voxels, part.first, maps.taken);
            row += maps.channels;
        }
        panel
    }
}

/// Some rows of a product with one panel.
struct Multiply<'a, 'to> {
    split: Split,
    from: &'a [Maps<'a>],
    matrix: &'a Matrix,
    bias: &'a [f32],
    part: Part,
    channels: Range<usize>,
    to: Vec<&'to mut [f32]>,
}

dispatch!(Multiply<'_, '_> => (), few: [4], many: [8]);

impl Multiply<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize>(mut self, simd: S) {
        let x = Maps::panel(self.from, self.split, self.part);
        let mut sums = Panel::take(self.channels.len(), self.part.voxels);
        for (c, bias) in self.bias[self.channels.clone()].iter().enumerate() {
            sums.channel_mut(c).fill(*bias);
        }
        self.matrix.add::<S, C>(simd, &x, self.channels, &mut sums);
        sums.write(&mut self.to);
    }
}

/// Dot products of some rows over one panel.
struct Dots<'a> {
    split: Split,
    g: Maps<'a>,
    x: &'a [Maps<'a>],
    part: Part,
    channels: Range<usize>,
}

dispatch!(Dots<'_> => Vec<f32>, few: [4], many: [8]);

impl Dots<'_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize>(self, simd: S) -> Vec<f32> {
        let g = Maps::panel(&[self.g], self.split, self.part);
        let x = Maps::panel(self.x, self.split, self.part);
        let inputs = self.x.iter().map(|maps| maps.channels).sum::<usize>();
        let mut sums = vec![0.0; self.channels.len() * inputs];
        dots::<S, C>(simd, &g, self.channels, &x, &mut sums);
        sums
    }
}
