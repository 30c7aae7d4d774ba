//! Voxels into Winograd's domain and back, for a tile of one vector by `R` rows of blocks.

use pulp::Simd;

use crate::lanes::{load, store};

/// Along z: which of four (or three, or one) planes a product is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Along {
    /// One plane.
    Only(usize),
    /// The sum of two.
    Sum(usize, usize),
    /// The first without the second.
    Difference(usize, usize),
}

/// Products along z from the planes z − 1, z, z + 1, z + 2 of the half that is not upsampled.
pub(crate) const FULL: [Along; 4] =
    [Along::Difference(0, 2), Along::Sum(1, 2), Along::Difference(2, 1), Along::Difference(1, 3)];

/// Products along z from the planes k − 1, k, k + 1 of the map that is upsampled.
pub(crate) const DOUBLED: [Along; 3] = [Along::Difference(0, 1), Along::Only(1), Along::Difference(1, 2)];

/// In planar networks.
pub(crate) const PLANAR: [Along; 1] = [Along::Only(0)];

impl Along {
    /// The product's vector at `at` of a channel's planes.
    #[inline(always)]
    fn load<S: Simd>(self, simd: S, planes: &[&[f32]], at: usize) -> S::f32s {
        match self {
            Self::Only(a) => load::<S>(planes[a], at),
            Self::Sum(a, b) => simd.add_f32s(load::<S>(planes[a], at), load::<S>(planes[b], at)),
            Self::Difference(a, b) => simd.sub_f32s(load::<S>(planes[a], at), load::<S>(planes[b], at)),
        }
    }
}

/// B^T of F(2, 3).
#[inline(always)]
fn full<S: Simd>(simd: S, d: [S::f32s; 4]) -> [S::f32s; 4] {
    [simd.sub_f32s(d[0], d[2]), simd.add_f32s(d[1], d[2]), simd.sub_f32s(d[2], d[1]), simd.sub_f32s(d[1], d[3])]
}

/// The same for [a, b, b, c], without the product that is zero and without the factor of the middle one.
#[inline(always)]
fn doubled<S: Simd>(simd: S, d: [S::f32s; 3]) -> [S::f32s; 3] {
    [simd.sub_f32s(d[0], d[1]), d[1], simd.sub_f32s(d[1], d[2])]
}

/// A^T of F(2, 3).
#[inline(always)]
fn back<S: Simd>(simd: S, m: [S::f32s; 4]) -> [S::f32s; 2] {
    let sum = simd.add_f32s(m[0], simd.add_f32s(m[1], m[2]));
    [sum, simd.sub_f32s(simd.sub_f32s(m[1], m[2]), m[3])]
}

/// One row of blocks along x, whose left neighbour is odd value `at` of a row split by parity.
#[inline(always)]
fn full_row<S: Simd>(simd: S, along: Along, planes: &[&[f32]], half: usize, at: usize) -> [S::f32s; 4] {
    let left = along.load(simd, planes, at + half);
    let even = along.load(simd, planes, at + 1);
    let odd = along.load(simd, planes, at + half + 1);
    let right = along.load(simd, planes, at + 2);
    full(simd, [left, even, odd, right])
}

/// One row along x of the map that is upsampled, whose left neighbour is value `at`.
#[inline(always)]
fn doubled_row<S: Simd>(simd: S, along: Along, planes: &[&[f32]], at: usize) -> [S::f32s; 3] {
    let left = along.load(simd, planes, at);
    let middle = along.load(simd, planes, at + 1);
    let right = along.load(simd, planes, at + 2);
    doubled(simd, [left, middle, right])
}

/// Transforms a tile of one channel of the first layer's output.
///
/// `planes` hold the channel's rows from one above the tile on, split by parity with `half` values each; `at` is the
/// tile's first block. Product p goes to `to[p · product..]`, p = (y · 4 + x) · depth + z.
#[inline(always)]
pub(crate) fn full_tile<S: Simd, const R: usize>(
    simd: S,
    depth: &[Along],
    planes: &[&[f32]],
    half: usize,
    at: usize,
    to: &mut [f32],
    product: usize,
) {
    for (z, along) in depth.iter().enumerate() {
        let mut above = full_row(simd, *along, planes, half, at);
        let mut first = full_row(simd, *along, planes, half, at + 2 * half);
        for r in 0..R {
            let next = at + (2 * r + 2) * 2 * half;
            let second = full_row(simd, *along, planes, half, next);
            let below = full_row(simd, *along, planes, half, next + 2 * half);
            for x in 0..4 {
                let products = full(simd, [above[x], first[x], second[x], below[x]]);
                for (y, &value) in products.iter().enumerate() {
                    store::<S>(to, ((y * 4 + x) * depth.len() + z) * product + r * S::F32_LANES, value);
                }
            }
            (above, first) = (second, below);
        }
    }
}

/// Transforms a tile of one channel of the map that is upsampled.
///
/// `planes` hold the channel's rows of `width` values from one above and one left of the map on. Product p goes to
/// `to[p · product..]`, p = (y · 3 + x) · depth + z.
#[inline(always)]
pub(crate) fn doubled_tile<S: Simd, const R: usize>(
    simd: S,
    depth: &[Along],
    planes: &[&[f32]],
    width: usize,
    at: usize,
    to: &mut [f32],
    product: usize,
) {
    for (z, along) in depth.iter().enumerate() {
        let mut above = doubled_row(simd, *along, planes, at);
        let mut middle = doubled_row(simd, *along, planes, at + width);
        for r in 0..R {
            let below = doubled_row(simd, *along, planes, at + (r + 2) * width);
            for x in 0..3 {
                let products = doubled(simd, [above[x], middle[x], below[x]]);
                for (y, &value) in products.iter().enumerate() {
                    store::<S>(to, ((y * 3 + x) * depth.len() + z) * product + r * S::F32_LANES, value);
                }
            }
            (above, middle) = (middle, below);
        }
    }
}

/// Two by two voxels, `[y][x]`, from the 16 sums at `from`, `from + stride`, ….
#[inline(always)]
pub(crate) fn voxels<S: Simd>(simd: S, sums: &[f32], from: usize, stride: usize) -> [[S::f32s; 2]; 2] {
    let a = column(simd, sums, from, stride);
    let b = column(simd, sums, from + stride, stride);
    let c = column(simd, sums, from + 2 * stride, stride);
    let d = column(simd, sums, from + 3 * stride, stride);
    [back(simd, [a[0], b[0], c[0], d[0]]), back(simd, [a[1], b[1], c[1], d[1]])]
}

/// Two voxels along y from the four sums of one product along x.
#[inline(always)]
fn column<S: Simd>(simd: S, sums: &[f32], from: usize, stride: usize) -> [S::f32s; 2] {
    let first = load::<S>(sums, from);
    let second = load::<S>(sums, from + 4 * stride);
    let third = load::<S>(sums, from + 8 * stride);
    let fourth = load::<S>(sums, from + 12 * stride);
    back(simd, [first, second, third, fourth])
}

/// Along z, from the planes 2k − 1 to 2k + 2 of an output's gradient, for the gradient of plane k of the map that was
/// upsampled.
pub(crate) const HALVED: [Along; 3] = [Along::Difference(3, 1), Along::Sum(1, 2), Along::Difference(0, 2)];

/// Transforms a tile of one channel of an output's gradient, for the gradient of the map that was upsampled.
///
/// The gradient of voxel t of such a map is g₀(e[t+1] − e[t]) + (g₀ + g₁ + g₂)(e[t] + o[t]) + g₂(o[t−1] − o[t]) along
/// each axis, with e and o the even and odd voxels of the output's gradient: what is computed here are the factors of
/// the kernel's transform, which only have to be added up. Arguments as for [`full_tile`], p = (y · 3 + x) · depth + z.
#[inline(always)]
pub(crate) fn halved_tile<S: Simd, const R: usize>(
    simd: S,
    depth: &[Along],
    planes: &[&[f32]],
    half: usize,
    at: usize,
    to: &mut [f32],
    product: usize,
) {
    for (z, along) in depth.iter().enumerate() {
        for r in 0..R {
            let from = at + 4 * r * half;
            let above = halved_row(simd, *along, planes, half, from);
            let first = halved_row(simd, *along, planes, half, from + 2 * half);
            let second = halved_row(simd, *along, planes, half, from + 4 * half);
            let below = halved_row(simd, *along, planes, half, from + 6 * half);
            for x in 0..3 {
                let products = [
                    simd.sub_f32s(below[x], first[x]),
                    simd.add_f32s(first[x], second[x]),
                    simd.sub_f32s(above[x], second[x]),
                ];
                for (y, &value) in products.iter().enumerate() {
                    store::<S>(to, ((y * 3 + x) * depth.len() + z) * product + r * S::F32_LANES, value);
                }
            }
        }
    }
}

#[inline(always)]
fn halved_row<S: Simd>(simd: S, along: Along, planes: &[&[f32]], half: usize, at: usize) -> [S::f32s; 3] {
    let left = along.load(simd, planes, at + half);
    let even = along.load(simd, planes, at + 1);
    let odd = along.load(simd, planes, at + half + 1);
    let right = along.load(simd, planes, at + 2);
    [simd.sub_f32s(right, even), simd.add_f32s(even, odd), simd.sub_f32s(left, odd)]
}

/// A of F(2, 3): the transpose of [`back`].
#[inline(always)]
fn forth<S: Simd>(simd: S, d: [S::f32s; 2]) -> [S::f32s; 4] {
    let none = simd.splat_f32s(0.0);
    [d[0], simd.add_f32s(d[0], d[1]), simd.sub_f32s(d[0], d[1]), simd.sub_f32s(none, d[1])]
}

/// Along z, from the planes 2k and 2k + 1 of an output's gradient, for the gradients of kernels; the last one's sign is
/// turned.
pub(crate) const SPREAD: [Along; 4] = [Along::Only(0), Along::Sum(0, 1), Along::Difference(0, 1), Along::Only(1)];

/// Transforms one row of blocks of one channel of an output's gradient, for the gradients of kernels.
///
/// `planes` hold the channel's rows from the first of the block on, split by parity with `half` values each; `at` is
/// the first block. Product p goes to `to[p · product..]`, p = (y · 4 + x) · depth + z.
#[inline(always)]
pub(crate) fn spread_row<S: Simd>(
    simd: S,
    depth: &[Along],
    planes: &[&[f32]],
    half: usize,
    at: usize,
    to: &mut [f32],
    product: usize,
) {
    let none = simd.splat_f32s(0.0);
    for (z, along) in depth.iter().enumerate() {
        let mut rows = [[none; 4]; 2];
        for y in 0..2 {
            let even = along.load(simd, planes, at + 2 * y * half + 1);
            let odd = along.load(simd, planes, at + (2 * y + 1) * half + 1);
            rows[y] = forth(simd, [even, odd]);
        }
        for x in 0..4 {
            let mut products = forth(simd, [rows[0][x], rows[1][x]]);
            if z == 3 {
                for value in &mut products {
                    *value = simd.sub_f32s(none, *value);
                }
            }
            for (y, &value) in products.iter().enumerate() {
                store::<S>(to, ((y * 4 + x) * depth.len() + z) * product, value);
            }
        }
    }
}

/// Transforms one block of an output's gradient, channels along vectors, for the gradients of kernels.
///
/// `voxels` are the block's, `[z, y, x]`, each `stride` values apart. Product p goes to `to[p · product..]`, as those of
/// [`spread_row`].
#[inline(always)]
pub(crate) fn spread_block<S: Simd, const DEPTH: usize>(
    simd: S,
    voxels: &[f32],
    stride: usize,
    to: &mut [f32],
    product: usize,
) {
    let none = simd.splat_f32s(0.0);
    let (along_z, planes): (&[Along], usize) = if DEPTH == 3 { (&SPREAD, 2) } else { (&PLANAR, 1) };
    for (z, along) in along_z.iter().enumerate() {
        let mut rows = [[none; 4]; 2];
        for y in 0..2 {
            let mut pair = [none; 2];
            for x in 0..2 {
                let first = load::<S>(voxels, (2 * y + x) * stride);
                let second = load::<S>(voxels, ((planes - 1) * 4 + 2 * y + x) * stride);
                pair[x] = match *along {
                    Along::Only(0) => first,
                    Along::Only(_) => simd.sub_f32s(none, second),
                    Along::Sum(..) => simd.add_f32s(first, second),
                    Along::Difference(..) => simd.sub_f32s(first, second),
                };
            }
            rows[y] = forth(simd, pair);
        }
        for x in 0..4 {
            for (y, &value) in forth(simd, [rows[0][x], rows[1][x]]).iter().enumerate() {
                store::<S>(to, ((y * 4 + x) * along_z.len() + z) * product, value);
            }
        }
    }
}

/// The number of a product of the upsampled half among those of the other half; `depth` products along z.
pub(crate) fn among_full(product: usize, depth: usize) -> usize {
    let (yx, z) = (product / depth, product % depth);
    let (y, x) = (yx / 3, yx % 3);
    // The one that the upsampled half lacks is the third of four.
    let full = |at: usize| if at == 2 { 3 } else { at };
    let full_depth = if depth == 3 { 4 } else { 1 };
    (full(y) * 4 + full(x)) * full_depth + if depth == 3 { full(z) } else { z }
}
