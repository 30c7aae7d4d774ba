//! The first and the last layers in training against their composition of single layers.

use hepar_kernels::convolution::{ConvShape, reference};
use hepar_kernels::first::{self, FirstShape, FirstWeights};
use hepar_kernels::head::{self, HeadInputs, HeadShape};
use hepar_kernels::norm::{self, MapShape, Norm};
use hepar_kernels::resampling::Resampling;

mod common;
use common::values;

const EPSILON: f32 = 1e-3;

const SHAPES: [HeadShape; 5] = [
    shape(1, 5, 3, [4, 12, 32], 3),
    shape(2, 8, 4, [2, 20, 64], 3),
    shape(2, 6, 9, [1, 12, 32], 1),
    shape(1, 17, 16, [6, 4, 32], 3),
    shape(1, 33, 5, [1, 8, 96], 1),
];

const fn shape(batch: usize, channels: usize, upsampled: usize, size: [usize; 3], depth: usize) -> HeadShape {
    HeadShape { first: FirstShape { batch, channels, size, depth }, upsampled }
}

/// One shape's input and weights.
struct Case {
    shape: HeadShape,
    x: Vec<f32>,
    first: [Vec<f32>; 4],
    low: Vec<f32>,
    kernels: Vec<f32>,
    norm: [Vec<f32>; 3],
    last: Vec<f32>,
}

/// A convolution, batch normalisation, ReLU, by single layers: what comes out and what its gradient takes.
struct Layer {
    conv: ConvShape,
    maps: MapShape,
    raw: Vec<f32>,
    mean: Vec<f32>,
    variance: Vec<f32>,
    output: Vec<f32>,
}

impl Layer {
    fn new(conv: ConvShape, x: &[f32], kernels: &[f32], [bias, gamma, beta]: [&[f32]; 3]) -> Self {
        let maps = MapShape { batch: conv.batch, channels: conv.outputs, voxels: conv.voxels() };
        let raw = reference::forward(&conv, x, kernels, bias);
        let (mean, variance) = norm::statistics(&maps, &raw);
        let norm = Norm { gamma, beta, mean: &mean, variance: &variance, epsilon: EPSILON };
        let (scale, shift) = norm.scale_and_shift();
        let output = norm::scale_shift_relu(&maps, &raw, &scale, &shift);
        Self { conv, maps, raw, mean, variance, output }
    }

    /// Gradients of input, kernels, gamma and beta.
    fn gradients(&self, x: &[f32], kernels: &[f32], [gamma, beta]: [&[f32]; 2], g: &[f32]) -> [Vec<f32>; 4] {
        let norm = Norm { gamma, beta, mean: &self.mean, variance: &self.variance, epsilon: EPSILON };
        let (of_raw, of_gamma, of_beta) = norm::gradients(&self.maps, &self.raw, &norm, g);
        let (dx, dw, _) = reference::gradients(&self.conv, x, kernels, &of_raw);
        [dx, dw, of_gamma, of_beta]
    }
}

impl Case {
    fn new(shape: HeadShape) -> Self {
        let FirstShape { batch, channels, size, .. } = shape.first;
        let (taps, voxels) = (shape.first.taps(), batch * size.iter().product::<usize>());
        let near_one = |seed| values(channels, seed).into_iter().map(|v| 1.0 + v).collect::<Vec<_>>();
        let small = Resampling { maps: 1, ..resampling(&shape, 1) };
        let blocks = small.size.iter().zip(small.stride).map(|(side, stride)| side / stride).product::<usize>();
        Self {
            shape,
            x: values(voxels, 1).into_iter().map(|v| 0.5 + v).collect(),
            first: [values(channels * taps, 2), values(channels, 3), near_one(4), values(channels, 5)],
            low: values(batch * shape.upsampled * blocks, 6),
            kernels: values(channels * (shape.upsampled + channels) * taps, 7),
            norm: [values(channels, 8), near_one(9), values(channels, 10)],
            last: values(channels * taps, 11),
        }
    }

    fn first_weights(&self) -> FirstWeights<'_> {
        let [kernels, bias, gamma, beta] = &self.first;
        FirstWeights { kernels, bias, gamma, beta, epsilon: EPSILON }
    }

    fn inputs<'a>(&'a self, folded: &'a [f32]) -> HeadInputs<'a> {
        let [bias, gamma, beta] = &self.norm;
        let (x, low, kernels, last) = (&self.x[..], &self.low[..], &self.kernels[..], &self.last[..]);
        HeadInputs { x, folded, low, kernels, bias, gamma, beta, epsilon: EPSILON, last, last_bias: 0.3 }
    }

    fn conv(&self, inputs: usize, outputs: usize) -> ConvShape {
        let FirstShape { batch, size, depth, .. } = self.shape.first;
        ConvShape { batch, inputs, outputs, size, kernel: [depth, 3, 3] }
    }

    fn first_layer(&self) -> Layer {
        let [kernels, bias, gamma, beta] = &self.first;
        Layer::new(self.conv(1, self.shape.first.channels), &self.x, kernels, [bias, gamma, beta])
    }
}

fn resampling(shape: &HeadShape, channels: usize) -> Resampling {
    let FirstShape { batch, size, depth, .. } = shape.first;
    Resampling { maps: batch * channels, size, stride: [if depth == 3 { 2 } else { 1 }, 2, 2] }
}

fn close(what: &str, shape: &HeadShape, ours: &[f32], expected: &[f32]) {
    assert_eq!(ours.len(), expected.len(), "{what} of {shape:?}");
    let scale = expected.iter().fold(1e-3f32, |most, v| most.max(v.abs()));
    let worst = ours.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= 2e-5 * scale, "{what} of {shape:?}: {worst} of {scale}");
}

#[test]
fn the_first_layer_equals_its_single_layers_forward_and_backward() {
    for shape in SHAPES {
        let case = Case::new(shape);
        let single = case.first_layer();
        let pooling = resampling(&shape, shape.first.channels);
        let folded = first::fold(&shape.first, &case.x, &case.first_weights());
        close("mean", &shape, &folded.mean, &single.mean);
        close("variance", &shape, &folded.variance, &single.variance);
        let pooled = first::pool(&shape.first, &case.x, &folded.kernels);
        close("pooled output", &shape, &pooled, &pooling.pool(&single.output));

        let g = values(pooled.len(), 20);
        let of_folded = first::pool_gradient(&shape.first, &case.x, &folded.kernels, &g);
        let (mean, variance) = (&folded.mean, &folded.variance);
        let ours = first::fold_gradients(&shape.first, &case.x, &case.first_weights(), mean, variance, &of_folded);
        let [kernels, _, gamma, beta] = &case.first;
        let back = pooling.pool_gradient(&single.output, &g);
        let [_, dw, dgamma, dbeta] = single.gradients(&case.x, kernels, [gamma, beta], &back);
        close("gradient of the kernels", &shape, &ours.kernels, &dw);
        close("gradient of gamma", &shape, &ours.gamma, &dgamma);
        close("gradient of beta", &shape, &ours.beta, &dbeta);
    }
}

#[test]
fn the_last_layers_equal_their_single_layers_forward_and_backward() {
    for shape in SHAPES {
        let case = Case::new(shape);
        let (channels, upsampled) = (shape.first.channels, shape.upsampled);
        let first = case.first_layer();
        let repeated = resampling(&shape, upsampled).repeat(&case.low);
        let voxels = first.conv.voxels();
        let joined: Vec<f32> = repeated
            .chunks_exact(upsampled * voxels)
            .zip(first.output.chunks_exact(channels * voxels))
            .flat_map(|(up, skip)| [up, skip].concat())
            .collect();
        let [bias, gamma, beta] = &case.norm;
        let conv9 = Layer::new(case.conv(upsampled + channels, channels), &joined, &case.kernels, [bias, gamma, beta]);
        let last = case.conv(channels, 1);
        let logits = reference::forward(&last, &conv9.output, &case.last, &[0.3]);
        let expected: Vec<f32> = logits.iter().map(|v| 1.0 / (1.0 + (-v).exp())).collect();

        let folded = first::fold(&shape.first, &case.x, &case.first_weights());
        let inputs = case.inputs(&folded.kernels);
        let (probabilities, state) = head::forward(&shape, &inputs);
        close("probabilities", &shape, &probabilities, &expected);
        close("mean of conv9", &shape, &state.mean, &conv9.mean);
        close("variance of conv9", &shape, &state.variance, &conv9.variance);

        let g = values(expected.len(), 21);
        let ours = head::gradients(&shape, &inputs, state, &probabilities, &g);
        let of_logits: Vec<f32> = g.iter().zip(&expected).map(|(g, p)| g * p * (1.0 - p)).collect();
        let (of_hidden, of_last, of_bias) = reference::gradients(&last, &conv9.output, &case.last, &of_logits);
        let [of_joined, dw, dgamma, dbeta] = conv9.gradients(&joined, &case.kernels, [gamma, beta], &of_hidden);
        let (up, skip): (Vec<_>, Vec<_>) = of_joined
            .chunks_exact((upsampled + channels) * voxels)
            .map(|sample| sample.split_at(upsampled * voxels))
            .unzip();
        close("gradient of the last kernel", &shape, &ours.last, &of_last);
        close("gradient of the last bias", &shape, &[ours.last_bias], &of_bias);
        close("gradient of conv9", &shape, &ours.kernels, &dw);
        close("gradient of gamma", &shape, &ours.gamma, &dgamma);
        close("gradient of beta", &shape, &ours.beta, &dbeta);
        let of_low = resampling(&shape, upsampled).repeat_gradient(&up.concat());
        close("gradient of the low map", &shape, &ours.low, &of_low);

        let weights = case.first_weights();
        let (mean, variance) = (&folded.mean, &folded.variance);
        let of_first = first::fold_gradients(&shape.first, &case.x, &weights, mean, variance, &ours.folded);
        let [kernels, _, gamma, beta] = &case.first;
        let [_, dw, dgamma, dbeta] = first.gradients(&case.x, kernels, [gamma, beta], &skip.concat());
        close("gradient of the first kernels", &shape, &of_first.kernels, &dw);
        close("gradient of the first gamma", &shape, &of_first.gamma, &dgamma);
        close("gradient of the first beta", &shape, &of_first.beta, &dbeta);
    }
}

#[test]
fn threads_change_no_bit() {
    let case = Case::new(SHAPES[1]);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let folded = first::fold(&case.shape.first, &case.x, &case.first_weights());
            let (output, state) = head::forward(&case.shape, &case.inputs(&folded.kernels));
            let g = values(output.len(), 21);
            let gradients = head::gradients(&case.shape, &case.inputs(&folded.kernels), state, &output, &g);
            (folded, output, gradients)
        })
    };
    assert!(run(1) == run(3));
}
