//! RA-UNet's layers as operations of burn's backends.
//!
//! On the CPU they run through `hepar-kernels`; burn's automatic differentiation calls their gradients. Shapes are
//! those of the layers: maps N × C × D × H × W, kernels `[out, in, d, h, w]`, everything else `[channels]`.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Tensor, TensorData};
use hepar_kernels::convolution::{self, ConvShape};
use hepar_kernels::joined::{self, JoinedShape};
use hepar_kernels::norm::{self, MapShape, Norm};
use hepar_kernels::resampling::Resampling;

/// Layers that a backend computes as one operation.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait Layers: Backend {
    /// Convolution with bias, stride 1 and zero "same" padding.
    fn layer_convolution(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>)
    -> FloatTensor<Self>;

    /// The same of `low`, upsampled by 2 along every axis on which the kernel has three taps, joined with `full`.
    fn layer_joined_convolution(
        low: FloatTensor<Self>,
        full: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// Maximum over blocks of 2 × 2, or of 2³ when `is_spatial`.
    fn layer_pool(x: FloatTensor<Self>, is_spatial: bool) -> FloatTensor<Self>;

    /// Nearest-neighbour upsampling by 2 in plane, and along z when `is_spatial`.
    fn layer_upsample(x: FloatTensor<Self>, is_spatial: bool) -> FloatTensor<Self>;

    /// max(0, x · scale + shift).
    fn layer_scale_shift_relu(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// Batch normalisation by the batch's own statistics, then ReLU; also returns the mean and the biased variance.
    fn layer_norm_relu(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// Gradients of [`Layers`], for automatic differentiation.
trait LayerGradients: Layers {
    /// Gradients of (x, weight, bias).
    fn convolution_gradients(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        needs_x: bool,
    ) -> (Option<FloatTensor<Self>>, FloatTensor<Self>, FloatTensor<Self>);

    /// Gradients of (low, full, weight, bias).
    fn joined_gradients(inputs: [FloatTensor<Self>; 3], grad: FloatTensor<Self>) -> [FloatTensor<Self>; 4];

    /// Gradient of the input of a pooling.
    fn pool_gradient(x: FloatTensor<Self>, is_spatial: bool, grad: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Gradient of the input of an upsampling.
    fn upsample_gradient(is_spatial: bool, grad: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Gradients of (x, gamma, beta).
    fn norm_relu_gradients(
        x: FloatTensor<Self>,
        norm: NormState<Self>,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// What the backward pass of a normalisation needs besides its input.
#[derive(Debug, Clone)]
struct NormState<B: Backend> {
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    mean: FloatTensor<B>,
    variance: FloatTensor<B>,
    epsilon: f32,
}

/// Convolution with bias, stride 1 and zero "same" padding: N × in × D × H × W → N × out × D × H × W.
pub(crate) fn convolution(x: Tensor<5>, weight: Tensor<5>, bias: Tensor<1>) -> Tensor<5> {
    use burn::backend::Dispatch;
    Tensor::from_dispatch(Dispatch::layer_convolution(x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()))
}

/// [`convolution`] of `low`, upsampled by 2, joined with `full`; for shapes for which [`can_join`] holds.
pub(crate) fn joined_convolution(low: Tensor<5>, full: Tensor<5>, weight: Tensor<5>, bias: Tensor<1>) -> Tensor<5> {
    use burn::backend::Dispatch;
    let (low, full) = (low.into_dispatch(), full.into_dispatch());
    Tensor::from_dispatch(Dispatch::layer_joined_convolution(low, full, weight.into_dispatch(), bias.into_dispatch()))
}

/// Whether [`joined_convolution`] takes maps of these shapes, N × C × D × H × W.
pub(crate) fn can_join(low: [usize; 5], full: [usize; 5], weight: [usize; 5]) -> bool {
    let shape = joined_shape(low, full, weight);
    let half = resampled(full, shape.depth == 3, |side| side / 2);
    let is_half = low[0] == full[0] && low[2..] == half[2..];
    is_half && weight[3..] == [3, 3] && weight[1] == low[1] + full[1] && shape.is_supported()
}

/// Maximum over blocks of 2 × 2 in plane, or of 2³ when `is_spatial`.
pub(crate) fn pool(x: Tensor<5>, is_spatial: bool) -> Tensor<5> {
    use burn::backend::Dispatch;
    Tensor::from_dispatch(Dispatch::layer_pool(x.into_dispatch(), is_spatial))
}

/// Nearest-neighbour upsampling by 2 in plane, and along z when `is_spatial`.
pub(crate) fn upsample(x: Tensor<5>, is_spatial: bool) -> Tensor<5> {
    use burn::backend::Dispatch;
    Tensor::from_dispatch(Dispatch::layer_upsample(x.into_dispatch(), is_spatial))
}

/// max(0, x · scale + shift), one scale and shift a channel; not differentiable.
pub(crate) fn scale_shift_relu(x: Tensor<5>, scale: Tensor<1>, shift: Tensor<1>) -> Tensor<5> {
    use burn::backend::Dispatch;
    let (x, scale, shift) = (x.into_dispatch(), scale.into_dispatch(), shift.into_dispatch());
    Tensor::from_dispatch(Dispatch::layer_scale_shift_relu(x, scale, shift))
}

/// ReLU of the batch-normalised input, and the batch's mean and biased variance.
pub(crate) fn norm_relu(
    x: Tensor<5>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f32,
) -> (Tensor<5>, Tensor<1>, Tensor<1>) {
    use burn::backend::Dispatch;
    let (x, gamma, beta) = (x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch());
    let (y, mean, variance) = Dispatch::layer_norm_relu(x, gamma, beta, epsilon);
    (Tensor::from_dispatch(y), Tensor::from_dispatch(mean), Tensor::from_dispatch(variance))
}

type FlexTensor = FloatTensor<Flex>;

/// The values of a tensor in C order, read in place where it lies so.
struct Values(FlexTensor);

impl Values {
    fn of(tensor: &FlexTensor) -> Self {
        Self(tensor.to_contiguous())
    }

    fn slice(&self) -> &[f32] {
        // A contiguous tensor always has a slice.
        self.0.as_slice::<f32>().unwrap_or_else(|| unreachable!("the tensor was just made contiguous"))
    }
}

fn tensor(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
}

fn conv_shape(x: &FlexTensor, weight: &FlexTensor) -> ConvShape {
    let ([batch, inputs, d, h, w], [outputs, _, kd, kh, kw]) = (x.shape().dims(), weight.shape().dims());
    ConvShape { batch, inputs, outputs, size: [d, h, w], kernel: [kd, kh, kw] }
}

fn map_shape(x: &FlexTensor) -> MapShape {
    let [batch, channels, d, h, w] = x.shape().dims();
    MapShape { batch, channels, voxels: d * h * w }
}

fn joined_shape(low: [usize; 5], full: [usize; 5], weight: [usize; 5]) -> JoinedShape {
    let ([batch, upsampled, ..], [_, channels, d, h, w], [outputs, _, depth, ..]) = (low, full, weight);
    JoinedShape { batch, upsampled, full: channels, outputs, size: [d, h, w], depth }
}

/// How maps with the large sides `[d, h, w]` are halved or doubled.
fn resampling([n, c, d, h, w]: [usize; 5], is_spatial: bool) -> Resampling {
    Resampling { maps: n * c, size: [d, h, w], stride: [if is_spatial { 2 } else { 1 }, 2, 2] }
}

/// The shape after halving or doubling.
fn resampled([n, c, d, h, w]: [usize; 5], is_spatial: bool, change: impl Fn(usize) -> usize) -> [usize; 5] {
    [n, c, if is_spatial { change(d) } else { d }, change(h), change(w)]
}

impl Layers for Flex {
    fn layer_convolution(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let shape = conv_shape(&x, &weight);
        let (x, weight, bias) = (Values::of(&x), Values::of(&weight), Values::of(&bias));
        let y = convolution::forward(&shape, x.slice(), weight.slice(), bias.slice());
        let [d, h, w] = shape.size;
        tensor(y, &[shape.batch, shape.outputs, d, h, w])
    }

    fn layer_joined_convolution(low: FlexTensor, full: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let shape = joined_shape(low.shape().dims(), full.shape().dims(), weight.shape().dims());
        let [low, full, weight, bias] = [&low, &full, &weight, &bias].map(Values::of);
        let y = joined::forward(&shape, low.slice(), full.slice(), weight.slice(), bias.slice());
        let [d, h, w] = shape.size;
        tensor(y, &[shape.batch, shape.outputs, d, h, w])
    }

    fn layer_pool(x: FlexTensor, is_spatial: bool) -> FlexTensor {
        let dims: [usize; 5] = x.shape().dims();
        let y = resampling(dims, is_spatial).pool(Values::of(&x).slice());
        tensor(y, &resampled(dims, is_spatial, |side| side / 2))
    }

    fn layer_upsample(x: FlexTensor, is_spatial: bool) -> FlexTensor {
        let large = resampled(x.shape().dims(), is_spatial, |side| side * 2);
        tensor(resampling(large, is_spatial).repeat(Values::of(&x).slice()), &large)
    }

    fn layer_scale_shift_relu(x: FlexTensor, scale: FlexTensor, shift: FlexTensor) -> FlexTensor {
        let (shape, dims) = (map_shape(&x), x.shape());
        let (x, scale, shift) = (Values::of(&x), Values::of(&scale), Values::of(&shift));
        tensor(norm::scale_shift_relu(&shape, x.slice(), scale.slice(), shift.slice()), &dims.to_vec())
    }

    fn layer_norm_relu(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f32,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (shape, dims) = (map_shape(&x), x.shape());
        let (x, gamma, beta) = (Values::of(&x), Values::of(&gamma), Values::of(&beta));
        let (mean, variance) = norm::statistics(&shape, x.slice());
        let norm = Norm { gamma: gamma.slice(), beta: beta.slice(), mean: &mean, variance: &variance, epsilon };
        let (scale, shift) = norm.scale_and_shift();
        let y = norm::scale_shift_relu(&shape, x.slice(), &scale, &shift);
        (tensor(y, &dims.to_vec()), tensor(mean, &[shape.channels]), tensor(variance, &[shape.channels]))
    }
}

impl LayerGradients for Flex {
    fn convolution_gradients(
        x: FlexTensor,
        weight: FlexTensor,
        grad: FlexTensor,
        needs_x: bool,
    ) -> (Option<FlexTensor>, FlexTensor, FlexTensor) {
        let (shape, x_dims, weight_dims) = (conv_shape(&x, &weight), x.shape(), weight.shape());
        let (x, weight, grad) = (Values::of(&x), Values::of(&weight), Values::of(&grad));
        let dx = needs_x
            .then(|| tensor(convolution::input_gradient(&shape, weight.slice(), grad.slice()), &x_dims.to_vec()));
        let dw = convolution::weight_gradient(&shape, x.slice(), grad.slice());
        let db = convolution::bias_gradient(&shape, grad.slice());
        (dx, tensor(dw, &weight_dims.to_vec()), tensor(db, &[shape.outputs]))
    }

    fn joined_gradients([low, full, weight]: [FlexTensor; 3], grad: FlexTensor) -> [FlexTensor; 4] {
        let shape = joined_shape(low.shape().dims(), full.shape().dims(), weight.shape().dims());
        let dims = [low.shape(), full.shape(), weight.shape()].map(|shape| shape.to_vec());
        let [low, full, weight, grad] = [&low, &full, &weight, &grad].map(Values::of);
        let gradients = joined::gradients(&shape, low.slice(), full.slice(), weight.slice(), grad.slice());
        [
            tensor(gradients.low, &dims[0]),
            tensor(gradients.full, &dims[1]),
            tensor(gradients.weights, &dims[2]),
            tensor(gradients.bias, &[shape.outputs]),
        ]
    }

    fn pool_gradient(x: FlexTensor, is_spatial: bool, grad: FlexTensor) -> FlexTensor {
        let dims: [usize; 5] = x.shape().dims();
        tensor(resampling(dims, is_spatial).pool_gradient(Values::of(&x).slice(), Values::of(&grad).slice()), &dims)
    }

    fn upsample_gradient(is_spatial: bool, grad: FlexTensor) -> FlexTensor {
        let dims: [usize; 5] = grad.shape().dims();
        let dx = resampling(dims, is_spatial).repeat_gradient(Values::of(&grad).slice());
        tensor(dx, &resampled(dims, is_spatial, |side| side / 2))
    }

    fn norm_relu_gradients(
        x: FlexTensor,
        state: NormState<Self>,
        grad: FlexTensor,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (shape, dims) = (map_shape(&x), x.shape());
        let [x, gamma, beta, mean, variance, grad] =
            [&x, &state.gamma, &state.beta, &state.mean, &state.variance, &grad].map(Values::of);
        let norm = Norm {
            gamma: gamma.slice(),
            beta: beta.slice(),
            mean: mean.slice(),
            variance: variance.slice(),
            epsilon: state.epsilon,
        };
        let (dx, dgamma, dbeta) = norm::gradients(&shape, x.slice(), &norm, grad.slice());
        (tensor(dx, &dims.to_vec()), tensor(dgamma, &[shape.channels]), tensor(dbeta, &[shape.channels]))
    }
}

#[derive(Debug)]
struct ConvolutionStep;

impl<B: LayerGradients> Backward<B, 3> for ConvolutionStep {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let [x_node, weight_node, bias_node] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let (x, weight) = ops.state;
        let (dx, dw, db) = B::convolution_gradients(x, weight, grad, x_node.is_some());
        if let (Some(node), Some(dx)) = (x_node, dx) {
            grads.register::<B>(node.id, dx);
        }
        if let Some(node) = weight_node {
            grads.register::<B>(node.id, dw);
        }
        if let Some(node) = bias_node {
            grads.register::<B>(node.id, db);
        }
    }
}

#[derive(Debug)]
struct JoinedStep;

impl<B: LayerGradients> Backward<B, 4> for JoinedStep {
    type State = [FloatTensor<B>; 3];

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        for (node, gradient) in ops.parents.into_iter().zip(B::joined_gradients(ops.state, grad)) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct PoolStep;

impl<B: LayerGradients> Backward<B, 1> for PoolStep {
    type State = (FloatTensor<B>, bool);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let ([node], (x, is_spatial)) = (ops.parents, ops.state);
        if let Some(node) = node {
            grads.register::<B>(node.id, B::pool_gradient(x, is_spatial, grad));
        }
    }
}

#[derive(Debug)]
struct UpsampleStep;

impl<B: LayerGradients> Backward<B, 1> for UpsampleStep {
    type State = bool;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(node)] = ops.parents {
            grads.register::<B>(node.id, B::upsample_gradient(ops.state, grad));
        }
    }
}

#[derive(Debug)]
struct NormReluStep;

impl<B: LayerGradients> Backward<B, 3> for NormReluStep {
    type State = (FloatTensor<B>, NormState<B>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let [x_node, gamma_node, beta_node] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let (x, state) = ops.state;
        let (dx, dgamma, dbeta) = B::norm_relu_gradients(x, state, grad);
        for (node, gradient) in [(x_node, dx), (gamma_node, dgamma), (beta_node, dbeta)] {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: LayerGradients, C: CheckpointStrategy> Layers for Autodiff<B, C> {
    fn layer_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
        let y = B::layer_convolution(x.clone(), weight.clone(), bias);
        match ConvolutionStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((x, weight), y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn layer_joined_convolution(
        low: FloatTensor<Self>,
        full: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [low.node(), full.node(), weight.node(), bias.node()];
        let inputs = [low.into_primitive(), full.into_primitive(), weight.into_primitive()];
        let [low, full, weight] = inputs.clone();
        let y = B::layer_joined_convolution(low, full, weight, bias.into_primitive());
        match JoinedStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(inputs, y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn layer_pool(x: FloatTensor<Self>, is_spatial: bool) -> FloatTensor<Self> {
        let nodes = [x.node()];
        let x = x.into_primitive();
        let y = B::layer_pool(x.clone(), is_spatial);
        match PoolStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((x, is_spatial), y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn layer_upsample(x: FloatTensor<Self>, is_spatial: bool) -> FloatTensor<Self> {
        let nodes = [x.node()];
        let y = B::layer_upsample(x.into_primitive(), is_spatial);
        match UpsampleStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(is_spatial, y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn layer_scale_shift_relu(
        _x: FloatTensor<Self>,
        _scale: FloatTensor<Self>,
        _shift: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        unreachable!("a network that is trained normalises by the batch's statistics")
    }

    fn layer_norm_relu(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [x.node(), gamma.node(), beta.node()];
        let (x, gamma, beta) = (x.into_primitive(), gamma.into_primitive(), beta.into_primitive());
        let (y, mean, variance) = B::layer_norm_relu(x.clone(), gamma.clone(), beta.clone(), epsilon);
        let y = match NormReluStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let norm = NormState { gamma, beta, mean: mean.clone(), variance: variance.clone(), epsilon };
                step.finish((x, norm), y)
            }
            OpsKind::UnTracked(step) => step.finish(y),
        };
        (y, FloatTensor::<Self>::new(mean), FloatTensor::<Self>::new(variance))
    }
}
