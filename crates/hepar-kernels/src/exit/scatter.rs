//! The last convolution, from voxels to the logits of their neighbours.

use pulp::Simd;

use crate::lanes::{load, load_all, store};

/// Logits that a pair of an even and an odd voxel counts for: of the odd one to the left, of both, of the even one to
/// the right.
const STREAMS: usize = 4;

/// Where the rows of logits lie that a row of voxels counts for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows {
    /// First value of the row under the first tap.
    pub first: usize,
    /// Values to the plane before, which the next tap along z is for.
    pub plane: usize,
    /// Values to the row above, which the next tap along y is for.
    pub row: usize,
}

/// Adds what one row of a tile's voxels gives to the logits around it.
///
/// `even` and `odd` are the voxels of `V` vectors of blocks, `[channel, vectors]`, each `tile` values apart; `last` the
/// kernels, `[channel, tap]`. `rows` says where the logits' row under a tap begins in `logits`, split by parity
/// with `half` values each; `at` is the tile's first block.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a row of voxels, the kernels, and where the logits are")]
pub(super) fn scatter<S: Simd, const DEPTH: usize>(
    simd: S,
    last: &[f32],
    even: &[f32],
    odd: &[f32],
    tile: usize,
    channels: usize,
    logits: &mut [f32],
    rows: Rows,
    half: usize,
    at: usize,
) {
    for tz in 0..DEPTH {
        let mut sums = [[simd.splat_f32s(0.0); STREAMS]; 3];
        for c in 0..channels {
            let [even] = load_all::<S, 1>(even, c * tile);
            let [odd] = load_all::<S, 1>(odd, c * tile);
            for ty in 0..3 {
                let taps = &last[(c * DEPTH + tz) * 9 + ty * 3..][..3];
                let left = simd.splat_f32s(taps[0]);
                let middle = simd.splat_f32s(taps[1]);
                let right = simd.splat_f32s(taps[2]);
                let [before, here, beside, after] = sums[ty];
                // The tap on the right of a logit is the voxel to its right, so it counts for the logit on its left.
                sums[ty] = [
                    simd.mul_add_e_f32s(right, even, before),
                    simd.mul_add_e_f32s(right, odd, simd.mul_add_e_f32s(middle, even, here)),
                    simd.mul_add_e_f32s(middle, odd, simd.mul_add_e_f32s(left, even, beside)),
                    simd.mul_add_e_f32s(left, odd, after),
                ];
            }
        }
        for ty in 0..3 {
            let row = rows.first - tz * rows.plane - ty * rows.row;
            // Odd to the left, even, odd, even to the right.
            let places = [row + half + at, row + 1 + at, row + half + 1 + at, row + 2 + at];
            for stream in 0..STREAMS {
                let place = places[stream];
                store::<S>(logits, place, simd.add_f32s(load::<S>(logits, place), sums[ty][stream]));
            }
        }
    }
}
