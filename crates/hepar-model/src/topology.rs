//! RA-UNet written down once.
//!
//! [`ra_unet`] spells the network in terms of [`Ops`]: whoever implements that trait gets the network. Running it,
//! training it, counting its parameters and planning its memory are different implementations of the same trait, so
//! none of them can disagree about what the network is.
//!
//! Source: Jin et al., "RA-UNet: a hybrid deep attention-aware network to extract liver and tumor in CT scans",
//! arXiv 1811.01328.

use serde::{Deserialize, Serialize};

/// Added to a variance before its root is taken, in every batch normalisation (the original's constant).
pub const NORM_EPSILON: f64 = 1e-3;

/// Every side of a network's input must be a multiple of this: the network halves its maps five times.
pub const SIDE_MULTIPLE: usize = 32;

/// In how many directions the network looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Dimensions {
    /// RA-UNet-I: slices, depth 1, kernels 1×3×3.
    #[serde(rename = "ra-unet-i")]
    Planar,
    /// RA-UNet-II: volumes, kernels 3×3×3.
    #[serde(rename = "ra-unet-ii")]
    Spatial,
}

/// Which RA-UNet: its dimensions and how many channels each level has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NetworkConfig {
    /// Planar or spatial.
    pub dimensions: Dimensions,
    /// Channels of conv1, res1, res2, res3, res4 and res5.
    pub widths: [usize; 6],
}

/// Widths that are no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the widths {0:?} hold one that is no positive multiple of 4 (a residual block's bottleneck is a quarter of it)"
)]
pub struct WidthError([usize; 6]);

impl NetworkConfig {
    /// RA-UNet-I of the article: 747,321 parameters.
    pub const RA_UNET_I: Self = Self { dimensions: Dimensions::Planar, widths: [16, 16, 32, 64, 128, 256] };
    /// RA-UNet-II of the article: 4,439,697 parameters.
    pub const RA_UNET_II: Self = Self { dimensions: Dimensions::Spatial, widths: [32, 32, 64, 128, 256, 512] };

    /// A network of the given widths.
    ///
    /// # Errors
    /// When a width is zero or no multiple of 4.
    pub fn new(dimensions: Dimensions, widths: [usize; 6]) -> Result<Self, WidthError> {
        if widths.iter().any(|&w| w == 0 || w % 4 != 0) {
            return Err(WidthError(widths));
        }
        Ok(Self { dimensions, widths })
    }

    /// Whether the network takes inputs of `[d, h, w]` voxels.
    pub fn accepts(&self, [d, h, w]: [usize; 3]) -> bool {
        let multiple = |side: usize| side > 0 && side.is_multiple_of(SIDE_MULTIPLE);
        multiple(h) && multiple(w) && if self.dimensions == Dimensions::Planar { d == 1 } else { multiple(d) }
    }

    /// Kernel sizes `[d, h, w]` of the network's wide convolutions.
    pub fn kernel(&self) -> [usize; 3] {
        match self.dimensions {
            Dimensions::Planar => [1, 3, 3],
            Dimensions::Spatial => [3, 3, 3],
        }
    }

    /// By how much pooling and upsampling change `[d, h, w]`.
    pub fn stride(&self) -> [usize; 3] {
        match self.dimensions {
            Dimensions::Planar => [1, 2, 2],
            Dimensions::Spatial => [2, 2, 2],
        }
    }
}

/// How far a convolution looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// Only the voxel itself: 1³ or 1².
    Point,
    /// The voxel and its neighbours, zeros beyond the border: 3³ or 3².
    Wide,
}

/// What RA-UNet is made of.
///
/// A `Map` is a batch of feature maps, N × C × D × H × W (D = 1 in planar networks). Names are those of the weights:
/// a convolution named `x` has the tensors `x.weight` and `x.bias`, a normalisation named `x` has `x.gamma`,
/// `x.beta`, `x.mean` and `x.variance`.
///
/// The methods with a body are compositions that an engine may replace by something faster with the same result.
pub trait Ops {
    /// A batch of feature maps.
    type Map: Clone;

    /// Convolution to `channels` with bias, stride 1 and zero "same" padding.
    fn convolution(&mut self, name: &str, x: Self::Map, channels: usize, kernel: Kernel) -> Self::Map;
    /// Batch normalisation with the epsilon [`NORM_EPSILON`], then ReLU.
    fn norm_relu(&mut self, name: &str, x: Self::Map) -> Self::Map;
    /// Maximum over blocks of 2 along each of the network's dimensions.
    fn pool(&mut self, x: Self::Map) -> Self::Map;
    /// Nearest-neighbour upsampling by 2 along each of the network's dimensions.
    fn upsample(&mut self, x: Self::Map) -> Self::Map;
    /// Sum of two maps of one shape.
    fn add(&mut self, a: Self::Map, b: Self::Map) -> Self::Map;
    /// Channels of `first`, then those of `second`.
    fn concatenate(&mut self, first: Self::Map, second: Self::Map) -> Self::Map;
    /// Logistic function.
    fn sigmoid(&mut self, x: Self::Map) -> Self::Map;
    /// (1 + `mask`) · `trunk`.
    fn gate(&mut self, mask: Self::Map, trunk: Self::Map) -> Self::Map;

    /// Convolution, batch normalisation, ReLU: conv1 and conv9.
    fn entry(&mut self, name: &str, x: Self::Map, channels: usize) -> Self::Map {
        let x = self.convolution(&format!("{name}.conv"), x, channels, Kernel::Wide);
        self.norm_relu(&format!("{name}.norm"), x)
    }

    /// Pre-activation residual block to `channels` with a bottleneck of a quarter of them.
    ///
    /// The shortcut is always a convolution of the raw input, also where the channel counts agree.
    fn block(&mut self, name: &str, x: Self::Map, channels: usize) -> Self::Map {
        let narrow = channels / 4;
        let y = self.norm_relu(&format!("{name}.norm1"), x.clone());
        let y = self.convolution(&format!("{name}.conv1"), y, narrow, Kernel::Point);
        let y = self.norm_relu(&format!("{name}.norm2"), y);
        let y = self.convolution(&format!("{name}.conv2"), y, narrow, Kernel::Wide);
        let y = self.norm_relu(&format!("{name}.norm3"), y);
        let y = self.convolution(&format!("{name}.conv3"), y, channels, Kernel::Point);
        let shortcut = self.convolution(&format!("{name}.shortcut"), x, channels, Kernel::Point);
        self.add(y, shortcut)
    }

    /// Attention residual module with a soft mask of the given depth; all its blocks keep `channels`.
    ///
    /// The mask is computed from the first block's output, as the trunk is, not from the trunk.
    fn attention(&mut self, name: &str, x: Self::Map, channels: usize, depth: usize) -> Self::Map {
        let x = self.block(&format!("{name}.first"), x, channels);
        let trunk = self.block(&format!("{name}.trunk1"), x.clone(), channels);
        let trunk = self.block(&format!("{name}.trunk2"), trunk, channels);
        let mask = self.soft_mask(&format!("{name}.mask"), x, channels, depth);
        let gated = self.gate(mask, trunk);
        self.block(&format!("{name}.last"), gated, channels)
    }

    /// The hourglass that says, voxel by voxel, what of the trunk is amplified; values in 0..1.
    fn soft_mask(&mut self, name: &str, x: Self::Map, channels: usize, depth: usize) -> Self::Map {
        let mut m = self.pool(x);
        m = self.block(&format!("{name}.down1"), m, channels);
        let mut skips = Vec::with_capacity(depth);
        for level in 1..depth {
            // The skip's block stands beside the pool, not before it.
            skips.push(self.block(&format!("{name}.skip{level}"), m.clone(), channels));
            m = self.pool(m);
            m = self.block(&format!("{name}.down{}", level + 1), m, channels);
        }
        for (step, skip) in skips.into_iter().rev().enumerate() {
            m = self.block(&format!("{name}.up{}", step + 1), m, channels);
            m = self.upsample(m);
            m = self.add(m, skip);
        }
        m = self.block(&format!("{name}.last"), m, channels);
        m = self.upsample(m);
        m = self.convolution(&format!("{name}.a"), m, channels, Kernel::Point);
        m = self.convolution(&format!("{name}.b"), m, channels, Kernel::Point);
        self.sigmoid(m)
    }

    /// One step of the decoder: upsample, join with the skip (upsampled map first), residual block.
    fn decode(&mut self, name: &str, x: Self::Map, skip: Self::Map, channels: usize) -> Self::Map {
        let x = self.upsample(x);
        let x = self.concatenate(x, skip);
        self.block(name, x, channels)
    }
}

/// RA-UNet: one channel in, the probability of the object out, both N × 1 × D × H × W.
pub fn ra_unet<O: Ops>(ops: &mut O, config: &NetworkConfig, x: O::Map) -> O::Map {
    let [w0, w1, w2, w3, w4, w5] = config.widths;
    let conv1 = ops.entry("conv1", x, w0);
    let res1 = pooled_block(ops, "res1", conv1.clone(), w1);
    let res2 = pooled_block(ops, "res2", res1.clone(), w2);
    let res3 = pooled_block(ops, "res3", res2.clone(), w3);
    let res4 = pooled_block(ops, "res4", res3.clone(), w4);
    let res5 = pooled_block(ops, "res5a", res4.clone(), w5);
    let res5 = ops.block("res5b", res5, w5);

    let skip = ops.attention("atten1", res4, w4, 1);
    let up = ops.decode("up1", res5, skip, w4);
    let skip = ops.attention("atten2", res3, w3, 2);
    let up = ops.decode("up2", up, skip, w3);
    let skip = ops.attention("atten3", res2, w2, 3);
    let up = ops.decode("up3", up, skip, w2);
    let skip = ops.attention("atten4", res1, w1, 4);
    let up = ops.decode("up4", up, skip, w1);

    let up = ops.upsample(up);
    let joined = ops.concatenate(up, conv1);
    let conv9 = ops.entry("conv9", joined, w0);
    let logits = ops.convolution("output", conv9, 1, Kernel::Wide);
    ops.sigmoid(logits)
}

fn pooled_block<O: Ops>(ops: &mut O, name: &str, x: O::Map, channels: usize) -> O::Map {
    let pooled = ops.pool(x);
    ops.block(name, pooled, channels)
}
