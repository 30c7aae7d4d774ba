//! One slab of tiles: from the input and the decoder's last map to logits.

use pulp::{Simd, WithSimd};

use super::scatter::{Rows, scatter};
use super::{ExitLayer, ROWS, Slabs, Wanted};
use crate::entry::{EntryLayer, SplitInput};
use crate::lanes::store;
use crate::maps::MapLayout;
use crate::scratch::Scratch;
use crate::winograd::product::{apart, multiply};
use crate::winograd::transform::{Along, DOUBLED, FULL, PLANAR, doubled_tile, full_tile, voxels};

/// What it takes to compute a slab.
pub(super) struct Task<'a> {
    pub layer: &'a ExitLayer,
    pub entry: &'a EntryLayer,
    pub input: &'a SplitInput,
    pub distances: &'a [Vec<usize>; 2],
    pub low: &'a [f32],
    pub layout: MapLayout,
    pub wanted: &'a Wanted<'a>,
    pub slabs: Slabs,
    pub sample: usize,
    /// First row of blocks.
    pub first_row: usize,
    pub slab: &'a mut [f32],
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

/// Planes that are kept while a slab is walked through: a power of two.
const KEPT: usize = 4;

/// Memory of a task.
struct Buffers {
    /// The first layer's output, `[plane, channel, y, parity, x / 2]` with a border of zeros.
    fine: Scratch,
    /// The decoder's map, `[plane, channel, y, x]` with a border of zeros.
    coarse: Scratch,
    /// The plane after the last one that is there, of both.
    next: [usize; 2],
    /// Transformed tiles of both.
    full: Scratch,
    doubled: Scratch,
    /// Sums of products.
    sums: Scratch,
    /// Voxels after ReLU, `[z, y and x parity, channel, R vectors]`.
    voxels: Scratch,
}

/// Sizes of a task's planes.
#[derive(Clone, Copy)]
struct Sizes {
    /// Values of a row of one parity.
    half: usize,
    /// Values of a channel's rows of the first layer's output.
    fine: usize,
    /// Values of a channel's rows of the decoder's map.
    coarse: usize,
    /// Voxels of a tile.
    tile: usize,
}

impl Task<'_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize, const DEPTH: usize>(mut self, simd: S) {
        let half = self.layout.size[2] + 2;
        let sizes =
            Sizes { half, fine: (2 * ROWS + 2) * 2 * half, coarse: (ROWS + 2) * half, tile: ROWS * S::F32_LANES };
        let products = &self.layer.products;
        let halves = products.halves;
        let (depth, doubled) = (halves.full_depth(), halves.doubled_depth());
        let padded = halves.outputs.next_multiple_of(C);
        let per_block = if DEPTH == 3 { 2 } else { 1 };
        let mut buffers = Buffers {
            fine: Scratch::zeroed(KEPT * halves.full * sizes.fine),
            coarse: Scratch::zeroed(KEPT * halves.upsampled * sizes.coarse),
            next: [0; 2],
            full: Scratch::take(16 * depth * apart(halves.full * sizes.tile)),
            doubled: Scratch::take(9 * doubled * apart(halves.upsampled * sizes.tile)),
            sums: Scratch::take(16 * apart(per_block * padded * sizes.tile)),
            voxels: Scratch::take(4 * per_block * halves.full * sizes.tile),
        };
        for k in 0..self.layout.size[0] {
            for at in (0..self.layout.size[2]).step_by(S::F32_LANES) {
                if !self.is_wanted([k, at, at + S::F32_LANES], per_block) {
                    continue;
                }
                self.advance::<S, C, DEPTH>(simd, sizes, &mut buffers, k);
                self.transform::<S, DEPTH>(simd, sizes, &mut buffers, k, at);
                let Buffers { full, doubled, sums, .. } = &mut buffers;
                multiply::<S, C, ROWS>(simd, products, full, doubled, sums);
                self.activate::<S>(simd, sizes, &mut buffers, padded, per_block);
                self.spread::<S, DEPTH>(simd, sizes, &buffers.voxels, k, at);
            }
        }
    }

    /// Whether the logit of a wanted voxel depends on the blocks from `start` to `end` of plane `k`.
    fn is_wanted(&self, [k, start, end]: [usize; 3], per_block: usize) -> bool {
        let size = self.input.size();
        // The last convolution reaches one voxel further.
        let reach = |axis: usize, first: usize, end: usize| first.saturating_sub(1)..(end + 1).min(size[axis]);
        let along_z = if per_block == 2 { reach(0, 2 * k, 2 * k + 2) } else { k..k + 1 };
        let rows = reach(1, 2 * self.first_row, 2 * (self.first_row + ROWS));
        (self.wanted)(self.sample, [along_z, rows, reach(2, 2 * start, 2 * end)])
    }

    /// Computes the planes that blocks of plane `k` need and that are not there yet.
    #[inline(always)]
    fn advance<S: Simd, const C: usize, const DEPTH: usize>(
        &self,
        simd: S,
        sizes: Sizes,
        buffers: &mut Buffers,
        k: usize,
    ) {
        let (fine, coarse) = match (DEPTH, k) {
            (1, _) => (0..1, 0..1),
            _ => ((2 * k).saturating_sub(1)..2 * k + 3, k.saturating_sub(1)..k + 2),
        };
        let fine = fine.start.max(buffers.next[0])..fine.end;
        let coarse = coarse.start.max(buffers.next[1])..coarse.end;
        buffers.next = [fine.end, coarse.end];
        for z in fine {
            self.fine_plane::<S, C>(simd, sizes, &mut buffers.fine, z);
        }
        for z in coarse {
            self.coarse_plane(sizes, &mut buffers.coarse, z);
        }
    }

    /// The first layer's output in plane `z`; zeros behind the last.
    #[inline(always)]
    fn fine_plane<S: Simd, const C: usize>(&self, simd: S, sizes: Sizes, planes: &mut [f32], z: usize) {
        let [d, h, _] = self.input.size();
        let channels = self.entry.channels();
        let plane = &mut planes[(z % KEPT) * channels * sizes.fine..][..channels * sizes.fine];
        if z >= d {
            plane.fill(0.0);
            return;
        }
        for row in 0..2 * ROWS + 2 {
            // Row 0 is the one above the slab; what lies outside of the scan stays zero.
            let Some(y) = (2 * self.first_row + row).checked_sub(1).filter(|y| *y < h) else { continue };
            let to = &mut plane[row * 2 * sizes.half..];
            self.entry.row::<S, C, 2>(simd, self.input, self.distances, [self.sample, z, y], to, sizes.fine);
        }
    }

    /// The decoder's map in plane `z`; zeros behind the last.
    #[inline(always)]
    fn coarse_plane(&self, sizes: Sizes, planes: &mut [f32], z: usize) {
        let [d, h, w] = self.layout.size;
        let channels = self.layout.channels;
        let plane = &mut planes[(z % KEPT) * channels * sizes.coarse..][..channels * sizes.coarse];
        if z >= d {
            plane.fill(0.0);
            return;
        }
        let from = &self.low[(self.sample * d + z) * self.layout.plane()..][..self.layout.plane()];
        for (to, from) in plane.chunks_exact_mut(sizes.coarse).zip(from.chunks_exact(self.layout.channel())) {
            for row in 0..ROWS + 2 {
                let Some(y) = (self.first_row + row).checked_sub(1).filter(|y| *y < h) else { continue };
                to[row * sizes.half + 1..][..w].copy_from_slice(&from[y * self.layout.row()..][..w]);
            }
        }
    }

    /// Transforms the tile at block `at` of the blocks of plane `k`.
    #[inline(always)]
    fn transform<S: Simd, const DEPTH: usize>(
        &self,
        simd: S,
        sizes: Sizes,
        buffers: &mut Buffers,
        k: usize,
        at: usize,
    ) {
        let halves = self.layer.products.halves;
        let (full, doubled): (&[Along], &[Along]) = if DEPTH == 3 { (&FULL, &DOUBLED) } else { (&PLANAR, &PLANAR) };
        let first = if DEPTH == 3 { KEPT - 1 } else { 0 };
        let channels = halves.full;
        for c in 0..channels {
            // Plane 2k − 1 comes first; before the first of all lie zeros.
            let planes: [&[f32]; 4] = std::array::from_fn(|plane| {
                let z = (first + 2 * k + plane) % KEPT;
                &buffers.fine[(z * channels + c) * sizes.fine..][..sizes.fine]
            });
            let to = &mut buffers.full[c * sizes.tile..];
            full_tile::<S, ROWS>(simd, full, &planes, sizes.half, at, to, apart(channels * sizes.tile));
        }
        let channels = halves.upsampled;
        for c in 0..channels {
            let planes: [&[f32]; 3] = std::array::from_fn(|plane| {
                let z = (first + k + plane) % KEPT;
                &buffers.coarse[(z * channels + c) * sizes.coarse..][..sizes.coarse]
            });
            let to = &mut buffers.doubled[c * sizes.tile..];
            doubled_tile::<S, ROWS>(simd, doubled, &planes, sizes.half, at, to, apart(channels * sizes.tile));
        }
    }

    /// Sums of products back to voxels, bias and ReLU.
    #[inline(always)]
    fn activate<S: Simd>(&self, simd: S, sizes: Sizes, buffers: &mut Buffers, padded: usize, per_block: usize) {
        let channels = self.layer.bias.len();
        let zero = simd.splat_f32s(0.0);
        for z in 0..per_block {
            for (c, bias) in self.layer.bias.iter().enumerate() {
                let bias = simd.splat_f32s(*bias);
                for r in 0..ROWS {
                    let lane = r * S::F32_LANES;
                    let from = (z * padded + c) * sizes.tile + lane;
                    let block = voxels(simd, &buffers.sums, from, apart(per_block * padded * sizes.tile));
                    for parity in 0..4 {
                        let value = block[parity / 2][parity % 2];
                        let value = simd.max_f32s(simd.add_f32s(value, bias), zero);
                        store::<S>(&mut buffers.voxels, ((z * 4 + parity) * channels + c) * sizes.tile + lane, value);
                    }
                }
            }
        }
    }

    /// What the voxels of a tile give to the logits.
    #[inline(always)]
    fn spread<S: Simd, const DEPTH: usize>(&mut self, simd: S, sizes: Sizes, voxels: &[f32], k: usize, at: usize) {
        let (channels, slabs) = (self.layer.bias.len(), self.slabs);
        let per_block = if DEPTH == 3 { 2 } else { 1 };
        // The last slab may reach beyond the scan.
        let inside = ROWS.min(self.layout.size[1] - self.first_row);
        for z in 0..per_block {
            for r in 0..inside {
                for py in 0..2 {
                    let even = (z * 4 + py * 2) * channels * sizes.tile + r * S::F32_LANES;
                    let odd = even + channels * sizes.tile;
                    let plane = per_block * k + z + 2 * slabs.border;
                    let first = plane * slabs.plane() + (2 * r + py + 2) * slabs.row();
                    let rows = Rows { first, plane: slabs.plane(), row: slabs.row() };
                    let (even, odd) = (&voxels[even..], &voxels[odd..]);
                    scatter::<S, DEPTH>(
                        simd,
                        &self.layer.last,
                        even,
                        odd,
                        sizes.tile,
                        channels,
                        self.slab,
                        rows,
                        sizes.half,
                        at,
                    );
                }
            }
        }
    }
}
