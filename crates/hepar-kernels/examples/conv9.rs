//! Times conv9 of the article's RA-UNet-II, fused to the output and alone, forward and backward:
//! `cargo run --release -p hepar-kernels --example conv9 -- 32 128 128`.

use std::time::Instant;

use hepar_kernels::entry::{EntryLayer, SplitInput};
use hepar_kernels::exit::{ExitLayer, ExitWeights};
use hepar_kernels::first::{self, FirstShape, FirstWeights};
use hepar_kernels::head::{self, HeadInputs, HeadShape};
use hepar_kernels::joined::{self, JoinedShape};

const CHANNELS: usize = 32;

fn values(len: usize) -> Vec<f32> {
    (0..len).map(|v| ((v * 7919 + 13) % 211) as f32 / 2110.0 - 0.05).collect()
}

fn timed<T>(what: &str, mut run: impl FnMut() -> T) {
    let mut times: Vec<f64> = (0..7)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{what:<24} {:>8.1} ms", times[3] * 1e3);
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sides: Vec<usize> = std::env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let size: [usize; 3] = if sides.is_empty() { [32, 128, 128] } else { sides[..].try_into()? };
    let voxels: usize = size.iter().product();
    let x = values(voxels);
    let (weights, bias) = (values(CHANNELS * 2 * CHANNELS * 27), values(CHANNELS));
    let entry = EntryLayer::new(3, &values(CHANNELS * 27), &bias);
    let last = values(CHANNELS * 27);
    let exit = ExitLayer::new(&ExitWeights {
        depth: 3,
        upsampled: CHANNELS,
        weights: &weights,
        bias: &bias,
        last: &last,
        last_bias: 0.1,
    });
    let layout = entry.pooled(1, size);
    let (mut pooled, mut output) = (vec![0.0; layout.len()], vec![0.0; voxels]);
    let input = SplitInput::new(&x, 1, size, 3);
    timed("first layer and pool", || entry.pool(&input, &mut pooled));
    timed("conv9 to the output", || exit.run(&entry, &input, &pooled, layout, &|_, _| true, &mut output));

    let shape = JoinedShape { batch: 1, upsampled: CHANNELS, full: CHANNELS, outputs: CHANNELS, size, depth: 3 };
    let (low, full) = (values(CHANNELS * voxels / 8), values(CHANNELS * voxels));
    timed("conv9 alone, forward", || joined::forward(&shape, &low, &full, &weights, &bias));
    timed("conv9 alone, backward", || joined::gradients(&shape, &low, &full, &weights, &full));

    let first_shape = FirstShape { batch: 1, channels: CHANNELS, size, depth: 3 };
    let shape = HeadShape { first: first_shape, upsampled: CHANNELS };
    let (gamma, kernels) = (vec![1.0; CHANNELS], values(CHANNELS * 27));
    let first_weights = FirstWeights { kernels: &kernels, bias: &bias, gamma: &gamma, beta: &bias, epsilon: 1e-3 };
    let folded = first::fold(&first_shape, &x, &first_weights);
    let inputs = HeadInputs {
        x: &x,
        folded: &folded.kernels,
        low: &low,
        kernels: &weights,
        bias: &bias,
        gamma: &gamma,
        beta: &bias,
        epsilon: 1e-3,
        last: &last,
        last_bias: 0.1,
    };
    let pooled = first::pool(&first_shape, &x, &folded.kernels);
    timed("training: fold", || first::fold(&first_shape, &x, &first_weights));
    timed("training: pool", || first::pool(&first_shape, &x, &folded.kernels));
    timed("training: pool, back", || first::pool_gradient(&first_shape, &x, &folded.kernels, &pooled));
    timed("training: fold, back", || {
        first::fold_gradients(&first_shape, &x, &first_weights, &folded.mean, &folded.variance, &folded.kernels)
    });
    timed("training: last layers", || head::forward(&shape, &inputs));
    let (probabilities, state) = head::forward(&shape, &inputs);
    timed("training: and back", || head::gradients(&shape, &inputs, state.clone(), &probabilities, &x));
    Ok(())
}
