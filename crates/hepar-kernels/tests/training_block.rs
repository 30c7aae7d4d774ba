//! A residual block in training against its composition of single layers.

use hepar_kernels::convolution::{ConvShape, reference};
use hepar_kernels::norm::{self, MapShape, Norm};
use hepar_kernels::residual::{self, ResidualGradients, ResidualShape, ResidualWeights};

mod common;
use common::values;

const EPSILON: f32 = 1e-3;

const SHAPES: [ResidualShape; 6] = [
    shape(1, 8, 32, [8, 6, 20], 3),
    shape(2, 11, 12, [4, 10, 14], 3),
    shape(2, 51, 68, [2, 4, 4], 3),
    shape(3, 16, 16, [1, 2, 2], 3),
    shape(5, 12, 4, [1, 16, 48], 1),
    shape(2, 12, 40, [1, 8, 8], 1),
];

const fn shape(batch: usize, inputs: usize, outputs: usize, size: [usize; 3], depth: usize) -> ResidualShape {
    ResidualShape { batch, inputs, narrow: outputs / 4, outputs, size, kernel: [depth, 3, 3] }
}

/// Weights of a block: scale and shift of each normalisation, kernels and bias of each convolution.
struct Weights {
    norms: [[Vec<f32>; 2]; 3],
    convolutions: [[Vec<f32>; 2]; 4],
}

impl Weights {
    fn new(shape: &ResidualShape) -> Self {
        let ResidualShape { inputs, narrow, outputs, kernel, .. } = *shape;
        let norm = |channels, seed| {
            [values(channels, seed).into_iter().map(|v| 1.0 + v).collect(), values(channels, seed + 1)]
        };
        let conv = |inputs: usize, outputs: usize, taps: usize, seed| {
            [values(outputs * inputs * taps, seed), values(outputs, seed + 1)]
        };
        Self {
            norms: [norm(inputs, 30), norm(narrow, 32), norm(narrow, 34)],
            convolutions: [
                conv(inputs, narrow, 1, 40),
                conv(narrow, narrow, kernel.iter().product(), 42),
                conv(narrow, outputs, 1, 44),
                conv(inputs, outputs, 1, 46),
            ],
        }
    }

    fn weights(&self) -> ResidualWeights<'_> {
        ResidualWeights {
            norms: self.norms.each_ref().map(|pair| pair.each_ref().map(Vec::as_slice)),
            epsilon: EPSILON,
            convolutions: self.convolutions.each_ref().map(|pair| pair.each_ref().map(Vec::as_slice)),
        }
    }
}

/// Normalisation and ReLU, then a convolution, by single layers.
struct Layer<'a> {
    maps: MapShape,
    conv: ConvShape,
    x: &'a [f32],
    norm: &'a [Vec<f32>; 2],
    kernels: &'a [Vec<f32>; 2],
    statistics: (Vec<f32>, Vec<f32>),
    normalised: Vec<f32>,
}

impl<'a> Layer<'a> {
    fn new(conv: ConvShape, x: &'a [f32], norm: &'a [Vec<f32>; 2], kernels: &'a [Vec<f32>; 2]) -> Self {
        let maps = MapShape { batch: conv.batch, channels: conv.inputs, voxels: conv.voxels() };
        let statistics = norm::statistics(&maps, x);
        let mut layer = Self { maps, conv, x, norm, kernels, statistics, normalised: Vec::new() };
        let (scale, shift) = layer.norm().scale_and_shift();
        layer.normalised = norm::scale_shift_relu(&maps, x, &scale, &shift);
        layer
    }

    fn norm(&self) -> Norm<'_> {
        let (mean, variance) = &self.statistics;
        Norm { gamma: &self.norm[0], beta: &self.norm[1], mean, variance, epsilon: EPSILON }
    }

    fn output(&self) -> Vec<f32> {
        reference::forward(&self.conv, &self.normalised, &self.kernels[0], &self.kernels[1])
    }

    /// Gradients of the input, of gamma and beta, of kernels and bias.
    fn gradients(&self, g: &[f32]) -> (Vec<f32>, [Vec<f32>; 2], [Vec<f32>; 2]) {
        let (of_normalised, dw, db) = reference::gradients(&self.conv, &self.normalised, &self.kernels[0], g);
        let (dx, gamma, beta) = norm::gradients(&self.maps, self.x, &self.norm(), &of_normalised);
        (dx, [gamma, beta], [dw, db])
    }
}

fn sum(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// Output and gradients of the composition.
fn composed(shape: &ResidualShape, weights: &Weights, x: &[f32], g: &[f32]) -> (Vec<f32>, ResidualGradients) {
    let ResidualShape { batch, inputs, narrow, outputs, size, kernel } = *shape;
    let conv = |inputs, outputs, kernel| ConvShape { batch, inputs, outputs, size, kernel };
    let ([norm1, norm2, norm3], [conv1, conv2, conv3, shortcut]) = (&weights.norms, &weights.convolutions);
    let first = Layer::new(conv(inputs, narrow, [1; 3]), x, norm1, conv1);
    let before = first.output();
    let second = Layer::new(conv(narrow, narrow, kernel), &before, norm2, conv2);
    let behind = second.output();
    let third = Layer::new(conv(narrow, outputs, [1; 3]), &behind, norm3, conv3);
    let along = conv(inputs, outputs, [1; 3]);
    let y = sum(&third.output(), &reference::forward(&along, x, &shortcut[0], &shortcut[1]));

    let (of_behind, of_norm3, of_conv3) = third.gradients(g);
    let (of_before, of_norm2, [of_conv2, _]) = second.gradients(&of_behind);
    let (of_x, of_norm1, [of_conv1, _]) = first.gradients(&of_before);
    let (of_shortcut, dw, db) = reference::gradients(&along, x, &shortcut[0], g);
    let none = || vec![0.0; narrow];
    let gradients = ResidualGradients {
        x: sum(&of_x, &of_shortcut),
        norms: [of_norm1, of_norm2, of_norm3],
        convolutions: [[of_conv1, none()], [of_conv2, none()], of_conv3, [dw, db]],
    };
    (y, gradients)
}

fn close(what: &str, shape: &ResidualShape, ours: &[f32], expected: &[f32]) {
    assert_eq!(ours.len(), expected.len(), "{what} of {shape:?}");
    let scale = expected.iter().fold(1e-2f32, |most, v| most.max(v.abs()));
    let worst = ours.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= 2e-5 * scale, "{what} of {shape:?}: {worst} of {scale}");
}

#[test]
fn a_block_equals_its_single_layers_forward_and_backward() {
    for shape in &SHAPES {
        let voxels = shape.batch * shape.size.iter().product::<usize>();
        let (x, g) = (values(voxels * shape.inputs, 1), values(voxels * shape.outputs, 2));
        let weights = Weights::new(shape);
        let (y, expected) = composed(shape, &weights, &x, &g);
        let (ours, state) = residual::forward(shape, &weights.weights(), &x);
        close("output", shape, &ours, &y);
        let gradients = residual::gradients(shape, &weights.weights(), &x, &state, &g);
        close("gradient of the input", shape, &gradients.x, &expected.x);
        for (at, (ours, expected)) in gradients.norms.iter().zip(&expected.norms).enumerate() {
            close(&format!("gradient of gamma {at}"), shape, &ours[0], &expected[0]);
            close(&format!("gradient of beta {at}"), shape, &ours[1], &expected[1]);
        }
        for (at, (ours, expected)) in gradients.convolutions.iter().zip(&expected.convolutions).enumerate() {
            close(&format!("gradient of kernels {at}"), shape, &ours[0], &expected[0]);
            close(&format!("gradient of bias {at}"), shape, &ours[1], &expected[1]);
        }
    }
}

#[test]
fn threads_change_no_bit() {
    let shape = shape(2, 12, 32, [4, 16, 24], 3);
    let voxels = shape.batch * shape.size.iter().product::<usize>();
    let (x, g) = (values(voxels * shape.inputs, 1), values(voxels * shape.outputs, 2));
    let weights = Weights::new(&shape);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (y, state) = residual::forward(&shape, &weights.weights(), &x);
            (y, residual::gradients(&shape, &weights.weights(), &x, &state, &g))
        })
    };
    assert!(run(1) == run(3));
}
