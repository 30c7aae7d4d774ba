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
        let sums = (0..parts.len() * shares).into_par_iter().with_max_len(1).map(|at| {
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
        split.shares(&mut dx, channels).into_par_iter().with_max_len(1).for_each(|(part, channels, to)| {
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

impl Sums<'_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize>(self, simd: S) -> Vec<f64> {
        let Self { back, line: [scale, shift], part, channels } = self;
        let gradient = back.of_normalised::<S, C>(simd, part, channels.clone());
        let mut sums = Vec::with_capacity(2 * channels.len());
        for (row, c) in channels.enumerate() {
            let through = Through::<S>::new(simd, scale[c], shift[c], back.norm.mean[c]);
            let mut of_channel = [simd.splat_f32s(0.0); 2];
            let (x, end) = S::as_simd_f32s(back.voxels(part, c));
            let g = S::as_simd_f32s(gradient.channel(row)).0;
            for (x, g) in x.iter().zip(g) {
                through.add(simd, *x, *g, &mut of_channel);
            }
            if !end.is_empty() {
                through.add(simd, simd.partial_load_f32s(end), g[x.len()], &mut of_channel);
            }
            sums.extend(of_channel.map(|sum| f64::from(simd.reduce_sum_f32s(sum))));
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
            let through = Through::<S>::new(simd, scale[c], shift[c], back.norm.mean[c]);
            let means = means[c].map(|mean| simd.splat_f32s(mean));
            let (x, x_end) = S::as_simd_f32s(back.voxels(part, c));
            let [g, along] = [&gradient, &sums].map(|panel| S::as_simd_f32s(panel.channel(row)).0);
            let (to, to_end) = S::as_mut_simd_f32s(to);
            for (to, (x, (g, along))) in to.iter_mut().zip(x.iter().zip(g.iter().zip(along))) {
                *to = through.back(simd, *x, *g, means, *along);
            }
            if !x_end.is_empty() {
                let last = through.back(simd, simd.partial_load_f32s(x_end), g[x.len()], means, along[x.len()]);
                simd.partial_store_f32s(to_end, last);
            }
        }
    }
}

/// How the gradient of a channel goes back through ReLU, and how far its input lies from the mean.
struct Through<S: Simd> {
    scale: S::f32s,
    shift: S::f32s,
    mean: S::f32s,
}

impl<S: Simd> Through<S> {
    #[inline(always)]
    fn new(simd: S, scale: f32, shift: f32, mean: f32) -> Self {
        let [scale, shift, mean] = [scale, shift, mean].map(|value| simd.splat_f32s(value));
        Self { scale, shift, mean }
    }

    /// What passes of `g` at the input `x`, and x − mean.
    #[inline(always)]
    fn of(&self, simd: S, x: S::f32s, g: S::f32s) -> (S::f32s, S::f32s) {
        let zero = simd.splat_f32s(0.0);
        let is_passed = simd.greater_than_f32s(simd.mul_add_e_f32s(x, self.scale, self.shift), zero);
        (simd.select_f32s(is_passed, g, zero), simd.sub_f32s(x, self.mean))
    }

    /// Adds what passes times x − mean to the first sum, and what passes to the second.
    #[inline(always)]
    fn add(&self, simd: S, x: S::f32s, g: S::f32s, sums: &mut [S::f32s; 2]) {
        let (passed, from_mean) = self.of(simd, x, g);
        sums[0] = simd.mul_add_e_f32s(passed, from_mean, sums[0]);
        sums[1] = simd.add_f32s(sums[1], passed);
    }

    /// The gradient of the input: scale · (g − mean(g) − x̂ · mean(g · x̂)) with x̂ = (x − mean) / σ, plus what comes along
    /// the shortcut. Of the two means the second is over the deviation.
    #[inline(always)]
    fn back(&self, simd: S, x: S::f32s, g: S::f32s, [mean_g, slope]: [S::f32s; 2], along: S::f32s) -> S::f32s {
        let (passed, from_mean) = self.of(simd, x, g);
        let left = simd.sub_f32s(simd.sub_f32s(passed, mean_g), simd.mul_f32s(from_mean, slope));
        simd.mul_add_e_f32s(self.scale, left, along)
    }
}
