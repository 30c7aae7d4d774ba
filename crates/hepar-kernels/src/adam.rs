//! A step of Adam on plain slices.

use rayon::prelude::*;

use crate::isa::arch;
use crate::scratch::taken;

/// Values of a task: few enough for the cache, many enough to be worth one.
const CHUNK: usize = 16 * 1024;

/// What a step of Adam is made with; the corrections for its first steps are in `step` and `epsilon`.
///
/// Source: Kingma and Ba, "Adam: a method for stochastic optimization", arXiv 1412.6980, end of section 2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Shares of the two moments that are kept.
    pub betas: [f32; 2],
    /// The learning rate, corrected.
    pub step: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
}

impl Adam {
    /// The parameters and their two moments after a step, given the gradient and these before it; all of one length.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn moved(&self, gradient: &[f32], parameters: &[f32], moments: [&[f32]; 2]) -> [Vec<f32>; 3] {
        let len = gradient.len();
        assert_eq!([parameters.len(), moments[0].len(), moments[1].len()], [len; 3], "lengths of a parameter's values");
        let mut after = [taken(len), taken(len), taken(len)];
        let [to_parameters, to_first, to_second] = &mut after;
        let from = gradient.par_chunks(CHUNK).zip(parameters.par_chunks(CHUNK));
        let from = from.zip(moments[0].par_chunks(CHUNK).zip(moments[1].par_chunks(CHUNK)));
        let to = to_parameters.par_chunks_mut(CHUNK);
        let to = to.zip(to_first.par_chunks_mut(CHUNK).zip(to_second.par_chunks_mut(CHUNK)));
        to.zip(from).for_each(|((p, (m, v)), ((g, was_p), (was_m, was_v)))| {
            arch().dispatch(
                #[inline(always)]
                || {
                    let [beta_1, beta_2] = self.betas;
                    let to = p.iter_mut().zip(m).zip(v);
                    for (((p, m), v), ((g, was_p), (was_m, was_v))) in
                        to.zip(g.iter().zip(was_p).zip(was_m.iter().zip(was_v)))
                    {
                        *m = beta_1 * was_m + (1.0 - beta_1) * g;
                        *v = beta_2 * was_v + (1.0 - beta_2) * (g * g);
                        *p = was_p - self.step * *m / (v.sqrt() + self.epsilon);
                    }
                },
            );
        });
        after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_those_of_the_formula_in_every_part_of_a_long_parameter() {
        let len = 2 * CHUNK + 77;
        let values =
            |seed: usize| -> Vec<f32> { (0..len).map(|at| ((at * 31 + seed * 7) % 101) as f32 / 50.0 - 1.0).collect() };
        let (g, p, m, v) = (values(1), values(2), values(3), values(4).iter().map(|v| v * v).collect::<Vec<_>>());
        let adam = Adam { betas: [0.9, 0.999], step: 0.01, epsilon: 1e-8 };
        let [after, first, second] = adam.moved(&g, &p, [&m, &v]);
        for at in 0..len {
            let (m, v) = (
                0.9 * f64::from(m[at]) + 0.1 * f64::from(g[at]),
                0.999 * f64::from(v[at]) + 0.001 * f64::from(g[at] * g[at]),
            );
            let expected = f64::from(p[at]) - 0.01 * m / (v.sqrt() + 1e-8);
            assert!((f64::from(after[at]) - expected).abs() < 1e-5, "{at}: {} {expected}", after[at]);
            assert!((f64::from(first[at]) - m).abs() < 1e-6 && (f64::from(second[at]) - v).abs() < 1e-6);
        }
    }
}
