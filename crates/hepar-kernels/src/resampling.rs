//! Maps halved by pooling and doubled by repetition, forward and backward; C order.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::isa::arch;
use crate::scratch::taken;

/// Maps and by how much they shrink or grow along each axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resampling {
    /// Number of maps: samples times channels.
    pub maps: usize,
    /// Voxels of a large map, `[d, h, w]`: multiples of `stride`.
    pub size: [usize; 3],
    /// 2 along the axes that change, otherwise 1; 2 along y and x.
    pub stride: [usize; 3],
}

impl Resampling {
    /// Voxels of a small map.
    fn small(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.size[axis] / self.stride[axis])
    }

    /// Values of a large plane, of a block of these, and of a small plane.
    pub(crate) fn lengths(&self) -> (usize, usize, usize) {
        let ([_, h, w], [_, small_h, small_w]) = (self.size, self.small());
        (h * w, self.stride[0] * h * w, small_h * small_w)
    }

    pub(crate) fn check(&self, large: usize, small: usize) {
        assert!(matches!(self.stride, [1 | 2, 2, 2]), "strides {:?}", self.stride);
        assert!(self.size.iter().zip(self.stride).all(|(side, stride)| side % stride == 0), "{self:?}");
        assert_eq!(large, self.maps * self.size.iter().product::<usize>(), "length of the large maps");
        assert_eq!(small, self.maps * self.small().iter().product::<usize>(), "length of the small maps");
    }

    /// The greatest value of every block of the large maps `x`.
    ///
    /// # Panics
    /// When a length or side does not fit.
    pub fn pool(&self, x: &[f32]) -> Vec<f32> {
        let (_, block, small) = self.lengths();
        let mut y = taken(x.len() / (block / small));
        self.check(x.len(), y.len());
        y.par_chunks_mut(small).zip(x.par_chunks(block)).for_each(|(y, x)| {
            arch().dispatch(Pool { shape: *self, x, y });
        });
        y
    }

    /// The gradient of [`Resampling::pool`] at `x`, given that of its output: all of it to the first of the greatest.
    ///
    /// # Panics
    /// When a length or side does not fit.
    pub fn pool_gradient(&self, x: &[f32], g: &[f32]) -> Vec<f32> {
        self.check(x.len(), g.len());
        let (_, block, small) = self.lengths();
        let mut dx = taken(x.len());
        dx.par_chunks_mut(block).zip(x.par_chunks(block).zip(g.par_chunks(small))).for_each(|(dx, (x, g))| {
            arch().dispatch(PoolGradient { shape: *self, x, g, dx });
        });
        dx
    }

    /// Every voxel of the small maps `x`, as often as it takes to fill the large ones.
    ///
    /// # Panics
    /// When a length or side does not fit.
    pub fn repeat(&self, x: &[f32]) -> Vec<f32> {
        let (_, block, small) = self.lengths();
        let mut y = taken(x.len() * (block / small));
        self.check(y.len(), x.len());
        y.par_chunks_mut(block).zip(x.par_chunks(small)).for_each(|(y, x)| self.repeat_block(x, y));
        y
    }

    /// [`Resampling::repeat`] of a small plane: a block of large ones.
    pub(crate) fn repeat_block(&self, x: &[f32], y: &mut [f32]) {
        arch().dispatch(Repeat { shape: *self, x, y });
    }

    /// The gradient of [`Resampling::repeat`], given that of its output.
    ///
    /// # Panics
    /// When a length or side does not fit.
    pub fn repeat_gradient(&self, g: &[f32]) -> Vec<f32> {
        let (_, block, small) = self.lengths();
        let mut dx = taken(g.len() / (block / small));
        self.check(g.len(), dx.len());
        dx.par_chunks_mut(small).zip(g.par_chunks(block)).for_each(|(dx, g)| self.repeat_block_gradient(g, dx));
        dx
    }

    /// [`Resampling::repeat_gradient`] of a block of large planes: a small one.
    pub(crate) fn repeat_block_gradient(&self, g: &[f32], dx: &mut [f32]) {
        arch().dispatch(RepeatGradient { shape: *self, g, dx });
    }

    /// The rows of a block of large planes that lie over row `y` of the small one: plane, row in the plane.
    pub(crate) fn rows(&self, y: usize) -> impl Iterator<Item = usize> {
        let [_, h, w] = self.size;
        (0..self.stride[0]).flat_map(move |z| [2 * y, 2 * y + 1].map(|row| (z * h + row) * w))
    }
}

struct Pool<'a> {
    shape: Resampling,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Pool<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.shape.size[2];
        let mut most = vec![0.0f32; width];
        for (y, to) in self.y.chunks_exact_mut(width / 2).enumerate() {
            most.fill(f32::NEG_INFINITY);
            for row in self.shape.rows(y) {
                for (most, value) in most.iter_mut().zip(&self.x[row..row + width]) {
                    *most = most.max(*value);
                }
            }
            for (to, pair) in to.iter_mut().zip(most.chunks_exact(2)) {
                *to = pair[0].max(pair[1]);
            }
        }
    }
}

struct PoolGradient<'a> {
    shape: Resampling,
    x: &'a [f32],
    g: &'a [f32],
    dx: &'a mut [f32],
}

impl WithSimd for PoolGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.shape.size[2];
        let (mut most, mut left) = (vec![0.0f32; width / 2], vec![0.0f32; width / 2]);
        for (y, g) in self.g.chunks_exact(width / 2).enumerate() {
            most.fill(f32::NEG_INFINITY);
            for row in self.shape.rows(y) {
                for (most, pair) in most.iter_mut().zip(self.x[row..row + width].chunks_exact(2)) {
                    *most = most.max(pair[0]).max(pair[1]);
                }
            }
            // What is left of the gradient: it goes to the first that is equal to the greatest.
            left.copy_from_slice(g);
            for row in self.shape.rows(y) {
                let pairs = self.x[row..row + width].chunks_exact(2).zip(self.dx[row..row + width].chunks_exact_mut(2));
                for ((pair, to), (most, left)) in pairs.zip(most.iter().zip(&mut left)) {
                    for at in 0..2 {
                        let is_most = pair[at] == *most;
                        to[at] = if is_most { *left } else { 0.0 };
                        *left = if is_most { 0.0 } else { *left };
                    }
                }
            }
        }
    }
}

struct Repeat<'a> {
    shape: Resampling,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Repeat<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.shape.size[2];
        for (y, from) in self.x.chunks_exact(width / 2).enumerate() {
            for row in self.shape.rows(y) {
                for (pair, value) in self.y[row..row + width].chunks_exact_mut(2).zip(from) {
                    (pair[0], pair[1]) = (*value, *value);
                }
            }
        }
    }
}

struct RepeatGradient<'a> {
    shape: Resampling,
    g: &'a [f32],
    dx: &'a mut [f32],
}

impl WithSimd for RepeatGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.shape.size[2];
        for (y, to) in self.dx.chunks_exact_mut(width / 2).enumerate() {
            to.fill(0.0);
            for row in self.shape.rows(y) {
                for (to, pair) in to.iter_mut().zip(self.g[row..row + width].chunks_exact(2)) {
                    *to += pair[0] + pair[1];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPES: [Resampling; 2] = [
        Resampling { maps: 3, size: [4, 6, 10], stride: [2, 2, 2] },
        Resampling { maps: 2, size: [1, 4, 38], stride: [1, 2, 2] },
    ];

    fn values(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|v| ((v * 7919 + seed * 31) % 211) as f32 - 100.0).collect()
    }

    /// For every voxel of the large maps, the voxel of the small ones over which it lies.
    fn parents(shape: &Resampling) -> Vec<usize> {
        let ([d, h, w], [sd, sh, sw]) = (shape.size, shape.small());
        let of = |at: usize| {
            let (map, z, y, x) = (at / (d * h * w), at / (h * w) % d, at / w % h, at % w);
            ((map * sd + z / shape.stride[0]) * sh + y / 2) * sw + x / 2
        };
        (0..shape.maps * d * h * w).map(of).collect()
    }

    #[test]
    fn pooling_keeps_the_greatest_and_its_gradient_goes_there() {
        for shape in &SHAPES {
            let parents = parents(shape);
            let x = values(parents.len(), 1);
            let small = shape.maps * shape.small().iter().product::<usize>();
            let mut expected = vec![f32::NEG_INFINITY; small];
            parents.iter().zip(&x).for_each(|(parent, v)| expected[*parent] = expected[*parent].max(*v));
            assert_eq!(shape.pool(&x), expected);
            let g = values(small, 2);
            let dx = shape.pool_gradient(&x, &g);
            let mut sums = vec![0.0; small];
            for ((parent, dx), x) in parents.iter().zip(&dx).zip(&x) {
                assert!(*dx == 0.0 || *x == expected[*parent]);
                sums[*parent] += dx;
            }
            assert_eq!(sums, g);
        }
    }

    #[test]
    fn the_first_of_equal_values_takes_the_whole_gradient() {
        let shape = Resampling { maps: 1, size: [2, 2, 2], stride: [2, 2, 2] };
        assert_eq!(shape.pool_gradient(&[0.0, 3.0, 3.0, 1.0, 3.0, 0.0, 0.0, 0.0], &[7.0])[..3], [0.0, 7.0, 0.0]);
    }

    #[test]
    fn repetition_and_its_gradient_are_transposes() {
        for shape in &SHAPES {
            let parents = parents(shape);
            let x = values(shape.maps * shape.small().iter().product::<usize>(), 1);
            let y = shape.repeat(&x);
            assert!(parents.iter().zip(&y).all(|(parent, y)| *y == x[*parent]));
            let g = values(parents.len(), 2);
            let mut expected = vec![0.0; x.len()];
            parents.iter().zip(&g).for_each(|(parent, g)| expected[*parent] += g);
            assert_eq!(shape.repeat_gradient(&g), expected);
        }
    }
}
