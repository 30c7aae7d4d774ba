//! The gradient of conv9's kernels.
//!
//! In Winograd's domain it is, for each product, a matrix times a matrix with the blocks of voxels in between. Sums are
//! kept with output channels along vectors, so that all of them fit the second cache: the gradient's tiles are turned
//! for it, channels last.

use pulp::Simd;
use rayon::prelude::*;

use super::tiles::Tiles;
use super::{HeadInputs, HeadShape, ROWS, Slab};
use crate::exit::slab::Transformed;
use crate::isa::arch;
use crate::lanes::{load, store};
use crate::scratch::Scratch;
use crate::winograd::product::apart;
use crate::winograd::transform::{among_full, spread_block};
use crate::winograd::weights::{Halves, kernel_gradient as of_products};

/// Slabs whose sums are added up as they come; the order is the same for any number of threads.
const TOGETHER: usize = 4;

/// Output channels come in multiples of this, zeros behind them.
const PADDED: usize = 16;

/// Gradient of conv9's kernels, given that of its output.
pub(super) fn kernel_gradient(shape: &HeadShape, inputs: &HeadInputs<'_>, g: &[f32]) -> Vec<f32> {
    let (split, entry) = (shape.first.split(inputs.x), shape.first.layer(inputs.folded));
    let distances = &entry.distances(&split);
    let (layout, tiles) = (shape.low_layout(), Tiles::new(shape));
    let mut low = Scratch::take(layout.len());
    layout.lay_out(inputs.low, &mut low);
    let parts = shape.slabs().div_ceil(TOGETHER);
    let sums = (0..shape.first.batch * parts).into_par_iter().with_max_len(1).map(|at| {
        let (sample, part) = (at / parts, at % parts);
        let slabs = part * TOGETHER..shape.slabs().min((part + 1) * TOGETHER);
        let mut sums = Sums::new(shape.halves());
        for slab in slabs {
            let from =
                Slab { entry: &entry, input: &split, distances, low: &low, layout, sample, first_row: slab * ROWS };
            let g = &g[(sample * shape.slabs() + slab) * tiles.slab()..][..tiles.slab()];
            arch().dispatch(Task { halves: shape.halves(), tiles, from, g, sums: &mut sums });
        }
        sums
    });
    collected(shape.halves(), &sums.collect::<Vec<_>>())
}

/// Sums of products, `[product, input, output]` with outputs padded.
struct Sums {
    full: Scratch,
    doubled: Scratch,
}

impl Sums {
    fn new(halves: Halves) -> Self {
        let outputs = halves.outputs.next_multiple_of(PADDED);
        Self {
            full: Scratch::zeroed(16 * halves.full_depth() * halves.full * outputs),
            doubled: Scratch::zeroed(9 * halves.doubled_depth() * halves.upsampled * outputs),
        }
    }
}

/// The kernels' gradient, `[output, input, taps]`, from the sums of all parts.
fn collected(halves: Halves, parts: &[Sums]) -> Vec<f32> {
    let (padded, inputs) = (halves.outputs.next_multiple_of(PADDED), halves.upsampled + halves.full);
    let (full_depth, doubled_depth) = (halves.full_depth(), halves.doubled_depth());
    let total = |of: fn(&Sums) -> &[f32], at: usize| parts.iter().map(|sums| f64::from(of(sums)[at])).sum::<f64>();
    let kernels = (0..halves.outputs * inputs).into_par_iter().map(|at| {
        let (o, i) = (at / inputs, at % inputs);
        if let Some(i) = i.checked_sub(halves.upsampled) {
            let place = |yx: usize, z: usize| ((yx * full_depth + z) * halves.full + i) * padded + o;
            of_products(halves.depth, false, |yx, z| total(|sums| &sums.full, place(yx, z)))
        } else {
            let place = |yx: usize, z: usize| ((yx * doubled_depth + z) * halves.upsampled + i) * padded + o;
            of_products(halves.depth, true, |yx, z| total(|sums| &sums.doubled, place(yx, z)))
        }
    });
    kernels.collect::<Vec<_>>().concat()
}

/// Adds the products of one slab.
struct Task<'a> {
    halves: Halves,
    tiles: Tiles,
    from: Slab<'a>,
    g: &'a [f32],
    sums: &'a mut Sums,
}

impl pulp::WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (S::F32_LANES, self.halves.depth) {
            (8, 1) => self.run::<S, 4, 1>(simd),
            (8, _) => self.run::<S, 4, 3>(simd),
            (_, 1) => self.run::<S, 8, 1>(simd),
            (_, _) => self.run::<S, 8, 3>(simd),
        }
    }
}

impl Task<'_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize, const DEPTH: usize>(self, simd: S) {
        let Self { halves, tiles, from, g, sums } = self;
        let (full_depth, doubled_depth) = (halves.full_depth(), halves.doubled_depth());
        let (lanes, padded) = (S::F32_LANES, halves.outputs.next_multiple_of(PADDED));
        let groups = if DEPTH == 3 { 8 } else { 4 };
        let mut rings = from.rings();
        let mut transformed = Transformed::new(halves, lanes);
        // Voxels of a row of blocks, `[block, group, channel]`, and their products, `[product, block, channel]`.
        let mut turned = Scratch::zeroed(lanes * groups * padded);
        let mut products = Scratch::take(16 * full_depth * apart(lanes * padded));
        for k in 0..from.layout.size[0] {
            from.advance::<S, C, DEPTH>(simd, &mut rings, k);
            for at in (0..from.layout.size[2]).step_by(lanes) {
                let tile = &g[tiles.place::<S>(k, at)..][..tiles.tile::<S>()];
                for row in 0..ROWS {
                    from.transform::<S, DEPTH, 1>(simd, &rings, &mut transformed, [k, row, at]);
                    turn::<S>(tile, row, halves.outputs, padded, groups, &mut turned);
                    for block in 0..lanes {
                        let voxels = &turned[block * groups * padded..][..groups * padded];
                        for o in (0..padded).step_by(lanes) {
                            let to = &mut products[block * padded + o..];
                            spread_block::<S, DEPTH>(simd, &voxels[o..], padded, to, apart(lanes * padded));
                        }
                    }
                    let g = Gradient { products: &products, padded };
                    let (count, stride) = (halves.full, apart(halves.full * lanes));
                    for product in 0..16 * full_depth {
                        let sums = &mut sums.full[product * count * padded..][..count * padded];
                        g.add::<S, C>(simd, product, &transformed.full[product * stride..], count, sums);
                    }
                    let (count, stride) = (halves.upsampled, apart(halves.upsampled * lanes));
                    for product in 0..9 * doubled_depth {
                        let sums = &mut sums.doubled[product * count * padded..][..count * padded];
                        let of_full = among_full(product, doubled_depth);
                        g.add::<S, C>(simd, of_full, &transformed.doubled[product * stride..], count, sums);
                    }
                }
            }
        }
    }
}

/// One row of a tile's blocks with channels last.
#[inline(always)]
fn turn<S: Simd>(tile: &[f32], row: usize, channels: usize, padded: usize, groups: usize, to: &mut [f32]) {
    for group in 0..groups {
        for c in 0..channels {
            let values = &tile[((group * channels + c) * ROWS + row) * S::F32_LANES..][..S::F32_LANES];
            for (block, value) in values.iter().enumerate() {
                to[(block * groups + group) * padded + c] = *value;
            }
        }
    }
}

/// A row of blocks of the output's gradient in the transform's domain.
#[derive(Clone, Copy)]
struct Gradient<'a> {
    products: &'a [f32],
    padded: usize,
}

impl Gradient<'_> {
    /// Adds one product's matrix: `x` is `[input, block]`, `sums` `[input, output]`.
    #[inline(always)]
    fn add<S: Simd, const C: usize>(self, simd: S, product: usize, x: &[f32], inputs: usize, sums: &mut [f32]) {
        let g = &self.products[product * apart(S::F32_LANES * self.padded)..][..S::F32_LANES * self.padded];
        let whole = inputs / C * C;
        let mut o = 0;
        while o < self.padded {
            let pair = self.padded - o >= 2 * S::F32_LANES;
            for i in (0..whole).step_by(C) {
                if pair {
                    self.block::<S, C, 2>(simd, g, x, sums, i, o);
                } else {
                    self.block::<S, C, 1>(simd, g, x, sums, i, o);
                }
            }
            for i in whole..inputs {
                if pair {
                    self.block::<S, 1, 2>(simd, g, x, sums, i, o);
                } else {
                    self.block::<S, 1, 1>(simd, g, x, sums, i, o);
                }
            }
            o += if pair { 2 } else { 1 } * S::F32_LANES;
        }
    }

    #[inline(always)]
    fn block<S: Simd, const C: usize, const V: usize>(
        self,
        simd: S,
        g: &[f32],
        x: &[f32],
        sums: &mut [f32],
        i: usize,
        o: usize,
    ) {
        let lanes = S::F32_LANES;
        let mut rows = [&[] as &[f32]; C];
        let mut total = [[simd.splat_f32s(0.0); V]; C];
        for c in 0..C {
            rows[c] = &x[(i + c) * lanes..][..lanes];
            for v in 0..V {
                total[c][v] = load::<S>(sums, (i + c) * self.padded + o + v * lanes);
            }
        }
        for (block, g) in g.chunks_exact(self.padded).enumerate() {
            let mut outputs = [simd.splat_f32s(0.0); V];
            for v in 0..V {
                outputs[v] = load::<S>(g, o + v * lanes);
            }
            for c in 0..C {
                let value = simd.splat_f32s(rows[c][block]);
                for v in 0..V {
                    total[c][v] = simd.mul_add_e_f32s(value, outputs[v], total[c][v]);
                }
            }
        }
        for c in 0..C {
            for v in 0..V {
                store::<S>(sums, (i + c) * self.padded + o + v * lanes, total[c][v]);
            }
        }
    }
}
