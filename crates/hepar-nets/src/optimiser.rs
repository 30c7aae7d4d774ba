//! Adam, as one operation for each parameter.

use burn::optim::{AdamState, AdaptiveMomentumState, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};

use crate::extension::adam;

/// Adam with the original's constants: β 0.9 and 0.999, ε 1e-8.
///
/// A network has hundreds of parameters, and a dozen operations for each keep a GPU waiting for what it is to do.
///
/// Source: Kingma and Ba, "Adam: a method for stochastic optimization", arXiv 1412.6980, algorithm 1 with the
/// efficient order of section 2; the decay of kernels is that of Loshchilov and Hutter, "Decoupled weight decay
/// regularization" (AdamW), arXiv 1711.05101.
#[derive(Debug, Clone, Copy)]
pub struct Adam {
    betas: [f32; 2],
    epsilon: f32,
    decay: f64,
}

impl Adam {
    /// An optimiser that has not seen a gradient yet.
    ///
    /// Each step takes the share `decay` times the learning rate of every kernel away, and nothing of biases and
    /// normalisations; 0 is the original's.
    pub fn optimiser(decay: f64) -> ModuleOptimizer {
        ModuleOptimizer::from(Self { betas: [0.9, 0.999], epsilon: 1e-8, decay })
    }
}

impl Optimizer for Adam {
    type State<const D: usize> = AdamState<D>;

    fn step<const D: usize>(
        &self,
        rate: f64,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamState<D>>,
    ) -> (Tensor<D>, Option<AdamState<D>>) {
        let (time, moments) = match state.map(|state| state.momentum) {
            Some(AdaptiveMomentumState { time, moment_1, moment_2, .. }) => (time + 1, [moment_1, moment_2]),
            None => (1, [parameter.zeros_like(), parameter.zeros_like()]),
        };
        // Beyond this many steps nothing is left to correct.
        let steps = time.min(1 << 20) as i32;
        let [first, second] = self.betas.map(|beta| 1.0 - f64::from(beta).powi(steps));
        let (step, epsilon) = (rate * second.sqrt() / first, f64::from(self.epsilon) * second.sqrt());
        let parameter = match self.decay > 0.0 && D > 1 {
            true => parameter.mul_scalar(1.0 - rate * self.decay),
            false => parameter,
        };
        let (parameter, [moment_1, moment_2]) =
            adam(parameter, gradient, moments, self.betas, step as f32, epsilon as f32);
        (parameter, Some(AdamState::new(AdaptiveMomentumState::new(time, moment_1, moment_2))))
    }

    fn to_device<const D: usize>(mut state: AdamState<D>, device: &Device) -> AdamState<D> {
        state.momentum = state.momentum.to_device(device);
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::optim::AdamConfig;

    fn tensor(values: [f32; 6]) -> Tensor<2> {
        Tensor::<1>::from_data(values, &Device::flex()).reshape([2, 3])
    }

    #[test]
    fn its_steps_are_those_of_burns_adam() {
        let theirs = AdamConfig::new().with_epsilon(1e-8).build();
        let ours = Adam { betas: [0.9, 0.999], epsilon: 1e-8, decay: 0.0 };
        let begin = tensor([1.0, -2.0, 0.5, 0.0, 3.0, 1e-3]);
        let (mut a, mut b) = ((begin.clone(), None), (begin, None));
        for step in 0..20 {
            let gradient = tensor([0.1, -0.2, 0.0, 1e-5, 5.0, -0.3]).mul_scalar(1.0 - 0.1 * step as f32);
            a = theirs.step(1e-2, a.0, gradient.clone(), a.1);
            b = ours.step(1e-2, b.0, gradient, b.1);
        }
        let values = |tensor: Tensor<2>| tensor.into_data().try_to_vec::<f32>().unwrap();
        for (a, b) in values(a.0).into_iter().zip(values(b.0)) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }

    #[test]
    fn kernels_decay_and_vectors_do_not() {
        let optimiser = Adam { betas: [0.9, 0.999], epsilon: 1e-8, decay: 0.1 };
        let kernel = tensor([1.0, -2.0, 0.5, 0.0, 3.0, 1e-3]);
        let (after, _) = optimiser.step(0.5, kernel.clone(), kernel.zeros_like(), None);
        let values = |tensor: Tensor<2>| tensor.into_data().try_to_vec::<f32>().unwrap();
        for (before, after) in values(kernel.clone()).into_iter().zip(values(after)) {
            assert!((after - 0.95 * before).abs() < 1e-6, "{before} {after}");
        }
        let vector: Tensor<1> = kernel.reshape([6]);
        let (after, _) = optimiser.step(0.5, vector.clone(), vector.zeros_like(), None);
        assert_eq!(after.into_data(), vector.into_data());
    }
}
