//! The layers' steps back, for automatic differentiation.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;

use super::{LayerGradients, Layers, NormState};

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

    fn layer_blend(_x: FloatTensor<Self>, _y: FloatTensor<Self>, _of_x: f32, _of_y: f32) -> FloatTensor<Self> {
        unreachable!("statistics are not differentiated")
    }

    fn layer_adam(
        _parameter: FloatTensor<Self>,
        _gradient: FloatTensor<Self>,
        _first: FloatTensor<Self>,
        _second: FloatTensor<Self>,
        _betas: [f32; 2],
        _step: f32,
        _epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("steps are not differentiated")
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
