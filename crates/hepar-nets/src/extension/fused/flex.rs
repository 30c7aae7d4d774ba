//! The groups of layers on the CPU, through `hepar-kernels`.

use std::sync::Arc;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use hepar_kernels::first::{self, FirstShape, FirstWeights};
use hepar_kernels::head::{self, HeadInputs, HeadShape, HeadState};
use hepar_kernels::resampling::Resampling;
use hepar_kernels::residual::{self, ResidualShape, ResidualState, ResidualWeights};
use hepar_model::topology::NORM_EPSILON;

use super::{BlockTensors, ConvTensors, FusedGradients, FusedLayers, HeadTensors, NormTensors};
use crate::extension::flex::{Values, recycle, resampling, tensor};

type FlexTensor = FloatTensor<Flex>;

const EPSILON: f32 = NORM_EPSILON as f32;

/// Sizes of the first layer; its kernels have `taps` taps.
fn first_shape(x: &FlexTensor, channels: usize, taps: usize) -> FirstShape {
    let [batch, _, d, h, w] = x.shape().dims();
    FirstShape { batch, channels, size: [d, h, w], depth: taps / 9 }
}

/// Sizes of the first layer from its folded kernels.
fn folded_shape(x: &FlexTensor, folded: &FlexTensor) -> FirstShape {
    let [channels, terms] = folded.shape().dims();
    first_shape(x, channels, terms - 1)
}

fn conv_shape(x: &FlexTensor, conv: &ConvTensors<Flex>) -> FirstShape {
    let [channels, _, depth, h, w] = conv.kernels.shape().dims();
    first_shape(x, channels, depth * h * w)
}

/// Mean and variance of several normalisations, one behind the other.
fn statistics<'a>(of: impl IntoIterator<Item = (&'a Vec<f32>, &'a Vec<f32>)>) -> FlexTensor {
    let values: Vec<f32> = of.into_iter().flat_map(|(mean, variance)| mean.iter().chain(variance)).copied().collect();
    let shape = [values.len()];
    tensor(values, &shape)
}

fn like(values: Vec<f32>, of: &FlexTensor) -> FlexTensor {
    tensor(values, &of.shape().to_vec())
}

/// A block's weights in C order.
struct BlockValues {
    norms: [[Values; 2]; 3],
    convolutions: [[Values; 2]; 4],
}

impl BlockValues {
    fn of(weights: &BlockTensors<Flex>) -> Self {
        let BlockTensors { norm1, norm2, norm3, conv1, conv2, conv3, shortcut } = weights;
        Self {
            norms: [norm1, norm2, norm3].map(|norm| [Values::of(&norm.gamma), Values::of(&norm.beta)]),
            convolutions: [conv1, conv2, conv3, shortcut]
                .map(|conv| [Values::of(&conv.kernels), Values::of(&conv.bias)]),
        }
    }

    fn weights(&self) -> ResidualWeights<'_> {
        ResidualWeights {
            norms: self.norms.each_ref().map(|pair| pair.each_ref().map(Values::slice)),
            epsilon: EPSILON,
            convolutions: self.convolutions.each_ref().map(|pair| pair.each_ref().map(Values::slice)),
        }
    }
}

fn block_shape(x: &FlexTensor, weights: &BlockTensors<Flex>) -> ResidualShape {
    let [batch, inputs, d, h, w] = x.shape().dims();
    let [narrow, _, depth, height, width] = weights.conv2.kernels.shape().dims();
    let [outputs, ..] = weights.conv3.kernels.shape().dims::<5>();
    ResidualShape { batch, inputs, narrow, outputs, size: [d, h, w], kernel: [depth, height, width] }
}

/// What the last layers are computed from, in C order.
struct HeadValues {
    shape: HeadShape,
    x: Values,
    folded: Values,
    low: Values,
    conv: [Values; 2],
    norm: [Values; 2],
    last: [Values; 2],
}

impl HeadValues {
    fn of(x: &FlexTensor, from: &HeadTensors<Flex>) -> Self {
        let HeadTensors { folded, low, conv, norm, last } = from;
        let [_, upsampled, ..] = low.shape().dims::<5>();
        Self {
            shape: HeadShape { first: folded_shape(x, folded), upsampled },
            x: Values::of(x),
            folded: Values::of(folded),
            low: Values::of(low),
            conv: [Values::of(&conv.kernels), Values::of(&conv.bias)],
            norm: [Values::of(&norm.gamma), Values::of(&norm.beta)],
            last: [Values::of(&last.kernels), Values::of(&last.bias)],
        }
    }

    fn inputs(&self) -> HeadInputs<'_> {
        let ([kernels, bias], [gamma, beta]) = (&self.conv, &self.norm);
        HeadInputs {
            x: self.x.slice(),
            folded: self.folded.slice(),
            low: self.low.slice(),
            kernels: kernels.slice(),
            bias: bias.slice(),
            gamma: gamma.slice(),
            beta: beta.slice(),
            epsilon: EPSILON,
            last: self.last[0].slice(),
            last_bias: self.last[1].slice()[0],
        }
    }
}

impl FusedLayers for Flex {
    fn fused_fold(x: FlexTensor, conv: ConvTensors<Flex>, norm: NormTensors<Flex>) -> (FlexTensor, FlexTensor) {
        let shape = conv_shape(&x, &conv);
        let [x, kernels, bias, gamma, beta] = [&x, &conv.kernels, &conv.bias, &norm.gamma, &norm.beta].map(Values::of);
        let weights = FirstWeights {
            kernels: kernels.slice(),
            bias: bias.slice(),
            gamma: gamma.slice(),
            beta: beta.slice(),
            epsilon: EPSILON,
        };
        let folded = first::fold(&shape, x.slice(), &weights);
        let statistics = statistics([(&folded.mean, &folded.variance)]);
        (tensor(folded.kernels, &[shape.channels, shape.taps() + 1]), statistics)
    }

    fn fused_first_pool(x: FlexTensor, folded: FlexTensor) -> FlexTensor {
        let shape = folded_shape(&x, &folded);
        let y = first::pool(&shape, Values::of(&x).slice(), Values::of(&folded).slice());
        let [d, h, w] = shape.size;
        tensor(y, &[shape.batch, shape.channels, d.div_ceil(2), h / 2, w / 2])
    }

    fn fused_block(x: FlexTensor, weights: BlockTensors<Flex>) -> (FlexTensor, FlexTensor) {
        let (y, statistics, _) = Self::block_forward(x, weights);
        (y, statistics)
    }

    fn fused_head(x: FlexTensor, from: HeadTensors<Flex>) -> (FlexTensor, FlexTensor) {
        let (y, statistics, _) = Self::head_forward(x, from);
        (y, statistics)
    }

    fn fused_join(low: FlexTensor, full: FlexTensor) -> FlexTensor {
        let (shape, [n, c, ..]) = (upsampling(&low, &full), low.shape().dims::<5>());
        let [_, behind, d, h, w] = full.shape().dims();
        let y = shape.join(n, Values::of(&low).slice(), Values::of(&full).slice());
        tensor(y, &[n, c + behind, d, h, w])
    }

    fn fused_add(low: FlexTensor, full: FlexTensor) -> FlexTensor {
        like(upsampling(&low, &full).add(Values::of(&low).slice(), Values::of(&full).slice()), &full)
    }

    fn fused_gate(logits: FlexTensor, trunk: FlexTensor) -> FlexTensor {
        like(upsampling(&logits, &trunk).gate(Values::of(&logits).slice(), Values::of(&trunk).slice()), &trunk)
    }
}

/// How `low` becomes as large as `full`.
fn upsampling(low: &FlexTensor, full: &FlexTensor) -> Resampling {
    let ([n, c, low_depth, ..], [_, _, d, h, w]) = (low.shape().dims::<5>(), full.shape().dims());
    resampling([n, c, d, h, w], low_depth < d)
}

impl FusedGradients for Flex {
    fn fold_gradients(
        x: FlexTensor,
        conv: ConvTensors<Flex>,
        norm: NormTensors<Flex>,
        statistics: FlexTensor,
        grad: FlexTensor,
    ) -> (ConvTensors<Flex>, NormTensors<Flex>) {
        let shape = conv_shape(&x, &conv);
        let [x, kernels, bias, gamma, beta, statistics, grad] =
            [&x, &conv.kernels, &conv.bias, &norm.gamma, &norm.beta, &statistics, &grad].map(Values::of);
        let weights = FirstWeights {
            kernels: kernels.slice(),
            bias: bias.slice(),
            gamma: gamma.slice(),
            beta: beta.slice(),
            epsilon: EPSILON,
        };
        let (mean, variance) = statistics.slice().split_at(shape.channels);
        let gradients = first::fold_gradients(&shape, x.slice(), &weights, mean, variance, grad.slice());
        let none = vec![0.0; shape.channels];
        (
            ConvTensors { kernels: like(gradients.kernels, &conv.kernels), bias: like(none, &conv.bias) },
            NormTensors { gamma: like(gradients.gamma, &norm.gamma), beta: like(gradients.beta, &norm.beta) },
        )
    }

    fn first_pool_gradient(x: FlexTensor, folded: FlexTensor, grad: FlexTensor) -> FlexTensor {
        let shape = folded_shape(&x, &folded);
        let [x, kernels, values] = [&x, &folded, &grad].map(Values::of);
        let gradient = first::pool_gradient(&shape, x.slice(), kernels.slice(), values.slice());
        drop(values);
        recycle(grad);
        like(gradient, &folded)
    }

    fn block_forward(x: FlexTensor, weights: BlockTensors<Flex>) -> (FlexTensor, FlexTensor, Arc<ResidualState>) {
        let (shape, values) = (block_shape(&x, &weights), BlockValues::of(&weights));
        let (y, state) = residual::forward(&shape, &values.weights(), Values::of(&x).slice());
        let statistics = statistics(state.statistics.iter().map(|(mean, variance)| (mean, variance)));
        let [d, h, w] = shape.size;
        (tensor(y, &[shape.batch, shape.outputs, d, h, w]), statistics, Arc::new(state))
    }

    fn block_gradients(
        x: FlexTensor,
        weights: BlockTensors<Flex>,
        state: Arc<ResidualState>,
        grad: FlexTensor,
    ) -> (FlexTensor, BlockTensors<Flex>) {
        let (shape, values) = (block_shape(&x, &weights), BlockValues::of(&weights));
        let (of_x, of_y) = (Values::of(&x), Values::of(&grad));
        let gradients = residual::gradients(&shape, &values.weights(), of_x.slice(), &state, of_y.slice());
        drop((of_x, of_y));
        recycle(grad);
        let BlockTensors { norm1, norm2, norm3, conv1, conv2, conv3, shortcut } = &weights;
        let norm = |[gamma, beta]: [Vec<f32>; 2], of: &NormTensors<Flex>| NormTensors {
            gamma: like(gamma, &of.gamma),
            beta: like(beta, &of.beta),
        };
        let conv = |[kernels, bias]: [Vec<f32>; 2], of: &ConvTensors<Flex>| ConvTensors {
            kernels: like(kernels, &of.kernels),
            bias: like(bias, &of.bias),
        };
        let ([first, second, third], [narrow, wide, last, along]) = (gradients.norms, gradients.convolutions);
        let weights = BlockTensors {
            norm1: norm(first, norm1),
            conv1: conv(narrow, conv1),
            norm2: norm(second, norm2),
            conv2: conv(wide, conv2),
            norm3: norm(third, norm3),
            conv3: conv(last, conv3),
            shortcut: conv(along, shortcut),
        };
        let of_x = like(gradients.x, &x);
        recycle(x);
        (of_x, weights)
    }

    fn join_gradients(low: [usize; 5], grad: FlexTensor) -> [FlexTensor; 2] {
        let [n, c, low_depth, ..] = low;
        let [_, channels, d, h, w] = grad.shape().dims();
        let shape = resampling([n, c, d, h, w], low_depth < d);
        let [of_low, of_full] = shape.join_gradients(n, Values::of(&grad).slice());
        recycle(grad);
        [tensor(of_low, &low), tensor(of_full, &[n, channels - c, d, h, w])]
    }

    fn gate_gradients(logits: FlexTensor, trunk: FlexTensor, grad: FlexTensor) -> [FlexTensor; 2] {
        let values = [&logits, &trunk, &grad].map(Values::of);
        let [of_logits, of_trunk, of_y] = values.each_ref().map(Values::slice);
        let [of_logits, of_trunk] = upsampling(&logits, &trunk).gate_gradients(of_logits, of_trunk, of_y);
        drop(values);
        let gradients = [like(of_logits, &logits), like(of_trunk, &trunk)];
        [grad, trunk, logits].into_iter().for_each(recycle);
        gradients
    }

    fn head_forward(x: FlexTensor, from: HeadTensors<Flex>) -> (FlexTensor, FlexTensor, Arc<HeadState>) {
        let values = HeadValues::of(&x, &from);
        let (y, state) = head::forward(&values.shape, &values.inputs());
        let statistics = statistics([(&state.mean, &state.variance)]);
        (like(y, &x), statistics, Arc::new(state))
    }

    fn head_gradients(
        x: FlexTensor,
        from: HeadTensors<Flex>,
        state: Arc<HeadState>,
        output: FlexTensor,
        grad: FlexTensor,
    ) -> HeadTensors<Flex> {
        let values = HeadValues::of(&x, &from);
        let (output, grad) = (Values::of(&output), Values::of(&grad));
        // The state is big and written over; only a graph that is walked through twice still needs it.
        let state = Arc::unwrap_or_clone(state);
        let gradients = head::gradients(&values.shape, &values.inputs(), state, output.slice(), grad.slice());
        let none = vec![0.0; values.shape.first.channels];
        HeadTensors {
            folded: like(gradients.folded, &from.folded),
            low: like(gradients.low, &from.low),
            conv: ConvTensors {
                kernels: like(gradients.kernels, &from.conv.kernels),
                bias: like(none, &from.conv.bias),
            },
            norm: NormTensors {
                gamma: like(gradients.gamma, &from.norm.gamma),
                beta: like(gradients.beta, &from.norm.beta),
            },
            last: ConvTensors {
                kernels: like(gradients.last, &from.last.kernels),
                bias: like(vec![gradients.last_bias], &from.last.bias),
            },
        }
    }
}
