//! The network's end in training: conv9 of the upsampled map and the first layer's output, batch normalisation, ReLU, the
//! last convolution, sigmoid; forward and backward.
//!
//! As at inference ([`crate::exit`]) everything happens tile by tile, and the first layer is computed again where it is
//! needed. One map of full size is kept, because its statistics are needed before anyone can go on: conv9's output
//! before normalisation. In the backward pass its gradient takes its place, tile by tile (`tiles`); the gradient of
//! the normalised map is a convolution of the one-channel gradient of the logits and is computed twice rather than
//! stored.

mod forward;
mod input_gradients;
mod kernel_gradient;
mod norm_gradient;
mod tiles;

use crate::exit::slab::{ROWS, Slab};
use crate::first::FirstShape;
use crate::maps::MapLayout;
use crate::norm::Norm;
use crate::scratch::Scratch;
use crate::winograd::weights::{Halves, Products};

/// Sizes of the last layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadShape {
    /// The first layer, whose output conv9 sees; conv9 has as many channels.
    pub first: FirstShape,
    /// Channels of the map that is upsampled.
    pub upsampled: usize,
}

/// What the last layers are computed from.
#[derive(Debug, Clone, Copy)]
pub struct HeadInputs<'a> {
    /// The network's input, N × D × H × W.
    pub x: &'a [f32],
    /// The first layer's kernels, folded ([`crate::first::fold`]).
    pub folded: &'a [f32],
    /// The map that is upsampled, N × C × half the sides.
    pub low: &'a [f32],
    /// Kernels of conv9, `[channels, upsampled + channels, depth, 3, 3]`.
    pub kernels: &'a [f32],
    /// Bias of conv9, `[channels]`.
    pub bias: &'a [f32],
    /// Scale of its normalisation, `[channels]`.
    pub gamma: &'a [f32],
    /// Shift of its normalisation, `[channels]`.
    pub beta: &'a [f32],
    /// Added to its variance.
    pub epsilon: f32,
    /// Kernel of the last convolution, `[1, channels, depth, 3, 3]`.
    pub last: &'a [f32],
    /// Bias of the last convolution.
    pub last_bias: f32,
}

/// What the backward pass needs of the forward pass.
#[derive(Debug, Clone)]
pub struct HeadState {
    /// conv9's output, tile by tile (`tiles`).
    raw: Scratch,
    /// Its mean, `[channels]`.
    pub mean: Vec<f32>,
    /// Its biased variance.
    pub variance: Vec<f32>,
}

/// Gradients, laid out as what they belong to. That of conv9's bias is zero: the normalisation takes away what it adds.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadGradients {
    /// Of the first layer's folded kernels.
    pub folded: Vec<f32>,
    /// Of the map that is upsampled.
    pub low: Vec<f32>,
    /// Of conv9's kernels.
    pub kernels: Vec<f32>,
    /// Of the normalisation's scale.
    pub gamma: Vec<f32>,
    /// Of its shift.
    pub beta: Vec<f32>,
    /// Of the last convolution's kernel.
    pub last: Vec<f32>,
    /// Of its bias.
    pub last_bias: f32,
}

impl HeadShape {
    /// Blocks of voxels, `[d, h, w]`: voxels of the map that is upsampled.
    fn blocks(&self) -> [usize; 3] {
        let [d, h, w] = self.first.size;
        [d / self.first.per_block(), h / 2, w / 2]
    }

    /// Slabs of a sample.
    fn slabs(&self) -> usize {
        self.blocks()[1] / ROWS
    }

    fn low_layout(&self) -> MapLayout {
        MapLayout { batch: self.first.batch, channels: self.upsampled, size: self.blocks() }
    }

    fn halves(&self) -> Halves {
        let FirstShape { channels, depth, .. } = self.first;
        Halves { depth, upsampled: self.upsampled, full: channels, outputs: channels }
    }

    /// The last convolution's kernel, mirrored: from a logit's gradient to those of the voxels around it.
    fn mirrored(&self, last: &[f32]) -> Vec<f32> {
        last.chunks_exact(self.first.taps()).flat_map(|kernel| kernel.iter().rev().copied()).collect()
    }

    fn check(&self, inputs: &HeadInputs<'_>) {
        let FirstShape { batch, channels, size, .. } = self.first;
        assert!(self.first.is_supported(), "{self:?} is not supported");
        let taps = self.first.taps();
        let lengths = [inputs.x, inputs.folded, inputs.low, inputs.kernels, inputs.last].map(<[f32]>::len);
        let expected = [
            batch * size.iter().product::<usize>(),
            channels * (taps + 1),
            self.low_layout().voxels(),
            channels * (self.upsampled + channels) * taps,
            channels * taps,
        ];
        assert_eq!(lengths, expected, "lengths of input, folded kernels, low map, kernels and last kernel");
        assert_eq!([inputs.bias, inputs.gamma, inputs.beta].map(<[f32]>::len), [channels; 3], "values a channel");
    }
}

impl<'a> HeadInputs<'a> {
    fn norm(&self, mean: &'a [f32], variance: &'a [f32]) -> Norm<'a> {
        Norm { gamma: self.gamma, beta: self.beta, mean, variance, epsilon: self.epsilon }
    }
}

/// Probabilities, N × D × H × W, and what the backward pass needs.
///
/// # Panics
/// When a length does not fit, or the shape is not supported.
pub fn forward(shape: &HeadShape, inputs: &HeadInputs<'_>) -> (Vec<f32>, HeadState) {
    shape.check(inputs);
    let state = forward::convolve(shape, inputs);
    let probabilities = forward::activate(shape, inputs, &state);
    (probabilities, state)
}

/// All gradients, given the probabilities and their gradient `g`.
///
/// # Panics
/// When a length does not fit, or the shape is not supported.
pub fn gradients(
    shape: &HeadShape,
    inputs: &HeadInputs<'_>,
    mut state: HeadState,
    probabilities: &[f32],
    g: &[f32],
) -> HeadGradients {
    shape.check(inputs);
    assert_eq!((probabilities.len(), g.len()), (inputs.x.len(), inputs.x.len()), "lengths of output and gradient");
    let of_logit = |(g, p): (&f32, &f32)| g * p * (1.0 - p);
    let of_logits: Vec<f32> = g.iter().zip(probabilities).map(of_logit).collect();
    let of_norm = norm_gradient::norm_gradient(shape, inputs, &mut state, &of_logits);
    let last_bias = of_logits.iter().map(|g| f64::from(*g)).sum::<f64>() as f32;
    drop(of_logits);
    let (folded, low) = input_gradients::input_gradients(shape, inputs, &state.raw);
    let kernels = kernel_gradient::kernel_gradient(shape, inputs, &state.raw);
    let norm_gradient::NormGradient { gamma, beta, last } = of_norm;
    HeadGradients { folded, low, kernels, gamma, beta, last, last_bias }
}
