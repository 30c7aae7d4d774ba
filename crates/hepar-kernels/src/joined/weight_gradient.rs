//! The gradient of the kernels.

use pulp::Simd;
use rayon::prelude::*;

use super::JoinedShape;
use super::strips::{Maps, Ring, Rows};
use crate::isa::arch;
use crate::lanes::{load, store};
use crate::scratch::Scratch;
use crate::winograd::product::apart;
use crate::winograd::transform::{
    Along, DOUBLED, FULL, PLANAR, SPREAD, among_full, doubled_tile, full_tile, spread_row,
};
use crate::winograd::weights::kernel_gradient;

/// Rows of blocks that are transformed before they are multiplied, so that sums are seldom loaded and stored.
const ROWS: usize = 8;

/// The gradient, given both inputs and the output's gradient.
///
/// Each part of the rows has sums of its own; they are added in the order of the parts.
pub(super) fn weight_gradient(shape: &JoinedShape, low: &[f32], full: &[f32], g: &[f32]) -> Vec<f32> {
    let parts = shape.blocks()[1].div_ceil(ROWS);
    let low = Maps { values: low, channels: shape.upsampled, size: shape.blocks() };
    let full = Maps { values: full, channels: shape.full, size: shape.size };
    let g = Maps { values: g, channels: shape.outputs, size: shape.size };
    let sums: Vec<Vec<f32>> = (0..shape.batch * parts)
        .into_par_iter()
        .with_max_len(1)
        .map(|at| {
            let (sample, first_row) = (at / parts, at % parts * ROWS);
            arch().dispatch(Task { shape, low, full, g, sample, first_row })
        })
        .collect();

    let halves = shape.halves();
    let inputs = shape.upsampled + shape.full;
    let (full_depth, doubled_depth) = (halves.full_depth(), halves.doubled_depth());
    let (outputs, skips, ups) = (padded(shape.outputs), padded(shape.full), padded(shape.upsampled));
    let of_full = 16 * full_depth * outputs * skips;
    let total = |at: usize| sums.iter().map(|sums| f64::from(sums[at])).sum::<f64>();
    let kernels = (0..shape.outputs * inputs).into_par_iter().map(|at| {
        let (o, i) = (at / inputs, at % inputs);
        if i < shape.upsampled {
            let product = |yx: usize, z: usize| total(of_full + ((yx * doubled_depth + z) * outputs + o) * ups + i);
            kernel_gradient(shape.depth, true, product)
        } else {
            let i = i - shape.upsampled;
            kernel_gradient(shape.depth, false, |yx, z| total(((yx * full_depth + z) * outputs + o) * skips + i))
        }
    });
    kernels.collect::<Vec<_>>().concat()
}

/// Channels of inputs that a product takes at once; maps are padded to whole groups with zeros.
const GROUP: usize = 4;

fn padded(channels: usize) -> usize {
    channels.next_multiple_of(GROUP)
}

/// Some rows of blocks of a sample, through all planes; gives the sums of `[product, output, input]` of both halves.
struct Task<'a> {
    shape: &'a JoinedShape,
    low: Maps<'a>,
    full: Maps<'a>,
    g: Maps<'a>,
    sample: usize,
    first_row: usize,
}

/// Transformed rows of one map, `[product, channel, blocks]`.
struct Transformed {
    values: Scratch,
    /// Values from one product to the next.
    product: usize,
    channels: usize,
    blocks: usize,
}

impl Transformed {
    fn new(products: usize, channels: usize, blocks: usize) -> Self {
        let product = apart(padded(channels) * blocks);
        // Channels that only fill up a group stay zero.
        Self { values: Scratch::zeroed(products * product), product, channels: padded(channels), blocks }
    }

    #[inline(always)]
    fn channel(&self, product: usize, channel: usize) -> &[f32] {
        &self.values[product * self.product + channel * self.blocks..][..self.blocks]
    }
}

dispatch!(Task<'_> => Vec<f32>, few: [2], many: [4]);

impl Task<'_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize>(self, simd: S) -> Vec<f32> {
        let JoinedShape { upsampled, full, outputs, depth, .. } = *self.shape;
        let halves = self.shape.halves();
        let (full_depth, doubled_depth) = (halves.full_depth(), halves.doubled_depth());
        let [planes, _, width] = self.shape.blocks();
        let blocks = ROWS * width;
        let mut fine = Ring::new(full, (2 * ROWS + 2) * self.full.split_row());
        let mut coarse = Ring::new(upsampled, (ROWS + 2) * self.low.plain_row());
        let mut gradient = Ring::new(outputs, 2 * ROWS * self.g.split_row());
        let mut of_full = Transformed::new(16 * full_depth, full, blocks);
        let mut of_low = Transformed::new(9 * doubled_depth, upsampled, blocks);
        let mut of_g = Transformed::new(16 * full_depth, outputs, blocks);
        let pairs = (padded(outputs) * padded(full), padded(outputs) * padded(upsampled));
        let mut full_sums = Scratch::zeroed(16 * full_depth * pairs.0 * S::F32_LANES);
        let mut low_sums = Scratch::zeroed(9 * doubled_depth * pairs.1 * S::F32_LANES);
        for k in 0..planes {
            let sample = self.sample;
            let (ends, first) =
                if depth == 3 { ((2 * k + 3, k + 2, 2 * k + 2), 1) } else { ((k + 1, k + 1, k + 1), 0) };
            let (row, count) = (2 * self.first_row, 2 * ROWS + 2);
            fine.advance(ends.0, |z, to| self.full.split(Rows { sample, z, first: row, above: 1, count }, to));
            gradient.advance(ends.2, |z, to| {
                self.g.split(Rows { sample, z, first: row, above: 0, count: 2 * ROWS }, to);
            });
            let (row, count) = (self.first_row, ROWS + 2);
            coarse.advance(ends.1, |z, to| self.low.plain(Rows { sample, z, first: row, above: 1, count }, to));
            let fine_first = (self.shape.per_block() * k) as isize - first;
            self.transform_full::<S>(simd, &fine, fine_first, &mut of_full);
            self.transform_low::<S>(simd, &coarse, k as isize - first, &mut of_low);
            self.transform_gradient::<S>(simd, &gradient, (self.shape.per_block() * k) as isize, &mut of_g);
            for product in 0..16 * full_depth {
                let sums = &mut full_sums[product * pairs.0 * S::F32_LANES..][..pairs.0 * S::F32_LANES];
                multiply::<S, C>(simd, &of_g, product, &of_full, product, sums);
            }
            for product in 0..9 * doubled_depth {
                let sums = &mut low_sums[product * pairs.1 * S::F32_LANES..][..pairs.1 * S::F32_LANES];
                multiply::<S, C>(simd, &of_g, among_full(product, doubled_depth), &of_low, product, sums);
            }
        }
        // In the order of lanes, so that the sum is the same on every run.
        let total = |sums: &Scratch| -> Vec<f32> {
            let lanes = sums.chunks_exact(S::F32_LANES);
            lanes.map(|lanes| lanes.iter().map(|lane| f64::from(*lane)).sum::<f64>() as f32).collect()
        };
        [total(&full_sums), total(&low_sums)].concat()
    }

    #[inline(always)]
    fn transform_full<S: Simd>(&self, simd: S, ring: &Ring, first: isize, to: &mut Transformed) {
        let along_z: &[Along] = if self.shape.depth == 3 { &FULL } else { &PLANAR };
        let (row, width) = (self.full.split_row(), self.shape.blocks()[2]);
        for c in 0..self.shape.full {
            let planes = ring.channel::<4>(first, c);
            for r in 0..ROWS {
                for at in (0..width).step_by(S::F32_LANES) {
                    let place = c * to.blocks + r * width + at;
                    let from = 2 * r * row + at;
                    full_tile::<S, 1>(simd, along_z, &planes, row / 2, from, &mut to.values[place..], to.product);
                }
            }
        }
    }

    #[inline(always)]
    fn transform_low<S: Simd>(&self, simd: S, ring: &Ring, first: isize, to: &mut Transformed) {
        let along_z: &[Along] = if self.shape.depth == 3 { &DOUBLED } else { &PLANAR };
        let (row, width) = (self.low.plain_row(), self.shape.blocks()[2]);
        for c in 0..self.shape.upsampled {
            let planes = ring.channel::<3>(first, c);
            for r in 0..ROWS {
                for at in (0..width).step_by(S::F32_LANES) {
                    let place = c * to.blocks + r * width + at;
                    let from = r * row + at;
                    doubled_tile::<S, 1>(simd, along_z, &planes, row, from, &mut to.values[place..], to.product);
                }
            }
        }
    }

    #[inline(always)]
    fn transform_gradient<S: Simd>(&self, simd: S, ring: &Ring, first: isize, to: &mut Transformed) {
        let along_z: &[Along] = if self.shape.depth == 3 { &SPREAD } else { &PLANAR };
        let (row, width) = (self.g.split_row(), self.shape.blocks()[2]);
        for c in 0..self.shape.outputs {
            let planes = ring.channel::<2>(first, c);
            for r in 0..ROWS {
                for at in (0..width).step_by(S::F32_LANES) {
                    let place = c * to.blocks + r * width + at;
                    let from = 2 * r * row + at;
                    spread_row::<S>(simd, along_z, &planes, row / 2, from, &mut to.values[place..], to.product);
                }
            }
        }
    }
}

/// sums[o][i] += g[o] · x[i], lane by lane over all blocks.
#[inline(always)]
fn multiply<S: Simd, const C: usize>(
    simd: S,
    g: &Transformed,
    g_product: usize,
    x: &Transformed,
    x_product: usize,
    sums: &mut [f32],
) {
    for o in (0..g.channels).step_by(C) {
        for i in (0..x.channels).step_by(GROUP) {
            let mut total = [[simd.splat_f32s(0.0); GROUP]; C];
            for c in 0..C {
                for n in 0..GROUP {
                    total[c][n] = load::<S>(sums, ((o + c) * x.channels + i + n) * S::F32_LANES);
                }
            }
            let mut outputs = [&[] as &[f32]; C];
            for c in 0..C {
                outputs[c] = g.channel(g_product, o + c);
            }
            let mut inputs = [&[] as &[f32]; GROUP];
            for n in 0..GROUP {
                inputs[n] = x.channel(x_product, i + n);
            }
            for at in (0..g.blocks).step_by(S::F32_LANES) {
                let mut values = [simd.splat_f32s(0.0); GROUP];
                for n in 0..GROUP {
                    values[n] = load::<S>(inputs[n], at);
                }
                for c in 0..C {
                    let output = load::<S>(outputs[c], at);
                    for n in 0..GROUP {
                        total[c][n] = simd.mul_add_e_f32s(output, values[n], total[c][n]);
                    }
                }
            }
            for c in 0..C {
                for n in 0..GROUP {
                    store::<S>(sums, ((o + c) * x.channels + i + n) * S::F32_LANES, total[c][n]);
                }
            }
        }
    }
}
