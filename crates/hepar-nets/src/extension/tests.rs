//! Every layer on a GPU against the same layer on the CPU, with its gradients. Without a GPU the tests say that they
//! skipped.

use burn::tensor::{Device, Tensor, TensorData};
use hepar_model::generated::uniform;

use super::*;
use crate::device::Place;

/// The GPU and the CPU; `None` without a GPU.
fn devices() -> Option<[Device; 2]> {
    match Place::Gpu.device() {
        Ok(gpu) => Some([gpu, Device::flex()]),
        Err(error) => {
            println!("skipped: failed to {error}");
            None
        }
    }
}

/// Numbers in −1..1.
fn tensor<const D: usize>(seed: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
    let numbers = uniform(&format!("gpu {seed}"), shape.iter().product()).map(|u| (2.0 * u - 1.0) as f32);
    Tensor::from_data(TensorData::new(numbers.collect::<Vec<f32>>(), shape), device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().unwrap()
}

/// What `layer` gives on both devices lies close together, value by value.
fn same_on_both(name: &str, layer: impl Fn(&Device) -> Vec<Vec<f32>>) {
    let Some(devices) = devices() else { return };
    let [on_gpu, on_cpu] = devices.map(|device| layer(&device));
    assert_eq!(on_gpu.len(), on_cpu.len());
    for (index, (on_gpu, on_cpu)) in on_gpu.iter().zip(&on_cpu).enumerate() {
        assert_eq!(on_gpu.len(), on_cpu.len(), "{name}, result {index}");
        let scale = on_cpu.iter().fold(1.0f32, |a, b| a.max(b.abs()));
        let difference = on_gpu.iter().zip(on_cpu).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference < 2e-5 * scale, "{name}, result {index}: {difference} of {scale}");
    }
}

/// Output, and gradients of the inputs for a loss that weighs every value of the output differently.
fn with_gradients(inputs: [Tensor<5>; 3], layer: impl Fn(&[Tensor<5>; 3]) -> Tensor<5>) -> Vec<Vec<f32>> {
    let inputs = inputs.map(Tensor::require_grad);
    let output = layer(&inputs);
    let weights = tensor(99, output.dims(), &output.device());
    let gradients = output.clone().mul(weights).sum().backward();
    let mut results = vec![values(output)];
    results.extend(inputs.iter().filter_map(|input| input.grad(&gradients)).map(values));
    results
}

#[test]
fn pooling_and_upsampling_on_a_gpu() {
    for (is_spatial, sides) in [(true, [4, 6, 10]), (false, [1, 4, 6])] {
        let [d, h, w] = sides;
        same_on_both("pool and upsample", |device| {
            let device = device.clone().autodiff();
            let inputs = [1, 2, 3].map(|seed| tensor(seed, [2, 3, d, h, w], &device));
            with_gradients(inputs, |[x, ..]| upsample(pool(x.clone(), is_spatial).mul_scalar(2.0), is_spatial))
        });
    }
}

#[test]
fn normalisation_on_a_gpu() {
    same_on_both("normalisation", |device| {
        let device = device.clone().autodiff();
        let [gamma, beta] = [4, 5].map(|seed| tensor(seed, [3], &device).require_grad());
        let x = tensor(6, [2, 3, 8, 16, 20], &device).require_grad();
        let (y, mean, variance) = norm_relu(x.clone(), gamma.clone(), beta.clone(), 1e-3);
        let weights = tensor(7, y.dims(), &device);
        let gradients = y.clone().mul(weights).sum().backward();
        let of = |tensor: &Tensor<1>| values(tensor.grad(&gradients).unwrap());
        vec![values(y), values(mean), values(variance), values(x.grad(&gradients).unwrap()), of(&gamma), of(&beta)]
    });
}

#[test]
fn convolutions_on_a_gpu() {
    let shapes = [
        ([2, 5, 4, 6, 10], 7, [3, 3, 3]),
        ([1, 1, 4, 16, 33], 32, [3, 3, 3]),
        ([1, 64, 8, 32, 32], 32, [3, 3, 3]),
        ([2, 40, 1, 4, 3], 65, [3, 3, 3]),
        ([2, 16, 1, 9, 7], 8, [1, 3, 3]),
        ([2, 16, 4, 8, 8], 33, [1, 1, 1]),
        ([1, 32, 4, 8, 16], 1, [3, 3, 3]),
    ];
    for (shape, outputs, [d, h, w]) in shapes {
        same_on_both("convolution", |device| {
            let device = device.clone().autodiff();
            let weight = tensor(9, [outputs, shape[1], d, h, w], &device);
            let inputs = [tensor(8, shape, &device), weight, tensor(10, [1, outputs, 1, 1, 1], &device)];
            with_gradients(inputs, |[x, weight, bias]| {
                convolution(x.clone(), weight.clone(), bias.clone().reshape([outputs]))
            })
        });
    }
}

#[test]
fn joined_convolution_on_a_gpu() {
    same_on_both("joined convolution", |device| {
        let device = device.clone().autodiff();
        let bias = tensor(14, [32], &device);
        let inputs = [
            tensor(11, [1, 32, 4, 8, 16], &device),
            tensor(12, [1, 32, 8, 16, 32], &device),
            tensor(13, [32, 64, 3, 3, 3], &device),
        ];
        with_gradients(inputs, |[low, full, weight]| {
            joined_convolution(low.clone(), full.clone(), weight.clone(), bias.clone())
        })
    });
}

#[test]
fn single_values_on_a_gpu() {
    same_on_both("blend and Adam", |device| {
        let [a, b, c, d] = [15, 16, 17, 18].map(|seed| tensor(seed, [3, 50, 7], device));
        let (p, [m, v]) = adam(a.clone(), b.clone(), [c, d.abs()], [0.9, 0.999], 0.01, 1e-8);
        let scaled =
            scale_shift_relu(tensor(19, [2, 3, 2, 4, 8], device), tensor(20, [3], device), tensor(21, [3], device));
        vec![values(blend(a, b, [0.25, 0.5])), values(p), values(m), values(v), values(scaled)]
    });
}
