//! One slab of tiles: from the input and the decoder's last map to logits.

use pulp::{Simd, WithSimd};

use super::scatter::{Rows, scatter};
use super::slab::{ROWS, Slab, Transformed};
use super::{ExitLayer, Slabs, Wanted};
use crate::lanes::store;
use crate::scratch::Scratch;
use crate::winograd::product::{apart, multiply};
use crate::winograd::transform::voxels;

/// What it takes to compute a slab.
pub(super) struct Task<'a> {
    pub layer: &'a ExitLayer,
    pub from: Slab<'a>,
    pub wanted: &'a Wanted<'a>,
    pub logits: Logits<'a>,
}

/// The logits of a slab.
pub(crate) struct Logits<'a> {
    pub slabs: Slabs,
    pub values: &'a mut [f32],
}

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (S::F32_LANES, self.layer.products.halves.depth) {
            (8, 1) => self.run::<S, 4, 1>(simd),
            (8, _) => self.run::<S, 4, 3>(simd),
            (_, 1) => self.run::<S, 8, 1>(simd),
            (_, _) => self.run::<S, 8, 3>(simd),
        }
    }
}

impl Task<'_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize, const DEPTH: usize>(mut self, simd: S) {
        let tile = ROWS * S::F32_LANES;
        let products = &self.layer.products;
        let halves = products.halves;
        let padded = halves.outputs.next_multiple_of(C);
        let per_block = if DEPTH == 3 { 2 } else { 1 };
        let mut rings = self.from.rings();
        let mut transformed = Transformed::new(halves, tile);
        let mut sums = Scratch::take(16 * apart(per_block * padded * tile));
        // Voxels after ReLU, `[z, y and x parity, channel, vectors]`.
        let mut voxels = Scratch::take(4 * per_block * halves.outputs * tile);
        for k in 0..self.from.layout.size[0] {
            for at in (0..self.from.layout.size[2]).step_by(S::F32_LANES) {
                if !self.is_wanted([k, at, at + S::F32_LANES], per_block) {
                    continue;
                }
                self.from.advance::<S, C, DEPTH>(simd, &mut rings, k);
                self.from.transform::<S, DEPTH, ROWS>(simd, &rings, &mut transformed, [k, 0, at]);
                multiply::<S, C, ROWS>(simd, products, &transformed.full, &transformed.doubled, &mut sums);
                self.activate::<S>(simd, &sums, padded, per_block, &mut voxels);
                self.logits.spread::<S, DEPTH>(simd, &self.layer.last, &voxels, [self.from.first_row, k, at]);
            }
        }
    }

    /// Whether the logit of a wanted voxel depends on the blocks from `start` to `end` of plane `k`.
    fn is_wanted(&self, [k, start, end]: [usize; 3], per_block: usize) -> bool {
        let size = self.from.input.size();
        // The last convolution reaches one voxel further.
        let reach = |axis: usize, first: usize, end: usize| first.saturating_sub(1)..(end + 1).min(size[axis]);
        let along_z = if per_block == 2 { reach(0, 2 * k, 2 * k + 2) } else { k..k + 1 };
        let rows = reach(1, 2 * self.from.first_row, 2 * (self.from.first_row + ROWS));
        (self.wanted)(self.from.sample, [along_z, rows, reach(2, 2 * start, 2 * end)])
    }

    /// Sums of products back to voxels, bias and ReLU.
    #[inline(always)]
    fn activate<S: Simd>(&self, simd: S, sums: &[f32], padded: usize, per_block: usize, to: &mut [f32]) {
        let (channels, tile) = (self.layer.bias.len(), ROWS * S::F32_LANES);
        let zero = simd.splat_f32s(0.0);
        for z in 0..per_block {
            for (c, bias) in self.layer.bias.iter().enumerate() {
                let bias = simd.splat_f32s(*bias);
                for r in 0..ROWS {
                    let lane = r * S::F32_LANES;
                    let from = (z * padded + c) * tile + lane;
                    let block = voxels(simd, sums, from, apart(per_block * padded * tile));
                    for parity in 0..4 {
                        let value = block[parity / 2][parity % 2];
                        let value = simd.max_f32s(simd.add_f32s(value, bias), zero);
                        store::<S>(to, ((z * 4 + parity) * channels + c) * tile + lane, value);
                    }
                }
            }
        }
    }
}

impl Logits<'_> {
    /// Adds what the voxels of a tile give, `[z, y and x parity, channel, vectors]`; the tile is at block `at` of plane
    /// `k` and begins with the row of blocks `first_row`. `last` is the kernel, `[channel, tap]`.
    #[inline(always)]
    pub fn spread<S: Simd, const DEPTH: usize>(
        &mut self,
        simd: S,
        last: &[f32],
        voxels: &[f32],
        [first_row, k, at]: [usize; 3],
    ) {
        let (slabs, tile) = (self.slabs, ROWS * S::F32_LANES);
        let channels = last.len() / (9 * DEPTH);
        let per_block = if DEPTH == 3 { 2 } else { 1 };
        // The last slab may reach beyond the scan.
        let inside = ROWS.min(slabs.blocks[0] - first_row);
        for z in 0..per_block {
            for r in 0..inside {
                for py in 0..2 {
                    let even = (z * 4 + py * 2) * channels * tile + r * S::F32_LANES;
                    let odd = even + channels * tile;
                    let plane = per_block * k + z + 2 * slabs.border;
                    let first = plane * slabs.plane() + (2 * r + py + 2) * slabs.row();
                    let rows = Rows { first, plane: slabs.plane(), row: slabs.row() };
                    let (even, odd) = (&voxels[even..], &voxels[odd..]);
                    let half = slabs.row() / 2;
                    scatter::<S, DEPTH>(simd, last, even, odd, tile, channels, self.values, rows, half, at);
                }
            }
        }
    }
}
