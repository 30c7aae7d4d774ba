//! Mean and variance of values that are seen part by part.

use pulp::Simd;

use crate::lanes::load;

/// Number, mean and sum of squared distances from the mean of some values.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Of `parts` runs of `len` values, whole vectors each, that begin `stride` apart.
    #[inline(always)]
    pub fn of<S: Simd>(simd: S, x: &[f32], parts: usize, stride: usize, len: usize) -> Self {
        let count = (parts * len) as f64;
        // Distances from one of the values are small where the values are not, and keep their digits in the sum.
        let first = x.first().copied().unwrap_or(0.0);
        let (origin, mut sum) = (simd.splat_f32s(first), simd.splat_f32s(0.0));
        for part in 0..parts {
            for at in (0..len).step_by(S::F32_LANES) {
                sum = simd.add_f32s(sum, simd.sub_f32s(load::<S>(x, part * stride + at), origin));
            }
        }
        let mean = f64::from(first) + f64::from(simd.reduce_sum_f32s(sum)) / count;
        let (centre, mut squares) = (simd.splat_f32s(mean as f32), simd.splat_f32s(0.0));
        for part in 0..parts {
            for at in (0..len).step_by(S::F32_LANES) {
                let distance = simd.sub_f32s(load::<S>(x, part * stride + at), centre);
                squares = simd.mul_add_e_f32s(distance, distance, squares);
            }
        }
        Self { count, mean, squares: f64::from(simd.reduce_sum_f32s(squares)) }
    }

    /// Of the values of both.
    ///
    /// Source: Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample
    /// variances".
    pub fn merged(self, other: Self) -> Self {
        let count = self.count + other.count;
        if count == 0.0 {
            return self;
        }
        let distance = other.mean - self.mean;
        let mean = self.mean + distance * other.count / count;
        let squares = self.squares + other.squares + distance * distance * self.count * other.count / count;
        Self { count, mean, squares }
    }

    /// Mean and biased variance of each channel, whose parts are merged in their order.
    pub fn of_channels(parts: &[Vec<Self>], channels: usize) -> (Vec<f32>, Vec<f32>) {
        let channel = |c: usize| {
            let all = parts.iter().fold(Self::default(), |all, part| all.merged(part[c]));
            (all.mean as f32, (all.squares / all.count.max(1.0)) as f32)
        };
        (0..channels).map(channel).unzip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::WithSimd;

    struct Whole<'a>(&'a [f32], usize);

    impl WithSimd for Whole<'_> {
        type Output = Moments;

        fn with_simd<S: Simd>(self, simd: S) -> Moments {
            let parts = self.0.chunks(self.1).map(|part| Moments::of::<S>(simd, part, 2, self.1 / 2, self.1 / 2));
            parts.fold(Moments::default(), Moments::merged)
        }
    }

    #[test]
    fn parts_give_the_moments_of_the_whole() {
        // Far from zero, where a sum of squares would lose its digits.
        let x: Vec<f32> = (0..640).map(|v| 1000.0 + (v * 7919 % 211) as f32 / 211.0).collect();
        let mean = x.iter().map(|v| f64::from(*v)).sum::<f64>() / 640.0;
        let variance = x.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / 640.0;
        for part in [32, 64, 160] {
            let parts = vec![vec![crate::isa::arch().dispatch(Whole(&x, part))]];
            let (ours, spread) = Moments::of_channels(&parts, 1);
            assert!((f64::from(ours[0]) - mean).abs() < 1e-4, "{ours:?} {mean}");
            assert!((f64::from(spread[0]) - variance).abs() < 1e-4 * variance, "{spread:?} {variance}");
        }
    }
}
