//! conv9 with its statistics, then everything behind it.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::tiles::Tiles;
use super::{HeadInputs, HeadShape, HeadState, Products, ROWS, Slab};
use crate::exit::Slabs;
use crate::exit::slab::Transformed;
use crate::exit::task::Logits;
use crate::isa::arch;
use crate::lanes::{load, store};
use crate::moments::Moments;
use crate::scratch::Scratch;
use crate::winograd::product::{apart, multiply};
use crate::winograd::transform::voxels;

/// conv9's output before normalisation, and its statistics.
pub(super) fn convolve(shape: &HeadShape, inputs: &HeadInputs<'_>) -> HeadState {
    let (split, entry) = (shape.first.split(inputs.x), shape.first.layer(inputs.folded));
    let distances = &entry.distances(&split);
    let (layout, tiles) = (shape.low_layout(), Tiles::new(shape));
    let mut low = Scratch::take(layout.len());
    layout.lay_out(inputs.low, &mut low);
    let products = &Products::new(shape.halves(), inputs.kernels);
    let mut raw = Scratch::take(shape.first.batch * shape.slabs() * tiles.slab());
    let slabs = raw.par_chunks_mut(tiles.slab()).enumerate().with_max_len(1).map(|(at, raw)| {
        let (sample, first_row) = (at / shape.slabs(), at % shape.slabs() * ROWS);
        let from = Slab { entry: &entry, input: &split, distances, low: &low, layout, sample, first_row };
        arch().dispatch(Convolve { products, bias: inputs.bias, from, tiles, raw })
    });
    let moments: Vec<Vec<Moments>> = slabs.collect();
    let (mean, variance) = Moments::of_channels(&moments, shape.first.channels);
    HeadState { raw, mean, variance }
}

/// Probabilities from conv9's output.
pub(super) fn activate(shape: &HeadShape, inputs: &HeadInputs<'_>, state: &HeadState) -> Vec<f32> {
    let (layout, size, tiles) = (shape.low_layout(), shape.first.size, Tiles::new(shape));
    let slabs = Slabs::new(layout, size, shape.first.depth / 2);
    let (scale, shift) = inputs.norm(&state.mean, &state.variance).scale_and_shift();
    let mut logits = Scratch::zeroed(layout.batch * slabs.count() * slabs.len());
    let each = logits.par_chunks_mut(slabs.len()).zip(state.raw.par_chunks(tiles.slab()));
    each.enumerate().with_max_len(1).for_each(|(at, (values, raw))| {
        let first_row = at % slabs.count() * ROWS;
        let logits = Logits { slabs, values };
        arch().dispatch(Activate { shape, last: inputs.last, norm: [&scale, &shift], tiles, raw, first_row, logits });
    });
    let mut probabilities = vec![0.0; inputs.x.len()];
    slabs.join(&logits, size, inputs.last_bias, &mut probabilities);
    probabilities
}

/// conv9 of one slab; gives the moments of its channels.
struct Convolve<'a> {
    products: &'a Products,
    bias: &'a [f32],
    from: Slab<'a>,
    tiles: Tiles,
    raw: &'a mut [f32],
}

impl WithSimd for Convolve<'_> {
    type Output = Vec<Moments>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<Moments> {
        match (S::F32_LANES, self.products.halves.depth) {
            (8, 1) => self.run::<S, 4, 1>(simd),
            (8, _) => self.run::<S, 4, 3>(simd),
            (_, 1) => self.run::<S, 8, 1>(simd),
            (_, _) => self.run::<S, 8, 3>(simd),
        }
    }
}

impl Convolve<'_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize, const DEPTH: usize>(self, simd: S) -> Vec<Moments> {
        let Self { products, bias, from, tiles, raw } = self;
        let (halves, vectors) = (products.halves, tiles.vectors::<S>());
        let padded = halves.outputs.next_multiple_of(C);
        let per_block = if DEPTH == 3 { 2 } else { 1 };
        let mut rings = from.rings();
        let mut transformed = Transformed::new(halves, vectors);
        let mut sums = Scratch::take(16 * apart(per_block * padded * vectors));
        let mut moments = vec![Moments::default(); bias.len()];
        for k in 0..from.layout.size[0] {
            from.advance::<S, C, DEPTH>(simd, &mut rings, k);
            for at in (0..from.layout.size[2]).step_by(S::F32_LANES) {
                from.transform::<S, DEPTH, ROWS>(simd, &rings, &mut transformed, [k, 0, at]);
                multiply::<S, C, ROWS>(simd, products, &transformed.full, &transformed.doubled, &mut sums);
                let tile = &mut raw[tiles.place::<S>(k, at)..][..tiles.tile::<S>()];
                put_voxels::<S>(simd, &sums, bias, padded, per_block, tile);
                for (c, moments) in moments.iter_mut().enumerate() {
                    let stride = bias.len() * vectors;
                    let of_tile = Moments::of::<S>(simd, &tile[c * vectors..], 4 * per_block, stride, vectors);
                    *moments = moments.merged(of_tile);
                }
            }
        }
        moments
    }
}

/// Sums of products back to the voxels of a tile, with bias.
#[inline(always)]
pub(super) fn put_voxels<S: Simd>(
    simd: S,
    sums: &[f32],
    bias: &[f32],
    padded: usize,
    per_block: usize,
    to: &mut [f32],
) {
    let (channels, tile) = (bias.len(), ROWS * S::F32_LANES);
    for z in 0..per_block {
        for (c, bias) in bias.iter().enumerate() {
            let bias = simd.splat_f32s(*bias);
            for r in 0..ROWS {
                let lane = r * S::F32_LANES;
                let from = (z * padded + c) * tile + lane;
                let block = voxels(simd, sums, from, apart(per_block * padded * tile));
                for parity in 0..4 {
                    let value = simd.add_f32s(block[parity / 2][parity % 2], bias);
                    store::<S>(to, ((z * 4 + parity) * channels + c) * tile + lane, value);
                }
            }
        }
    }
}

/// Normalisation, ReLU and the last convolution of one slab.
struct Activate<'a> {
    shape: &'a HeadShape,
    last: &'a [f32],
    norm: [&'a [f32]; 2],
    tiles: Tiles,
    raw: &'a [f32],
    first_row: usize,
    logits: Logits<'a>,
}

impl WithSimd for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let [depth, _, width] = self.shape.blocks();
        let mut voxels = Scratch::take(self.tiles.tile::<S>());
        for k in 0..depth {
            for at in (0..width).step_by(S::F32_LANES) {
                let raw = &self.raw[self.tiles.place::<S>(k, at)..][..self.tiles.tile::<S>()];
                normalised::<S>(simd, self.norm, raw, &mut voxels);
                let place = [self.first_row, k, at];
                if self.shape.first.depth == 3 {
                    self.logits.spread::<S, 3>(simd, self.last, &voxels, place);
                } else {
                    self.logits.spread::<S, 1>(simd, self.last, &voxels, place);
                }
            }
        }
    }
}

/// max(0, x · scale + shift) of a tile.
#[inline(always)]
pub(super) fn normalised<S: Simd>(simd: S, [scale, shift]: [&[f32]; 2], raw: &[f32], to: &mut [f32]) {
    let (vectors, zero) = (ROWS * S::F32_LANES, simd.splat_f32s(0.0));
    for (at, (raw, to)) in raw.chunks_exact(vectors).zip(to.chunks_exact_mut(vectors)).enumerate() {
        let c = at % scale.len();
        let (scale, shift) = (simd.splat_f32s(scale[c]), simd.splat_f32s(shift[c]));
        for r in 0..ROWS {
            let value = simd.mul_add_e_f32s(load::<S>(raw, r * S::F32_LANES), scale, shift);
            store::<S>(to, r * S::F32_LANES, simd.max_f32s(value, zero));
        }
    }
}
