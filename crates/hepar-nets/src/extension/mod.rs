//! RA-UNet's layers as operations of burn's backends.
//!
//! On the CPU they run through `hepar-kernels`; burn's automatic differentiation calls their gradients. Shapes are
//! those of the layers: maps N × C × D × H × W, kernels `[out, in, d, h, w]`, everything else `[channels]`.

mod autodiff;
#[cfg(feature = "wgpu")]
mod cube;
mod flex;
pub(crate) mod fused;
#[cfg(all(test, feature = "wgpu"))]
mod tests;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};
use burn::tensor::Tensor;
use hepar_kernels::joined::JoinedShape;

/// Layers that a backend computes as one operation.
#[cfg_attr(feature = "wgpu", backend_extension(Cube, Flex, Autodiff))]
#[cfg_attr(not(feature = "wgpu"), backend_extension(Flex, Autodiff))]
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

    /// x · `of_x` + y · `of_y`, of any shape; not differentiable.
    fn layer_blend(x: FloatTensor<Self>, y: FloatTensor<Self>, of_x: f32, of_y: f32) -> FloatTensor<Self>;

    /// A step of Adam for a parameter of any shape: the parameter and its two moments after it; not differentiable.
    #[allow(clippy::too_many_arguments)]
    fn layer_adam(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        betas: [f32; 2],
        step: f32,
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

/// x · `of_x` + y · `of_y`; not differentiable.
pub(crate) fn blend<const D: usize>(x: Tensor<D>, y: Tensor<D>, [of_x, of_y]: [f32; 2]) -> Tensor<D> {
    use burn::backend::Dispatch;
    Tensor::from_dispatch(Dispatch::layer_blend(x.into_dispatch(), y.into_dispatch(), of_x, of_y))
}

/// The parameter and its two moments after a step of Adam: m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g²,
/// p ← p − step · m / (√v + ε).
pub(crate) fn adam<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    moments: [Tensor<D>; 2],
    betas: [f32; 2],
    step: f32,
    epsilon: f32,
) -> (Tensor<D>, [Tensor<D>; 2]) {
    use burn::backend::Dispatch;
    let (parameter, gradient) = (parameter.into_dispatch(), gradient.into_dispatch());
    let [first, second] = moments.map(Tensor::into_dispatch);
    let (parameter, first, second) = Dispatch::layer_adam(parameter, gradient, first, second, betas, step, epsilon);
    (Tensor::from_dispatch(parameter), [Tensor::from_dispatch(first), Tensor::from_dispatch(second)])
}

fn joined_shape(low: [usize; 5], full: [usize; 5], weight: [usize; 5]) -> JoinedShape {
    let ([batch, upsampled, ..], [_, channels, d, h, w], [outputs, _, depth, ..]) = (low, full, weight);
    JoinedShape { batch, upsampled, full: channels, outputs, size: [d, h, w], depth }
}

/// The shape after halving or doubling.
fn resampled([n, c, d, h, w]: [usize; 5], is_spatial: bool, change: impl Fn(usize) -> usize) -> [usize; 5] {
    [n, c, if is_spatial { change(d) } else { d }, change(h), change(w)]
}
