//! The gradients of all parameters of a network together.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::RaUnet;

/// Scales the gradients of a network so that their norm, over all parameters together, is at most `greatest`.
///
/// Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", arXiv 1211.5063,
/// algorithm 1.
pub fn clipped(network: &RaUnet, gradients: GradientsParams, greatest: f64) -> GradientsParams {
    let mut squares = Squares { gradients: &gradients, sum: None };
    network.visit(&mut squares);
    let Some(sum) = squares.sum else { return gradients };
    // Not by a number: a GPU would have to wait for it.
    let scale = sum.sqrt().add_scalar(1e-12).recip().mul_scalar(greatest).clamp_max(1.0);
    let mut scaling = Scaling { gradients, scale, scaled: GradientsParams::new() };
    network.visit(&mut scaling);
    scaling.scaled
}

/// Sums up the squares of all gradients.
struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

/// Multiplies all gradients with one number.
struct Scaling {
    gradients: GradientsParams,
    scale: Tensor<1>,
    scaled: GradientsParams,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(parameter.id) else { return };
        let squares = gradient.clone().mul(gradient).sum();
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum.add(squares),
            None => squares,
        });
    }
}

impl ModuleVisitor for Scaling {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.remove::<D>(parameter.id) else { return };
        self.scaled.register(parameter.id, gradient.mul(self.scale.clone().unsqueeze()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use hepar_model::topology::{Dimensions, NetworkConfig};

    /// The norm of the gradients of a sum over the outputs, clipped to `greatest`.
    fn norm(greatest: f64) -> f64 {
        let device = Device::flex().autodiff();
        let config = NetworkConfig::new(Dimensions::Planar, [4; 6]).unwrap();
        let network = RaUnet::untrained(config, 1, &device);
        let input = Tensor::<5>::ones([2, 1, 1, 64, 64], &device);
        let loss = network.forward(input).sum();
        let gradients = clipped(&network, GradientsParams::from_grads(loss.backward(), &network), greatest);
        let mut squares = Squares { gradients: &gradients, sum: None };
        network.visit(&mut squares);
        f64::from(squares.sum.unwrap().sqrt().into_data().try_to_vec::<f32>().unwrap()[0])
    }

    #[test]
    fn long_gradients_are_shortened_and_short_ones_stay() {
        let whole = norm(f64::MAX);
        assert!(whole > 0.0 && whole.is_finite());
        assert!((norm(whole / 4.0) - whole / 4.0).abs() < 1e-4 * whole);
        assert!((norm(whole * 4.0) - whole).abs() < 1e-6 * whole);
    }
}
