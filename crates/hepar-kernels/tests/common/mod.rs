//! What the tests of several kernels need.
#![allow(dead_code, reason = "each test binary uses its part")]

use hepar_kernels::maps::MapLayout;

/// Values in −0.5..0.5 that a seed decides.
pub fn values(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32 - 0.5
    };
    (0..len).map(|_| next()).collect()
}

/// Index in C order, N × C × D × H × W.
pub fn at([n, c, z, y, x]: [usize; 5], channels: usize, [d, h, w]: [usize; 3]) -> usize {
    (((n * channels + c) * d + z) * h + y) * w + x
}

/// Every index of maps.
pub fn indices(batch: usize, channels: usize, [d, h, w]: [usize; 3]) -> impl Iterator<Item = [usize; 5]> {
    (0..batch * channels * d * h * w)
        .map(move |i| [i / (w * h * d * channels), i / (w * h * d) % channels, i / (w * h) % d, i / w % h, i % w])
}

/// Where a voxel lies in a layout.
pub fn place(layout: &MapLayout, [n, c, z, y, x]: [usize; 5]) -> usize {
    (n * layout.size[0] + z) * layout.plane() + c * layout.channel() + y * layout.row() + x
}

/// Maps in C order as a layout has them, with NaN wherever there is no voxel.
pub fn laid_out(layout: &MapLayout, maps: &[f32]) -> Vec<f32> {
    let mut to = vec![f32::NAN; layout.len()];
    for index in indices(layout.batch, layout.channels, layout.size) {
        to[place(layout, index)] = maps[at(index, layout.channels, layout.size)];
    }
    to
}
