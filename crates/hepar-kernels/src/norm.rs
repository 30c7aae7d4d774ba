//! Batch normalisation followed by ReLU, with the statistics of the batch, forward and backward.
//!
//! Maps are N × C × voxels.

use rayon::prelude::*;

use crate::isa::arch;

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
        let squares = |map: &[f32]| sum_of(map, map, |v, _| (v - centre) * (v - centre));
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
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(shape.voxels).zip(x.par_chunks(shape.voxels)).enumerate().for_each(|(at, (y, x))| {
        let (scale, shift) = (scale[at % shape.channels], shift[at % shape.channels]);
        arch().dispatch(
            #[inline(always)]
            || y.iter_mut().zip(x).for_each(|(y, x)| *y = x.mul_add(scale, shift).max(0.0)),
        );
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
    fn inverse(&self, c: usize) -> f32 {
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
        let maps = || shape.channel(x, c).zip(shape.channel(g, c));
        let passed = |x: f32, g: f32| if x.mul_add(a, b) > 0.0 { g } else { 0.0 };
        let beta: f64 = maps().map(|(x, g)| sum_of(x, g, passed)).sum();
        let gamma: f64 = maps().map(|(x, g)| sum_of(x, g, |x, g| passed(x, g) * (x - mean))).sum();
        ((gamma * f64::from(norm.inverse(c))) as f32, beta as f32)
    };
    let (gamma, beta): (Vec<f32>, Vec<f32>) = (0..shape.channels).into_par_iter().map(channel).unzip();

    let values = (shape.batch * shape.voxels) as f32;
    let mut dx = vec![0.0; x.len()];
    let (from_x, from_g) = (x.par_chunks(shape.voxels), g.par_chunks(shape.voxels));
    dx.par_chunks_mut(shape.voxels).zip(from_x.zip(from_g)).enumerate().for_each(|(at, (dx, (x, g)))| {
        let c = at % shape.channels;
        let (a, b, mean) = (scale[c], shift[c], norm.mean[c]);
        // dx = scale · (g − mean(g) − x̂ · mean(g · x̂)), with x̂ = (x − mean) / σ.
        let (mean_g, slope) = (beta[c] / values, gamma[c] / values * norm.inverse(c));
        arch().dispatch(
            #[inline(always)]
            || {
                for ((dx, x), g) in dx.iter_mut().zip(x).zip(g) {
                    let g = if x.mul_add(a, b) > 0.0 { *g } else { 0.0 };
                    *dx = a * (g - mean_g - (x - mean) * slope);
                }
            },
        );
    });
    (dx, gamma, beta)
}

/// Σ x, in a fixed order.
pub(crate) fn sum(x: &[f32]) -> f64 {
    sum_of(x, x, |v, _| v)
}

/// Σ f(a, b): f32 in short runs of 16 lanes, f64 over the runs.
fn sum_of(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f64 {
    const LANES: usize = 16;
    const RUN: usize = 2048;
    let run = |(a, b): (&[f32], &[f32])| {
        let mut lanes = [0.0f32; LANES];
        let (a_lanes, a_end) = pulp::as_arrays::<LANES, _>(a);
        let (b_lanes, b_end) = pulp::as_arrays::<LANES, _>(b);
        arch().dispatch(
            #[inline(always)]
            || {
                for (a, b) in a_lanes.iter().zip(b_lanes) {
                    for lane in 0..LANES {
                        lanes[lane] += f(a[lane], b[lane]);
                    }
                }
            },
        );
        let end: f32 = a_end.iter().zip(b_end).map(|(a, b)| f(*a, *b)).sum();
        f64::from(lanes.iter().sum::<f32>() + end)
    };
    a.chunks(RUN).zip(b.chunks(RUN)).map(run).sum()
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
}
