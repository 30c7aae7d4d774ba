//! The first layer in training: convolution of the one-channel input, batch normalisation, ReLU, pooling.
//!
//! A convolution and a normalisation behind it are one convolution with other kernels. [`fold`] makes them from the
//! batch's statistics, [`fold_gradients`] brings their gradient back to what they were made from; between the two, who
//! needs the layer's output computes it from the input as he goes. The output at full resolution is nowhere stored,
//! neither is its gradient.
//!
//! Folded kernels are `[channels, taps + 1]`: a kernel's taps, then what is added.

use pulp::Simd;
use rayon::prelude::*;

use crate::entry::{EntryLayer, SplitInput};
use crate::isa::arch;
use crate::lanes::{load, store};
use crate::maps::MapLayout;
use crate::moments::Moments;
use crate::scratch::{Scratch, taken};
use crate::tap_sums::{Patches, TapSums, totals};

/// Sizes of the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstShape {
    /// Number of samples.
    pub batch: usize,
    /// Channels of the output.
    pub channels: usize,
    /// Voxels of the input, `[d, h, w]`: multiples of 4 and 32 in plane; of 2 along z, or 1 in planar networks.
    pub size: [usize; 3],
    /// Planes of a kernel: 3, or 1 in planar networks.
    pub depth: usize,
}

/// The layer's weights as the network has them.
#[derive(Debug, Clone, Copy)]
pub struct FirstWeights<'a> {
    /// Kernels, `[channels, depth, 3, 3]`.
    pub kernels: &'a [f32],
    /// Bias, `[channels]`.
    pub bias: &'a [f32],
    /// The normalisation's scale, `[channels]`.
    pub gamma: &'a [f32],
    /// The normalisation's shift, `[channels]`.
    pub beta: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
}

/// Folded kernels, and the statistics that they were made with.
#[derive(Debug, Clone, PartialEq)]
pub struct Folded {
    /// `[channels, taps + 1]`
    pub kernels: Vec<f32>,
    /// Mean of the convolution's output, `[channels]`.
    pub mean: Vec<f32>,
    /// Its biased variance.
    pub variance: Vec<f32>,
}

/// Gradients of the layer's weights. That of the bias is zero: the normalisation takes away what it adds.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstGradients {
    /// Of the kernels.
    pub kernels: Vec<f32>,
    /// Of the normalisation's scale.
    pub gamma: Vec<f32>,
    /// Of its shift.
    pub beta: Vec<f32>,
}

impl FirstShape {
    /// Whether the functions of this module take the shape.
    pub fn is_supported(&self) -> bool {
        let [d, h, w] = self.size;
        let along_z = if self.depth == 3 { d.is_multiple_of(2) } else { self.depth == 1 && d == 1 };
        along_z && h.is_multiple_of(4) && w.is_multiple_of(32) && self.batch * d * h * w > 0
    }

    /// Taps of a kernel.
    pub fn taps(&self) -> usize {
        9 * self.depth
    }

    /// Planes of a block of pooled voxels.
    pub(crate) fn per_block(&self) -> usize {
        if self.depth == 3 { 2 } else { 1 }
    }

    /// The input, ready to be convolved.
    pub(crate) fn split(&self, x: &[f32]) -> SplitInput {
        assert!(self.is_supported(), "{self:?} is not supported");
        SplitInput::new(x, self.batch, self.size, self.depth)
    }

    /// The layer with folded kernels.
    pub(crate) fn layer(&self, folded: &[f32]) -> EntryLayer {
        let rows = folded.chunks_exact(self.taps() + 1);
        let (kernels, bias): (Vec<_>, Vec<_>) = rows.map(|row| (&row[..self.taps()], row[self.taps()])).unzip();
        EntryLayer::new(self.depth, &kernels.concat(), &bias)
    }
}

/// Folds the batch's normalisation into the kernels. `x` is N × D × H × W.
///
/// # Panics
/// When a length does not fit, or the shape is not supported.
pub fn fold(shape: &FirstShape, x: &[f32], weights: &FirstWeights<'_>) -> Folded {
    let input = shape.split(x);
    let layer = EntryLayer::linear(shape.depth, weights.kernels, weights.bias);
    let distances = &layer.distances(&input);
    let planes = (0..shape.batch * shape.size[0]).into_par_iter().with_max_len(1).map(|plane| {
        let (sample, z) = (plane / shape.size[0], plane % shape.size[0]);
        arch().dispatch(PlaneMoments { shape, layer: &layer, input: &input, distances, sample, z })
    });
    let (mean, variance) = Moments::of_channels(&planes.collect::<Vec<_>>(), shape.channels);
    let mut kernels = Vec::with_capacity(shape.channels * (shape.taps() + 1));
    for (c, kernel) in weights.kernels.chunks_exact(shape.taps()).enumerate() {
        // In f64, so that only the results are rounded.
        let [gamma, beta, epsilon] = [weights.gamma[c], weights.beta[c], weights.epsilon].map(f64::from);
        let scale = gamma / (f64::from(variance[c]) + epsilon).sqrt();
        kernels.extend(kernel.iter().map(|weight| (f64::from(*weight) * scale) as f32));
        kernels.push(((f64::from(weights.bias[c]) - f64::from(mean[c])) * scale + beta) as f32);
    }
    Folded { kernels, mean, variance }
}

/// Gradients of the layer's weights, given the gradient `g` of the folded kernels.
///
/// # Panics
/// When a length does not fit, or the shape is not supported.
pub fn fold_gradients(
    shape: &FirstShape,
    x: &[f32],
    weights: &FirstWeights<'_>,
    mean: &[f32],
    variance: &[f32],
    g: &[f32],
) -> FirstGradients {
    let taps = shape.taps();
    assert_eq!(g.len(), shape.channels * (taps + 1), "length of the gradient");
    let products = tap_products(shape, x);
    let count = (shape.batch * shape.size.iter().product::<usize>()) as f64;
    let (mut kernels, mut gamma, mut beta) = (Vec::new(), Vec::new(), Vec::new());
    for (c, (kernel, g)) in weights.kernels.chunks_exact(taps).zip(g.chunks_exact(taps + 1)).enumerate() {
        let inverse = (f64::from(variance[c]) + f64::from(weights.epsilon)).sqrt().recip();
        let offset = f64::from(weights.bias[c]) - f64::from(mean[c]);
        let passed = f64::from(g[taps]);
        // Σ g · (output − mean) over all voxels, and Σ (output − mean) · tap: the output is a sum of taps.
        let of = |sums: &dyn Fn(usize) -> f64, of_one: f64| {
            kernel.iter().enumerate().map(|(t, weight)| f64::from(*weight) * sums(t)).sum::<f64>() + offset * of_one
        };
        let slope = of(&|t| f64::from(g[t]), passed) * inverse;
        let scale = f64::from(weights.gamma[c]) * inverse;
        kernels.extend((0..taps).map(|t| {
            let (tap, row) = (products[t * (taps + 1) + taps], &products[t * (taps + 1)..][..taps]);
            let centred = of(&|s| row[s], tap) * inverse;
            (scale * (f64::from(g[t]) - passed / count * tap - slope / count * centred)) as f32
        }));
        gamma.push(slope as f32);
        beta.push(passed as f32);
    }
    FirstGradients { kernels, gamma, beta }
}

/// Σ over all voxels of tap s · tap t, `[taps, taps + 1]`; the last column is Σ tap s.
fn tap_products(shape: &FirstShape, x: &[f32]) -> Vec<f64> {
    let input = &shape.split(x);
    // Each tap as a channel of its own.
    let (taps, distances) = (shape.taps(), &input.distances(shape.depth));
    let planes = (0..shape.batch * shape.size[0] / shape.per_block()).into_par_iter().with_max_len(1).map(|at| {
        let (sample, k) = (at / (shape.size[0] / shape.per_block()), at % (shape.size[0] / shape.per_block()));
        arch().dispatch(TapProducts { shape, input, distances, sample, k, taps })
    });
    totals(&planes.collect::<Vec<_>>())
}

/// The layer's output after pooling, N × C × D × H × W.
///
/// # Panics
/// When a length does not fit, or the shape is not supported.
pub fn pool(shape: &FirstShape, x: &[f32], folded: &[f32]) -> Vec<f32> {
    let (input, layer) = (shape.split(x), shape.layer(folded));
    let layout = layer.pooled(shape.batch, shape.size);
    let mut pooled = Scratch::take(layout.len());
    layer.pool(&input, &mut pooled);
    let mut y = taken(layout.voxels());
    layout.in_c_order(&pooled, &mut y);
    y
}

/// Gradient of the folded kernels, given the gradient `g` of [`pool`]'s output. The first of equal voxels takes it.
///
/// # Panics
/// When a length does not fit, or the shape is not supported.
pub fn pool_gradient(shape: &FirstShape, x: &[f32], folded: &[f32], g: &[f32]) -> Vec<f32> {
    let (input, layer) = (&shape.split(x), &shape.layer(folded));
    let layout = layer.pooled(shape.batch, shape.size);
    assert_eq!(g.len(), layout.voxels(), "length of the gradient");
    let distances = &layer.distances(input);
    let planes = (0..layout.planes()).into_par_iter().with_max_len(1).map(|plane| {
        let (sample, k) = (plane / layout.size[0], plane % layout.size[0]);
        arch().dispatch(PoolGradient { shape, layer, input, distances, layout, g, sample, k })
    });
    totals(&planes.collect::<Vec<_>>()).into_iter().map(|sum| sum as f32).collect()
}

/// Moments of each channel of the layer's output in one plane.
struct PlaneMoments<'a> {
    shape: &'a FirstShape,
    layer: &'a EntryLayer,
    input: &'a SplitInput,
    distances: &'a [Vec<usize>; 2],
    sample: usize,
    z: usize,
}

dispatch!(PlaneMoments<'_> => Vec<Moments>, few: [4], many: [8]);

impl PlaneMoments<'_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize>(self, simd: S) -> Vec<Moments> {
        let FirstShape { channels, size: [_, h, w], .. } = *self.shape;
        let (half, row) = (w / 2 + 2, self.input.row());
        let mut values = Scratch::take(channels * row);
        let mut moments = vec![Moments::default(); channels];
        for y in 0..h {
            let place = [self.sample, self.z, y];
            self.layer.row::<S, C, 2>(simd, self.input, self.distances, place, &mut values, row);
            for (moments, values) in moments.iter_mut().zip(values.chunks_exact(row)) {
                *moments = moments.merged(Moments::of::<S>(simd, &values[1..], 2, half, w / 2));
            }
        }
        moments
    }
}

/// Products of taps in the planes of one block.
struct TapProducts<'a> {
    shape: &'a FirstShape,
    input: &'a SplitInput,
    distances: &'a [Vec<usize>; 2],
    sample: usize,
    k: usize,
    taps: usize,
}

dispatch!(TapProducts<'_> => Vec<f64>, few: [4], many: [8]);

impl TapProducts<'_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize>(self, simd: S) -> Vec<f64> {
        let Self { shape, input, distances, sample, k, taps } = self;
        let ([_, h, w], per_block) = (shape.size, shape.per_block());
        let groups = 4 * per_block;
        let mut sums = TapSums::new::<S>(taps, taps);
        let mut tile = Scratch::take(groups * taps * S::F32_LANES);
        for y in (0..h).step_by(2) {
            for at in (0..w / 2).step_by(S::F32_LANES) {
                let patches = Patches { map: input, distances, sample, first: [per_block * k, y, at] };
                for group in 0..groups {
                    let [place] = patches.places::<1>(group);
                    for (tap, distance) in patches.distances(group).iter().enumerate() {
                        let value = load::<S>(input.values(), place + distance);
                        store::<S>(&mut tile, (group * taps + tap) * S::F32_LANES, value);
                    }
                }
                sums.add::<S, C, 1>(simd, &patches, groups, &tile);
            }
        }
        sums.total()
    }
}

/// Gradient of the folded kernels from one plane of pooled voxels.
struct PoolGradient<'a> {
    shape: &'a FirstShape,
    layer: &'a EntryLayer,
    input: &'a SplitInput,
    distances: &'a [Vec<usize>; 2],
    layout: MapLayout,
    g: &'a [f32],
    sample: usize,
    k: usize,
}

dispatch!(PoolGradient<'_> => Vec<f64>, few: [4], many: [8]);

impl PoolGradient<'_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize>(self, simd: S) -> Vec<f64> {
        let Self { shape, layer, input, distances, layout, g, sample, k } = self;
        let (channels, per_block, groups) = (shape.channels, shape.per_block(), 4 * shape.per_block());
        let [depth, h, w] = layout.size;
        let zero = simd.splat_f32s(0.0);
        let mut sums = TapSums::new::<S>(channels, shape.taps());
        let mut tile = Scratch::take(groups * channels * S::F32_LANES);
        for y in 0..h {
            for at in (0..w).step_by(S::F32_LANES) {
                let patches = Patches { map: input, distances, sample, first: [per_block * k, 2 * y, at] };
                for first in (0..channels).step_by(C) {
                    let count = C.min(channels - first);
                    let mut most = [zero; C];
                    for group in 0..groups {
                        let values = layer.voxels::<S, C, 1>(simd, &patches, group, first / C);
                        for c in 0..count {
                            store::<S>(&mut tile, (group * channels + first + c) * S::F32_LANES, values[c][0]);
                            most[c] = simd.max_f32s(most[c], values[c][0]);
                        }
                    }
                    for c in 0..count {
                        let map = (sample * channels + first + c) * depth + k;
                        let mut left = load::<S>(g, (map * h + y) * w + at);
                        // Where the greatest is not above zero, ReLU lets nothing back.
                        left = simd.select_f32s(simd.greater_than_f32s(most[c], zero), left, zero);
                        for group in 0..groups {
                            let place = (group * channels + first + c) * S::F32_LANES;
                            let is_most = simd.equal_f32s(load::<S>(&tile, place), most[c]);
                            store::<S>(&mut tile, place, simd.select_f32s(is_most, left, zero));
                            left = simd.select_f32s(is_most, zero, left);
                        }
                    }
                }
                sums.add::<S, C, 1>(simd, &patches, groups, &tile);
            }
        }
        sums.total()
    }
}
