//! Several layers as one operation, for training on the CPU.
//!
//! What lies between these layers is neither stored for the backward pass nor, at full resolution, at all
//! (`hepar_kernels::first`, `head`, `residual`). [`is_possible`] says where the operations can be used; anywhere else
//! a network runs layer by layer.

mod autodiff;
mod flex;

use std::sync::Arc;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchDevice, ExtensionType, backend_extension};
use burn::tensor::Tensor;
use hepar_kernels::first::FirstShape;
use hepar_kernels::head::HeadState;
use hepar_kernels::residual::ResidualState;
use hepar_model::topology::{Dimensions, NetworkConfig};

use super::LayerGradients;
use crate::layers::{Convolution, Normalisation};

/// Scale and shift of a normalisation.
#[derive(Debug, Clone, ExtensionType)]
pub(crate) struct NormTensors<B: Backend> {
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
}

/// Kernels and bias of a convolution.
#[derive(Debug, Clone, ExtensionType)]
pub(crate) struct ConvTensors<B: Backend> {
    kernels: FloatTensor<B>,
    bias: FloatTensor<B>,
}

/// A residual block's weights.
#[derive(Debug, Clone, ExtensionType)]
pub(crate) struct BlockTensors<B: Backend> {
    #[extension_type]
    norm1: NormTensors<B>,
    #[extension_type]
    conv1: ConvTensors<B>,
    #[extension_type]
    norm2: NormTensors<B>,
    #[extension_type]
    conv2: ConvTensors<B>,
    #[extension_type]
    norm3: NormTensors<B>,
    #[extension_type]
    conv3: ConvTensors<B>,
    #[extension_type]
    shortcut: ConvTensors<B>,
}

/// What the last layers are computed from besides the network's input.
#[derive(Debug, Clone, ExtensionType)]
pub(crate) struct HeadTensors<B: Backend> {
    /// The first layer's folded kernels.
    folded: FloatTensor<B>,
    /// The map that is upsampled.
    low: FloatTensor<B>,
    #[extension_type]
    conv: ConvTensors<B>,
    #[extension_type]
    norm: NormTensors<B>,
    #[extension_type]
    last: ConvTensors<B>,
}

/// Groups of layers that a backend computes as one operation.
///
/// Statistics are mean and biased variance of what a normalisation saw, one normalisation's behind the other's.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait FusedLayers: Backend {
    /// The first layer's kernels with the batch's normalisation folded in, `[channels, taps + 1]`, and statistics.
    fn fused_fold(
        x: FloatTensor<Self>,
        #[extension_type] conv: ConvTensors<Self>,
        #[extension_type] norm: NormTensors<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The first layer's output after pooling, from the network's input and folded kernels.
    fn fused_first_pool(x: FloatTensor<Self>, folded: FloatTensor<Self>) -> FloatTensor<Self>;

    /// A residual block, and the statistics of its three normalisations.
    fn fused_block(
        x: FloatTensor<Self>,
        #[extension_type] weights: BlockTensors<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Probabilities from the network's input and the decoder's last map, and conv9's statistics.
    fn fused_head(
        x: FloatTensor<Self>,
        #[extension_type] from: HeadTensors<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// `low`, upsampled, and behind its channels those of `full`.
    fn fused_join(low: FloatTensor<Self>, full: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `low`, upsampled, plus `full`.
    fn fused_add(low: FloatTensor<Self>, full: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `trunk` · (1 + σ(`logits`)), the logits upsampled.
    fn fused_gate(logits: FloatTensor<Self>, trunk: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Gradients of [`FusedLayers`], and what these need of the forward pass.
trait FusedGradients: FusedLayers + LayerGradients {
    /// Gradients of the first layer's weights, given the statistics and the gradient of the folded kernels.
    fn fold_gradients(
        x: FloatTensor<Self>,
        conv: ConvTensors<Self>,
        norm: NormTensors<Self>,
        statistics: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (ConvTensors<Self>, NormTensors<Self>);

    /// Gradient of the folded kernels.
    fn first_pool_gradient(
        x: FloatTensor<Self>,
        folded: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// [`FusedLayers::fused_block`] with what the backward pass needs.
    fn block_forward(
        x: FloatTensor<Self>,
        weights: BlockTensors<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, Arc<ResidualState>);

    /// Gradients of a block's input and weights.
    fn block_gradients(
        x: FloatTensor<Self>,
        weights: BlockTensors<Self>,
        state: Arc<ResidualState>,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, BlockTensors<Self>);

    /// Gradients of both maps that [`FusedLayers::fused_join`] joins, the first of the shape `low`.
    fn join_gradients(low: [usize; 5], grad: FloatTensor<Self>) -> [FloatTensor<Self>; 2];

    /// Gradients of logits and trunk of [`FusedLayers::fused_gate`].
    fn gate_gradients(
        logits: FloatTensor<Self>,
        trunk: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2];

    /// [`FusedLayers::fused_head`] with what the backward pass needs.
    fn head_forward(
        x: FloatTensor<Self>,
        from: HeadTensors<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, Arc<HeadState>);

    /// Gradients of all that the last layers are computed from, but for the network's input.
    fn head_gradients(
        x: FloatTensor<Self>,
        from: HeadTensors<Self>,
        state: Arc<HeadState>,
        output: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> HeadTensors<Self>;
}

/// Whether networks with such an input train through these operations: on the CPU, with sides that the kernels take, and
/// where nobody asks for the gradient of the input, which is not computed.
pub(crate) fn is_possible(config: &NetworkConfig, x: &Tensor<5>) -> bool {
    let device = x.device();
    let is_on_cpu = matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_));
    let [batch, _, d, h, w] = x.dims();
    let depth = if config.dimensions == Dimensions::Spatial { 3 } else { 1 };
    let shape = FirstShape { batch, channels: config.widths[0], size: [d, h, w], depth };
    device.is_autodiff() && is_on_cpu && !x.is_require_grad() && shape.is_supported()
}

fn conv_tensors(conv: &Convolution) -> ConvTensors<Dispatch> {
    ConvTensors { kernels: conv.weight.val().into_dispatch(), bias: conv.bias.val().into_dispatch() }
}

fn norm_tensors(norm: &Normalisation) -> NormTensors<Dispatch> {
    NormTensors { gamma: norm.gamma.val().into_dispatch(), beta: norm.beta.val().into_dispatch() }
}

/// Lets the running statistics of normalisations follow those of a batch of `values` values a channel.
fn follow<'a>(norms: impl IntoIterator<Item = &'a Normalisation>, values: usize, statistics: Tensor<1>) {
    let mut first = 0;
    for norm in norms {
        let [channels] = norm.gamma.dims();
        let mut next = || {
            first += channels;
            statistics.clone().narrow(0, first - channels, channels)
        };
        let mean = next();
        norm.follow(values, mean, next());
    }
}

/// Values of one channel in all samples.
fn values(x: &Tensor<5>) -> usize {
    let [n, _, d, h, w] = x.dims();
    n * d * h * w
}

/// The first layer's kernels with the batch's normalisation folded in, `[channels, taps + 1]`.
pub(crate) fn fold(x: Tensor<5>, conv: &Convolution, norm: &Normalisation) -> Tensor<2> {
    let values = values(&x);
    let (folded, statistics) = Dispatch::fused_fold(x.into_dispatch(), conv_tensors(conv), norm_tensors(norm));
    follow([norm], values, Tensor::from_dispatch(statistics));
    Tensor::from_dispatch(folded)
}

/// The first layer's output after pooling, from the network's input.
pub(crate) fn first_pool(x: Tensor<5>, folded: Tensor<2>) -> Tensor<5> {
    Tensor::from_dispatch(Dispatch::fused_first_pool(x.into_dispatch(), folded.into_dispatch()))
}

/// A residual block with its normalisations and, shortcut last, its convolutions.
pub(crate) fn block(x: Tensor<5>, norms: [&Normalisation; 3], convolutions: [&Convolution; 4]) -> Tensor<5> {
    let values = values(&x);
    let ([norm1, norm2, norm3], [conv1, conv2, conv3, shortcut]) =
        (norms.map(norm_tensors), convolutions.map(conv_tensors));
    let weights = BlockTensors { norm1, conv1, norm2, conv2, norm3, conv3, shortcut };
    let (y, statistics) = Dispatch::fused_block(x.into_dispatch(), weights);
    follow(norms, values, Tensor::from_dispatch(statistics));
    Tensor::from_dispatch(y)
}

/// `low`, upsampled, and behind its channels those of `full`.
pub(crate) fn join(low: Tensor<5>, full: Tensor<5>) -> Tensor<5> {
    Tensor::from_dispatch(Dispatch::fused_join(low.into_dispatch(), full.into_dispatch()))
}

/// `low`, upsampled, plus `full`.
pub(crate) fn add(low: Tensor<5>, full: Tensor<5>) -> Tensor<5> {
    Tensor::from_dispatch(Dispatch::fused_add(low.into_dispatch(), full.into_dispatch()))
}

/// `trunk` · (1 + σ(`logits`)), the logits upsampled.
pub(crate) fn gate(logits: Tensor<5>, trunk: Tensor<5>) -> Tensor<5> {
    Tensor::from_dispatch(Dispatch::fused_gate(logits.into_dispatch(), trunk.into_dispatch()))
}

/// Probabilities from the network's input `x`, the first layer's folded kernels and the map `low` that is upsampled.
pub(crate) fn head(
    x: Tensor<5>,
    folded: Tensor<2>,
    low: Tensor<5>,
    conv: &Convolution,
    norm: &Normalisation,
    last: &Convolution,
) -> Tensor<5> {
    let values = values(&x);
    let from = HeadTensors {
        folded: folded.into_dispatch(),
        low: low.into_dispatch(),
        conv: conv_tensors(conv),
        norm: norm_tensors(norm),
        last: conv_tensors(last),
    };
    let (y, statistics) = Dispatch::fused_head(x.into_dispatch(), from);
    follow([norm], values, Tensor::from_dispatch(statistics));
    Tensor::from_dispatch(y)
}
