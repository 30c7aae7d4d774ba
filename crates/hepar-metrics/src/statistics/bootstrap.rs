//! Confidence intervals by drawing cases again and again.

use crate::figure::{Figure, Fold};

/// How often cases are drawn, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    /// Number of drawings, at least 1.
    pub resamples: usize,
    /// Seed of the drawings.
    pub seed: u64,
}

/// The middle 95 % of what the drawings gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The 2.5th percentile.
    pub low: f64,
    /// The 97.5th percentile.
    pub high: f64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 2000, seed: 1 }
    }
}

impl Bootstrap {
    /// 95 % confidence intervals of the [`totals`](crate::totals) of `cases`, which all have the same figures.
    ///
    /// As many cases as there are, are drawn with replacement; the interval is that of the percentiles, linear between
    /// drawings (Efron's percentile interval). Drawings in which a figure is undefined do not count for it. Figures
    /// that are sums or maxima, that fewer than two cases have, or of a single case have no interval.
    pub fn intervals(&self, cases: &[Vec<Figure>]) -> Vec<Option<Interval>> {
        let Some(first) = cases.first() else { return Vec::new() };
        let draws = self.draws(cases.len());
        let of = |n: usize| {
            let defined = cases.iter().filter(|case| case[n].weight > 0.0).count();
            if defined < 2 || matches!(first[n].fold, Fold::Sum | Fold::Greatest) {
                return None;
            }
            let mut values: Vec<f64> = draws.iter().filter_map(|draw| drawn(cases, draw, n)).collect();
            values.sort_by(f64::total_cmp);
            Some(Interval { low: percentile(&values, 0.025)?, high: percentile(&values, 0.975)? })
        };
        (0..first.len()).map(of).collect()
    }

    /// How often each of `count` cases is in each drawing.
    fn draws(&self, count: usize) -> Vec<Vec<u32>> {
        let mut random = SplitMix64(self.seed);
        let mut draw = || {
            let mut times = vec![0; count];
            for _ in 0..count {
                times[random.below(count)] += 1;
            }
            times
        };
        (0..self.resamples).map(|_| draw()).collect()
    }
}

/// A figure of the cases that were drawn; `None` where it is undefined for them, whatever it is called then.
fn drawn(cases: &[Vec<Figure>], times: &[u32], n: usize) -> Option<f64> {
    let mut all = Figure { sum: 0.0, weight: 0.0, ..cases[0][n] };
    for (case, &times) in cases.iter().zip(times) {
        all.sum += case[n].sum * f64::from(times);
        all.weight += case[n].weight * f64::from(times);
    }
    all.measured()
}

/// The value below which a share of sorted values lies, linear between two.
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let position = share * sorted.len().checked_sub(1)? as f64;
    // The cast cuts off the fraction of a number that is not negative.
    let below = position as usize;
    let (low, high) = (sorted[below], sorted[(below + 1).min(sorted.len() - 1)]);
    Some(low + (high - low) * (position - below as f64))
}

/// The generator splitmix64 (Steele, Lea and Flood 2014): small, and the same on every machine.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A whole number from 0 up to but without `end`.
    fn below(&mut self, end: usize) -> usize {
        // The high half of the product; for so few cases the bias is below 2⁻⁵⁰.
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases(values: &[f64]) -> Vec<Vec<Figure>> {
        values.iter().map(|&value| vec![Figure::per_case("x", value)]).collect()
    }

    #[test]
    fn the_interval_is_near_that_of_the_normal_distribution() {
        let values: Vec<f64> = (0..100).map(|n| f64::from(n % 10)).collect();
        let interval = Bootstrap::default().intervals(&cases(&values))[0].unwrap();
        // Mean 4.5, standard error 2.872 / 10.
        assert!((interval.low - (4.5 - 1.96 * 0.2872)).abs() < 0.05, "{interval:?}");
        assert!((interval.high - (4.5 + 1.96 * 0.2872)).abs() < 0.05, "{interval:?}");
    }

    #[test]
    fn drawings_in_which_a_figure_is_undefined_do_not_count_for_it() {
        let case = |values: &[f64]| vec![Figure::pooled("x", values.iter().copied()).or(9001.0)];
        let interval = Bootstrap::default().intervals(&[case(&[1.0]), case(&[2.0]), case(&[])])[0].unwrap();
        assert!(interval.low >= 1.0 && interval.high <= 2.0, "{interval:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_interval_and_one_case_none() {
        let cases = cases(&[0.1, 0.7, 0.8]);
        let at = |seed| Bootstrap { seed, ..Bootstrap::default() }.intervals(&cases);
        assert_eq!(at(5), at(5));
        assert_eq!(Bootstrap::default().intervals(&cases[..1]), [None]);
        assert_eq!(Bootstrap::default().intervals(&[]), []);
    }
}
