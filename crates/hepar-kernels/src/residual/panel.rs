//! A few voxels of all channels, which fit the cache, and products of matrices with them.

use pulp::Simd;

use crate::isa::block;
use crate::lanes::{add_products, load, load_all, store};
use crate::packed::{packed, packed_transposed};
use crate::scratch::Scratch;

/// Voxels of a panel.
pub(super) const VOXELS: usize = 512;

/// Values that every kernel may take at once: two of the widest vectors.
const STEP: usize = 32;

/// `[channel, voxel]`; rows are padded with zeros to whole steps, and lie apart from powers of two.
pub(super) struct Panel {
    values: Scratch,
    channels: usize,
    voxels: usize,
}

/// What becomes of a channel's values on their way into a panel.
#[derive(Clone, Copy)]
pub(super) enum Taken<'a> {
    /// They are kept.
    Plain,
    /// max(0, x · scale + shift).
    Normalised(&'a [f32], &'a [f32]),
}

impl Panel {
    /// A panel of unknown values.
    pub fn take(channels: usize, voxels: usize) -> Self {
        let values = Scratch::take(channels * row(voxels));
        Self { values, channels, voxels }
    }

    /// Values from one row to the next.
    pub fn row(&self) -> usize {
        row(self.voxels)
    }

    /// Values of a row that are computed.
    pub fn run(&self) -> usize {
        self.voxels.next_multiple_of(STEP)
    }

    pub fn channel(&self, c: usize) -> &[f32] {
        &self.values[c * self.row()..][..self.run()]
    }

    pub fn channel_mut(&mut self, c: usize) -> &mut [f32] {
        let (row, run) = (self.row(), self.run());
        &mut self.values[c * row..][..run]
    }

    /// Copies voxels from `first` on of a sample's maps of `map` voxels each into the rows from `to` on.
    #[inline(always)]
    pub fn read(&mut self, to: usize, maps: &[f32], map: usize, first: usize, taken: Taken<'_>) {
        let voxels = self.voxels;
        for (c, values) in maps.chunks_exact(map).enumerate() {
            let (inside, behind) = self.channel_mut(to + c).split_at_mut(voxels);
            behind.fill(0.0);
            let values = &values[first..first + voxels];
            match taken {
                Taken::Plain => inside.copy_from_slice(values),
                Taken::Normalised(scale, shift) => {
                    let (scale, shift) = (scale[c], shift[c]);
                    for (to, x) in inside.iter_mut().zip(values) {
                        *to = x.mul_add(scale, shift).max(0.0);
                    }
                }
            }
        }
    }

    /// Copies all rows to where they belong.
    pub fn write(&self, to: &mut [&mut [f32]]) {
        for (c, to) in to.iter_mut().enumerate() {
            to.copy_from_slice(&self.channel(c)[..self.voxels]);
        }
    }
}

fn row(voxels: usize) -> usize {
    voxels.next_multiple_of(STEP) + 16
}

/// A matrix, packed for products with panels.
pub(super) struct Matrix {
    outputs: usize,
    inputs: usize,
    /// `[block, input, channel of the block]`
    weights: Vec<f32>,
}

impl Matrix {
    /// From `[outputs, inputs]`.
    pub fn new(weights: &[f32], outputs: usize) -> Self {
        Self { outputs, inputs: weights.len() / outputs, weights: packed(weights, outputs, block()) }
    }

    /// The transpose of `[inputs, outputs]`.
    pub fn transposed(weights: &[f32], outputs: usize) -> Self {
        Self { outputs, inputs: weights.len() / outputs, weights: packed_transposed(weights, outputs, block()) }
    }

    /// Adds the product with all rows of `x` to `sums`: the rows `outputs` of the product, in whole blocks.
    #[inline(always)]
    pub fn add<S: Simd, const C: usize>(&self, simd: S, x: &Panel, outputs: std::ops::Range<usize>, sums: &mut Panel) {
        let run = x.run();
        let pair = 2 * S::F32_LANES;
        for at in (0..run).step_by(pair) {
            for (block, start) in outputs.clone().step_by(C).enumerate() {
                let count = C.min(outputs.end.min(self.outputs) - start);
                let weights = &self.weights[start / C * self.inputs * C..][..self.inputs * C];
                let mut total = [[simd.splat_f32s(0.0); 2]; C];
                for c in 0..count {
                    total[c] = load_all::<S, 2>(&sums.values, (block * C + c) * sums.row() + at);
                }
                for (i, weights) in pulp::as_arrays::<C, _>(weights).0.iter().enumerate() {
                    let values = load_all::<S, 2>(&x.values, i * x.row() + at);
                    add_products::<S, C, 2>(simd, &mut total, weights, values);
                }
                for c in 0..count {
                    let place = (block * C + c) * sums.row() + at;
                    store::<S>(&mut sums.values, place, total[c][0]);
                    store::<S>(&mut sums.values, place + S::F32_LANES, total[c][1]);
                }
            }
        }
    }
}

/// Rows of the second panel that dot products are taken with at once.
const TOGETHER: usize = 3;

/// Dot products of the rows `rows` of `g` with all of `x`, `[row of g, row of x]`.
#[inline(always)]
pub(super) fn dots<S: Simd, const C: usize>(
    simd: S,
    g: &Panel,
    rows: std::ops::Range<usize>,
    x: &Panel,
    to: &mut [f32],
) {
    let mut first = rows.start;
    while first < rows.end {
        let whole = rows.end - first >= C;
        let to = &mut to[(first - rows.start) * x.channels..];
        let mut i = 0;
        while i < x.channels {
            let many = x.channels - i >= TOGETHER;
            match (whole, many) {
                (true, true) => some_dots::<S, C, TOGETHER>(simd, g, first, x, i, to),
                (true, false) => some_dots::<S, C, 1>(simd, g, first, x, i, to),
                (false, true) => some_dots::<S, 1, TOGETHER>(simd, g, first, x, i, to),
                (false, false) => some_dots::<S, 1, 1>(simd, g, first, x, i, to),
            }
            i += if many { TOGETHER } else { 1 };
        }
        first += if whole { C } else { 1 };
    }
}

#[inline(always)]
fn some_dots<S: Simd, const C: usize, const X: usize>(
    simd: S,
    g: &Panel,
    first: usize,
    x: &Panel,
    i: usize,
    to: &mut [f32],
) {
    let (mut of_g, mut of_x) = ([&[] as &[f32]; C], [&[] as &[f32]; X]);
    for c in 0..C {
        of_g[c] = g.channel(first + c);
    }
    for n in 0..X {
        of_x[n] = x.channel(i + n);
    }
    let mut sums = [[simd.splat_f32s(0.0); X]; C];
    for at in (0..g.run()).step_by(S::F32_LANES) {
        let mut values = [simd.splat_f32s(0.0); X];
        for n in 0..X {
            values[n] = load::<S>(of_x[n], at);
        }
        for c in 0..C {
            let gradient = load::<S>(of_g[c], at);
            for n in 0..X {
                sums[c][n] = simd.mul_add_e_f32s(gradient, values[n], sums[c][n]);
            }
        }
    }
    for c in 0..C {
        for n in 0..X {
            to[c * x.channels + i + n] = simd.reduce_sum_f32s(sums[c][n]);
        }
    }
}
