//! The kernels of conv9 in Winograd's domain.

use crate::isa::block;

/// Weights of the last layers as the network has them, conv9's normalisation folded into its kernels and bias.
#[derive(Debug, Clone, Copy)]
pub struct ExitWeights<'a> {
    /// Planes of a kernel: 3, or 1 in planar networks.
    pub depth: usize,
    /// Channels of the upsampled half, which come first.
    pub upsampled: usize,
    /// Kernels of conv9, `[channels, upsampled + channels, depth, 3, 3]`.
    pub weights: &'a [f32],
    /// Bias of conv9, `[channels]`.
    pub bias: &'a [f32],
    /// Kernel of the last convolution, `[channels, depth, 3, 3]`.
    pub last: &'a [f32],
    /// Bias of the last convolution.
    pub last_bias: f32,
}

/// What a row of four voxels of each half is multiplied with, for each product along one axis.
const FULL: [[f32; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];

/// The same for a row of an upsampled map, [a, b, b, c], without the product that is always zero; the factor 2 of 2b is
/// here.
const DOUBLED: [[f32; 3]; 3] = [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]];

/// Along z in planar networks.
const NONE: [[f32; 3]; 1] = [[1.0, 0.0, 0.0]];

/// Transformed kernels of both halves.
#[derive(Debug, Clone)]
pub(super) struct Products {
    pub channels: usize,
    /// Channels of the upsampled half.
    pub upsampled: usize,
    /// Products along z of the half that is not upsampled: 4, or 1 in planar networks.
    pub depth: usize,
    /// `[product along y and x, block, product along z, input, channel of the block]`
    pub full: Vec<f32>,
    /// The same for the upsampled half.
    pub doubled: Vec<f32>,
}

impl Products {
    pub fn new(weights: &ExitWeights<'_>) -> Self {
        let (channels, taps) = (weights.bias.len(), 9 * weights.depth);
        let inputs = weights.upsampled + channels;
        assert_eq!(weights.weights.len(), channels * inputs * taps, "length of the kernels");
        let kernel = |output: usize, input: usize| &weights.weights[(output * inputs + input) * taps..][..taps];
        let (full, doubled) = if weights.depth == 3 { (&FULL[..], &DOUBLED[..]) } else { (&NONE[..], &NONE[..]) };
        Self {
            channels,
            upsampled: weights.upsampled,
            depth: full.len(),
            full: packed(full, &FULL, channels, channels, |o, i| kernel(o, weights.upsampled + i)),
            doubled: packed(doubled, &DOUBLED, channels, weights.upsampled, kernel),
        }
    }

    /// Channels of the upsampled half and of the other.
    pub fn inputs(&self) -> (usize, usize) {
        (self.upsampled, self.channels)
    }

    /// Products along z of the upsampled half.
    pub fn doubled_depth(&self) -> usize {
        if self.depth == 4 { 3 } else { 1 }
    }
}

/// Kernels, transformed by the rows of `along_z` and `in_plane`, in the order in which they are multiplied.
fn packed<'a>(
    along_z: &[[f32; 3]],
    in_plane: &[[f32; 3]],
    channels: usize,
    inputs: usize,
    kernel: impl Fn(usize, usize) -> &'a [f32],
) -> Vec<f32> {
    let (blocks, n) = (channels.div_ceil(block()), in_plane.len());
    let mut packed = vec![0.0; n * n * blocks * along_z.len() * inputs * block()];
    for channel in 0..channels {
        for input in 0..inputs {
            let kernel = kernel(channel, input);
            for (yx, z) in (0..n * n).flat_map(|yx| (0..along_z.len()).map(move |z| (yx, z))) {
                let (y, x) = (&in_plane[yx / n], &in_plane[yx % n]);
                // In f64: the transform rounds once.
                let term = |tap: usize| {
                    let weight = f64::from(along_z[z][tap / 9]) * f64::from(y[tap / 3 % 3]) * f64::from(x[tap % 3]);
                    weight * f64::from(kernel[tap])
                };
                let value = (0..kernel.len()).map(term).sum::<f64>();
                let place = ((yx * blocks + channel / block()) * along_z.len() + z) * inputs + input;
                packed[place * block() + channel % block()] = value as f32;
            }
        }
    }
    packed
}
