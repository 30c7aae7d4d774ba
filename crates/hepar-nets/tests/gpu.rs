//! A GPU gives the numbers of the CPU. Without one, the tests say that they skipped.
#![cfg(feature = "wgpu")]

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use hepar_model::generated::generated;
use hepar_model::topology::{Dimensions, NetworkConfig};
use hepar_nets::device::Place;
use hepar_nets::{RaUnet, loss};

/// The GPU, or `None` where there is none.
fn gpu() -> Option<Device> {
    let device = Place::Gpu.device();
    if let Err(error) = &device {
        println!("skipped: failed to {error}");
    }
    device.ok()
}

fn input(shape: [usize; 5], device: &Device) -> Tensor<5> {
    let len: usize = shape.iter().product();
    let values: Vec<f32> = (0..len).map(|at| ((at * 7919 + at / 3 * 104_729) % 1009) as f32 / 1009.0).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().unwrap()
}

fn greatest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Probabilities, gradients and statistics after one training pass.
fn trained(config: NetworkConfig, shape: [usize; 5], device: Device) -> (Vec<f32>, BTreeMap<String, Vec<f32>>) {
    let device = device.autodiff();
    let net = RaUnet::new(&generated(config), &device);
    let x = input(shape, &device);
    let target = x.clone().greater_elem(0.6).float();
    let probabilities = net.forward(x);
    let loss = loss::soft_dice(probabilities.clone(), target.clone(), target.ones_like());
    let gradients = net.gradients(&loss.backward());
    (values(probabilities), gradients)
}

#[test]
fn inference_on_a_gpu_gives_the_probabilities_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for (dimensions, shape) in [(Dimensions::Planar, [2, 1, 1, 64, 96]), (Dimensions::Spatial, [1, 1, 32, 64, 32])] {
        let config = NetworkConfig::new(dimensions, [8, 12, 16, 20, 24, 28]).unwrap();
        let weights = generated(config);
        let [on_gpu, on_cpu] = [gpu.clone(), Device::flex()]
            .map(|device| values(RaUnet::new(&weights, &device).forward(input(shape, &device))));
        let difference = greatest_difference(&on_gpu, &on_cpu);
        assert!(difference < 1e-4, "{dimensions:?}: {difference}");
    }
}

#[test]
fn training_on_a_gpu_gives_the_gradients_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for (dimensions, shape) in [(Dimensions::Planar, [3, 1, 1, 64, 96]), (Dimensions::Spatial, [2, 1, 32, 64, 96])] {
        let config = NetworkConfig::new(dimensions, [8, 12, 16, 20, 24, 28]).unwrap();
        let (on_gpu, gpu_gradients) = trained(config, shape, gpu.clone());
        let (on_cpu, cpu_gradients) = trained(config, shape, Device::flex());
        let difference = greatest_difference(&on_gpu, &on_cpu);
        assert!(difference < 1e-4, "{dimensions:?}: {difference}");
        assert_eq!(gpu_gradients.len(), cpu_gradients.len());
        let scale = cpu_gradients.values().flatten().fold(0.0f32, |a, b| a.max(b.abs()));
        for (name, expected) in &cpu_gradients {
            let difference = greatest_difference(&gpu_gradients[name], expected);
            let own = expected.iter().fold(0.0f32, |a, b| a.max(b.abs()));
            // Rounding decides on which side of 0 a ReLU's input lies that is almost 0. In maps of a dozen voxels that
            // moves all gradients before it by some hundredths, others on each device. `extension::tests` holds each
            // layer to less; this finds what is wired wrongly.
            assert!(difference < 1e-1 * own + 1e-4 * scale, "{dimensions:?} {name}: {difference} of {own}");
        }
    }
}

#[test]
fn the_same_step_on_a_gpu_gives_the_same_bits() {
    let Some(gpu) = gpu() else { return };
    let config = NetworkConfig::new(Dimensions::Spatial, [8, 8, 8, 16, 16, 32]).unwrap();
    let first = trained(config, [1, 1, 32, 64, 64], gpu.clone());
    assert_eq!(first, trained(config, [1, 1, 32, 64, 64], gpu));
}
