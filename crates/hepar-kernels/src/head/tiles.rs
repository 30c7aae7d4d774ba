//! How a map of full size is kept between passes: tile by tile, in the order in which slabs are walked through.

use pulp::Simd;

use super::HeadShape;
use crate::exit::slab::ROWS;
use crate::lanes::{load, store};
use crate::scratch::Scratch;

/// Tiles of all slabs, `[sample, slab, plane of blocks, vector of blocks]`; a tile is `[z, y and x parity, channel,
/// row of blocks, lane]`. No order of lanes, so that one instruction set cannot read what another one wrote.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    channels: usize,
    /// Voxels of a block.
    groups: usize,
    /// Blocks of a sample, `[d, h, w]`.
    blocks: [usize; 3],
}

impl Tiles {
    pub fn new(shape: &HeadShape) -> Self {
        Self { channels: shape.first.channels, groups: 4 * shape.first.per_block(), blocks: shape.blocks() }
    }

    /// Values of a slab.
    pub fn slab(&self) -> usize {
        let [d, _, w] = self.blocks;
        self.groups * self.channels * d * ROWS * w
    }

    /// Values of a tile.
    pub fn tile<S: Simd>(&self) -> usize {
        self.groups * self.channels * ROWS * S::F32_LANES
    }

    /// Where in a slab the tile at block `at` of plane `k` begins.
    pub fn place<S: Simd>(&self, k: usize, at: usize) -> usize {
        (k * self.blocks[2] + at) / S::F32_LANES * self.tile::<S>()
    }

    /// Values of a tile's channel in one group.
    pub fn vectors<S: Simd>(&self) -> usize {
        ROWS * S::F32_LANES
    }
}

/// Planes of a [`Ring`].
const KEPT: usize = 4;

/// The last planes of a map that a walk through a slab has seen, with a row around them, rows split by parity with zeros
/// at their ends: what transforms read.
pub(super) struct Ring<'a> {
    tiles: Tiles,
    /// All slabs of the sample.
    from: &'a [f32],
    first_row: usize,
    planes: Scratch,
    next: usize,
}

impl<'a> Ring<'a> {
    /// A ring for the slab that begins with the row of blocks `first_row`, of a map whose sample is `from`.
    pub fn new(tiles: Tiles, from: &'a [f32], first_row: usize) -> Self {
        let planes = Scratch::zeroed(KEPT * tiles.channels * (2 * ROWS + 2) * 2 * (tiles.blocks[2] + 2));
        Self { tiles, from, first_row, planes, next: 0 }
    }

    /// Values of a row of one parity.
    pub fn half(&self) -> usize {
        self.tiles.blocks[2] + 2
    }

    fn channel_len(&self) -> usize {
        (2 * ROWS + 2) * 2 * self.half()
    }

    /// Copies the planes before `end` that are not there yet; zeros behind the last.
    #[inline(always)]
    pub fn advance<S: Simd>(&mut self, end: usize) {
        while self.next < end {
            self.copy::<S>(self.next);
            self.next += 1;
        }
    }

    #[inline(always)]
    fn copy<S: Simd>(&mut self, z: usize) {
        let Tiles { channels, groups, blocks: [depth, height, width] } = self.tiles;
        let (half, length, per_block) = (self.half(), self.channel_len(), groups / 4);
        let plane = &mut self.planes[z % KEPT * channels * length..][..channels * length];
        if z >= per_block * depth {
            plane.fill(0.0);
            return;
        }
        for row in 0..2 * ROWS + 2 {
            // Row 0 is the one above the slab; what lies outside of the map stays zero.
            let y = (2 * self.first_row + row).checked_sub(1).filter(|y| *y < 2 * height);
            let Some(y) = y else { continue };
            let slab = &self.from[y / (2 * ROWS) * self.tiles.slab()..][..self.tiles.slab()];
            let (r, parity) = (y / 2 % ROWS, y % 2);
            for at in (0..width).step_by(S::F32_LANES) {
                let tile = &slab[self.tiles.place::<S>(z / per_block, at)..][..self.tiles.tile::<S>()];
                for px in 0..2 {
                    let group = z % per_block * 4 + parity * 2 + px;
                    for c in 0..channels {
                        let value = load::<S>(tile, ((group * channels + c) * ROWS + r) * S::F32_LANES);
                        store::<S>(plane, c * length + (2 * row + px) * half + 1 + at, value);
                    }
                }
            }
        }
    }

    /// Four planes of a channel from plane `first` on, which may be −1: a plane of zeros as long as it has not come to be
    /// overwritten.
    #[inline(always)]
    pub fn channel(&self, first: isize, c: usize) -> [&[f32]; 4] {
        let length = self.channel_len();
        std::array::from_fn(|plane| {
            let z = (first + (KEPT + plane) as isize) as usize % KEPT;
            &self.planes[(z * self.tiles.channels + c) * length..][..length]
        })
    }
}
