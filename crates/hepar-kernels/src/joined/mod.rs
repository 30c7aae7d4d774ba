//! Convolution of an upsampled map joined with another one, as conv9 is, forward and backward: for networks that run layer by
//! layer. In groups of layers conv9 is a part of `head`.
//!
//! Neither the upsampled map nor the joined one is built. Products are those of Winograd's F(2, 3) (`winograd`),
//! forward and for all gradients. Maps are N × C × D × H × W in C order.

mod convolve;
mod low_gradient;
mod strips;
mod weight_gradient;

use crate::convolution::{ConvShape, bias_gradient};
use crate::winograd::weights::{Halves, Products};

/// Sizes of the convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinedShape {
    /// Number of samples.
    pub batch: usize,
    /// Channels of the map that is upsampled; they come first.
    pub upsampled: usize,
    /// Channels of the other map.
    pub full: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Voxels of a map at full size, `[d, h, w]`.
    pub size: [usize; 3],
    /// Planes of a kernel: 3, or 1 in planar networks, where nothing is doubled along z.
    pub depth: usize,
}

/// Gradients of a convolution's inputs and parameters, laid out as these are.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinedGradients {
    /// Of the map that is upsampled.
    pub low: Vec<f32>,
    /// Of the other map.
    pub full: Vec<f32>,
    /// Of the kernels.
    pub weights: Vec<f32>,
    /// Of the bias.
    pub bias: Vec<f32>,
}

impl JoinedShape {
    /// Whether the functions of this module take the shape: sides in plane that are multiples of 2 and 32, and along z
    /// of 2 unless the kernel is planar.
    pub fn is_supported(&self) -> bool {
        let [d, h, w] = self.size;
        let along_z = if self.depth == 3 { d.is_multiple_of(2) } else { self.depth == 1 && d == 1 };
        along_z && h.is_multiple_of(2) && w.is_multiple_of(32) && d * h * w > 0
    }

    /// Blocks of voxels, `[d, h, w]`: voxels of the map that is upsampled.
    fn blocks(&self) -> [usize; 3] {
        let [d, h, w] = self.size;
        [if self.depth == 3 { d / 2 } else { d }, h / 2, w / 2]
    }

    /// Planes of a block.
    fn per_block(&self) -> usize {
        if self.depth == 3 { 2 } else { 1 }
    }

    fn halves(&self) -> Halves {
        let Self { depth, upsampled, full, outputs, .. } = *self;
        Halves { depth, upsampled, full, outputs }
    }

    fn check(&self, low: &[f32], full: &[f32], weights: &[f32]) {
        assert!(self.is_supported(), "{self:?} is not supported");
        let (voxels, blocks): (usize, usize) = (self.size.iter().product(), self.blocks().iter().product());
        assert_eq!(low.len(), self.batch * self.upsampled * blocks, "length of the map that is upsampled");
        assert_eq!(full.len(), self.batch * self.full * voxels, "length of the other map");
        assert_eq!(
            weights.len(),
            self.outputs * (self.upsampled + self.full) * 9 * self.depth,
            "length of the kernels"
        );
    }
}

/// The convolution with `weights`, `[outputs, upsampled + full, depth, 3, 3]`, and `bias`, `[outputs]`.
///
/// # Panics
/// When a length does not fit, or the shape is not supported.
pub fn forward(shape: &JoinedShape, low: &[f32], full: &[f32], weights: &[f32], bias: &[f32]) -> Vec<f32> {
    shape.check(low, full, weights);
    assert_eq!(bias.len(), shape.outputs, "length of the bias");
    convolve::convolve(shape, &Products::new(shape.halves(), weights), low, full, bias)
}

/// The gradients, given the gradient `g` of the output.
///
/// # Panics
/// When a length does not fit, or the shape is not supported.
pub fn gradients(shape: &JoinedShape, low: &[f32], full: &[f32], weights: &[f32], g: &[f32]) -> JoinedGradients {
    shape.check(low, full, weights);
    let voxels: usize = shape.size.iter().product();
    assert_eq!(g.len(), shape.batch * shape.outputs * voxels, "length of the gradient");
    // The other half's gradient is a convolution of the output's with mirrored kernels.
    let back = JoinedShape { upsampled: 0, full: shape.outputs, outputs: shape.full, ..*shape };
    let (taps, inputs) = (9 * shape.depth, shape.upsampled + shape.full);
    let mirrored: Vec<f32> = (0..shape.full * shape.outputs * taps)
        .map(|at| {
            let (i, o, tap) = (at / taps / shape.outputs, at / taps % shape.outputs, at % taps);
            weights[(o * inputs + shape.upsampled + i) * taps + taps - 1 - tap]
        })
        .collect();
    let products = Products::new(back.halves(), &mirrored);
    let sizes =
        ConvShape { batch: shape.batch, inputs, outputs: shape.outputs, size: shape.size, kernel: [shape.depth, 3, 3] };
    JoinedGradients {
        low: low_gradient::low_gradient(shape, weights, g),
        full: convolve::convolve(&back, &products, &[], g, &vec![0.0; shape.full]),
        weights: weight_gradient::weight_gradient(shape, low, full, g),
        bias: bias_gradient(&sizes, g),
    }
}

/// The rows of maps, `rows` of them a part, handed out by sample and part: for each of these `[channel, z]`.
pub(crate) fn by_rows(
    maps: &mut [f32],
    batch: usize,
    [depth, height, width]: [usize; 3],
    rows: usize,
) -> Vec<Vec<&mut [f32]>> {
    let parts = height.div_ceil(rows);
    let channels = maps.len() / (batch * depth * height * width).max(1);
    let mut tasks: Vec<Vec<&mut [f32]>> = Vec::new();
    tasks.resize_with(batch * parts, || Vec::with_capacity(channels * depth));
    for (plane, values) in maps.chunks_mut(height * width).enumerate() {
        let sample = plane / (channels * depth);
        for (part, values) in values.chunks_mut(rows * width).enumerate() {
            tasks[sample * parts + part].push(values);
        }
    }
    tasks
}
