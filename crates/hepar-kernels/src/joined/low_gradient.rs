//! The gradient of the map that is upsampled.

use pulp::Simd;
use rayon::prelude::*;

use super::strips::{Maps, Ring, Rows};
use super::{JoinedShape, by_rows};
use crate::isa::arch;
use crate::lanes::store;
use crate::scratch::Scratch;
use crate::winograd::product::{Half, apart};
use crate::winograd::transform::{Along, HALVED, PLANAR, halved_tile};
use crate::winograd::weights::transposed_doubled;

/// Rows of blocks that a tile holds.
const ROWS: usize = 2;

/// The gradient, given that of the output.
pub(super) fn low_gradient(shape: &JoinedShape, weights: &[f32], g: &[f32]) -> Vec<f32> {
    let blocks = shape.blocks();
    let mut gradient = vec![0.0; shape.batch * shape.upsampled * blocks.iter().product::<usize>()];
    let weights = transposed_doubled(shape.halves(), weights);
    let g = Maps { values: g, channels: shape.outputs, size: shape.size };
    let parts = blocks[1].div_ceil(ROWS);
    let rows = by_rows(&mut gradient, shape.batch, blocks, ROWS).into_par_iter().enumerate().with_max_len(1);
    rows.for_each(|(at, to)| {
        let (sample, first_row) = (at / parts, at % parts * ROWS);
        arch().dispatch(Task { shape, weights: &weights, g, sample, first_row, to });
    });
    gradient
}

/// Some rows of a sample, through all planes.
struct Task<'a, 'to> {
    shape: &'a JoinedShape,
    weights: &'a [f32],
    g: Maps<'a>,
    sample: usize,
    first_row: usize,
    /// Rows, `[channel, z]`.
    to: Vec<&'to mut [f32]>,
}

dispatch!(Task<'_, '_> => (), few: [4], many: [8]);

impl Task<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize>(mut self, simd: S) {
        let JoinedShape { outputs, depth, .. } = *self.shape;
        let [planes, _, width] = self.shape.blocks();
        let tile = ROWS * S::F32_LANES;
        let along_z: &[Along] = if depth == 3 { &HALVED } else { &PLANAR };
        let (half, product) = (self.g.split_row() / 2, apart(outputs * tile));
        let mut ring = Ring::new(outputs, (2 * ROWS + 2) * self.g.split_row());
        let mut products = Scratch::take(9 * along_z.len() * product);
        for k in 0..planes {
            let (sample, first, count) = (self.sample, 2 * self.first_row, 2 * ROWS + 2);
            let end = if depth == 3 { 2 * k + 3 } else { k + 1 };
            ring.advance(end, |z, to| self.g.split(Rows { sample, z, first, above: 1, count }, to));
            let first = if depth == 3 { 2 * k as isize - 1 } else { k as isize };
            for at in (0..width).step_by(S::F32_LANES) {
                for c in 0..outputs {
                    let planes = ring.channel::<4>(first, c);
                    halved_tile::<S, ROWS>(simd, along_z, &planes, half, at, &mut products[c * tile..], product);
                }
                self.multiply::<S, C>(simd, &products, along_z.len(), k, at);
            }
        }
    }

    /// Adds up all products of a tile: there is nothing to transform back.
    #[inline(always)]
    fn multiply<S: Simd, const C: usize>(&mut self, simd: S, products: &[f32], along_z: usize, k: usize, at: usize) {
        let JoinedShape { upsampled, outputs, .. } = *self.shape;
        let [planes, _, width] = self.shape.blocks();
        let half = Half { inputs: outputs, weights: self.weights, voxels: products };
        let blocks = upsampled.div_ceil(C);
        for block in 0..blocks {
            let mut sums = [[simd.splat_f32s(0.0); ROWS]; C];
            for yx in 0..9 {
                for z in 0..along_z {
                    half.add::<S, C, ROWS>(simd, &mut sums, (yx * blocks + block) * along_z + z, yx * along_z + z);
                }
            }
            for c in 0..C.min(upsampled - block * C) {
                let to = &mut self.to[(block * C + c) * planes + k];
                // The last part may have fewer rows.
                for r in 0..ROWS.min(to.len() / width) {
                    store::<S>(to, r * width + at, sums[c][r]);
                }
            }
        }
    }
}
