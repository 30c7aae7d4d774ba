//! The logistic function.

/// 1 / (1 + exp(−x)), to 3·10⁻⁷ relative; vectors where the caller's instruction set has them.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// exp(x) for |x| ≤ 87, beyond that the value at the limit.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // exp(x) = 2^n · exp(r) with |r| ≤ ln 2 / 2; ln 2 in two parts so that r is exact.
    let x = x.clamp(-87.0, 87.0);
    let n = (x * std::f32::consts::LOG2_E).round_ties_even();
    let r = n.mul_add(-0.693_359_4, x);
    let r = n.mul_add(2.121_944_4e-4, r);
    let mut value = 1.0 / 5040.0;
    for term in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0f32] {
        value = r.mul_add(value, term);
    }
    value * f32::from_bits(((n as i32 + 127) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logistic_function_is_right_over_its_whole_range() {
        for step in -2000..=2000 {
            let x = step as f32 * 0.05;
            let expected = 1.0 / (1.0 + (-f64::from(x)).exp());
            assert!((f64::from(sigmoid(x)) - expected).abs() <= 3e-7 * expected.max(1e-30), "{x}");
        }
    }
}
