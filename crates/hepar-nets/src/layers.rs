//! The two layers that carry weights: convolution and batch normalisation with ReLU.

use burn::module::{Module, Param, ParamId, RunningState};
use burn::tensor::{Device, Tensor, TensorData};
use hepar_model::topology::NORM_EPSILON;

use crate::extension::{blend, can_join, convolution, joined_convolution, norm_relu, scale_shift_relu};

/// Share of a running statistic that one batch replaces: the original's momentum 0.99, seen from the other side.
const MOMENTUM: f64 = 0.01;

/// A convolution with bias, stride 1 and zero "same" padding.
#[derive(Module, Debug)]
pub(crate) struct Convolution {
    /// `[out, in, d, h, w]`.
    pub weight: Param<Tensor<5>>,
    /// `[out]`.
    pub bias: Param<Tensor<1>>,
}

impl Convolution {
    /// # Shapes
    /// - `x`: N × in × D × H × W
    /// - output: N × out × D × H × W
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        convolution(x, self.weight.val(), self.bias.val())
    }

    /// The convolution of `low`, upsampled by 2, joined with `full`, without building what it sees; `None` for shapes
    /// for which there is no such kernel.
    ///
    /// # Shapes
    /// - `low`: N × some of in × the sides of `full`, halved
    /// - `full`: N × the rest of in × D × H × W
    /// - output: N × out × D × H × W
    pub fn forward_joined(&self, [low, full]: &[Tensor<5>; 2]) -> Option<Tensor<5>> {
        let weight = self.weight.val();
        let is_possible = can_join(low.dims(), full.dims(), weight.dims());
        is_possible.then(|| joined_convolution(low.clone(), full.clone(), weight, self.bias.val()))
    }
}

/// Batch normalisation with the constants of Keras 2, which the original used, followed by ReLU.
#[derive(Module, Debug)]
pub(crate) struct Normalisation {
    /// Scale, `[channels]`.
    pub gamma: Param<Tensor<1>>,
    /// Shift, `[channels]`.
    pub beta: Param<Tensor<1>>,
    /// Running mean, `[channels]`.
    pub mean: RunningState<Tensor<1>>,
    /// Running variance, `[channels]`.
    pub variance: RunningState<Tensor<1>>,
}

impl Normalisation {
    /// Normalises with the statistics of the batch where gradients are tracked, else with the running ones.
    ///
    /// # Shapes
    /// - `x` and output: N × channels × D × H × W
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        if x.device().is_autodiff() { self.forward_training(x) } else { self.forward_inference(x) }
    }

    fn forward_inference(&self, x: Tensor<5>) -> Tensor<5> {
        let scale = self.gamma.val().div(self.variance.value().add_scalar(NORM_EPSILON).sqrt());
        let shift = self.beta.val().sub(self.mean.value().mul(scale.clone()));
        scale_shift_relu(x, scale, shift)
    }

    fn forward_training(&self, x: Tensor<5>) -> Tensor<5> {
        let [n, _, d, h, w] = x.dims();
        let (y, mean, variance) = norm_relu(x, self.gamma.val(), self.beta.val(), NORM_EPSILON as f32);
        self.follow(n * d * h * w, mean, variance);
        y
    }

    /// The running statistics move by 1 % of those of a batch of `values` values a channel; Keras 2 corrects the batch's
    /// variance by N / (N − 1.001).
    pub fn follow(&self, values: usize, mean: Tensor<1>, variance: Tensor<1>) {
        let values = values as f64;
        let correction = values / (values - 1.001).max(1.0);
        let move_towards = |state: &RunningState<Tensor<1>>, batch: Tensor<1>, correction: f64| {
            let shares = [1.0 - MOMENTUM, MOMENTUM * correction].map(|share| share as f32);
            let moved = blend(state.value_sync().inner(), batch.inner(), shares);
            state.update(Tensor::from_inner(moved));
        };
        move_towards(&self.mean, mean, 1.0);
        move_towards(&self.variance, variance, correction);
    }

    /// Sets the running statistics to 0, so that those of the next batches alone count; see [`Normalisation::settle`].
    pub fn forget(&self) {
        self.scale_statistics(0.0);
    }

    /// Makes the running statistics the weighted mean of those of the `batches` since [`Normalisation::forget`].
    pub fn settle(&self, batches: u64) {
        let left = (1.0 - MOMENTUM).powi(batches.min(1 << 20) as i32);
        self.scale_statistics((1.0 / (1.0 - left)) as f32);
    }

    fn scale_statistics(&self, factor: f32) {
        for state in [&self.mean, &self.variance] {
            let value = state.value_sync().inner();
            state.update(Tensor::from_inner(blend(value.clone(), value, [factor, 0.0])));
        }
    }
}

/// A parameter with a number of its own, the same in every process, so that an optimiser's saved state finds it.
/// Gradients are tracked where the device has autodiff.
pub(crate) fn parameter<const D: usize>(id: u64, values: &[f32], shape: &[usize], device: &Device) -> Param<Tensor<D>> {
    let data = TensorData::new(values.to_vec(), shape.to_vec());
    let value = Tensor::<D>::from_data(data, device).set_require_grad(device.is_autodiff());
    Param::initialized(ParamId::from(id), value)
}

/// A running statistic, which gradients do not reach.
pub(crate) fn statistic(id: u64, values: &[f32], device: &Device) -> RunningState<Tensor<1>> {
    let data = TensorData::new(values.to_vec(), [values.len()]);
    RunningState::with_id(ParamId::from(id), Tensor::<1>::from_data(data, device))
}
