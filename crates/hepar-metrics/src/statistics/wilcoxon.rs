//! Wilcoxon's signed-rank test: whether paired differences lie around zero.

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

/// Up to so many differences the p value is exact.
const EXACT: usize = 50;

/// What the test says about differences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignedRank {
    /// Differences that are not 0.
    pub count: usize,
    /// Sum of the ranks of the positive differences.
    pub positive: f64,
    /// Sum of the ranks of the negative differences.
    pub negative: f64,
    /// The two-sided p value, 0..1; 1 without differences.
    pub p: f64,
}

/// Wilcoxon's signed-rank test of `differences`, two-sided.
///
/// Zeros are left out; equal magnitudes share the mean of their ranks. Up to 50 differences p is exact: of all
/// assignments of signs to the ranks as they are, ties included, the share in which the smaller sum is no greater than
/// here, on both sides. Above, it is that of the normal distribution with the variance of the tied ranks, without
/// correction for continuity.
pub fn signed_rank(differences: &[f64]) -> SignedRank {
    let mut sorted: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0 && d.is_finite()).collect();
    sorted.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let doubled = doubled_ranks(&sorted);
    let sum = |sign: fn(f64) -> bool| {
        sorted.iter().zip(&doubled).filter(|(d, _)| sign(**d)).map(|(_, rank)| rank).sum::<usize>()
    };
    let (positive, negative) = (sum(|d| d > 0.0), sum(|d| d < 0.0));
    let smaller = positive.min(negative);
    let p = match sorted.len() {
        0 => 1.0,
        count if count <= EXACT => exact(&doubled, smaller),
        _ => normal(&doubled, smaller),
    };
    SignedRank { count: sorted.len(), positive: positive as f64 / 2.0, negative: negative as f64 / 2.0, p }
}

/// Twice the rank of each magnitude, ascending: whole also where equal ones share a rank.
fn doubled_ranks(sorted: &[f64]) -> Vec<usize> {
    let mut ranks = Vec::with_capacity(sorted.len());
    for equal in sorted.chunk_by(|a, b| a.abs() == b.abs()) {
        let before = ranks.len();
        // The mean of before + 1 … before + n is before + (n + 1) / 2.
        ranks.extend(std::iter::repeat_n(2 * before + equal.len() + 1, equal.len()));
    }
    ranks
}

/// The p value by counting the assignments of signs.
fn exact(doubled: &[usize], smaller: usize) -> f64 {
    // Share of the assignments whose positive ranks have each sum.
    let total: usize = doubled.iter().sum();
    let mut shares = vec![0.0f64; total + 1];
    shares[0] = 1.0;
    let mut reached = 0;
    for &rank in doubled {
        for sum in (0..=reached).rev() {
            let half = shares[sum] / 2.0;
            shares[sum] = half;
            shares[sum + rank] += half;
        }
        reached += rank;
    }
    (2.0 * shares[..=smaller].iter().sum::<f64>()).min(1.0)
}

/// The p value by the normal distribution.
fn normal(doubled: &[usize], smaller: usize) -> f64 {
    let total: usize = doubled.iter().sum();
    let variance = doubled.iter().map(|rank| (*rank as f64 / 2.0).powi(2)).sum::<f64>() / 4.0;
    let z = (smaller as f64 / 2.0 - total as f64 / 4.0) / variance.sqrt();
    erfc(-z * FRAC_1_SQRT_2).clamp(0.0, 1.0)
}

/// The complementary error function for x ≥ 0: a series for small x, a continued fraction for the others (Abramowitz
/// and Stegun 7.1.6 and 7.1.14).
fn erfc(x: f64) -> f64 {
    let scale = (-x * x).exp() / std::f64::consts::PI.sqrt();
    if x < 2.5 {
        let (mut term, mut sum, mut n) = (2.0 * x, 0.0, 0.0);
        while term > 1e-18 {
            sum += term;
            n += 1.0;
            term *= x * x / (n + 0.5);
        }
        return 1.0 - scale * sum;
    }
    let mut fraction = x * SQRT_2;
    for n in (1..=80).rev() {
        fraction = x * SQRT_2 + f64::from(n) / fraction;
    }
    SQRT_2 * scale / fraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_samples_are_counted() {
        // Of 2⁵ assignments one has a sum of 0, on each side.
        let result = signed_rank(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(result, SignedRank { count: 5, positive: 15.0, negative: 0.0, p: 2.0 / 32.0 });
        assert_eq!(signed_rank(&[0.0, 0.0]).p, 1.0);
        assert_eq!(signed_rank(&[1.0, -1.0]).p, 1.0);
    }

    #[test]
    fn the_error_function_is_that_of_the_tables() {
        for (x, expected) in
            [(0.0, 1.0), (0.5, 0.4795001221869535), (2.0, 0.004677734981047266), (3.0, 2.209049699858544e-5)]
        {
            assert!((erfc(x) / expected - 1.0).abs() < 1e-10, "{x}: {}", erfc(x));
        }
    }

    proptest! {
        #[test]
        fn p_does_not_depend_on_who_is_taken_from_whom(values in prop::collection::vec(-5..5i32, 0..70)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let turned: Vec<f64> = values.iter().map(|v| -v).collect();
            let (a, b) = (signed_rank(&values), signed_rank(&turned));
            prop_assert!((a.p - b.p).abs() < 1e-12 && (0.0..=1.0).contains(&a.p));
            prop_assert_eq!((a.positive, a.negative), (b.negative, b.positive));
        }

        #[test]
        fn counting_gives_what_trying_gives(values in prop::collection::vec(-4..4i32, 1..9)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let result = signed_rank(&values);
            let mut magnitudes: Vec<f64> = values.iter().map(|v| v.abs()).filter(|v| *v > 0.0).collect();
            magnitudes.sort_by(f64::total_cmp);
            let ranks = doubled_ranks(&magnitudes);
            let smaller = (2.0 * result.positive.min(result.negative)) as usize;
            let sum = |signs: usize| (0..ranks.len()).filter(|n| signs >> n & 1 == 1).map(|n| ranks[n]).sum::<usize>();
            let as_extreme = (0..1usize << ranks.len()).filter(|&signs| sum(signs) <= smaller).count();
            let p = (2.0 * as_extreme as f64 / (1usize << ranks.len()) as f64).min(1.0);
            prop_assert!((result.p - p).abs() < 1e-12);
        }
    }
}
