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

    /// Adds to the sums of a block of channels at `V` vectors what `channels` inputs from `first` on give.
    ///
    /// Channel `i` of `x` begins at `i · channel`; the vectors at `at` in it.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "a block of weights and where its voxels are")]
    pub(super) fn add<S: Simd, const C: usize, const V: usize>(
        &self,
        simd: S,
        sums: &mut [[S::f32s; V]; C],
        block: usize,
        first: usize,
        x: &[f32],
        channel: usize,
        channels: usize,
        at: usize,
    ) {
        let weights = &self.weights[(block * self.inputs + first) * C..][..channels * C];
        for (i, weights) in pulp::as_arrays::<C, _>(weights).0.iter().enumerate() {
            add_products::<S, C, V>(simd, sums, weights, load_all::<S, V>(x, i * channel + at));
        }
    }

    /// The bias of a block of channels.
    #[inline(always)]
    pub(super) fn bias<S: Simd, const C: usize, const V: usize>(&self, simd: S, block: usize) -> [[S::f32s; V]; C] {
        let mut sums = [[simd.splat_f32s(0.0); V]; C];
        for c in 0..C {
            sums[c] = [simd.splat_f32s(self.bias[block * C + c]); V];
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

/// max(0, x · scale + shift) of all channels at `V` vectors, one channel after the other.
#[inline(always)]
pub(super) fn activated<S: Simd, const V: usize>(
    simd: S,
    [scale, shift]: [&[f32]; 2],
    x: &[f32],
    channel: usize,
    at: usize,
    to: &mut [f32],
) {
    let zero = simd.splat_f32s(0.0);
    for c in 0..scale.len() {
        let (scale, shift) = (simd.splat_f32s(scale[c]), simd.splat_f32s(shift[c]));
        for v in 0..V {
            let value = load::<S>(x, c * channel + at + v * S::F32_LANES);
            let value = simd.max_f32s(simd.mul_add_e_f32s(value, scale, shift), zero);
            store::<S>(to, (c * V + v) * S::F32_LANES, value);
        }
    }
}
