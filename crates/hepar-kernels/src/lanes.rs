//! Vectors in and out of slices.

use pulp::Simd;

/// Lets a task be dispatched: its `run` is compiled with the first numbers (blocks of channels, vectors, …) where there
/// are 16 vector registers and with the second ones where there are 32. Where packed weights are read, the first of
/// them is [`crate::isa::block`].
macro_rules! dispatch {
    ($task:ty => $output:ty, few: [$($few:literal),+], many: [$($many:literal),+]) => {
        impl pulp::WithSimd for $task {
            type Output = $output;

            #[inline(always)]
            fn with_simd<S: pulp::Simd>(self, simd: S) -> $output {
                match S::F32_LANES {
                    8 => self.run::<S, $($few),+>(simd),
                    _ => self.run::<S, $($many),+>(simd),
                }
            }
        }
    };
}

/// The vector at `x[at..]`.
#[inline(always)]
pub(crate) fn load<S: Simd>(x: &[f32], at: usize) -> S::f32s {
    S::as_simd_f32s(&x[at..at + S::F32_LANES]).0[0]
}

/// `V` vectors from `x[at..]` on.
#[inline(always)]
pub(crate) fn load_all<S: Simd, const V: usize>(x: &[f32], at: usize) -> [S::f32s; V] {
    let values = S::as_simd_f32s(&x[at..at + V * S::F32_LANES]).0;
    std::array::from_fn(|v| values[v])
}

/// Puts a vector to `x[at..]`.
#[inline(always)]
pub(crate) fn store<S: Simd>(x: &mut [f32], at: usize, value: S::f32s) {
    S::as_mut_simd_f32s(&mut x[at..at + S::F32_LANES]).0[0] = value;
}

/// sums += weights × values, as an outer product of `C` channels and `V` vectors.
#[inline(always)]
pub(crate) fn add_products<S: Simd, const C: usize, const V: usize>(
    simd: S,
    sums: &mut [[S::f32s; V]; C],
    weights: &[f32; C],
    values: [S::f32s; V],
) {
    for c in 0..C {
        let weight = simd.splat_f32s(weights[c]);
        for v in 0..V {
            sums[c][v] = simd.mul_add_e_f32s(weight, values[v], sums[c][v]);
        }
    }
}
