//! The products in Winograd's domain: for each of them a matrix of weights times a matrix of voxels.

use pulp::Simd;

use super::weights::Products;
use crate::lanes::{add_products, load, load_all, store};

/// Products along y or x that the upsampled half does not have.
const ALWAYS_ZERO: usize = 2;

/// Values from one matrix to the next of those that a tile holds: matrices that lay a power of two apart would all fall
/// into the same few lines of the first cache.
pub(crate) fn apart(values: usize) -> usize {
    values + 16
}

/// Adds up, over inputs and along z, the products of a tile of `R` vectors.
///
/// `full` and `doubled` are the transformed halves, `[product, input, R vectors]`, products [`apart`]. The sums are
/// `[product along y and x, z, channel, R vectors]` with z one of the block's two planes (or its one), channels in
/// whole blocks of `C`.
#[inline(always)]
pub(crate) fn multiply<S: Simd, const C: usize, const R: usize>(
    simd: S,
    weights: &Products,
    full: &[f32],
    doubled: &[f32],
    sums: &mut [f32],
) {
    let tile = R * S::F32_LANES;
    let halves = weights.halves;
    let blocks = halves.outputs.div_ceil(C);
    let (depth, doubled_depth) = (halves.full_depth(), halves.doubled_depth());
    let half = Half { inputs: halves.full, weights: &weights.full, voxels: full };
    let low = Half { inputs: halves.upsampled, weights: &weights.doubled, voxels: doubled };
    let planes = if depth == 4 { 2 } else { 1 };
    for (yx, sums) in sums.chunks_exact_mut(apart(planes * blocks * C * tile)).enumerate() {
        let low_yx = low_product(yx);
        for block in 0..blocks {
            for z in 0..depth {
                let mut products = [[simd.splat_f32s(0.0); R]; C];
                half.add::<S, C, R>(simd, &mut products, (yx * blocks + block) * depth + z, yx * depth + z);
                if let (Some(yx), true) = (low_yx, depth == 1 || z != ALWAYS_ZERO) {
                    let z = if z > ALWAYS_ZERO { z - 1 } else { z };
                    let matrix = (yx * blocks + block) * doubled_depth + z;
                    low.add::<S, C, R>(simd, &mut products, matrix, yx * doubled_depth + z);
                }
                let (first, second) = sums.split_at_mut(blocks * C * tile);
                let place = block * C * tile;
                if depth == 1 {
                    put::<S, C, R>(simd, products, &mut first[place..], Into::New);
                    continue;
                }
                match z {
                    0 => put::<S, C, R>(simd, products, &mut first[place..], Into::New),
                    1 => {
                        put::<S, C, R>(simd, products, &mut first[place..], Into::Added);
                        put::<S, C, R>(simd, products, &mut second[place..], Into::New);
                    }
                    2 => {
                        put::<S, C, R>(simd, products, &mut first[place..], Into::Added);
                        put::<S, C, R>(simd, products, &mut second[place..], Into::Subtracted);
                    }
                    _ => put::<S, C, R>(simd, products, &mut second[place..], Into::Subtracted),
                }
            }
        }
    }
}

/// The number of a product in plane among those of the upsampled half.
#[inline(always)]
fn low_product(yx: usize) -> Option<usize> {
    let (y, x) = (yx / 4, yx % 4);
    let low = |at: usize| if at > ALWAYS_ZERO { at - 1 } else { at };
    (y != ALWAYS_ZERO && x != ALWAYS_ZERO).then(|| low(y) * 3 + low(x))
}

/// One half of the input: its kernels, and a tile of it in the transform's domain.
pub(crate) struct Half<'a> {
    pub inputs: usize,
    /// `[matrix, input, channel of the block]`
    pub weights: &'a [f32],
    /// `[product, input, R vectors]`, products [`apart`].
    pub voxels: &'a [f32],
}

impl Half<'_> {
    /// Adds weights number `matrix` times voxels number `product`.
    #[inline(always)]
    pub fn add<S: Simd, const C: usize, const R: usize>(
        &self,
        simd: S,
        sums: &mut [[S::f32s; R]; C],
        matrix: usize,
        product: usize,
    ) {
        let tile = R * S::F32_LANES;
        let weights = pulp::as_arrays::<C, _>(&self.weights[matrix * self.inputs * C..][..self.inputs * C]).0;
        let voxels = &self.voxels[product * apart(self.inputs * tile)..][..self.inputs * tile];
        for (weights, voxels) in weights.iter().zip(voxels.chunks_exact(tile)) {
            add_products::<S, C, R>(simd, sums, weights, load_all::<S, R>(voxels, 0));
        }
    }
}

/// What happens to sums that are there.
#[derive(Clone, Copy)]
enum Into {
    New,
    Added,
    Subtracted,
}

#[inline(always)]
fn put<S: Simd, const C: usize, const R: usize>(simd: S, products: [[S::f32s; R]; C], to: &mut [f32], into: Into) {
    for c in 0..C {
        for r in 0..R {
            let at = (c * R + r) * S::F32_LANES;
            let value = match into {
                Into::New => products[c][r],
                Into::Added => simd.add_f32s(load::<S>(to, at), products[c][r]),
                Into::Subtracted => simd.sub_f32s(load::<S>(to, at), products[c][r]),
            };
            store::<S>(to, at, value);
        }
    }
}
