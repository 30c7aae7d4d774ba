//! From the gradient of the logits back through the last convolution, ReLU and normalisation.

use pulp::Simd;
use rayon::prelude::*;

use super::forward::normalised;
use super::tiles::Tiles;
use super::{HeadInputs, HeadShape, HeadState, ROWS};
use crate::entry::{EntryLayer, SplitInput};
use crate::isa::arch;
use crate::lanes::{load, store};
use crate::scratch::Scratch;
use crate::tap_sums::{Patches, TapSums, totals};

/// Gradients of the normalisation's parameters and of the last kernel.
pub(super) struct NormGradient {
    pub gamma: Vec<f32>,
    pub beta: Vec<f32>,
    pub last: Vec<f32>,
}

/// Puts the gradient of conv9's output into its place in `state`, given the gradient of the logits.
pub(super) fn norm_gradient(
    shape: &HeadShape,
    inputs: &HeadInputs<'_>,
    state: &mut HeadState,
    of_logits: &[f32],
) -> NormGradient {
    let (channels, taps, tiles) = (shape.first.channels, shape.first.taps(), Tiles::new(shape));
    let HeadState { raw, mean, variance } = state;
    let map = &shape.first.split(of_logits);
    let layer = &EntryLayer::linear(shape.first.depth, &shape.mirrored(inputs.last), &vec![0.0; channels]);
    let distances = &layer.distances(map);
    let norm = inputs.norm(mean, variance);
    let (scale, shift) = norm.scale_and_shift();
    let back = |at: usize| {
        let (sample, first_row) = (at / shape.slabs(), at % shape.slabs() * ROWS);
        Back { shape, tiles, map, distances, layer, norm: [&scale, &shift], sample, first_row }
    };
    let slabs = raw.par_chunks(tiles.slab()).enumerate().with_max_len(1);
    let sums = slabs.map(|(at, raw)| arch().dispatch(Sums { back: back(at), mean, raw }));
    let total = totals(&sums.collect::<Vec<_>>());
    let (of_last, of_norm) = total.split_at(channels * (taps + 1));
    // A voxel counts for the logit under a tap, so a tap's gradient is found at the mirrored one.
    let of_kernel = |row: &[f64]| row[..taps].iter().rev().map(|sum| *sum as f32).collect::<Vec<_>>();
    let last = of_last.chunks_exact(taps + 1).flat_map(of_kernel).collect();
    let channel = |c: usize| ((of_norm[2 * c] * f64::from(norm.inverse(c))) as f32, of_norm[2 * c + 1] as f32);
    let (gamma, beta): (Vec<f32>, Vec<f32>) = (0..channels).map(channel).unzip();

    let count = (shape.first.batch * shape.first.size.iter().product::<usize>()) as f32;
    let means = |c: usize| [mean[c], beta[c] / count, gamma[c] / count * norm.inverse(c)];
    let means: &Vec<[f32; 3]> = &(0..channels).map(means).collect();
    let slabs = raw.par_chunks_mut(tiles.slab()).enumerate().with_max_len(1);
    slabs.for_each(|(at, raw)| arch().dispatch(Replace { back: back(at), means, raw }));
    NormGradient { gamma, beta, last }
}

/// The gradient of the normalised map in one slab.
#[derive(Clone, Copy)]
struct Back<'a> {
    shape: &'a HeadShape,
    tiles: Tiles,
    /// Gradient of the logits.
    map: &'a SplitInput,
    distances: &'a [Vec<usize>; 2],
    /// From there to the channels.
    layer: &'a EntryLayer,
    /// Scale and shift of the normalisation.
    norm: [&'a [f32]; 2],
    sample: usize,
    first_row: usize,
}

impl<'a> Back<'a> {
    /// Where the tile at block `at` of plane `k` lies.
    #[inline(always)]
    fn patches(&self, k: usize, at: usize) -> Patches<'a> {
        let first = [self.shape.first.per_block() * k, 2 * self.first_row, at];
        Patches { map: self.map, distances: self.distances, sample: self.sample, first }
    }

    /// What ReLU lets through of a block of channels' gradient, given their values before normalisation.
    #[inline(always)]
    fn passed<S: Simd, const C: usize>(
        &self,
        simd: S,
        patches: &Patches<'_>,
        group: usize,
        block: usize,
        raw: &[f32],
    ) -> [[S::f32s; ROWS]; C] {
        let (zero, [scale, shift]) = (simd.splat_f32s(0.0), self.norm);
        let mut gradients = self.layer.voxels::<S, C, ROWS>(simd, patches, group, block);
        for c in 0..C.min(scale.len() - block * C) {
            let (scale, shift) = (simd.splat_f32s(scale[block * C + c]), simd.splat_f32s(shift[block * C + c]));
            for r in 0..ROWS {
                let value = load::<S>(raw, (c * ROWS + r) * S::F32_LANES);
                let is_passed = simd.greater_than_f32s(simd.mul_add_e_f32s(value, scale, shift), zero);
                gradients[c][r] = simd.select_f32s(is_passed, gradients[c][r], zero);
            }
        }
        gradients
    }
}

/// Sums over a slab: of the last kernel's gradient, `[channel, tap + 1]`, then for each channel Σ g · (x − mean) and Σ g.
struct Sums<'a> {
    back: Back<'a>,
    mean: &'a [f32],
    raw: &'a [f32],
}

dispatch!(Sums<'_> => Vec<f64>, few: [4], many: [8]);

impl Sums<'_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize>(self, simd: S) -> Vec<f64> {
        let Self { back, mean, raw } = self;
        let ([depth, _, width], channels, tiles) = (back.shape.blocks(), mean.len(), back.tiles);
        let groups = 4 * back.shape.first.per_block();
        let mut of_last = TapSums::new::<S>(channels, back.shape.first.taps());
        let mut of_norm = Scratch::zeroed(2 * channels * S::F32_LANES);
        let mut voxels = Scratch::take(tiles.tile::<S>());
        for k in 0..depth {
            for at in (0..width).step_by(S::F32_LANES) {
                let tile = &raw[tiles.place::<S>(k, at)..][..tiles.tile::<S>()];
                let patches = back.patches(k, at);
                normalised::<S>(simd, back.norm, tile, &mut voxels);
                of_last.add::<S, C, ROWS>(simd, &patches, groups, &voxels);
                for (block, first) in (0..channels).step_by(C).enumerate() {
                    for group in 0..groups {
                        let values = &tile[(group * channels + first) * tiles.vectors::<S>()..];
                        let passed = back.passed::<S, C>(simd, &patches, group, block, values);
                        for c in 0..C.min(channels - first) {
                            let place = 2 * (first + c) * S::F32_LANES;
                            let mut by_x = load::<S>(&of_norm, place);
                            let mut plain = load::<S>(&of_norm, place + S::F32_LANES);
                            let mean = simd.splat_f32s(mean[first + c]);
                            for r in 0..ROWS {
                                let value = load::<S>(values, (c * ROWS + r) * S::F32_LANES);
                                by_x = simd.mul_add_e_f32s(passed[c][r], simd.sub_f32s(value, mean), by_x);
                                plain = simd.add_f32s(plain, passed[c][r]);
                            }
                            store::<S>(&mut of_norm, place, by_x);
                            store::<S>(&mut of_norm, place + S::F32_LANES, plain);
                        }
                    }
                }
            }
        }
        let lanes = of_norm.chunks_exact(S::F32_LANES).map(|lanes| lanes.iter().map(|lane| f64::from(*lane)).sum());
        of_last.total().into_iter().chain(lanes).collect()
    }
}

/// Puts scale · (g − mean(g) − x̂ · mean(g · x̂)), with x̂ = (x − mean) / σ, in the place of x.
struct Replace<'a> {
    back: Back<'a>,
    /// Of each channel the means of x, of g, and of g · x̂ over σ.
    means: &'a [[f32; 3]],
    raw: &'a mut [f32],
}

dispatch!(Replace<'_> => (), few: [4], many: [8]);

impl Replace<'_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize>(self, simd: S) {
        let Self { back, means, raw } = self;
        let ([depth, _, width], channels, tiles) = (back.shape.blocks(), means.len(), back.tiles);
        for k in 0..depth {
            for at in (0..width).step_by(S::F32_LANES) {
                let tile = &mut raw[tiles.place::<S>(k, at)..][..tiles.tile::<S>()];
                let patches = back.patches(k, at);
                for (block, first) in (0..channels).step_by(C).enumerate() {
                    for group in 0..4 * back.shape.first.per_block() {
                        let values = &mut tile[(group * channels + first) * tiles.vectors::<S>()..];
                        let passed = back.passed::<S, C>(simd, &patches, group, block, values);
                        for c in 0..C.min(channels - first) {
                            let scale = simd.splat_f32s(back.norm[0][first + c]);
                            let [mean, mean_g, slope] = means[first + c];
                            let (mean, mean_g) = (simd.splat_f32s(mean), simd.splat_f32s(mean_g));
                            let slope = simd.splat_f32s(slope);
                            for r in 0..ROWS {
                                let place = (c * ROWS + r) * S::F32_LANES;
                                let distance = simd.sub_f32s(load::<S>(values, place), mean);
                                let g = simd.sub_f32s(passed[c][r], mean_g);
                                let g = simd.sub_f32s(g, simd.mul_f32s(distance, slope));
                                store::<S>(values, place, simd.mul_f32s(scale, g));
                            }
                        }
                    }
                }
            }
        }
    }
}
