use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::ConvShape;
use super::padded::Frame;
use crate::isa::arch;
use crate::scratch::Scratch;

/// Positions that are summed before the sums leave the registers; eight channels of them fit the first-level cache.
const SEGMENT: usize = 768;

/// Fewest sums over planes that are worth a task of their own.
const TOTALS: usize = 4096;

/// Gradient of the kernels, `[outputs, inputs, d, h, w]`, given the input `x` and the gradient `g` of the output.
///
/// # Panics
/// When a length does not fit the shape or a side of the kernel is even.
pub fn weight_gradient(shape: &ConvShape, x: &[f32], g: &[f32]) -> Vec<f32> {
    let weights = shape.outputs * shape.inputs * shape.taps();
    shape.check(x.len(), weights, g.len());
    let frame = Frame::new(shape);
    let padded = frame.pad(x);
    let distances = frame.distances(shape);
    let (depth, plane) = (shape.size[0], shape.size[1] * shape.size[2]);

    // One task a plane: the order of the sum over planes is then the same for any number of threads.
    let partial = |task: usize| {
        let (n, z) = (task / depth, task % depth);
        let mut runs = Scratch::take(shape.outputs * frame.run());
        for (o, run) in runs.chunks_exact_mut(frame.run()).enumerate() {
            let start = ((n * shape.outputs + o) * depth + z) * plane;
            frame.pad_run(&g[start..start + plane], run);
        }
        let start = n * shape.inputs * frame.map() + z * frame.plane();
        let mut sums = vec![0.0; weights];
        let products = Products { x: &padded[start..], distances: &distances, g: &runs, run: frame.run() };
        arch().dispatch(Task { products, sums: &mut sums });
        sums
    };
    let partials: Vec<Vec<f32>> = (0..shape.batch * depth).into_par_iter().with_max_len(1).map(partial).collect();
    let total = |at: usize| partials.iter().map(|p| f64::from(p[at])).sum::<f64>() as f32;
    (0..weights).into_par_iter().with_min_len(TOTALS).map(total).collect()
}

/// Gradient of the bias, `[outputs]`, given the gradient `g` of the output.
///
/// # Panics
/// When the length of `g` does not fit the shape.
pub fn bias_gradient(shape: &ConvShape, g: &[f32]) -> Vec<f32> {
    let voxels = shape.voxels();
    assert_eq!(g.len(), shape.batch * shape.outputs * voxels, "length of the gradient");
    let sum = |o: usize| {
        let maps = (0..shape.batch).map(|n| &g[(n * shape.outputs + o) * voxels..][..voxels]);
        maps.map(crate::norm::sum).sum::<f64>() as f32
    };
    (0..shape.outputs).into_par_iter().map(sum).collect()
}

/// What the gradients of one plane are sums of products of.
struct Products<'a> {
    /// The padded input from the plane's first tap on.
    x: &'a [f32],
    distances: &'a [usize],
    /// Gradients of the outputs, `[channel, run]`, zeros between rows.
    g: &'a [f32],
    run: usize,
}

struct Task<'a> {
    products: Products<'a>,
    /// `[channel, distance]`.
    sums: &'a mut [f32],
}

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let channels = self.products.g.len() / self.products.run;
        let mut first = 0;
        while first < channels {
            let left = channels - first;
            let sums = &mut self.sums[first * self.products.distances.len()..];
            first += match (left, S::F32_LANES) {
                (1, _) => self.products.block::<S, 1, 8>(simd, first, sums),
                (2..4, _) => self.products.block::<S, 2, 4>(simd, first, sums),
                (4..8, 16) => self.products.block::<S, 4, 5>(simd, first, sums),
                (4.., 16) => self.products.block::<S, 8, 3>(simd, first, sums),
                _ => self.products.block::<S, 4, 2>(simd, first, sums),
            };
        }
    }
}

impl Products<'_> {
    /// Adds up the gradients of `CHANNELS` channels from `first` on; returns how many channels that were.
    #[inline(always)]
    fn block<S: Simd, const CHANNELS: usize, const TAPS: usize>(
        &self,
        simd: S,
        first: usize,
        sums: &mut [f32],
    ) -> usize {
        let terms = self.distances.len();
        for at in (0..self.run).step_by(SEGMENT) {
            let len = SEGMENT.min(self.run - at);
            let g: [&[f32]; CHANNELS] = std::array::from_fn(|c| &self.g[(first + c) * self.run + at..][..len]);
            let mut term = 0;
            while term + TAPS <= terms {
                let x = std::array::from_fn(|t| &self.x[self.distances[term + t] + at..][..len]);
                add::<S, CHANNELS, TAPS>(simd, g, x, &mut sums[term..], terms);
                term += TAPS;
            }
            while term < terms {
                let x = [&self.x[self.distances[term] + at..][..len]];
                add::<S, CHANNELS, 1>(simd, g, x, &mut sums[term..], terms);
                term += 1;
            }
        }
        CHANNELS
    }
}

/// Adds the dot product of each of `g` with each of `x` to `sums[channel · stride + tap]`.
#[inline(always)]
fn add<S: Simd, const CHANNELS: usize, const TAPS: usize>(
    simd: S,
    g: [&[f32]; CHANNELS],
    x: [&[f32]; TAPS],
    sums: &mut [f32],
    stride: usize,
) {
    let mut dots = [[simd.splat_f32s(0.0); TAPS]; CHANNELS];
    let (g_vectors, g_ends) = split::<S, CHANNELS>(g);
    let (x_vectors, x_ends) = split::<S, TAPS>(x);
    for i in 0..g_vectors[0].len() {
        let values: [S::f32s; TAPS] = std::array::from_fn(|t| x_vectors[t][i]);
        for c in 0..CHANNELS {
            for t in 0..TAPS {
                dots[c][t] = simd.mul_add_e_f32s(g_vectors[c][i], values[t], dots[c][t]);
            }
        }
    }
    for c in 0..CHANNELS {
        let end = simd.partial_load_f32s(g_ends[c]);
        for t in 0..TAPS {
            let dot = simd.mul_add_e_f32s(end, simd.partial_load_f32s(x_ends[t]), dots[c][t]);
            sums[c * stride + t] += simd.reduce_sum_f32s(dot);
        }
    }
}

/// Whole vectors and what is left, all slices of one length.
#[inline(always)]
fn split<S: Simd, const N: usize>(slices: [&[f32]; N]) -> ([&[S::f32s]; N], [&[f32]; N]) {
    let vectors = slices.map(|s| S::as_simd_f32s(s).0);
    let len = vectors[0].len();
    (vectors.map(|v| &v[..len]), slices.map(|s| S::as_simd_f32s(s).1))
}
