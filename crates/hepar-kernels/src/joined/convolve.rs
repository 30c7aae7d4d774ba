//! The forward pass, block by block.

use pulp::Simd;
use rayon::prelude::*;

use super::strips::{Maps, Ring, Rows};
use super::{JoinedShape, by_rows};
use crate::isa::arch;
use crate::lanes::store;
use crate::scratch::Scratch;
use crate::winograd::product::{apart, multiply};
use crate::winograd::transform::{Along, DOUBLED, FULL, PLANAR, doubled_tile, full_tile, voxels};
use crate::winograd::weights::Products;

/// Rows of blocks that a tile holds.
const ROWS: usize = 2;

/// The convolution of both halves with kernels that have been transformed.
pub(super) fn convolve(shape: &JoinedShape, products: &Products, low: &[f32], full: &[f32], bias: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; shape.batch * shape.outputs * shape.size.iter().product::<usize>()];
    let low = Maps { values: low, channels: shape.upsampled, size: shape.blocks() };
    let full = Maps { values: full, channels: shape.full, size: shape.size };
    let tasks = by_rows(&mut y, shape.batch, shape.size, 2 * ROWS);
    let parts = shape.size[1].div_ceil(2 * ROWS);
    tasks.into_par_iter().enumerate().with_max_len(1).for_each(|(at, to)| {
        let (sample, first_row) = (at / parts, at % parts * ROWS);
        arch().dispatch(Task { shape, products, low, full, bias, sample, first_row, to });
    });
    y
}

/// Some rows of blocks of a sample, through all planes.
struct Task<'a, 'to> {
    shape: &'a JoinedShape,
    products: &'a Products,
    low: Maps<'a>,
    full: Maps<'a>,
    bias: &'a [f32],
    sample: usize,
    /// First row of blocks.
    first_row: usize,
    /// Rows of voxels, `[channel, z]`.
    to: Vec<&'to mut [f32]>,
}

dispatch!(Task<'_, '_> => (), few: [4], many: [8]);

/// Memory of a task.
struct Buffers {
    fine: Ring,
    coarse: Ring,
    /// Transformed tiles of both.
    full: Scratch,
    doubled: Scratch,
    sums: Scratch,
    /// Voxels of all rows of a task in a block's planes, `[channel, z, row, parity, x / 2]`.
    voxels: Scratch,
}

impl Task<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize>(mut self, simd: S) {
        let halves = self.products.halves;
        let (per_block, width) = (self.shape.per_block(), self.shape.blocks()[2]);
        let tile = ROWS * S::F32_LANES;
        let padded = halves.outputs.next_multiple_of(C);
        let mut buffers = Buffers {
            fine: Ring::new(halves.full, (2 * ROWS + 2) * self.full.split_row()),
            coarse: Ring::new(halves.upsampled, (ROWS + 2) * self.low.plain_row()),
            full: Scratch::take(16 * halves.full_depth() * apart(halves.full * tile)),
            doubled: Scratch::take(9 * halves.doubled_depth() * apart(halves.upsampled * tile)),
            sums: Scratch::take(16 * apart(per_block * padded * tile)),
            voxels: Scratch::take(halves.outputs * per_block * 2 * ROWS * 2 * width),
        };
        for k in 0..self.shape.blocks()[0] {
            self.advance(&mut buffers, k);
            for at in (0..width).step_by(S::F32_LANES) {
                self.transform::<S>(simd, &mut buffers, k, at);
                let Buffers { full, doubled, sums, .. } = &mut buffers;
                multiply::<S, C, ROWS>(simd, self.products, full, doubled, sums);
                self.collect::<S>(simd, &mut buffers, padded, at);
            }
            self.write(&buffers.voxels, k);
        }
    }

    /// Copies the planes that blocks of plane `k` need and those before did not.
    #[inline(always)]
    fn advance(&self, buffers: &mut Buffers, k: usize) {
        let (sample, is_planar) = (self.sample, self.shape.depth == 1);
        let (fine, coarse) = if is_planar { (k + 1, k + 1) } else { (2 * k + 3, k + 2) };
        let (first, count) = (2 * self.first_row, 2 * ROWS + 2);
        buffers.fine.advance(fine, |z, to| self.full.split(Rows { sample, z, first, above: 1, count }, to));
        let (first, count) = (self.first_row, ROWS + 2);
        buffers.coarse.advance(coarse, |z, to| self.low.plain(Rows { sample, z, first, above: 1, count }, to));
    }

    #[inline(always)]
    fn transform<S: Simd>(&self, simd: S, buffers: &mut Buffers, k: usize, at: usize) {
        let halves = self.products.halves;
        let tile = ROWS * S::F32_LANES;
        let is_planar = self.shape.depth == 1;
        let (full, doubled): (&[Along], &[Along]) = if is_planar { (&PLANAR, &PLANAR) } else { (&FULL, &DOUBLED) };
        let before = if is_planar { 0 } else { 1 };
        let half = self.full.split_row() / 2;
        for c in 0..halves.full {
            let planes = buffers.fine.channel::<4>((self.shape.per_block() * k) as isize - before, c);
            full_tile::<S, ROWS>(
                simd,
                full,
                &planes,
                half,
                at,
                &mut buffers.full[c * tile..],
                apart(halves.full * tile),
            );
        }
        let (row, product) = (self.low.plain_row(), apart(halves.upsampled * tile));
        for c in 0..halves.upsampled {
            let planes = buffers.coarse.channel::<3>(k as isize - before, c);
            doubled_tile::<S, ROWS>(simd, doubled, &planes, row, at, &mut buffers.doubled[c * tile..], product);
        }
    }

    /// Sums of products back to voxels, with bias.
    #[inline(always)]
    fn collect<S: Simd>(&self, simd: S, buffers: &mut Buffers, padded: usize, at: usize) {
        let (per_block, width) = (self.shape.per_block(), self.shape.blocks()[2]);
        let tile = ROWS * S::F32_LANES;
        for (c, bias) in self.bias.iter().enumerate() {
            let bias = simd.splat_f32s(*bias);
            for z in 0..per_block {
                for r in 0..ROWS {
                    let from = (z * padded + c) * tile + r * S::F32_LANES;
                    let block = voxels(simd, &buffers.sums, from, apart(per_block * padded * tile));
                    let row = ((c * per_block + z) * ROWS + r) * 4 * width + at;
                    for parity in 0..4 {
                        let value = simd.add_f32s(block[parity / 2][parity % 2], bias);
                        store::<S>(&mut buffers.voxels, row + parity * width, value);
                    }
                }
            }
        }
    }

    /// Brings even and odd voxels of whole rows together.
    #[inline(always)]
    fn write(&mut self, voxels: &[f32], k: usize) {
        let (per_block, [depth, _, width]) = (self.shape.per_block(), self.shape.size);
        let planes = voxels.chunks_exact(2 * ROWS * width);
        for (at, rows) in planes.enumerate() {
            let (c, z) = (at / per_block, at % per_block);
            let to = &mut self.to[c * depth + per_block * k + z];
            for (row, to) in rows.chunks_exact(width).zip(to.chunks_exact_mut(width)) {
                let (even, odd) = row.split_at(width / 2);
                for ((pair, even), odd) in to.chunks_exact_mut(2).zip(even).zip(odd) {
                    (pair[0], pair[1]) = (*even, *odd);
                }
            }
        }
    }
}
