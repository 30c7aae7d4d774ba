//! Both halves of conv9's input for a slab of tiles: the first layer's output, which is computed here, and the decoder's
//! map.

use pulp::Simd;

use crate::entry::{EntryLayer, SplitInput};
use crate::maps::MapLayout;
use crate::scratch::Scratch;
use crate::winograd::product::apart;
use crate::winograd::transform::{Along, DOUBLED, FULL, PLANAR, doubled_tile, full_tile};
use crate::winograd::weights::Halves;

/// Rows of blocks that a slab holds.
pub(crate) const ROWS: usize = 2;

/// Planes that are kept while a slab is walked through, for kernels of `depth` planes: as many as a block depends on.
const fn kept(depth: usize) -> usize {
    if depth == 3 { 4 } else { 1 }
}

/// What a slab's input is made from, and where the slab is.
#[derive(Clone, Copy)]
pub(crate) struct Slab<'a> {
    pub entry: &'a EntryLayer,
    pub input: &'a SplitInput,
    /// See [`EntryLayer::distances`].
    pub distances: &'a [Vec<usize>; 2],
    /// The decoder's map, of the layout `layout`.
    pub low: &'a [f32],
    pub layout: MapLayout,
    pub sample: usize,
    /// First row of blocks.
    pub first_row: usize,
}

/// The last planes of both halves.
pub(crate) struct Rings {
    /// The first layer's output, `[plane, channel, y, parity, x / 2]` with a border of zeros.
    fine: Scratch,
    /// The decoder's map, `[plane, channel, y, x]` with a border of zeros.
    coarse: Scratch,
    /// The plane after the last one that is there, of both.
    next: [usize; 2],
}

/// Transformed tiles of both halves.
pub(crate) struct Transformed {
    /// `[product, channel, vectors]`, products [`apart`].
    pub full: Scratch,
    /// See [`Transformed::full`].
    pub doubled: Scratch,
}

impl Transformed {
    /// Room for tiles of `tile` blocks.
    pub fn new(halves: Halves, tile: usize) -> Self {
        Self {
            full: Scratch::take(16 * halves.full_depth() * apart(halves.full * tile)),
            doubled: Scratch::take(9 * halves.doubled_depth() * apart(halves.upsampled * tile)),
        }
    }
}

impl Slab<'_> {
    /// Values of a row of one parity, and of a row of the decoder's map.
    pub fn half(&self) -> usize {
        self.layout.size[2] + 2
    }

    /// Values of a channel's rows of the first layer's output.
    fn fine(&self) -> usize {
        (2 * ROWS + 2) * 2 * self.half()
    }

    /// Values of a channel's rows of the decoder's map.
    fn coarse(&self) -> usize {
        (ROWS + 2) * self.half()
    }

    /// Rings without any plane.
    pub fn rings(&self) -> Rings {
        let kept = kept(self.entry.depth());
        Rings {
            fine: Scratch::zeroed(kept * self.entry.channels() * self.fine()),
            coarse: Scratch::zeroed(kept * self.layout.channels * self.coarse()),
            next: [0; 2],
        }
    }

    /// Computes the planes that blocks of plane `k` need and that are not there yet.
    #[inline(always)]
    pub fn advance<S: Simd, const C: usize, const DEPTH: usize>(&self, simd: S, rings: &mut Rings, k: usize) {
        let (fine, coarse) = match (DEPTH, k) {
            (1, _) => (0..1, 0..1),
            _ => ((2 * k).saturating_sub(1)..2 * k + 3, k.saturating_sub(1)..k + 2),
        };
        let fine = fine.start.max(rings.next[0])..fine.end;
        let coarse = coarse.start.max(rings.next[1])..coarse.end;
        rings.next = [fine.end, coarse.end];
        for z in fine {
            self.fine_plane::<S, C>(simd, &mut rings.fine, z);
        }
        for z in coarse {
            self.coarse_plane(&mut rings.coarse, z);
        }
    }

    /// The first layer's output in plane `z`; zeros behind the last.
    #[inline(always)]
    fn fine_plane<S: Simd, const C: usize>(&self, simd: S, planes: &mut [f32], z: usize) {
        let [d, h, _] = self.input.size();
        let (channels, fine) = (self.entry.channels(), self.fine());
        let plane = &mut planes[(z % kept(self.entry.depth())) * channels * fine..][..channels * fine];
        if z >= d {
            plane.fill(0.0);
            return;
        }
        for row in 0..2 * ROWS + 2 {
            // Row 0 is the one above the slab; what lies outside of the scan stays zero.
            let Some(y) = (2 * self.first_row + row).checked_sub(1).filter(|y| *y < h) else { continue };
            let to = &mut plane[row * 2 * self.half()..];
            self.entry.row::<S, C, 2>(simd, self.input, self.distances, [self.sample, z, y], to, fine);
        }
    }

    /// The decoder's map in plane `z`; zeros behind the last.
    #[inline(always)]
    fn coarse_plane(&self, planes: &mut [f32], z: usize) {
        let ([d, h, w], coarse) = (self.layout.size, self.coarse());
        let channels = self.layout.channels;
        let plane = &mut planes[(z % kept(self.entry.depth())) * channels * coarse..][..channels * coarse];
        if z >= d {
            plane.fill(0.0);
            return;
        }
        let from = &self.low[(self.sample * d + z) * self.layout.plane()..][..self.layout.plane()];
        for (to, from) in plane.chunks_exact_mut(coarse).zip(from.chunks_exact(self.layout.channel())) {
            for row in 0..ROWS + 2 {
                let Some(y) = (self.first_row + row).checked_sub(1).filter(|y| *y < h) else { continue };
                to[row * self.half() + 1..][..w].copy_from_slice(&from[y * self.layout.row()..][..w]);
            }
        }
    }

    /// Transforms the tile of `R` rows of blocks from the slab's row `row` on, at block `at` of plane `k`.
    #[inline(always)]
    pub fn transform<S: Simd, const DEPTH: usize, const R: usize>(
        &self,
        simd: S,
        rings: &Rings,
        to: &mut Transformed,
        [k, row, at]: [usize; 3],
    ) {
        let (full, doubled): (&[Along], &[Along]) = if DEPTH == 3 { (&FULL, &DOUBLED) } else { (&PLANAR, &PLANAR) };
        // The plane before the first, modulo those that are kept.
        let (kept, first) = (kept(DEPTH), kept(DEPTH) - 1);
        let (channels, length, tile) = (self.entry.channels(), self.fine(), R * S::F32_LANES);
        for c in 0..channels {
            // Plane 2k − 1 comes first; before the first of all lie zeros.
            let planes: [&[f32]; 4] = std::array::from_fn(|plane| {
                let z = (first + 2 * k + plane) % kept;
                &rings.fine[(z * channels + c) * length..][..length]
            });
            let (to, from) = (&mut to.full[c * tile..], row * 4 * self.half() + at);
            full_tile::<S, R>(simd, full, &planes, self.half(), from, to, apart(channels * tile));
        }
        let (channels, length) = (self.layout.channels, self.coarse());
        for c in 0..channels {
            let planes: [&[f32]; 3] = std::array::from_fn(|plane| {
                let z = (first + k + plane) % kept;
                &rings.coarse[(z * channels + c) * length..][..length]
            });
            let (to, from) = (&mut to.doubled[c * tile..], row * self.half() + at);
            doubled_tile::<S, R>(simd, doubled, &planes, self.half(), from, to, apart(channels * tile));
        }
    }
}
