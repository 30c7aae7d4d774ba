//! What the last layers are made from.

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
