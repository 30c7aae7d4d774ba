//! Where the time of a network goes.

use std::time::Duration;

use crate::run::Runner;
use crate::steps::{Shape, What};

/// What one step of a network costs.
#[derive(Debug, Clone, PartialEq)]
pub struct StepProfile {
    /// Name of the layer or block.
    pub name: String,
    /// What kind of step it is.
    pub kind: &'static str,
    /// Channels and sides `[d, h, w]` of what it makes.
    pub output: (usize, [usize; 3]),
    /// Median time.
    pub time: Duration,
    /// Arithmetic of the layers as the network defines them, in floating-point operations; the engine may need fewer.
    pub flops: u64,
    /// Bytes of the maps that the step reads and writes.
    pub bytes: u64,
}

/// The profile of each step from the times of its runs.
pub(crate) fn profiles(runner: &Runner, batch: usize, size: [usize; 3], times: Vec<Vec<Duration>>) -> Vec<StepProfile> {
    let steps = runner.plan().steps.iter().zip(times).enumerate();
    steps
        .map(|(at, (step, mut times))| {
            times.sort();
            let shape = runner.plan().shapes.get(at).copied().unwrap_or(Shape { channels: 1, level: 0 });
            let output = runner.layout(shape, batch, size);
            let voxels = output.with_channels(1).voxels();
            let read: usize = match &step.what {
                What::Entry(_) => batch * size.iter().product::<usize>(),
                what => {
                    let shapes = what.reads().into_iter().map(|value| runner.plan().shapes[value.0]);
                    shapes.map(|shape| runner.layout(shape, batch, size).voxels()).sum()
                }
            };
            StepProfile {
                name: step.name.clone(),
                kind: kind(&step.what),
                output: (output.channels, output.size),
                time: times[times.len() / 2],
                flops: 2 * products(&step.what, voxels, batch * size.iter().product::<usize>(), runner.doubled())
                    as u64,
                bytes: 4 * (read + output.voxels()) as u64,
            }
        })
        .collect()
}

fn kind(what: &What) -> &'static str {
    match what {
        What::Entry(_) => "first layer and pool",
        What::Pool(_) => "pool",
        What::Halves(..) => "upsampled part of a block",
        What::Block(..) => "residual block",
        What::Mask(..) => "mask",
        What::Exit(..) => "conv9 to the output",
    }
}

/// Multiplications of a step as the network defines its layers, for `voxels` of its output and `full` of the input; an
/// upsampling makes `doubled` voxels of one.
fn products(what: &What, voxels: usize, full: usize, doubled: usize) -> usize {
    match what {
        What::Entry(layer) => full * layer.channels() * layer.depth() * 9,
        What::Pool(_) => 0,
        // The network has it behind the upsampling, and the mask's two convolutions, too.
        What::Halves(layer, _) => doubled * voxels * layer.outputs() * layer.scale.len(),
        What::Block(layer, _) => {
            let (inputs, narrow, outputs) = (layer.scale.len(), layer.narrow.outputs(), layer.joined.outputs());
            let wide = narrow * narrow * layer.wide.depth() * 9;
            voxels * (inputs * narrow + wide + (inputs + narrow) * outputs)
        }
        What::Mask(layer, _) => doubled * voxels * 2 * layer.inputs() * layer.outputs(),
        What::Exit(layer, _) => {
            let (upsampled, channels, taps) = layer.sizes();
            full * taps * channels * (upsampled + channels + 1)
        }
    }
}
