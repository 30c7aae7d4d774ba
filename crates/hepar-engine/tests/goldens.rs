//! Equality with an independent implementation in PyTorch.
//!
//! The golden files are those of `hepar-nets`; weights and inputs come from the generator that both languages know.

use hepar_engine::CpuEngine;
use hepar_model::engine::{Engine, EngineError};
use hepar_model::generated::{generated, uniform};
use hepar_model::topology::{Dimensions, NetworkConfig};
use ndarray::Array5;
use serde_json::Value;

fn cases() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../hepar-nets/tests/golden/raunet_inference.json");
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["cases"].as_array().unwrap().clone()
}

fn integers(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

fn network(case: &Value) -> NetworkConfig {
    let dimensions = if case["dims"] == 2 { Dimensions::Planar } else { Dimensions::Spatial };
    NetworkConfig::new(dimensions, integers(&case["widths"]).try_into().unwrap()).unwrap()
}

fn input(case: &Value) -> Array5<f32> {
    let mut sides = integers(&case["shape"]);
    if sides.len() == 4 {
        sides.insert(2, 1);
    }
    let shape: [usize; 5] = sides.try_into().unwrap();
    let name = case["input"].as_str().unwrap();
    Array5::from_shape_vec(shape, uniform(name, shape.iter().product()).map(|u| u as f32).collect()).unwrap()
}

#[test]
fn the_output_equals_pytorchs_to_1e_4() {
    for case in cases() {
        let mut network = CpuEngine.load(&generated(network(&case))).unwrap();
        let output = network.forward(input(&case).view()).unwrap();
        let golden = &case["output"];
        let stride = golden["stride"].as_u64().unwrap() as usize;
        let expected = golden["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap());
        let ours = output.iter().step_by(stride);
        let worst = expected.zip(ours).map(|(a, b)| (a - f64::from(*b)).abs()).fold(0.0, f64::max);
        println!("{} {}: max |Δ| {worst:.2e}", case["net"], case["shape"]);
        assert!(worst <= 1e-4, "{} {}: {worst:e}", case["net"], case["shape"]);
        let sum: f64 = output.iter().map(|v| f64::from(*v)).sum();
        assert!((sum - golden["sum"].as_f64().unwrap()).abs() <= 1e-5 * output.len() as f64);
    }
}

#[test]
fn memory_of_an_earlier_run_changes_nothing() {
    let case = &cases()[0];
    let config = network(case);
    let mut network = CpuEngine.load(&generated(config)).unwrap();
    let small = input(case);
    let first = network.forward(small.view()).unwrap();
    let (n, _, d, h, w) = small.dim();
    let large = Array5::from_elem((n + 1, 1, d, h + 32, w + 64), 7.0);
    network.forward(large.view()).unwrap();
    assert_eq!(network.forward(small.view()).unwrap(), first);
}

#[test]
fn threads_and_company_in_a_batch_change_no_bit() {
    for dimensions in [Dimensions::Planar, Dimensions::Spatial] {
        let config = NetworkConfig::new(dimensions, [8, 12, 16, 16, 20, 24]).unwrap();
        let depth = if dimensions == Dimensions::Planar { 1 } else { 32 };
        let shape = (3, 1, depth, 64, 96);
        let values = uniform("input", 3 * depth * 64 * 96).map(|u| u as f32).collect();
        let input = Array5::from_shape_vec(shape, values).unwrap();
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| CpuEngine.load(&generated(config)).unwrap().forward(input.view()).unwrap())
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(5));
        let alone = input.slice_axis(ndarray::Axis(0), ndarray::Slice::from(1..2));
        let alone = CpuEngine.load(&generated(config)).unwrap().forward(alone).unwrap();
        assert_eq!(alone.index_axis(ndarray::Axis(0), 0), one.index_axis(ndarray::Axis(0), 1));
    }
}

#[test]
fn an_input_that_the_network_does_not_take_is_refused() {
    let mut network = CpuEngine.load(&generated(NetworkConfig::RA_UNET_I)).unwrap();
    let error = network.forward(Array5::zeros((1, 1, 1, 48, 64)).view()).unwrap_err();
    assert!(matches!(error, EngineError::Shape([1, 1, 1, 48, 64])), "{error}");
}
