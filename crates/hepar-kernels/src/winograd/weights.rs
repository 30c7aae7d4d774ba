//! Kernels in Winograd's domain, and their gradients back from it.

use rayon::prelude::*;

use crate::isa::block;

/// What a row of four voxels of each half is multiplied with, for each product along one axis.
const FULL: [[f32; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];

/// The same for a row of an upsampled map, [a, b, b, c], without the product that is always zero; the factor 2 of 2b is
/// here.
const DOUBLED: [[f32; 3]; 3] = [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]];

/// Along z in planar networks.
const NONE: [[f32; 3]; 1] = [[1.0, 0.0, 0.0]];

/// Sizes of a convolution with kernels of 3 whose input has an upsampled half, which comes first, and another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Halves {
    /// Planes of a kernel: 3, or 1 in planar networks.
    pub depth: usize,
    /// Channels of the upsampled half, before upsampling.
    pub upsampled: usize,
    /// Channels of the other half.
    pub full: usize,
    /// Channels of the output.
    pub outputs: usize,
}

impl Halves {
    /// Taps of a kernel.
    pub fn taps(&self) -> usize {
        9 * self.depth
    }

    /// Products along z of the half that is not upsampled.
    pub fn full_depth(&self) -> usize {
        along_z(self.depth).0.len()
    }

    /// Products along z of the upsampled half.
    pub fn doubled_depth(&self) -> usize {
        along_z(self.depth).1.len()
    }
}

/// What rows along z of both halves are multiplied with.
fn along_z(depth: usize) -> (&'static [[f32; 3]], &'static [[f32; 3]]) {
    if depth == 3 { (&FULL, &DOUBLED) } else { (&NONE, &NONE) }
}

/// Transformed kernels of both halves.
#[derive(Debug, Clone)]
pub(crate) struct Products {
    pub halves: Halves,
    /// `[product along y and x, block, product along z, input, channel of the block]`
    pub full: Vec<f32>,
    /// The same for the upsampled half.
    pub doubled: Vec<f32>,
}

impl Products {
    /// Transforms `weights`, `[outputs, upsampled + full, depth, 3, 3]`.
    pub fn new(halves: Halves, weights: &[f32]) -> Self {
        let (inputs, taps) = (halves.upsampled + halves.full, halves.taps());
        assert_eq!(weights.len(), halves.outputs * inputs * taps, "length of the kernels");
        let kernel = |output: usize, input: usize| &weights[(output * inputs + input) * taps..][..taps];
        let (full, doubled) = along_z(halves.depth);
        let of_full = |o: usize, i: usize| kernel(o, halves.upsampled + i);
        Self {
            halves,
            full: packed(full, &FULL, halves.outputs, halves.full, of_full),
            doubled: packed(doubled, &DOUBLED, halves.outputs, halves.upsampled, kernel),
        }
    }
}

/// Kernels for the gradient of the upsampled half, packed as [`Products::doubled`] with inputs and outputs exchanged.
pub(crate) fn transposed_doubled(halves: Halves, weights: &[f32]) -> Vec<f32> {
    let (inputs, taps) = (halves.upsampled + halves.full, halves.taps());
    let kernel = |input: usize, output: usize| &weights[(output * inputs + input) * taps..][..taps];
    packed(along_z(halves.depth).1, &DOUBLED, halves.upsampled, halves.outputs, kernel)
}

/// The gradient of a kernel from those of its products, `products(y · n + x, z)`; all taps in C order.
pub(crate) fn kernel_gradient(depth: usize, is_doubled: bool, products: impl Fn(usize, usize) -> f64) -> Vec<f32> {
    let (full, doubled) = along_z(depth);
    let (along_z, in_plane): (&[[f32; 3]], &[[f32; 3]]) = if is_doubled { (doubled, &DOUBLED) } else { (full, &FULL) };
    let mut taps = vec![0.0f64; 9 * depth];
    let n = in_plane.len();
    for (yx, z) in (0..n * n).flat_map(|yx| (0..along_z.len()).map(move |z| (yx, z))) {
        let (gradient, y, x) = (products(yx, z), &in_plane[yx / n], &in_plane[yx % n]);
        for (tap, sum) in taps.iter_mut().enumerate() {
            let weight = f64::from(along_z[z][tap / 9]) * f64::from(y[tap / 3 % 3]) * f64::from(x[tap % 3]);
            *sum += weight * gradient;
        }
    }
    taps.into_iter().map(|tap| tap as f32).collect()
}

/// Kernels, transformed by the rows of `along_z` and `in_plane`, in the order in which they are multiplied.
fn packed<'a>(
    along_z: &[[f32; 3]],
    in_plane: &[[f32; 3]],
    channels: usize,
    inputs: usize,
    kernel: impl Fn(usize, usize) -> &'a [f32] + Sync,
) -> Vec<f32> {
    let (blocks, n) = (channels.div_ceil(block()), in_plane.len());
    // Of one channel, `[input, product along y and x, product along z]`.
    let of_channel = |channel: usize| {
        let mut products = Vec::with_capacity(inputs * n * n * along_z.len());
        for input in 0..inputs {
            transform(along_z, in_plane, kernel(channel, input), &mut products);
        }
        products
    };
    let transformed: Vec<Vec<f32>> = (0..channels).into_par_iter().map(of_channel).collect();
    let mut packed = vec![0.0; n * n * blocks * along_z.len() * inputs * block()];
    for (channel, products) in transformed.iter().enumerate() {
        for (input, products) in products.chunks_exact(n * n * along_z.len()).enumerate() {
            for (at, product) in products.iter().enumerate() {
                let (yx, z) = (at / along_z.len(), at % along_z.len());
                let place = ((yx * blocks + channel / block()) * along_z.len() + z) * inputs + input;
                packed[place * block() + channel % block()] = *product;
            }
        }
    }
    packed
}

/// Appends a kernel's products, `[product along y and x, product along z]`: axis by axis, in f64, so that only the results
/// are rounded.
fn transform(along_z: &[[f32; 3]], in_plane: &[[f32; 3]], kernel: &[f32], products: &mut Vec<f32>) {
    let dot = |row: &[f32; 3], taps: [f64; 3]| (0..3).map(|tap| f64::from(row[tap]) * taps[tap]).sum::<f64>();
    let depth = kernel.len() / 9;
    for along_y in in_plane {
        for along_x in in_plane {
            let mut planes = [0.0; 3];
            for (plane, taps) in planes[..depth].iter_mut().zip(kernel.chunks_exact(9)) {
                let row = |y: usize| dot(along_x, std::array::from_fn(|x| f64::from(taps[3 * y + x])));
                *plane = dot(along_y, std::array::from_fn(row));
            }
            products.extend(along_z.iter().map(|row| dot(row, planes) as f32));
        }
    }
}
