//! A residual block in training, forward and backward: normalisation, ReLU, 1³ convolution to narrow maps; the same with
//! a 3³ convolution; the same with a 1³ convolution to all channels; plus a 1³ convolution of the input.
//!
//! Only the narrow maps are kept for the backward pass, before their normalisation. What is normalised is computed again
//! wherever it is needed, in panels of a few voxels that fit the cache (`panel`), and the last convolution and the
//! shortcut are one matrix. Maps are N × C × D × H × W in C order. Results do not depend on the number of threads: how a
//! map is split up is decided by its shape.

mod input;
mod panel;
mod point;

use crate::convolution::{self, ConvShape};
use crate::norm::{self, MapShape, Norm};
use crate::scratch::Scratch;
use panel::{Matrix, Taken};
use point::{Maps, Split};

/// Sizes of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResidualShape {
    /// Number of samples.
    pub batch: usize,
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the narrow maps.
    pub narrow: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Voxels of a map, `[d, h, w]`.
    pub size: [usize; 3],
    /// Sides of the wide kernel, `[d, h, w]`.
    pub kernel: [usize; 3],
}

/// A block's weights; normalisations and convolutions in the order in which they are applied, the shortcut last.
#[derive(Debug, Clone, Copy)]
pub struct ResidualWeights<'a> {
    /// Scale and shift of the three normalisations.
    pub norms: [[&'a [f32]; 2]; 3],
    /// Added to variances.
    pub epsilon: f32,
    /// Kernels `[outputs, inputs, d, h, w]` and bias of the four convolutions.
    pub convolutions: [[&'a [f32]; 2]; 4],
}

/// What the backward pass needs of the forward pass.
#[derive(Debug, Clone)]
pub struct ResidualState {
    /// The narrow maps, each before its normalisation.
    narrow: [Scratch; 2],
    /// Mean and biased variance of what each normalisation saw.
    pub statistics: [(Vec<f32>, Vec<f32>); 3],
}

/// Gradients, laid out as what they belong to.
#[derive(Debug, Clone, PartialEq)]
pub struct ResidualGradients {
    /// Of the input.
    pub x: Vec<f32>,
    /// Of scale and shift of the normalisations.
    pub norms: [[Vec<f32>; 2]; 3],
    /// Of kernels and bias of the convolutions. A bias before a normalisation, which takes away what it adds, has none.
    pub convolutions: [[Vec<f32>; 2]; 4],
}

impl ResidualShape {
    fn maps(&self, channels: usize) -> MapShape {
        MapShape { batch: self.batch, channels, voxels: self.size.iter().product() }
    }

    fn split(&self) -> Split {
        Split { batch: self.batch, voxels: self.size.iter().product() }
    }

    /// The wide convolution.
    fn wide(&self) -> ConvShape {
        let Self { batch, narrow, size, kernel, .. } = *self;
        ConvShape { batch, inputs: narrow, outputs: narrow, size, kernel }
    }

    fn check(&self, x: &[f32], weights: &ResidualWeights<'_>) {
        let Self { inputs, narrow, outputs, .. } = *self;
        assert_eq!(x.len(), self.batch * inputs * self.split().voxels, "length of the input");
        let channels = [inputs, narrow, narrow];
        assert_eq!(weights.norms.map(|norm| norm.map(<[f32]>::len)), channels.map(|c| [c, c]), "normalisations");
        let wide = narrow * narrow * self.kernel.iter().product::<usize>();
        let expected =
            [[narrow * inputs, narrow], [wide, narrow], [outputs * narrow, outputs], [outputs * inputs, outputs]];
        assert_eq!(weights.convolutions.map(|conv| conv.map(<[f32]>::len)), expected, "convolutions");
    }

    /// Last convolution and shortcut as one matrix, `[outputs, narrow + inputs]`.
    fn joined(&self, weights: &ResidualWeights<'_>) -> Vec<f32> {
        let [_, _, [last, _], [shortcut, _]] = weights.convolutions;
        let rows = last.chunks_exact(self.narrow).zip(shortcut.chunks_exact(self.inputs));
        rows.flat_map(|(last, shortcut)| last.iter().chain(shortcut)).copied().collect()
    }
}

impl<'a> ResidualWeights<'a> {
    /// One of the normalisations, with what the batch gave.
    fn norm(&self, at: usize, statistics: &'a (Vec<f32>, Vec<f32>)) -> Norm<'a> {
        let [gamma, beta] = self.norms[at];
        Norm { gamma, beta, mean: &statistics.0, variance: &statistics.1, epsilon: self.epsilon }
    }
}

/// The block's output, N × outputs × D × H × W, and what the backward pass needs.
///
/// # Panics
/// When a length does not fit.
pub fn forward(shape: &ResidualShape, weights: &ResidualWeights<'_>, x: &[f32]) -> (Vec<f32>, ResidualState) {
    shape.check(x, weights);
    let ResidualShape { inputs, narrow, outputs, .. } = *shape;
    let [[to_narrow, narrow_bias], [wide, wide_bias], [_, last_bias], [_, shortcut_bias]] = weights.convolutions;
    let (split, of_narrow) = (shape.split(), shape.maps(narrow));

    let first = norm::statistics(&shape.maps(inputs), x);
    let (scale, shift) = weights.norm(0, &first).scale_and_shift();
    let from = [Maps { values: x, channels: inputs, taken: Taken::Normalised(&scale, &shift) }];
    let before = Scratch::from(split.multiply(&from, &Matrix::new(to_narrow, narrow), narrow_bias));

    let second = norm::statistics(&of_narrow, &before);
    let (scale, shift) = weights.norm(1, &second).scale_and_shift();
    let seen = Scratch::from(norm::scale_shift_relu(&of_narrow, &before, &scale, &shift));
    let behind = Scratch::from(convolution::forward(&shape.wide(), &seen, wide, wide_bias));
    drop(seen);

    let third = norm::statistics(&of_narrow, &behind);
    let (scale, shift) = weights.norm(2, &third).scale_and_shift();
    let from = [
        Maps { values: &behind, channels: narrow, taken: Taken::Normalised(&scale, &shift) },
        Maps { values: x, channels: inputs, taken: Taken::Plain },
    ];
    let bias: Vec<f32> = last_bias.iter().zip(shortcut_bias).map(|(a, b)| a + b).collect();
    let y = split.multiply(&from, &Matrix::new(&shape.joined(weights), outputs), &bias);
    (y, ResidualState { narrow: [before, behind], statistics: [first, second, third] })
}

/// All gradients, given that of the output, `g`.
///
/// # Panics
/// When a length does not fit.
pub fn gradients(
    shape: &ResidualShape,
    weights: &ResidualWeights<'_>,
    x: &[f32],
    state: &ResidualState,
    g: &[f32],
) -> ResidualGradients {
    shape.check(x, weights);
    let ResidualShape { inputs, narrow, outputs, .. } = *shape;
    let [[to_narrow, _], [wide, _], [last, _], [shortcut, _]] = weights.convolutions;
    let (split, of_narrow) = (shape.split(), shape.maps(narrow));
    let [before, behind] = &state.narrow;
    let [first, second, third] = [0, 1, 2].map(|at| weights.norm(at, &state.statistics[at]));
    let of_g = Maps { values: g, channels: outputs, taken: Taken::Plain };

    // Last convolution and shortcut.
    let (scale, shift) = third.scale_and_shift();
    let seen = [
        Maps { values: behind, channels: narrow, taken: Taken::Normalised(&scale, &shift) },
        Maps { values: x, channels: inputs, taken: Taken::Plain },
    ];
    let joined = split.dots(of_g, &seen);
    let rows = joined.chunks_exact(narrow + inputs);
    let (of_last, of_shortcut): (Vec<_>, Vec<_>) = rows.map(|row| row.split_at(narrow)).unzip();
    let of_bias = convolution::bias_gradient(&ConvShape { outputs, ..shape.wide() }, g);
    let of_seen = Scratch::from(split.multiply(&[of_g], &Matrix::transposed(last, narrow), &vec![0.0; narrow]));

    // Back through the wide convolution.
    let (of_behind, gamma3, beta3) = norm::gradients(&of_narrow, behind, &third, &of_seen);
    let of_behind = Scratch::from(of_behind);
    drop(of_seen);
    let (scale, shift) = second.scale_and_shift();
    let seen = Scratch::from(norm::scale_shift_relu(&of_narrow, before, &scale, &shift));
    let of_wide = convolution::weight_gradient(&shape.wide(), &seen, &of_behind);
    drop(seen);
    let of_seen = Scratch::from(convolution::input_gradient(&shape.wide(), wide, &of_behind));
    let (of_before, gamma2, beta2) = norm::gradients(&of_narrow, before, &second, &of_seen);
    let of_before = Scratch::from(of_before);
    drop((of_seen, of_behind));

    // The first convolution, and both ways to the input.
    let (scale, shift) = first.scale_and_shift();
    let seen = [Maps { values: x, channels: inputs, taken: Taken::Normalised(&scale, &shift) }];
    let of_before = Maps { values: &of_before, channels: narrow, taken: Taken::Plain };
    let of_narrow = split.dots(of_before, &seen);
    let back = input::Back {
        split,
        x,
        of_narrow: of_before,
        to_narrow: &Matrix::transposed(to_narrow, inputs),
        of_output: of_g,
        shortcut: &Matrix::transposed(shortcut, inputs),
        norm: first,
    };
    let (dx, gamma1, beta1) = back.gradients();
    let none = || vec![0.0; narrow];
    ResidualGradients {
        x: dx,
        norms: [[gamma1, beta1], [gamma2, beta2], [gamma3, beta3]],
        convolutions: [
            [of_narrow, none()],
            [of_wide, none()],
            [of_last.concat(), of_bias.clone()],
            [of_shortcut.concat(), of_bias],
        ],
    }
}
