//! Sums of products of voxels and the taps around them: gradients of kernels with one channel on one side.

use pulp::Simd;

use crate::entry::SplitInput;
use crate::lanes::{load, store};
use crate::scratch::Scratch;

/// Where a tile of `R` rows of blocks lies in a one-channel map.
///
/// A tile's voxels are `[z, y and x parity, channel, R vectors]`, vectors along x.
#[derive(Clone, Copy)]
pub(crate) struct Patches<'a> {
    pub map: &'a SplitInput,
    /// See [`SplitInput::distances`].
    pub distances: &'a [Vec<usize>; 2],
    pub sample: usize,
    /// First voxel of the tile along z and y, and its first block along x.
    pub first: [usize; 3],
}

impl Patches<'_> {
    /// Where the first taps of the voxels of group `group` = (z, y and x parity) lie, for each row of blocks.
    #[inline(always)]
    pub fn places<const R: usize>(&self, group: usize) -> [usize; R] {
        let [z, y, at] = self.first;
        std::array::from_fn(|r| self.map.place(self.sample, z + group / 4, y + 2 * r + group / 2 % 2) + at)
    }

    /// The taps' distances from there.
    #[inline(always)]
    pub fn distances(&self, group: usize) -> &[usize] {
        &self.distances[group % 2]
    }
}

/// The sums, `[channel, tap, lane]`; the last tap is one for every voxel.
pub(crate) struct TapSums {
    channels: usize,
    taps: usize,
    lanes: usize,
    sums: Scratch,
}

/// Taps that are summed at once; kernels have 9 or 27.
const TAPS: usize = 3;

impl TapSums {
    /// No sums yet.
    pub fn new<S: Simd>(channels: usize, taps: usize) -> Self {
        let lanes = S::F32_LANES;
        Self { channels, taps, lanes, sums: Scratch::zeroed(channels * (taps + 1) * lanes) }
    }

    /// Adds the products of a tile's voxels, `groups` of them.
    #[inline(always)]
    pub fn add<S: Simd, const C: usize, const R: usize>(
        &mut self,
        simd: S,
        patches: &Patches<'_>,
        groups: usize,
        tile: &[f32],
    ) {
        let whole = self.channels / C * C;
        for first in (0..whole).step_by(C) {
            self.add_block::<S, C, R>(simd, patches, groups, tile, first);
        }
        for first in whole..self.channels {
            self.add_block::<S, 1, R>(simd, patches, groups, tile, first);
        }
    }

    #[inline(always)]
    fn add_block<S: Simd, const C: usize, const R: usize>(
        &mut self,
        simd: S,
        patches: &Patches<'_>,
        groups: usize,
        tile: &[f32],
        first: usize,
    ) {
        let place = |c: usize, tap: usize| ((first + c) * (self.taps + 1) + tap) * S::F32_LANES;
        let voxel = |group: usize, c: usize, r: usize| ((group * self.channels + first + c) * R + r) * S::F32_LANES;
        for tap in (0..self.taps).step_by(TAPS) {
            let mut sums = [[simd.splat_f32s(0.0); TAPS]; C];
            for group in 0..groups {
                let (places, distances) = (patches.places::<R>(group), &patches.distances(group)[tap..][..TAPS]);
                for r in 0..R {
                    let mut taps = [simd.splat_f32s(0.0); TAPS];
                    for t in 0..TAPS {
                        taps[t] = load::<S>(patches.map.values(), places[r] + distances[t]);
                    }
                    for c in 0..C {
                        let value = load::<S>(tile, voxel(group, c, r));
                        for t in 0..TAPS {
                            sums[c][t] = simd.mul_add_e_f32s(value, taps[t], sums[c][t]);
                        }
                    }
                }
            }
            for c in 0..C {
                for t in 0..TAPS {
                    let there = load::<S>(&self.sums, place(c, tap + t));
                    store::<S>(&mut self.sums, place(c, tap + t), simd.add_f32s(there, sums[c][t]));
                }
            }
        }
        for c in 0..C {
            let mut sum = load::<S>(&self.sums, place(c, self.taps));
            for group in 0..groups {
                for r in 0..R {
                    sum = simd.add_f32s(sum, load::<S>(tile, voxel(group, c, r)));
                }
            }
            store::<S>(&mut self.sums, place(c, self.taps), sum);
        }
    }

    /// The sums over lanes, `[channel, tap]`.
    pub fn total(&self) -> Vec<f64> {
        let lanes = self.sums.chunks_exact(self.lanes);
        lanes.map(|lanes| lanes.iter().map(|lane| f64::from(*lane)).sum()).collect()
    }
}

/// Sums of parts, element by element in the order of the parts.
pub(crate) fn totals(parts: &[Vec<f64>]) -> Vec<f64> {
    let mut total = vec![0.0; parts.first().map_or(0, Vec::len)];
    for part in parts {
        total.iter_mut().zip(part).for_each(|(total, value)| *total += value);
    }
    total
}
