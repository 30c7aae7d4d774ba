//! Convolution of 1³: for every voxel a matrix times the channels.

use pulp::Simd;

use crate::isa::block_of;
use crate::lanes::{add_products, load, load_all, store};
use crate::packed::{packed, padded};

/// Weights of a convolution of 1³, packed.
#[derive(Debug, Clone)]
pub struct PointLayer {
    inputs: usize,
    outputs: usize,
    /// `[block, input, channel of the block]`
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl PointLayer {
    /// A layer with `weights`, `[outputs, inputs]`, and `bias`, `[outputs]`.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn new(weights: &[f32], bias: &[f32]) -> Self {
        let outputs = bias.len();
        let inputs = weights.len() / outputs;
        assert_eq!(weights.len(), inputs * outputs, "length of the kernels");
        let block = block_of(outputs);
        Self { inputs, outputs, weights: packed(weights, outputs, block), bias: padded(bias, block) }
    }

    /// Channels that go in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Channels that come out.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Sums of a block of channels at `V` vectors, bias included: those at `at` of each input's `length` values in `x`.
    #[inline(always)]
    pub(super) fn sums<S: Simd, const C: usize, const V: usize>(
        &self,
        simd: S,
        block: usize,
        x: &[f32],
        length: usize,
        at: usize,
    ) -> [[S::f32s; V]; C] {
        let mut sums = [[simd.splat_f32s(0.0); V]; C];
        for c in 0..C {
            sums[c] = [simd.splat_f32s(self.bias[block * C + c]); V];
        }
        let weights = pulp::as_arrays::<C, _>(&self.weights[block * self.inputs * C..][..self.inputs * C]).0;
        for (weights, x) in weights.iter().zip(x.chunks_exact(length)) {
            add_products::<S, C, V>(simd, &mut sums, weights, load_all::<S, V>(x, at));
        }
        sums
    }
}

/// Writes the first `channels` channels of sums, the first at `to[at..]`.
#[inline(always)]
pub(super) fn put<S: Simd, const C: usize, const V: usize>(
    sums: &[[S::f32s; V]; C],
    channels: usize,
    to: &mut [f32],
    channel: usize,
    at: usize,
) {
    for c in 0..channels.min(C) {
        for v in 0..V {
            store::<S>(to, c * channel + at + v * S::F32_LANES, sums[c][v]);
        }
    }
}

/// The greater of each sum and zero.
#[inline(always)]
pub(super) fn relu<S: Simd, const C: usize, const V: usize>(simd: S, sums: &mut [[S::f32s; V]; C]) {
    let zero = simd.splat_f32s(0.0);
    for c in 0..C {
        for v in 0..V {
            sums[c][v] = simd.max_f32s(sums[c][v], zero);
        }
    }
}

/// Adds what is at `to[at..]` to the first `channels` channels of sums.
#[inline(always)]
pub(super) fn add_there<S: Simd, const C: usize, const V: usize>(
    simd: S,
    sums: &mut [[S::f32s; V]; C],
    channels: usize,
    to: &[f32],
    channel: usize,
    at: usize,
) {
    for c in 0..channels.min(C) {
        for v in 0..V {
            let there = load::<S>(to, c * channel + at + v * S::F32_LANES);
            sums[c][v] = simd.add_f32s(sums[c][v], there);
        }
    }
}
