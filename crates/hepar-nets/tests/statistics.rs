//! Running statistics computed anew.

use std::convert::Infallible;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use hepar_model::generated::{generated, uniform};
use hepar_model::topology::{Dimensions, NetworkConfig};
use hepar_nets::RaUnet;

fn input(name: &str, device: &Device) -> Tensor<5> {
    let values: Vec<f32> = uniform(name, 2 * 32 * 64 * 64).map(|u| u as f32).collect();
    Tensor::from_data(TensorData::new(values, [2, 1, 32, 64, 64]), device)
}

fn values(tensor: Tensor<5>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().unwrap()
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn after_recalibration_inference_answers_as_training_does() {
    let device = Device::flex().autodiff();
    let config = NetworkConfig::new(Dimensions::Spatial, [8, 8, 8, 16, 16, 16]).unwrap();
    let net = RaUnet::new(&generated(config), &device);
    let trained = values(net.forward(input("a", &device)));
    let before = values(net.valid().forward(input("a", &Device::flex())));
    net.recalibrate((0..4).map(|_| Ok::<_, Infallible>(input("a", &device)))).unwrap();
    let after = values(net.valid().forward(input("a", &Device::flex())));
    // What is left is the correction of variances, which is largest on the deepest maps of 16 values.
    assert!(difference(&after, &trained) < 0.05, "{}", difference(&after, &trained));
    assert!(difference(&before, &trained) > 2.0 * difference(&after, &trained));
}

#[test]
fn without_a_batch_statistics_stay_as_they_are() {
    let device = Device::flex().autodiff();
    let config = NetworkConfig::new(Dimensions::Spatial, [8, 8, 8, 16, 16, 16]).unwrap();
    let net = RaUnet::new(&generated(config), &device);
    net.recalibrate(std::iter::empty::<Result<Tensor<5>, Infallible>>()).unwrap();
    assert_eq!(net.weights().unwrap(), generated(config));
}
