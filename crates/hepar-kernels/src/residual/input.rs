//! The gradient of a block's input: through its first normalisation, and along the shortcut.

use std::ops::Range;

use pulp::Simd;
use rayon::prelude::*;

use super::panel::{Matrix, Panel};
use super::point::{Maps, Part, Split};
use crate::isa::arch;
use crate::norm::Norm;
use crate::scratch::taken;
use crate::tap_sums::totals;

/// What the gradient is made from.
#[derive(Clone, Copy)]
pub(super) struct Back<'a> {
    pub split: Split,
    pub x: &'a [f32],
    /// Gradient of the narrow maps, and the matrix from there to the normalised input.
    pub of_narrow: Maps<'a>,
    pub to_narrow: &'a Matrix,
    /// Gradient of the block's output, and the shortcut's matrix from there to the input.
    pub of_output: Maps<'a>,
    pub shortcut: &'a Matrix,
    pub norm: Norm<'a>,
}

impl Back<'_> {
    /// Gradients of the input, gamma and beta. The gradient of the normalised input is computed twice, not stored.
    pub fn gradients(self) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let Self { split, norm, .. } = self;
        let channels = norm.gamma.len();
        let (scale, shift) = norm.scale_and_shift();
        let (parts, share) = (split.parts(), split.share(channels));
        let shares = channels.div_ceil(share);
        let sums = (0..parts.len() * shares).into_par_iter().map(|at| {
            let first = at % shares * share;
            let channels = first..(first + share).min(channels);
            arch().dispatch(Sums { back: self, line: [&scale, &shift], part: parts[at / shares], channels })
        });
        let sums: Vec<Vec<f64>> = sums.collect();
        let of_share = |at: usize| totals(&sums.iter().skip(at).step_by(shares).cloned().collect::<Vec<_>>());
        let sums: Vec<f64> = (0..shares).flat_map(of_share).collect();
        let channel = |c: usize| ((sums[2 * c] * f64::from(norm.inverse(c))) as f32, sums[2 * c + 1] as f32);
        let (gamma, beta): (Vec<f32>, Vec<f32>) = (0..channels).map(channel).unzip();

        let count = (split.batch * split.voxels) as f32;
        let means: Vec<[f32; 2]> =
            (0..channels).map(|c| [beta[c] / count, gamma[c] / count * norm.inverse(c)]).collect();
        let mut dx = taken(self.x.len());
        split.shares(&mut dx, channels).into_par_iter().for_each(|(part, channels, to)| {
            arch().dispatch(Write { back: self, line: [&scale, &shift], means: &means, part, channels, to });
        });
        (dx, gamma, beta)
    }

    /// The gradient of some channels of the normalised input in one panel.
    #[inline(always)]
    fn of_normalised<S: Simd, const C: usize>(&self, simd: S, part: Part, channels: Range<usize>) -> Panel {
        let narrow = Maps::panel(&[self.of_narrow], self.split, part);
        let mut sums = zeros(channels.len(), part.voxels);
        self.to_narrow.add::<S, C>(simd, &narrow, channels, &mut sums);
        sums
    }

    /// One channel's voxels of the input in one panel.
    #[inline(always)]
    fn voxels(&self, part: Part, c: usize) -> &[f32] {
        &self.x[(part.sample * self.norm.gamma.len() + c) * self.split.voxels + part.first..][..part.voxels]
    }
}

fn zeros(channels: usize, voxels: usize) -> Panel {
    let mut panel = Panel::take(channels, voxels);
    (0..channels).for_each(|c| panel.channel_mut(c).fill(0.0));
    panel
}

/// For each channel Σ g · (x − mean) and Σ g over what ReLU lets through, in one panel.
struct Sums<'a> {
    back: Back<'a>,
    line: [&'a [f32]; 2],
    part: Part,
    channels: Range<usize>,
}

dispatch!(Sums<'_> => Vec<f64>, few: [4], many: [8]);

/// Partial sums, as many as the widest vector has lanes.
const LANES: usize = 16;

impl Sums<'_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize>(self, simd: S) -> Vec<f64> {
        let Self { back, line: [scale, shift], part, channels } = self;
        let gradient = back.of_normalised::<S, C>(simd, part, channels.clone());
        let mut sums = Vec::with_capacity(2 * channels.len());
        for (row, c) in channels.enumerate() {
            let (scale, shift, mean) = (scale[c], shift[c], back.norm.mean[c]);
            let (mut by_x, mut plain) = ([0.0f32; LANES], [0.0f32; LANES]);
            let (x, g) = (back.voxels(part, c), gradient.channel(row));
            for (x, g) in x.chunks(LANES).zip(g.chunks(LANES)) {
                for (lane, (x, g)) in x.iter().zip(g).enumerate() {
                    let passed = if x.mul_add(scale, shift) > 0.0 { *g } else { 0.0 };
                    plain[lane] += passed;
                    by_x[lane] += passed * (x - mean);
                }
            }
            let total = |lanes: [f32; LANES]| lanes.iter().map(|lane| f64::from(*lane)).sum::<f64>();
            sums.extend([total(by_x), total(plain)]);
        }
        sums
    }
}

/// The gradient of some channels of the input in one panel.
struct Write<'a, 'to> {
    back: Back<'a>,
    line: [&'a [f32]; 2],
    /// Of each channel the mean of g, and of g · x̂ over the deviation.
    means: &'a [[f32; 2]],
    part: Part,
    channels: Range<usize>,
    to: Vec<&'to mut [f32]>,
}

dispatch!(Write<'_, '_> => (), few: [4], many: [8]);

impl Write<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize>(self, simd: S) {
        let Self { back, line: [scale, shift], means, part, channels, to } = self;
        let gradient = back.of_normalised::<S, C>(simd, part, channels.clone());
        let output = Maps::panel(&[back.of_output], back.split, part);
        let mut sums = zeros(channels.len(), part.voxels);
        back.shortcut.add::<S, C>(simd, &output, channels.clone(), &mut sums);
        for ((row, c), to) in channels.enumerate().zip(to) {
            let (scale, shift, mean, [mean_g, slope]) = (scale[c], shift[c], back.norm.mean[c], means[c]);
            let values = back.voxels(part, c).iter().zip(gradient.channel(row)).zip(sums.channel(row));
            for (to, ((x, g), along)) in to.iter_mut().zip(values) {
                let passed = if x.mul_add(scale, shift) > 0.0 { *g } else { 0.0 };
                // scale · (g − mean(g) − x̂ · mean(g · x̂)), with x̂ = (x − mean) / σ.
                *to = scale.mul_add(passed - mean_g - (x - mean) * slope, *along);
            }
        }
    }
}
