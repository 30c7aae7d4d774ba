//! Gradients of small networks, through the groups of layers that train on the CPU, against finite differences.
//!
//! PyTorch's gradients (`goldens.rs`) say that the formulas are right; this says so without any formula.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use hepar_model::generated::{generated, uniform};
use hepar_model::topology::{Dimensions, NetworkConfig};
use hepar_model::weights::Weights;
use hepar_nets::RaUnet;

/// Every so many tensors are looked at.
const STRIDE: usize = 3;

/// How far weights are moved, as shares of their tensor's norm: far, and rectifiers bend the slope; near, and rounding does.
const STEPS: [f64; 3] = [4e-3, 1e-3, 2.5e-4];

/// A network, its input and how much each voxel of its output counts.
struct Case {
    config: NetworkConfig,
    shape: [usize; 5],
    input: Vec<f32>,
    factors: Vec<f32>,
}

impl Case {
    fn new(dimensions: Dimensions, shape: [usize; 5]) -> Self {
        let values = |name: &str| uniform(name, shape.iter().product()).map(|u| u as f32).collect();
        let config = NetworkConfig::new(dimensions, [4, 4, 8, 8, 8, 8]).unwrap();
        Self { config, shape, input: values("input"), factors: values("factors") }
    }

    fn tensor(&self, values: &[f32], device: &Device) -> Tensor<5> {
        Tensor::from_data(TensorData::new(values.to_vec(), self.shape), device)
    }

    /// The weighted sum of the output, added up in 64 bits, with the statistics of the batch.
    fn sum(&self, weights: &Weights) -> f64 {
        let device = Device::flex().autodiff();
        let output = RaUnet::new(weights, &device).forward(self.tensor(&self.input, &device));
        let output: Vec<f32> = output.into_data().try_to_vec().unwrap();
        output.iter().zip(&self.factors).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }

    fn gradients(&self, weights: &Weights) -> BTreeMap<String, Vec<f32>> {
        let device = Device::flex().autodiff();
        let network = RaUnet::new(weights, &device);
        let output = network.forward(self.tensor(&self.input, &device));
        let tape = output.mul(self.tensor(&self.factors, &device)).sum().backward();
        network.gradients(&tape)
    }

    /// The weights with one tensor moved along a direction.
    fn moved(&self, weights: &Weights, name: &str, along: &[f32], by: f64) -> Weights {
        Weights::from_fn(self.config, |spec| {
            let mut values = weights.get(&spec.name).unwrap().to_vec();
            if spec.name == name {
                values.iter_mut().zip(along).for_each(|(value, along)| *value += (by * f64::from(*along)) as f32);
            }
            values
        })
        .unwrap()
    }
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn the_gradient_of_every_kind_of_tensor_is_the_slope_along_it() {
    for case in [Case::new(Dimensions::Planar, [4, 1, 1, 64, 64]), Case::new(Dimensions::Spatial, [2, 1, 32, 64, 64])] {
        let weights = generated(case.config);
        let gradients = case.gradients(&weights);
        let greatest = gradients.values().map(|values| norm(values)).fold(0.0, f64::max);
        let mut errors = Vec::new();
        for (name, gradient) in gradients.iter().step_by(STRIDE) {
            let length = norm(gradient);
            // Normalisation takes every bias before it out again: its gradient is nothing but rounding.
            if length < 1e-2 * greatest {
                continue;
            }
            let unit: Vec<f32> = gradient.iter().map(|v| (f64::from(*v) / length) as f32).collect();
            let at = |by: f64| case.sum(&case.moved(&weights, name, &unit, by));
            let error = |share: f64| {
                let step = share * norm(weights.get(name).unwrap()).max(0.1);
                ((at(step) - at(-step)) / (2.0 * step * length) - 1.0).abs()
            };
            errors.push((STEPS.map(error).into_iter().fold(f64::INFINITY, f64::min), name.clone()));
        }
        errors.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (worst, median) = (&errors[..3], errors[errors.len() / 2].0);
        println!("{:?}: {} tensors, median {median:.1e}, worst {worst:?}", case.config.dimensions, errors.len());
        assert!(errors.len() >= 30, "{}", errors.len());
        // A wrong sign or factor is off by a half at least.
        assert!(worst[0].0 < 0.15 && median < 0.01, "{median} {worst:?}");
    }
}
