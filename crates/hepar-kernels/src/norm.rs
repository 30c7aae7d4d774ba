//! Batch normalisation followed by ReLU, with the statistics of the batch, forward and backward.
//!
//! Maps are N × C × voxels.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::isa::arch;
use crate::scratch::taken;

/// Sizes of a batch of maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapShape {
    /// Number of samples.
    pub batch: usize,
    /// Number of channels.
    pub channels: usize,
    /// Voxels of one map.
    pub voxels: usize,
}

impl MapShape {
    fn check(&self, maps: &[f32], per_channel: &[&[f32]]) {
        assert_eq!(maps.len(), self.batch * self.channels * self.voxels, "length of the maps");
        assert!(per_channel.iter().all(|values| values.len() == self.channels), "one value a channel");
    }

    /// The maps of one channel, one a sample.
    fn channel<'a>(&self, maps: &'a [f32], c: usize) -> impl Iterator<Item = &'a [f32]> {
        let (voxels, stride) = (self.voxels, self.channels * self.voxels);
        maps.chunks_exact(stride).map(move |sample| &sample[c * voxels..][..voxels])
    }
}

/// Mean and (biased) variance of every channel.
///
/// # Panics
/// When the length of `x` does not fit the shape.
pub fn statistics(shape: &MapShape, x: &[f32]) -> (Vec<f32>, Vec<f32>) {
    shape.check(x, &[]);
    let values = (shape.batch * shape.voxels) as f64;
    let channel = |c: usize| {
        let mean = shape.channel(x, c).map(sum).sum::<f64>() / values;
        let centre = mean as f32;
        let squares = |map: &[f32]| arch().dispatch(Squares { x: map, centre });
        let variance = shape.channel(x, c).map(squares).sum::<f64>() / values;
        (centre, variance as f32)
    };
    (0..shape.channels).into_par_iter().map(channel).unzip()
}

/// max(0, x · scale + shift), one scale and shift a channel.
///
/// # Panics
/// When a length does not fit the shape.
pub fn scale_shift_relu(shape: &MapShape, x: &[f32], scale: &[f32], shift: &[f32]) -> Vec<f32> {
    shape.check(x, &[scale, shift]);
    let mut y = taken(x.len());
    y.par_chunks_mut(shape.voxels).zip(x.par_chunks(shape.voxels)).enumerate().for_each(|(at, (y, x))| {
        let (scale, shift) = (scale[at % shape.channels], shift[at % shape.channels]);
        arch().dispatch(ScaleShiftRelu { x, scale, shift, y });
    });
    y
}

/// The per-channel numbers of a normalisation.
#[derive(Debug, Clone, Copy)]
pub struct Norm<'a> {
    /// Scale.
    pub gamma: &'a [f32],
    /// Shift.
    pub beta: &'a [f32],
    /// Mean of the batch.
    pub mean: &'a [f32],
    /// Biased variance of the batch.
    pub variance: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
}

impl Norm<'_> {
    /// 1 / √(variance + ε).
    pub(crate) fn inverse(&self, c: usize) -> f32 {
        (self.variance[c] + self.epsilon).sqrt().recip()
    }

    /// The normalisation as x · scale + shift.
    pub fn scale_and_shift(&self) -> (Vec<f32>, Vec<f32>) {
        let channel = |c: usize| {
            let scale = self.gamma[c] * self.inverse(c);
            (scale, self.beta[c] - self.mean[c] * scale)
        };
        (0..self.gamma.len()).map(channel).unzip()
    }
}

/// Gradients of input, gamma and beta of ReLU(BN(x)) given the gradient `g` of the output.
///
/// # Panics
/// When a length does not fit the shape.
pub fn gradients(shape: &MapShape, x: &[f32], norm: &Norm<'_>, g: &[f32]) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    shape.check(x, &[norm.gamma, norm.beta, norm.mean, norm.variance]);
    shape.check(g, &[]);
    let (scale, shift) = norm.scale_and_shift();
    let channel = |c: usize| {
        let (a, b, mean) = (scale[c], shift[c], norm.mean[c]);
        let maps = shape.channel(x, c).zip(shape.channel(g, c));
        let sums = maps.map(|(x, g)| arch().dispatch(GradientSums { x, g, a, b, mean }));
        let (gamma, beta) = sums.fold((0.0, 0.0), |(gamma, beta), sums| (gamma + sums.0, beta + sums.1));
        ((gamma * f64::from(norm.inverse(c))) as f32, beta as f32)
    };
    let (gamma, beta): (Vec<f32>, Vec<f32>) = (0..shape.channels).into_par_iter().map(channel).unzip();

    let values = (shape.batch * shape.voxels) as f32;
    let mut dx = taken(x.len());
    let (from_x, from_g) = (x.par_chunks(shape.voxels), g.par_chunks(shape.voxels));
    dx.par_chunks_mut(shape.voxels).zip(from_x.zip(from_g)).enumerate().for_each(|(at, (dx, (x, g)))| {
        let c = at % shape.channels;
        let (a, b, mean) = (scale[c], shift[c], norm.mean[c]);
        // dx = scale · (g − mean(g) − x̂ · mean(g · x̂)), with x̂ = (x − mean) / σ.
        let (mean_g, slope) = (beta[c] / values, gamma[c] / values * norm.inverse(c));
        arch().dispatch(InputGradient { x, g, a, b, mean, mean_g, slope, dx });
    });
    (dx, gamma, beta)
}

/// Σ x, in a fixed order.
pub(crate) fn sum(x: &[f32]) -> f64 {
    arch().dispatch(Sum(x))
}

/// Partial sums, as many as the widest vector has lanes.
const LANES: usize = 16;

/// Values that are added up in f32 before f64 takes over.
const RUN: usize = 2048;

struct Sum<'a>(&'a [f32]);

impl WithSimd for Sum<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let mut total = 0.0;
        for run in self.0.chunks(RUN) {
            let (whole, end) = pulp::as_arrays::<LANES, _>(run);
            let mut lanes = [0.0f32; LANES];
            for values in whole {
                for lane in 0..LANES {
                    lanes[lane] += values[lane];
                }
            }
            total += f64::from(lanes.iter().sum::<f32>() + end.iter().sum::<f32>());
        }
        total
    }
}

/// Σ (x − centre)².
struct Squares<'a> {
    x: &'a [f32],
    centre: f32,
}

impl WithSimd for Squares<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let mut total = 0.0;
        for run in self.x.chunks(RUN) {
            let (whole, end) = pulp::as_arrays::<LANES, _>(run);
            let mut lanes = [0.0f32; LANES];
            for values in whole {
                for lane in 0..LANES {
                    let distance = values[lane] - self.centre;
                    lanes[lane] += distance * distance;
                }
            }
            for (lane, value) in end.iter().enumerate() {
                lanes[lane] += (value - self.centre) * (value - self.centre);
            }
            total += f64::from(lanes.iter().sum::<f32>());
        }
        total
    }
}

/// Σ g · (x − mean) and Σ g over what ReLU(a·x + b) lets through.
struct GradientSums<'a> {
    x: &'a [f32],
    g: &'a [f32],
    a: f32,
    b: f32,
    mean: f32,
}

impl WithSimd for GradientSums<'_> {
    type Output = (f64, f64);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> (f64, f64) {
        let (mut gamma, mut beta) = (0.0, 0.0);
        for (x, g) in self.x.chunks(RUN).zip(self.g.chunks(RUN)) {
            let (mut gammas, mut betas) = ([0.0f32; LANES], [0.0f32; LANES]);
            let (whole_x, end_x) = pulp::as_arrays::<LANES, _>(x);
            let (whole_g, end_g) = pulp::as_arrays::<LANES, _>(g);
            for (x, g) in whole_x.iter().zip(whole_g) {
                for lane in 0..LANES {
                    let passed = if x[lane].mul_add(self.a, self.b) > 0.0 { g[lane] } else { 0.0 };
                    betas[lane] += passed;
                    gammas[lane] += passed * (x[lane] - self.mean);
                }
            }
            for (lane, (x, g)) in end_x.iter().zip(end_g).enumerate() {
                let passed = if x.mul_add(self.a, self.b) > 0.0 { *g } else { 0.0 };
                betas[lane] += passed;
                gammas[lane] += passed * (x - self.mean);
            }
            gamma += f64::from(gammas.iter().sum::<f32>());
            beta += f64::from(betas.iter().sum::<f32>());
        }
        (gamma, beta)
    }
}

struct ScaleShiftRelu<'a> {
    x: &'a [f32],
    scale: f32,
    shift: f32,
    y: &'a mut [f32],
}

impl WithSimd for ScaleShiftRelu<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (y, x) in self.y.iter_mut().zip(self.x) {
            *y = x.mul_add(self.scale, self.shift).max(0.0);
        }
    }
}

/// dx = a · (g − mean_g − (x − mean) · slope) over what ReLU(a·x + b) lets through of g.
struct InputGradient<'a> {
    x: &'a [f32],
    g: &'a [f32],
    a: f32,
    b: f32,
    mean: f32,
    mean_g: f32,
    slope: f32,
    dx: &'a mut [f32],
}

impl WithSimd for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for ((dx, x), g) in self.dx.iter_mut().zip(self.x).zip(self.g) {
            let g = if x.mul_add(self.a, self.b) > 0.0 { *g } else { 0.0 };
            *dx = self.a * (g - self.mean_g - (x - self.mean) * self.slope);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: MapShape = MapShape { batch: 2, channels: 3, voxels: 37 };

    fn maps(seed: usize) -> Vec<f32> {
        (0..SHAPE.batch * SHAPE.channels * SHAPE.voxels)
            .map(|v| ((v * 7919 + seed * 31) % 211) as f32 / 97.0 - 1.0)
            .collect()
    }

    fn output(x: &[f32], gamma: &[f32], beta: &[f32]) -> Vec<f32> {
        let (mean, variance) = statistics(&SHAPE, x);
        let norm = Norm { gamma, beta, mean: &mean, variance: &variance, epsilon: 1e-3 };
        let (scale, shift) = norm.scale_and_shift();
        scale_shift_relu(&SHAPE, x, &scale, &shift)
    }

    #[test]
    fn normalised_maps_have_mean_beta_and_deviation_gamma() {
        // A beta far above zero keeps ReLU out of it.
        let y = output(&maps(1), &[1.0, 2.0, 0.5], &[50.0; 3]);
        let (mean, variance) = statistics(&SHAPE, &y);
        for (c, gamma) in [1.0f32, 2.0, 0.5].into_iter().enumerate() {
            assert!((mean[c] - 50.0).abs() < 1e-4, "{mean:?}");
            assert!((variance[c] - gamma * gamma).abs() < 1e-2 * gamma * gamma, "{variance:?}");
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let (x, gamma, beta) = (maps(1), vec![1.2f32, -0.7, 0.9], vec![0.1f32, 0.3, -0.2]);
        let weights: Vec<f64> = maps(5).into_iter().map(f64::from).collect();
        let loss = |x: &[f32], gamma: &[f32], beta: &[f32]| -> f64 {
            output(x, gamma, beta).iter().zip(&weights).map(|(y, w)| f64::from(*y) * w).sum()
        };
        let (mean, variance) = statistics(&SHAPE, &x);
        let norm = Norm { gamma: &gamma, beta: &beta, mean: &mean, variance: &variance, epsilon: 1e-3 };
        let g: Vec<f32> = weights.iter().map(|w| *w as f32).collect();
        let (dx, dgamma, dbeta) = gradients(&SHAPE, &x, &norm, &g);
        let step = 1e-3f32;
        let difference = |values: &[f32], at: usize, loss: &dyn Fn(&[f32]) -> f64| {
            let moved = |by: f32| {
                let mut values = values.to_vec();
                values[at] += by;
                loss(&values)
            };
            (moved(step) - moved(-step)) / f64::from(2.0 * step)
        };
        let close = |a: f32, b: f64| assert!((f64::from(a) - b).abs() < 2e-2 * (1.0 + b.abs()), "{a} {b}");
        for at in (0..x.len()).step_by(7) {
            close(dx[at], difference(&x, at, &|x| loss(x, &gamma, &beta)));
        }
        for c in 0..3 {
            close(dgamma[c], difference(&gamma, c, &|gamma| loss(&x, gamma, &beta)));
            close(dbeta[c], difference(&beta, c, &|beta| loss(&x, &gamma, beta)));
        }
    }

    /// Output and gradients of one channel, `[sample][voxel]`, in 64 bits and by the formulas: y, dx, dγ, dβ.
    fn naive(x: &[Vec<f64>], g: &[Vec<f64>], gamma: f64, beta: f64) -> (Vec<Vec<f64>>, Vec<Vec<f64>>, f64, f64) {
        let count = x.iter().map(Vec::len).sum::<usize>() as f64;
        let mean = x.iter().flatten().sum::<f64>() / count;
        let variance = x.iter().flatten().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        let deviation = (variance + 1e-3).sqrt();
        let each = |of: &dyn Fn(f64, f64) -> f64| -> Vec<Vec<f64>> {
            x.iter()
                .zip(g)
                .map(|(x, g)| x.iter().zip(g).map(|(x, g)| of((x - mean) / deviation, *g)).collect())
                .collect()
        };
        let y = each(&|normal, _| (gamma * normal + beta).max(0.0));
        let passed = |normal: f64, g: f64| if gamma * normal + beta > 0.0 { g } else { 0.0 };
        let of_beta: f64 = each(&passed).iter().flatten().sum();
        let of_gamma: f64 = each(&|normal, g| normal * passed(normal, g)).iter().flatten().sum();
        let dx =
            each(&|normal, g| gamma / deviation * (passed(normal, g) - of_beta / count - normal * of_gamma / count));
        (y, dx, of_gamma, of_beta)
    }

    #[test]
    fn any_shape_gives_what_the_formulas_do() {
        let shapes = [(1, 1, 1), (2, 3, 15), (1, 5, 16), (3, 2, 2047), (2, 1, 2048), (1, 3, 2049), (2, 2, 5003)];
        for (batch, channels, voxels) in shapes {
            let shape = MapShape { batch, channels, voxels };
            let values = |seed: usize| -> Vec<f32> {
                let count = batch * channels * voxels;
                (0..count).map(|v| ((v * 7919 + seed * 31) % 1009) as f32 / 400.0 - 1.0).collect()
            };
            let (x, g) = (values(1), values(5));
            let gamma: Vec<f32> = (0..channels).map(|c| 1.3 - 0.7 * c as f32).collect();
            let beta: Vec<f32> = (0..channels).map(|c| 0.4 - 0.3 * c as f32).collect();
            let (mean, variance) = statistics(&shape, &x);
            let norm = Norm { gamma: &gamma, beta: &beta, mean: &mean, variance: &variance, epsilon: 1e-3 };
            let (scale, shift) = norm.scale_and_shift();
            let y = scale_shift_relu(&shape, &x, &scale, &shift);
            let (dx, dgamma, dbeta) = gradients(&shape, &x, &norm, &g);
            let of_channel = |values: &[f32], c: usize| -> Vec<Vec<f64>> {
                let maps = values.chunks_exact(voxels).skip(c).step_by(channels);
                maps.map(|map| map.iter().map(|v| f64::from(*v)).collect()).collect()
            };
            for c in 0..channels {
                let (x, g) = (of_channel(&x, c), of_channel(&g, c));
                let expected = naive(&x, &g, f64::from(gamma[c]), f64::from(beta[c]));
                let far = |ours: &[Vec<f64>], theirs: &[Vec<f64>]| -> f64 {
                    ours.iter().flatten().zip(theirs.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
                };
                let count = (batch * voxels) as f64;
                assert!(far(&of_channel(&y, c), &expected.0) < 1e-5, "{shape:?}");
                assert!(far(&of_channel(&dx, c), &expected.1) < 2e-4, "{shape:?}");
                assert!((f64::from(dgamma[c]) - expected.2).abs() < 1e-5 * count.max(10.0), "{shape:?}");
                assert!((f64::from(dbeta[c]) - expected.3).abs() < 1e-5 * count.max(10.0), "{shape:?}");
            }
        }
    }
}
