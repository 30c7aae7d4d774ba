//! Times a training step and a forward pass of RA-UNet on random input.
//!
//! `cargo run --release -p hepar-nets --example step -- ra-unet-ii 16,16,32,64,128,256 2 32 96 96` takes the network,
//! its six widths, and the batch and sides D, H, W of the input; with `training` behind them only steps are timed, and
//! their median is the last line, as JSON. With `--features wgpu` and `HEPAR_DEVICE=gpu` it runs on a GPU.

use std::time::Instant;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Tensor};
use hepar_model::topology::{Dimensions, NetworkConfig};
use hepar_nets::device::Place;
use hepar_nets::{Adam, RaUnet, loss};

// As in the program: buffers of feature maps are kept instead of given back to the system after every layer.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let training_only = arguments.last().is_some_and(|last| last == "training");
    let arguments = &arguments[..arguments.len() - usize::from(training_only)];
    let [network, widths, sides @ ..] = arguments else {
        return Err("arguments: ra-unet-i|ra-unet-ii WIDTHS N D H W".into());
    };
    let dimensions = if network == "ra-unet-i" { Dimensions::Planar } else { Dimensions::Spatial };
    let numbers = |text: &mut dyn Iterator<Item = &str>| text.map(str::parse).collect::<Result<Vec<usize>, _>>();
    let widths = numbers(&mut widths.split(','))?.try_into().map_err(|_| "there are six widths")?;
    let [n, d, h, w] = numbers(&mut sides.iter().map(String::as_str))?[..] else {
        return Err("the input has the four sides N D H W".into());
    };
    let config = NetworkConfig::new(dimensions, widths)?;
    let input = |device: &Device| Tensor::<5>::random([n, 1, d, h, w], Distribution::Uniform(0.0, 1.0), device);

    let place = if std::env::var("HEPAR_DEVICE").is_ok_and(|name| name == "gpu") { Place::Gpu } else { Place::Cpu };
    let device = place.device()?.autodiff();
    let mut net = RaUnet::untrained(config, 1, &device);
    let mut optimiser = Adam::optimiser(0.0);
    let mut times = Vec::new();
    for _ in 0..5 {
        let x = input(&device);
        let target = x.clone().greater_elem(0.7).float();
        let start = Instant::now();
        let loss = loss::soft_dice(net.forward(x), target.clone(), target.ones_like());
        let forward = start.elapsed();
        let gradients = GradientsParams::from_grads(loss.backward(), &net);
        let backward = start.elapsed() - forward;
        net = optimiser.step(1e-3, net, gradients);
        // A GPU only begins with what it is told; this waits for the end.
        device.sync().map_err(|error| format!("{error:?}"))?;
        println!("step {:.3?} (forward {forward:.3?}, backward {backward:.3?})", start.elapsed());
        times.push(start.elapsed().as_secs_f64());
    }
    if training_only {
        // The first step meets memory that is not there yet.
        times.remove(0);
        times.sort_by(f64::total_cmp);
        println!("{{\"seconds\": {}}}", (times[1] + times[2]) / 2.0);
        return Ok(());
    }
    let net = net.valid();
    for _ in 0..3 {
        let x = input(&net.device());
        let start = Instant::now();
        let output = net.forward(x).into_data();
        println!("inference {:.3?} of {} values", start.elapsed(), output.num_elements());
    }
    Ok(())
}
