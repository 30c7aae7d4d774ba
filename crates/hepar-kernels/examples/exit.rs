use hepar_kernels::{entry::*, exit::*, maps::MapLayout};
use std::time::Instant;
fn main() {
    let (w0, w1) = (32, 32);
    let size = [32, 128, 128];
    let x: Vec<f32> = (0..size.iter().product()).map(|v: usize| (v * 7919 % 1000) as f32 / 1000.0).collect();
    let r = |n: usize| (0..n).map(|v| ((v * 7919 + 13) % 211) as f32 / 2110.0 - 0.05).collect::<Vec<f32>>();
    let entry = EntryLayer::new(3, &r(w0 * 27), &r(w0));
    let exit = ExitLayer::new(&ExitWeights {
        depth: 3,
        upsampled: w1,
        weights: &r(w0 * (w0 + w1) * 27),
        bias: &r(w0),
        last: &r(w0 * 27),
        last_bias: 0.1,
    });
    let layout = entry.pooled(1, size).with_channels(w1);
    let low = r(layout.len());
    let mut out = vec![0.0; x.len()];
    let mut pooled = vec![0.0; entry.pooled(1, size).len()];
    for _ in 0..8 {
        let t = Instant::now();
        let input = SplitInput::new(&x, 1, size, 3);
        let a = t.elapsed();
        entry.pool(&input, 1, &mut pooled);
        let b = t.elapsed();
        exit.run(&entry, &input, &low, layout, &mut out);
        println!("split {a:.1?} entry {:.1?} exit {:.1?}", b - a, t.elapsed() - b);
    }
}
