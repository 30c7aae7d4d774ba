//! Convolution of 1³: for every voxel a matrix times the channels.

use std::ops::Range;

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

    /// Computes the channels of `to` at the positions of a panel, whose inputs are `values`, `[input, position]`.
    #[inline(always)]
    pub(super) fn panel<S: Simd, const C: usize, const V: usize>(
        &self,
        simd: S,
        values: &[f32],
        panel: &Range<usize>,
        to: &mut Outputs<'_>,
    ) {
        let (step, length) = (V * S::F32_LANES, panel.len());
        let whole = length / step * step;
        for first in (0..to.maps.len() / to.channel).step_by(C) {
            let block = (to.first_channel + first) / C;
            for at in (0..whole).step_by(step) {
                let sums = self.sums::<S, C, V>(simd, block, values, length, at);
                to.put(simd, sums, first, panel.start + at);
            }
            for at in (whole..length).step_by(S::F32_LANES) {
                let sums = self.sums::<S, C, 1>(simd, block, values, length, at);
                to.put(simd, sums, first, panel.start + at);
            }
        }
    }

    /// Sums of a block of channels at `V` vectors, bias included: those at `at` of each input's `length` values in `x`.
    #[inline(always)]
    fn sums<S: Simd, const C: usize, const V: usize>(
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

/// Some channels of a plane of a layer's output, and what becomes of its sums on the way there.
pub(super) struct Outputs<'a> {
    /// The channels, one after the other.
    pub maps: &'a mut [f32],
    /// Number of the first among the layer's.
    pub first_channel: usize,
    /// Values from one channel to the next.
    pub channel: usize,
    /// Where in a channel the first position lies.
    pub start: usize,
    /// Whether what is there is added.
    pub is_added: bool,
    /// Whether ReLU follows.
    pub is_rectified: bool,
}

impl Outputs<'_> {
    /// Takes the sums of a block of channels from `first` of the maps on, at `V` vectors from the position `at` on.
    #[inline(always)]
    fn put<S: Simd, const C: usize, const V: usize>(
        &mut self,
        simd: S,
        mut sums: [[S::f32s; V]; C],
        first: usize,
        at: usize,
    ) {
        let (channels, place) = (self.maps.len() / self.channel - first, self.start + at);
        let to = &mut self.maps[first * self.channel..];
        if self.is_added {
            for c in 0..channels.min(C) {
                for v in 0..V {
                    let there = load::<S>(to, c * self.channel + place + v * S::F32_LANES);
                    sums[c][v] = simd.add_f32s(sums[c][v], there);
                }
            }
        }
        if self.is_rectified {
            relu(simd, &mut sums);
        }
        put::<S, C, V>(&sums, channels, to, self.channel, place);
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
