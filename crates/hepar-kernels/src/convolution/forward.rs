use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::ConvShape;
use super::padded::Frame;
use crate::isa::arch;
use crate::packed::packed;
use crate::scratch::{Scratch, taken};

/// y = x ∗ w + b.
///
/// `x` is N × inputs × D × H × W, `w` `[outputs, inputs, d, h, w]`, `b` `[outputs]`; the result N × outputs × D × H ×
/// W.
///
/// # Panics
/// When a length does not fit the shape or a side of the kernel is even.
pub fn forward(shape: &ConvShape, x: &[f32], w: &[f32], b: &[f32]) -> Vec<f32> {
    assert_eq!(b.len(), shape.outputs, "length of the bias");
    convolve(shape, x, w, b)
}

/// Gradient of the input, given the gradient `g` of the output; lengths as for [`forward`].
///
/// # Panics
/// When a length does not fit the shape or a side of the kernel is even.
pub fn input_gradient(shape: &ConvShape, w: &[f32], g: &[f32]) -> Vec<f32> {
    let (taps, transposed) = (shape.taps(), shape.transposed());
    // Output and input channels change places, and every kernel is mirrored.
    let mut mirrored = Scratch::take(w.len());
    mirrored.par_chunks_mut(taps * shape.outputs).enumerate().for_each(|(i, kernels)| {
        for (o, kernel) in kernels.chunks_exact_mut(taps).enumerate() {
            let from = &w[(o * shape.inputs + i) * taps..][..taps];
            kernel.iter_mut().zip(from.iter().rev()).for_each(|(to, weight)| *to = *weight);
        }
    });
    convolve(&transposed, g, &mirrored, &vec![0.0; shape.inputs])
}

fn convolve(shape: &ConvShape, x: &[f32], w: &[f32], b: &[f32]) -> Vec<f32> {
    let outputs = shape.batch * shape.outputs * shape.voxels();
    shape.check(x.len(), w.len(), outputs);
    let frame = Frame::new(shape);
    let padded = frame.pad(x);
    let distances = frame.distances(shape);
    let width = shape.outputs.next_power_of_two().min(8);
    let kernels = packed(w, shape.outputs, width);
    let (depth, plane) = (shape.size[0], shape.size[1] * shape.size[2]);

    // One task a plane; its runs lie together, so that no two tasks write to the same place.
    let mut runs = Scratch::take(shape.batch * depth * shape.outputs * frame.run());
    let planes = runs.par_chunks_mut(shape.outputs * frame.run()).enumerate().with_max_len(1);
    planes.for_each(|(task, runs)| {
        let start = task / depth * shape.inputs * frame.map() + task % depth * frame.plane();
        let run = Runs { x: &padded[start..], distances: &distances, kernels: &kernels, width, bias: b, runs };
        arch().dispatch(run);
    });

    let mut y = taken(outputs);
    y.par_chunks_mut(plane).enumerate().for_each(|(at, plane)| {
        let (n, o, z) = (at / depth / shape.outputs, at / depth % shape.outputs, at % depth);
        let run = ((n * depth + z) * shape.outputs + o) * frame.run();
        frame.unpad_plane(&runs[run..run + frame.run()], plane);
    });
    y
}

/// The outputs of one plane: for every channel the sum over distances of input times weight.
struct Runs<'a> {
    /// The padded input from the plane's first tap on.
    x: &'a [f32],
    distances: &'a [usize],
    /// As [`packed`] lays them out.
    kernels: &'a [f32],
    /// Channels of a block: 1, 2, 4 or 8.
    width: usize,
    bias: &'a [f32],
    /// `[channel, run]`.
    runs: &'a mut [f32],
}

impl WithSimd for Runs<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // 32 vector registers hold 24 sums, three inputs and a weight; 16 hold 8 to 12 sums.
        match (self.width, S::F32_LANES) {
            (1, _) => self.run::<S, 1, 8>(simd),
            (2, _) => self.run::<S, 2, 4>(simd),
            (4, 16) => self.run::<S, 4, 6>(simd),
            (4, _) => self.run::<S, 4, 3>(simd),
            (_, 16) => self.run::<S, 8, 3>(simd),
            _ => self.run::<S, 8, 1>(simd),
        }
    }
}

impl Runs<'_> {
    #[inline(always)]
    fn run<S: Simd, const CHANNELS: usize, const VECTORS: usize>(self, simd: S) {
        let terms = self.distances.len();
        let len = self.runs.len() / self.bias.len();
        let step = VECTORS * S::F32_LANES;
        let mut at = 0;
        while at < len {
            let count = step.min(len - at);
            for (block, kernels) in self.kernels.chunks_exact(terms * CHANNELS).enumerate() {
                let first = block * CHANNELS;
                let channels = CHANNELS.min(self.bias.len() - first);
                let bias = std::array::from_fn(|c| self.bias.get(first + c).copied().unwrap_or(0.0));
                let kernels = pulp::as_arrays::<CHANNELS, _>(kernels).0;
                let sums = if count == step {
                    sums::<S, CHANNELS, VECTORS>(simd, &self.x[at..], self.distances, kernels, bias)
                } else {
                    sums_at_end::<S, CHANNELS, VECTORS>(simd, &self.x[at..], self.distances, kernels, bias, count)
                };
                for (c, sums) in sums.iter().enumerate().take(channels) {
                    let run = &mut self.runs[(first + c) * len + at..][..count];
                    for (sum, to) in sums.iter().zip(run.chunks_mut(S::F32_LANES)) {
                        simd.partial_store_f32s(to, *sum);
                    }
                }
            }
            at += step;
        }
    }
}

/// Sums of `CHANNELS` channels at `VECTORS` whole vectors of positions.
#[inline(always)]
fn sums<S: Simd, const CHANNELS: usize, const VECTORS: usize>(
    simd: S,
    x: &[f32],
    distances: &[usize],
    kernels: &[[f32; CHANNELS]],
    bias: [f32; CHANNELS],
) -> [[S::f32s; VECTORS]; CHANNELS] {
    let mut sums = bias.map(|b| [simd.splat_f32s(b); VECTORS]);
    for (&distance, weights) in distances.iter().zip(kernels) {
        let window = &x[distance..][..VECTORS * S::F32_LANES];
        let values = S::as_simd_f32s(window).0;
        let values: [S::f32s; VECTORS] = std::array::from_fn(|v| values[v]);
        for c in 0..CHANNELS {
            let weight = simd.splat_f32s(weights[c]);
            for v in 0..VECTORS {
                sums[c][v] = simd.mul_add_e_f32s(weight, values[v], sums[c][v]);
            }
        }
    }
    sums
}

/// As [`sums`], where only `count` positions are left.
#[inline(always)]
fn sums_at_end<S: Simd, const CHANNELS: usize, const VECTORS: usize>(
    simd: S,
    x: &[f32],
    distances: &[usize],
    kernels: &[[f32; CHANNELS]],
    bias: [f32; CHANNELS],
    count: usize,
) -> [[S::f32s; VECTORS]; CHANNELS] {
    let mut sums = bias.map(|b| [simd.splat_f32s(b); VECTORS]);
    for (&distance, weights) in distances.iter().zip(kernels) {
        let window = &x[distance..][..count];
        for (v, values) in window.chunks(S::F32_LANES).enumerate() {
            let values = simd.partial_load_f32s(values);
            for c in 0..CHANNELS {
                sums[c][v] = simd.mul_add_e_f32s(simd.splat_f32s(weights[c]), values, sums[c][v]);
            }
        }
    }
    sums
}
