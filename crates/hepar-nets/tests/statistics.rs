//! Running statistics computed anew.

use std::convert::Infallible;

use burn::tensor::{Device, Tensor, TensorData};
use hepar_model::generated::{generated, uniform};
use hepar_model::tensors::Role;
use hepar_model::topology::{Dimensions, NetworkConfig};
use hepar_model::weights::Weights;
use hepar_nets::RaUnet;

fn config() -> NetworkConfig {
    NetworkConfig::new(Dimensions::Spatial, [8, 8, 8, 16, 16, 16]).unwrap()
}

fn input(name: &str) -> Tensor<5> {
    let values: Vec<f32> = uniform(name, 2 * 32 * 64 * 64).map(|u| u as f32).collect();
    Tensor::from_data(TensorData::new(values, [2, 1, 32, 64, 64]), &Device::flex().autodiff())
}

/// The weights after recalibration on batches of these names.
fn recalibrated(weights: &Weights, batches: &[&str]) -> Weights {
    let net = RaUnet::new(weights, &Device::flex().autodiff());
    net.recalibrate(batches.iter().map(|name| Ok::<_, Infallible>(input(name)))).unwrap();
    net.weights().unwrap()
}

/// The greatest difference of statistics, as a share of the greatest of them in the tensor; other tensors are equal.
fn difference(a: &Weights, b: &Weights) -> f32 {
    let mut greatest = 0.0f32;
    for spec in config().tensors() {
        let (a, b) = (a.get(&spec.name).unwrap(), b.get(&spec.name).unwrap());
        if matches!(spec.role, Role::Mean | Role::Variance) {
            let scale = a.iter().fold(1e-6f32, |scale, value| scale.max(value.abs()));
            greatest = a.iter().zip(b).map(|(a, b)| (a - b).abs() / scale).fold(greatest, f32::max);
        } else {
            assert_eq!(a, b, "{}", spec.name);
        }
    }
    greatest
}

#[test]
fn recalibrated_statistics_are_means_over_the_batches_whatever_there_was_before() {
    let begin = generated(config());
    let other = Weights::from_fn(config(), |spec| {
        let values = begin.get(&spec.name).unwrap().iter();
        match spec.role {
            Role::Mean => values.map(|mean| mean + 3.0).collect(),
            Role::Variance => values.map(|variance| variance * 7.0).collect(),
            _ => values.copied().collect(),
        }
    })
    .unwrap();
    let once = recalibrated(&begin, &["a"]);
    assert!(difference(&once, &begin) > 0.1, "they were others before");
    assert!(difference(&once, &recalibrated(&other, &["a"])) < 1e-5, "they do not depend on what they were");
    assert!(difference(&once, &recalibrated(&begin, &["a", "a", "a"])) < 1e-5, "the same batch again changes nothing");
    // The first layer sees the input itself: its mean over two batches lies halfway.
    let mean = |weights: &Weights| weights.get("conv1.norm.mean").unwrap().to_vec();
    let (a, b, both) = (mean(&once), mean(&recalibrated(&begin, &["b"])), mean(&recalibrated(&begin, &["a", "b"])));
    for ((a, b), both) in a.iter().zip(b).zip(both) {
        assert!((both - (a + b) / 2.0).abs() < 0.01 * (a - b).abs() + 1e-5);
    }
}

#[test]
fn without_a_batch_statistics_stay_as_they_are() {
    assert_eq!(recalibrated(&generated(config()), &[]), generated(config()));
}

#[cfg(target_os = "linux")]
#[test]
fn recalibration_needs_no_more_memory_for_more_batches() {
    let peak_kib = || -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    let weights = generated(config());
    let few = vec!["a"; 3];
    recalibrated(&weights, &few);
    let after_few = peak_kib();
    // Each batch's layers would take some ten megabytes.
    recalibrated(&weights, &few.repeat(10));
    let grown = peak_kib() - after_few;
    assert!(grown < 60 << 10, "{grown} KiB more");
}
