//! Convolution of 3³ (or 3²) between narrow maps, a plane at a time.

use pulp::Simd;

use crate::isa::block_of;
use crate::lanes::{add_products, load_all};
use crate::packed::{packed, padded};

/// Weights of a convolution with kernels of 3 × 3 in plane, packed.
#[derive(Debug, Clone)]
pub struct WideLayer {
    channels: usize,
    depth: usize,
    /// `[block, z, input, y and x, channel of the block]`
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl WideLayer {
    /// A layer with `weights`, `[channels, channels, depth, 3, 3]`, and `bias`, `[channels]`.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn new(depth: usize, weights: &[f32], bias: &[f32]) -> Self {
        let channels = bias.len();
        assert!(depth == 1 || depth == 3, "kernels of {depth} planes");
        assert_eq!(weights.len(), channels * channels * depth * 9, "length of the kernels");
        // The terms of a kernel plane by plane, because planes beyond the scan are passed over.
        let by_plane = |at: usize| {
            let (tap, input, z, output) =
                (at % 9, at / 9 % channels, at / 9 / channels % depth, at / 9 / channels / depth);
            weights[((output * channels + input) * depth + z) * 9 + tap]
        };
        let weights: Vec<f32> = (0..weights.len()).map(by_plane).collect();
        let block = block_of(channels);
        Self { channels, depth, weights: packed(&weights, channels, block), bias: padded(bias, block) }
    }

    /// Channels that go in and come out.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Planes of a kernel.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Sums of a block of channels at `V` vectors, bias included.
    ///
    /// `planes` are the planes under the kernel, none beyond the scan; each channel begins at a multiple of `channel`,
    /// its first tap for the position `at` there; rows are `row` values apart.
    #[inline(always)]
    pub(super) fn sums<S: Simd, const C: usize, const V: usize>(
        &self,
        simd: S,
        block: usize,
        planes: [Option<&[f32]>; 3],
        channel: usize,
        row: usize,
        at: usize,
    ) -> [[S::f32s; V]; C] {
        let mut sums = [[simd.splat_f32s(0.0); V]; C];
        for c in 0..C {
            sums[c] = [simd.splat_f32s(self.bias[block * C + c]); V];
        }
        for z in 0..self.depth {
            let Some(plane) = planes[z] else { continue };
            let weights = &self.weights[(block * self.depth + z) * self.channels * 9 * C..][..self.channels * 9 * C];
            let kernels = pulp::as_arrays::<C, _>(weights).0;
            for (input, taps) in kernels.chunks_exact(9).enumerate() {
                let x = &plane[input * channel + at..][..2 * row + 2 + V * S::F32_LANES];
                for y in 0..3 {
                    for tap in 0..3 {
                        let values = load_all::<S, V>(x, y * row + tap);
                        add_products::<S, C, V>(simd, &mut sums, &taps[y * 3 + tap], values);
                    }
                }
            }
        }
        sums
    }
}
