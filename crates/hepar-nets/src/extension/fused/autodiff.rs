//! The steps back of groups of layers, for automatic differentiation.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, TensorMetadata};
use hepar_kernels::head::HeadState;
use hepar_kernels::residual::ResidualState;

use super::{BlockTensors, ConvTensors, FusedGradients, FusedLayers, HeadTensors, NormTensors};

/// Registers a gradient for each parent that is tracked.
macro_rules! register {
    ($grads:expr, $backend:ty, $parents:expr, $gradients:expr) => {
        for (node, gradient) in $parents.into_iter().zip($gradients) {
            if let Some(node) = node {
                $grads.register::<$backend>(node.id, gradient);
            }
        }
    };
}

/// Tensors without their place in the graph.
macro_rules! plain {
    ($kind:ident { $($field:ident),+ } of $tensors:expr) => {
        $kind { $($field: $tensors.$field.clone().into_primitive()),+ }
    };
}

fn conv_plain<B: FusedGradients, C: CheckpointStrategy>(conv: &ConvTensors<Autodiff<B, C>>) -> ConvTensors<B> {
    plain!(ConvTensors { kernels, bias } of conv)
}

fn norm_plain<B: FusedGradients, C: CheckpointStrategy>(norm: &NormTensors<Autodiff<B, C>>) -> NormTensors<B> {
    plain!(NormTensors { gamma, beta } of norm)
}

#[derive(Debug)]
struct FoldStep;

impl<B: FusedGradients> Backward<B, 4> for FoldStep {
    type State = (FloatTensor<B>, ConvTensors<B>, NormTensors<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (x, conv, norm, statistics) = ops.state;
        let (conv, norm) = B::fold_gradients(x, conv, norm, statistics, grad);
        register!(grads, B, ops.parents, [conv.kernels, conv.bias, norm.gamma, norm.beta]);
    }
}

#[derive(Debug)]
struct FirstPoolStep;

impl<B: FusedGradients> Backward<B, 1> for FirstPoolStep {
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [x, folded] = ops.state;
        register!(grads, B, ops.parents, [B::first_pool_gradient(x, folded, grad)]);
    }
}

#[derive(Debug)]
struct BlockStep;

impl<B: FusedGradients> Backward<B, 15> for BlockStep {
    type State = (FloatTensor<B>, BlockTensors<B>, Arc<ResidualState>);

    fn backward(self, ops: Ops<Self::State, 15>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (x, weights, state) = ops.state;
        let (of_x, weights) = B::block_gradients(x, weights, state, grad);
        let gradients = std::iter::once(of_x).chain(weights.into_tensors());
        register!(grads, B, ops.parents, gradients);
    }
}

impl<B: burn::backend::Backend> BlockTensors<B> {
    /// All tensors, normalisations first.
    fn into_tensors(self) -> [FloatTensor<B>; 14] {
        let Self { norm1, conv1, norm2, conv2, norm3, conv3, shortcut } = self;
        let ([a, b], [c, d], [e, f]) =
            ([norm1.gamma, norm1.beta], [norm2.gamma, norm2.beta], [norm3.gamma, norm3.beta]);
        let ([g, h], [i, j]) = ([conv1.kernels, conv1.bias], [conv2.kernels, conv2.bias]);
        let ([k, l], [m, n]) = ([conv3.kernels, conv3.bias], [shortcut.kernels, shortcut.bias]);
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n]
    }
}

#[derive(Debug)]
struct HeadStep;

impl<B: FusedGradients> Backward<B, 8> for HeadStep {
    type State = (FloatTensor<B>, HeadTensors<B>, Arc<HeadState>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 8>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (x, from, state, output) = ops.state;
        let gradients = B::head_gradients(x, from, state, output, grad);
        register!(grads, B, ops.parents, gradients.into_tensors());
    }
}

impl<B: burn::backend::Backend> HeadTensors<B> {
    fn into_tensors(self) -> [FloatTensor<B>; 8] {
        let Self { folded, low, conv, norm, last } = self;
        [folded, low, conv.kernels, conv.bias, norm.gamma, norm.beta, last.kernels, last.bias]
    }
}

/// The sides of the map that is upsampled are all that is left of a join.
#[derive(Debug)]
struct JoinStep;

impl<B: FusedGradients> Backward<B, 2> for JoinStep {
    type State = [usize; 5];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        register!(grads, B, ops.parents, B::join_gradients(ops.state, grad));
    }
}

#[derive(Debug)]
struct AddStep;

impl<B: FusedGradients> Backward<B, 2> for AddStep {
    /// Whether depth is upsampled as well.
    type State = bool;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        register!(grads, B, ops.parents, [B::upsample_gradient(ops.state, grad.clone()), grad]);
    }
}

#[derive(Debug)]
struct GateStep;

impl<B: FusedGradients> Backward<B, 2> for GateStep {
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [logits, trunk] = ops.state;
        register!(grads, B, ops.parents, B::gate_gradients(logits, trunk, grad));
    }
}

impl<B: FusedGradients, C: CheckpointStrategy> FusedLayers for Autodiff<B, C> {
    fn fused_fold(
        x: FloatTensor<Self>,
        conv: ConvTensors<Self>,
        norm: NormTensors<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [conv.kernels.node(), conv.bias.node(), norm.gamma.node(), norm.beta.node()];
        let (x, conv, norm) = (x.into_primitive(), conv_plain(&conv), norm_plain(&norm));
        let (folded, statistics) = B::fused_fold(x.clone(), conv.clone(), norm.clone());
        let folded = match FoldStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((x, conv, norm, statistics.clone()), folded),
            OpsKind::UnTracked(step) => step.finish(folded),
        };
        (folded, FloatTensor::<Self>::new(statistics))
    }

    fn fused_first_pool(x: FloatTensor<Self>, folded: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [folded.node()];
        let (x, folded) = (x.into_primitive(), folded.into_primitive());
        let y = B::fused_first_pool(x.clone(), folded.clone());
        match FirstPoolStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish([x, folded], y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn fused_block(x: FloatTensor<Self>, weights: BlockTensors<Self>) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let BlockTensors { norm1, conv1, norm2, conv2, norm3, conv3, shortcut } = &weights;
        let plain = BlockTensors {
            norm1: norm_plain(norm1),
            conv1: conv_plain(conv1),
            norm2: norm_plain(norm2),
            conv2: conv_plain(conv2),
            norm3: norm_plain(norm3),
            conv3: conv_plain(conv3),
            shortcut: conv_plain(shortcut),
        };
        let mut tensors = weights.into_tensors().into_iter();
        let nodes = std::array::from_fn(|at| match at {
            0 => x.node(),
            _ => tensors.next().map_or_else(|| x.node(), |tensor| tensor.node()),
        });
        let x = x.into_primitive();
        let (y, statistics, state) = B::block_forward(x.clone(), plain.clone());
        let y = match BlockStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((x, plain, state), y),
            OpsKind::UnTracked(step) => step.finish(y),
        };
        (y, FloatTensor::<Self>::new(statistics))
    }

    fn fused_head(x: FloatTensor<Self>, from: HeadTensors<Self>) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let plain = HeadTensors {
            folded: from.folded.clone().into_primitive(),
            low: from.low.clone().into_primitive(),
            conv: conv_plain(&from.conv),
            norm: norm_plain(&from.norm),
            last: conv_plain(&from.last),
        };
        let nodes = from.into_tensors().map(|tensor| tensor.node());
        let x = x.into_primitive();
        let (y, statistics, state) = B::head_forward(x.clone(), plain.clone());
        let y = match HeadStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((x, plain, state, y.clone()), y),
            OpsKind::UnTracked(step) => step.finish(y),
        };
        (y, FloatTensor::<Self>::new(statistics))
    }

    fn fused_join(low: FloatTensor<Self>, full: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [low.node(), full.node()];
        let (low, full) = (low.into_primitive(), full.into_primitive());
        let sides = low.shape().dims();
        let y = B::fused_join(low, full);
        match JoinStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(sides, y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn fused_add(low: FloatTensor<Self>, full: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [low.node(), full.node()];
        let (low, full) = (low.into_primitive(), full.into_primitive());
        let is_spatial = low.shape()[2] < full.shape()[2];
        let y = B::fused_add(low, full);
        match AddStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(is_spatial, y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn fused_gate(logits: FloatTensor<Self>, trunk: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [logits.node(), trunk.node()];
        let (logits, trunk) = (logits.into_primitive(), trunk.into_primitive());
        let y = B::fused_gate(logits.clone(), trunk.clone());
        match GateStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish([logits, trunk], y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }
}
