//! What the machine can do at most: fused multiply-adds in registers, and copies through memory. Two numbers as JSON.
//!
//! `cargo run --release -p hepar-kernels --example machine`; RAYON_NUM_THREADS sets the threads.

use std::hint::black_box;
use std::time::Instant;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Sums that are kept in registers: enough for the latency of an instruction.
const SUMS: usize = 12;

/// Multiply-adds of each sum.
const ROUNDS: usize = 10_000_000;

/// Values that are copied: far more than any cache holds.
const VALUES: usize = 1 << 26;

struct Fma;

impl WithSimd for Fma {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let (factor, term) = (simd.splat_f32s(black_box(0.999)), simd.splat_f32s(black_box(0.5)));
        let mut sums = [term; SUMS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = simd.mul_add_e_f32s(*sum, factor, term);
            }
        }
        sums.into_iter().map(|sum| simd.reduce_sum_f32s(sum)).sum()
    }
}

struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES
    }
}

/// The least seconds of a few runs.
fn best(mut run: impl FnMut()) -> f64 {
    let seconds = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    (0..5).map(seconds).fold(f64::INFINITY, f64::min)
}

fn main() {
    let (arch, threads) = (Arch::new(), rayon::current_num_threads());
    let operations = (2 * arch.dispatch(Lanes) * SUMS * ROUNDS * threads) as f64;
    let fma = best(|| {
        black_box((0..threads).into_par_iter().with_max_len(1).map(|_| arch.dispatch(Fma)).sum::<f32>());
    });
    let (from, mut to) = (vec![1.0f32; VALUES], vec![0.0f32; VALUES]);
    let copy = best(|| {
        to.par_chunks_mut(1 << 20).zip(from.par_chunks(1 << 20)).for_each(|(to, from)| to.copy_from_slice(from));
        black_box(&to);
    });
    // A copy reads each byte once and writes it once.
    let moved = (2 * 4 * VALUES) as f64;
    println!("{{\"gflops\": {:.0}, \"gigabytes_per_second\": {:.1}}}", operations / fma / 1e9, moved / copy / 1e9);
}
