//! Times forward passes of the article's networks with generated weights: the median of some runs, as JSON.
//!
//! `cargo run --release -p hepar-engine --example forward -- DIMS N D H W [RUNS]`, DIMS 2 or 3.

use std::time::Instant;

use hepar_engine::CpuNetwork;
use hepar_model::engine::Network;
use hepar_model::generated::{generated, uniform};
use hepar_model::topology::NetworkConfig;
use ndarray::Array5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let [dims, n, d, h, w] = numbers[..5] else { return Err("DIMS N D H W".into()) };
    let config = if dims == 2 { NetworkConfig::RA_UNET_I } else { NetworkConfig::RA_UNET_II };
    let values: Vec<f32> = uniform("input", n * d * h * w).map(|u| u as f32).collect();
    let input = Array5::from_shape_vec((n, 1, d, h, w), values)?;
    let mut network = CpuNetwork::new(&generated(config))?;
    let runs = numbers.get(5).copied().unwrap_or(7);
    network.forward(input.view())?;
    let mut times = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        network.forward(input.view())?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    println!("{{\"seconds\": {}}}", times[runs / 2]);
    Ok(())
}
