//! A map of half the sides, upsampled by repetition, with another one: behind each other, added, or as its gate. The
//! upsampled map by itself is never there. C order.

use rayon::prelude::*;

use crate::isa::arch;
use crate::resampling::Resampling;
use crate::scratch::taken;
use crate::sigmoid::sigmoid;

impl Resampling {
    /// The small maps `low`, upsampled, and behind them those of `full`, sample by sample; `self` is how `low` grows.
    ///
    /// `low` is N × C × half the sides, `full` N × F × D × H × W, the result N × (C + F) × D × H × W.
    ///
    /// # Panics
    /// When a length or side does not fit.
    pub fn join(&self, batch: usize, low: &[f32], full: &[f32]) -> Vec<f32> {
        let (_, block, small) = self.lengths();
        let upsampled = low.len() * (block / small);
        self.check(upsampled, low.len());
        // Blocks of a sample.
        let (first, second) = (upsampled / block / batch, full.len() / block / batch);
        assert_eq!(full.len(), second * batch * block, "length of the maps behind");
        let mut y = taken(upsampled + full.len());
        y.par_chunks_mut(block).enumerate().for_each(|(at, y)| {
            let (sample, place) = (at / (first + second), at % (first + second));
            match place.checked_sub(first) {
                Some(behind) => y.copy_from_slice(&full[(sample * second + behind) * block..][..block]),
                None => self.repeat_block(&low[(sample * first + place) * small..][..small], y),
            }
        });
        y
    }

    /// Gradients of `low` and `full` in [`Resampling::join`], given that of its output, each laid out as what it belongs to.
    ///
    /// # Panics
    /// When a length or side does not fit.
    pub fn join_gradients(&self, batch: usize, g: &[f32]) -> [Vec<f32>; 2] {
        let (_, block, small) = self.lengths();
        let upsampled = self.maps * self.size.iter().product::<usize>();
        self.check(upsampled, upsampled / (block / small));
        let (first, blocks) = (upsampled / block / batch, g.len() / block / batch);
        assert_eq!(g.len(), blocks * batch * block, "length of the gradient");
        let second = blocks - first;
        let (mut low, mut full) = (taken(upsampled / (block / small)), taken(g.len() - upsampled));
        low.par_chunks_mut(small).enumerate().for_each(|(at, low)| {
            self.repeat_block_gradient(&g[(at / first * blocks + at % first) * block..][..block], low);
        });
        full.par_chunks_mut(block).enumerate().for_each(|(at, full)| {
            full.copy_from_slice(&g[(at / second * blocks + first + at % second) * block..][..block]);
        });
        [low, full]
    }

    /// The small maps `low`, N × C × half the sides, upsampled, plus `full`, N × C × D × H × W like the result.
    ///
    /// # Panics
    /// When a length or side does not fit.
    pub fn add(&self, low: &[f32], full: &[f32]) -> Vec<f32> {
        self.check(full.len(), low.len());
        let (_, block, small) = self.lengths();
        let mut y = taken(full.len());
        y.par_chunks_mut(block).zip(full.par_chunks(block).zip(low.par_chunks(small))).for_each(|(y, (full, low))| {
            arch().dispatch(
                #[inline(always)]
                || {
                    for (at, low) in low.chunks_exact(self.size[2] / 2).enumerate() {
                        for row in self.rows(at) {
                            let pairs = pairs_mut(y, row, self.size[2]).zip(pairs(full, row, self.size[2]));
                            for ((y, full), low) in pairs.zip(low) {
                                (y[0], y[1]) = (full[0] + low, full[1] + low);
                            }
                        }
                    }
                },
            );
        });
        y
    }

    /// `trunk` · (1 + σ), where σ is the logistic function of the small maps `logits`, upsampled: a soft mask on a trunk.
    ///
    /// `logits` is N × C × half the sides, `trunk` N × C × D × H × W like the result.
    ///
    /// # Panics
    /// When a length or side does not fit.
    pub fn gate(&self, logits: &[f32], trunk: &[f32]) -> Vec<f32> {
        self.check(trunk.len(), logits.len());
        let (_, block, small) = self.lengths();
        let mut y = taken(trunk.len());
        let from = trunk.par_chunks(block).zip(logits.par_chunks(small));
        y.par_chunks_mut(block).zip(from).for_each(|(y, (trunk, logits))| {
            arch().dispatch(
                #[inline(always)]
                || {
                    let mut factors = vec![0.0; self.size[2] / 2];
                    for (at, logits) in logits.chunks_exact(self.size[2] / 2).enumerate() {
                        for (factor, logit) in factors.iter_mut().zip(logits) {
                            *factor = 1.0 + sigmoid(*logit);
                        }
                        for row in self.rows(at) {
                            let pairs = pairs_mut(y, row, self.size[2]).zip(pairs(trunk, row, self.size[2]));
                            for ((y, trunk), factor) in pairs.zip(&factors) {
                                (y[0], y[1]) = (trunk[0] * factor, trunk[1] * factor);
                            }
                        }
                    }
                },
            );
        });
        y
    }

    /// Gradients of `logits` and `trunk` in [`Resampling::gate`], given that of its output, each laid out as what it belongs
    /// to.
    ///
    /// # Panics
    /// When a length or side does not fit.
    pub fn gate_gradients(&self, logits: &[f32], trunk: &[f32], g: &[f32]) -> [Vec<f32>; 2] {
        self.check(trunk.len(), logits.len());
        assert_eq!(g.len(), trunk.len(), "length of the gradient");
        let (_, block, small) = self.lengths();
        let (mut of_logits, mut of_trunk) = (taken(logits.len()), taken(trunk.len()));
        let from = trunk.par_chunks(block).zip(logits.par_chunks(small)).zip(g.par_chunks(block));
        let to = of_logits.par_chunks_mut(small).zip(of_trunk.par_chunks_mut(block));
        to.zip(from).for_each(|((of_logits, of_trunk), ((trunk, logits), g))| {
            arch().dispatch(
                #[inline(always)]
                || {
                    let width = self.size[2] / 2;
                    let mut masks = vec![0.0; width];
                    let rows = of_logits.chunks_exact_mut(width).zip(logits.chunks_exact(width));
                    for (at, (of_logits, logits)) in rows.enumerate() {
                        for (mask, logit) in masks.iter_mut().zip(logits) {
                            *mask = sigmoid(*logit);
                        }
                        of_logits.fill(0.0);
                        for row in self.rows(at) {
                            let from = pairs(trunk, row, self.size[2]).zip(pairs(g, row, self.size[2]));
                            let to = pairs_mut(of_trunk, row, self.size[2]).zip(of_logits.iter_mut());
                            for (((to, sum), (trunk, g)), mask) in to.zip(from).zip(&masks) {
                                (to[0], to[1]) = (g[0] * (1.0 + mask), g[1] * (1.0 + mask));
                                *sum += g[0] * trunk[0] + g[1] * trunk[1];
                            }
                        }
                        for (sum, mask) in of_logits.iter_mut().zip(&masks) {
                            *sum *= mask * (1.0 - mask);
                        }
                    }
                },
            );
        });
        [of_logits, of_trunk]
    }
}

/// The pairs of voxels of a row that begins at `row`.
#[inline(always)]
fn pairs(values: &[f32], row: usize, width: usize) -> std::slice::ChunksExact<'_, f32> {
    values[row..row + width].chunks_exact(2)
}

#[inline(always)]
fn pairs_mut(values: &mut [f32], row: usize, width: usize) -> std::slice::ChunksExactMut<'_, f32> {
    values[row..row + width].chunks_exact_mut(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two samples of three maps; two more maps lie behind these where they are joined.
    const SHAPES: [Resampling; 2] = [
        Resampling { maps: 6, size: [4, 6, 10], stride: [2, 2, 2] },
        Resampling { maps: 6, size: [1, 4, 38], stride: [1, 2, 2] },
    ];
    const BATCH: usize = 2;

    fn values(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|at| ((at * 7919 + seed * 31) % 211) as f32 / 50.0 - 2.0).collect()
    }

    fn lengths(shape: &Resampling) -> (usize, usize) {
        let large = shape.maps * shape.size.iter().product::<usize>();
        (large / shape.stride.iter().product::<usize>(), large)
    }

    #[test]
    fn joined_maps_lie_behind_each_other_and_their_gradients_go_back() {
        for shape in &SHAPES {
            let (small, large) = lengths(shape);
            let (low, full) = (values(small, 1), values(large / 3 * 2, 2));
            let up = shape.repeat(&low);
            let samples = up.chunks(large / BATCH).zip(full.chunks(full.len() / BATCH));
            let expected: Vec<f32> = samples.flat_map(|(up, full)| up.iter().chain(full)).copied().collect();
            assert_eq!(shape.join(BATCH, &low, &full), expected);

            let g = values(expected.len(), 3);
            let (mut of_up, mut of_full) = (Vec::new(), Vec::new());
            for sample in g.chunks(g.len() / BATCH) {
                let (up, full) = sample.split_at(large / BATCH);
                of_up.extend_from_slice(up);
                of_full.extend_from_slice(full);
            }
            assert_eq!(shape.join_gradients(BATCH, &g), [shape.repeat_gradient(&of_up), of_full]);
        }
    }

    #[test]
    fn a_sum_is_that_of_the_upsampled_map() {
        for shape in &SHAPES {
            let (small, large) = lengths(shape);
            let (low, full) = (values(small, 1), values(large, 2));
            let expected: Vec<f32> = shape.repeat(&low).iter().zip(&full).map(|(a, b)| a + b).collect();
            assert_eq!(shape.add(&low, &full), expected);
        }
    }

    #[test]
    fn a_gate_and_its_gradients_are_those_of_the_formula() {
        for shape in &SHAPES {
            let (small, large) = lengths(shape);
            let (logits, trunk, g) = (values(small, 1), values(large, 2), values(large, 3));
            let masks: Vec<f32> = shape.repeat(&logits).iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect();
            let close = |a: &[f32], b: &[f32]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
            let expected: Vec<f32> = trunk.iter().zip(&masks).map(|(t, m)| t * (1.0 + m)).collect();
            assert!(close(&shape.gate(&logits, &trunk), &expected));
            let of_trunk: Vec<f32> = g.iter().zip(&masks).map(|(g, m)| g * (1.0 + m)).collect();
            let of_masks: Vec<f32> = (0..large).map(|at| g[at] * trunk[at] * masks[at] * (1.0 - masks[at])).collect();
            let [logits, trunk] = shape.gate_gradients(&logits, &trunk, &g);
            assert!(close(&trunk, &of_trunk) && close(&logits, &shape.repeat_gradient(&of_masks)));
        }
    }
}
