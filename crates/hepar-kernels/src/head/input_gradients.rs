//! From the gradient of conv9's output to those of both halves of its input.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::forward::put_voxels;
use super::tiles::{Ring, Tiles};
use super::{HeadInputs, HeadShape, Products, ROWS};
use crate::entry::{EntryLayer, SplitInput};
use crate::isa::arch;
use crate::joined::by_rows;
use crate::lanes::{load, store};
use crate::scratch::{Scratch, taken};
use crate::tap_sums::{Patches, TapSums, totals};
use crate::winograd::product::{Half, apart, multiply};
use crate::winograd::transform::{Along, FULL, HALVED, PLANAR, full_tile, halved_tile};
use crate::winograd::weights::{Halves, transposed_doubled};

/// Gradients of the first layer's folded kernels and of the map that is upsampled.
pub(super) fn input_gradients(shape: &HeadShape, inputs: &HeadInputs<'_>, g: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let split = shape.first.split(inputs.x);
    let first = shape.first.layer(inputs.folded);
    let products = Products::new(Halves { upsampled: 0, ..shape.halves() }, &to_full(shape, inputs.kernels));
    let context = Context {
        shape,
        tiles: Tiles::new(shape),
        distances: &first.distances(&split),
        split: &split,
        first: &first,
        products: &products,
        to_low: &transposed_doubled(shape.halves(), inputs.kernels),
        g,
    };
    let mut low = taken(inputs.low.len());
    let rows = by_rows(&mut low, shape.first.batch, shape.blocks(), ROWS);
    let sums = rows.into_par_iter().enumerate().with_max_len(1).map(|(at, low)| {
        let (sample, first_row) = (at / shape.slabs(), at % shape.slabs() * ROWS);
        arch().dispatch(Task { context, sample, first_row, low })
    });
    let folded = totals(&sums.collect::<Vec<_>>()).into_iter().map(|sum| sum as f32).collect();
    (folded, low)
}

/// conv9's kernels for the half that is not upsampled, inputs and outputs exchanged and mirrored.
fn to_full(shape: &HeadShape, kernels: &[f32]) -> Vec<f32> {
    let (channels, taps) = (shape.first.channels, shape.first.taps());
    let kernel = |input: usize, output: usize| {
        &kernels[(output * (shape.upsampled + channels) + shape.upsampled + input) * taps..][..taps]
    };
    let pairs = (0..channels).flat_map(|input| (0..channels).map(move |output| (input, output)));
    pairs.flat_map(|(input, output)| kernel(input, output).iter().rev().copied()).collect()
}

/// What all slabs share.
#[derive(Clone, Copy)]
struct Context<'a> {
    shape: &'a HeadShape,
    tiles: Tiles,
    split: &'a SplitInput,
    distances: &'a [Vec<usize>; 2],
    first: &'a EntryLayer,
    products: &'a Products,
    to_low: &'a [f32],
    /// Gradient of conv9's output, all slabs of all samples.
    g: &'a [f32],
}

/// One slab; gives the sums of the folded kernels' gradient.
struct Task<'a, 'to> {
    context: Context<'a>,
    sample: usize,
    first_row: usize,
    /// Rows of the low map's gradient, `[channel, z]`.
    low: Vec<&'to mut [f32]>,
}

impl WithSimd for Task<'_, '_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<f64> {
        match S::F32_LANES {
            8 => self.run::<S, 4>(simd),
            _ => self.run::<S, 8>(simd),
        }
    }
}

impl Task<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize>(mut self, simd: S) -> Vec<f64> {
        let Context { shape, tiles, split, distances, products, g, .. } = self.context;
        let (channels, per_block, taps) = (shape.first.channels, shape.first.per_block(), shape.first.taps());
        let [depth, _, width] = shape.blocks();
        let vectors = tiles.vectors::<S>();
        let (full, halved): (&[Along], &[Along]) =
            if shape.first.depth == 3 { (&FULL, &HALVED) } else { (&PLANAR, &PLANAR) };
        let product = apart(channels * vectors);
        let of_sample = shape.slabs() * tiles.slab();
        let mut ring = Ring::new(tiles, &g[self.sample * of_sample..][..of_sample], self.first_row);
        let mut to_full = Scratch::take(16 * full.len() * product);
        let mut to_low = Scratch::take(9 * halved.len() * product);
        let padded = channels.next_multiple_of(C);
        let mut sums = Scratch::take(16 * apart(per_block * padded * vectors));
        let mut voxels = Scratch::take(tiles.tile::<S>());
        let mut folded = TapSums::new::<S>(channels, taps);
        let none = vec![0.0; channels];
        // There is no upsampled half, only the room between its products.
        let no_half = vec![0.0; 9 * halved.len() * apart(0)];
        for k in 0..depth {
            let (first, end) = if per_block == 2 { (2 * k as isize - 1, 2 * k + 3) } else { (k as isize, k + 1) };
            ring.advance::<S>(end);
            for at in (0..width).step_by(S::F32_LANES) {
                for c in 0..channels {
                    let planes = ring.channel(first, c);
                    let half = ring.half();
                    full_tile::<S, ROWS>(simd, full, &planes, half, at, &mut to_full[c * vectors..], product);
                    halved_tile::<S, ROWS>(simd, halved, &planes, half, at, &mut to_low[c * vectors..], product);
                }
                self.low_tile::<S, C>(simd, &to_low, halved.len(), k, at);
                multiply::<S, C, ROWS>(simd, products, &to_full, &no_half, &mut sums);
                put_voxels::<S>(simd, &sums, &none, padded, per_block, &mut voxels);
                let place = [per_block * k, 2 * self.first_row, at];
                let patches = Patches { map: split, distances, sample: self.sample, first: place };
                self.pass::<S, C>(simd, &patches, &mut voxels);
                folded.add::<S, C, ROWS>(simd, &patches, 4 * per_block, &voxels);
            }
        }
        folded.total()
    }

    /// Keeps of a tile's gradient what the first layer's ReLU let through.
    #[inline(always)]
    fn pass<S: Simd, const C: usize>(&self, simd: S, patches: &Patches<'_>, tile: &mut [f32]) {
        let Context { shape, first, tiles, .. } = self.context;
        let (channels, zero) = (shape.first.channels, simd.splat_f32s(0.0));
        for group in 0..4 * shape.first.per_block() {
            for (block, channel) in (0..channels).step_by(C).enumerate() {
                let values = first.voxels::<S, C, ROWS>(simd, patches, group, block);
                let tile = &mut tile[(group * channels + channel) * tiles.vectors::<S>()..];
                for c in 0..C.min(channels - channel) {
                    for r in 0..ROWS {
                        let place = (c * ROWS + r) * S::F32_LANES;
                        let is_passed = simd.greater_than_f32s(values[c][r], zero);
                        store::<S>(tile, place, simd.select_f32s(is_passed, load::<S>(tile, place), zero));
                    }
                }
            }
        }
    }

    /// Adds up all products of a tile for the map that is upsampled: there is nothing to transform back.
    #[inline(always)]
    fn low_tile<S: Simd, const C: usize>(&mut self, simd: S, products: &[f32], along_z: usize, k: usize, at: usize) {
        let Context { shape, to_low, .. } = self.context;
        let [planes, _, width] = shape.blocks();
        let half = Half { inputs: shape.first.channels, weights: to_low, voxels: products };
        let blocks = shape.upsampled.div_ceil(C);
        for block in 0..blocks {
            let mut sums = [[simd.splat_f32s(0.0); ROWS]; C];
            for yx in 0..9 {
                for z in 0..along_z {
                    half.add::<S, C, ROWS>(simd, &mut sums, (yx * blocks + block) * along_z + z, yx * along_z + z);
                }
            }
            for c in 0..C.min(shape.upsampled - block * C) {
                let to = &mut self.low[(block * C + c) * planes + k];
                for r in 0..ROWS {
                    store::<S>(to, r * width + at, sums[c][r]);
                }
            }
        }
    }
}
