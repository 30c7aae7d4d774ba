//! The tensors that a network's weights consist of, read off the topology.

use crate::topology::{Kernel, NetworkConfig, Ops, ra_unet};

/// What a tensor is to its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Kernel of a convolution, `[out, in, d, h, w]` (d = 1 in planar networks).
    Kernel,
    /// Bias of a convolution, `[out]`.
    Bias,
    /// Scale of a batch normalisation, `[channels]`.
    Gamma,
    /// Shift of a batch normalisation, `[channels]`.
    Beta,
    /// Running mean of a batch normalisation, `[channels]`; not trained by gradients.
    Mean,
    /// Running variance of a batch normalisation, `[channels]`; not trained by gradients.
    Variance,
}

impl Role {
    /// Whether gradients change the tensor.
    pub fn is_trainable(self) -> bool {
        !matches!(self, Self::Mean | Self::Variance)
    }

    /// Last part of the tensor's name.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Kernel => "weight",
            Self::Bias => "bias",
            Self::Gamma => "gamma",
            Self::Beta => "beta",
            Self::Mean => "mean",
            Self::Variance => "variance",
        }
    }
}

/// Name, role and shape of one tensor of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Name in the weights file, e.g. `res1.conv2.weight`.
    pub name: String,
    /// What it is to its layer.
    pub role: Role,
    /// Five sides for kernels, one for everything else.
    pub shape: Vec<usize>,
}

impl TensorSpec {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the tensor has no values; never so in a network.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl NetworkConfig {
    /// Every tensor of the network, in the order in which its layers are applied.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let mut census = Census { config: *self, tensors: Vec::new() };
        ra_unet(&mut census, self, 1);
        census.tensors
    }

    /// Number of parameters, running statistics included.
    pub fn parameter_count(&self) -> usize {
        self.tensors().iter().map(TensorSpec::len).sum()
    }

    /// Number of parameters that gradients change.
    pub fn trainable_count(&self) -> usize {
        self.tensors().iter().filter(|t| t.role.is_trainable()).map(TensorSpec::len).sum()
    }
}

/// Walks the topology with channel counts for maps and writes down what each layer needs.
struct Census {
    config: NetworkConfig,
    tensors: Vec<TensorSpec>,
}

impl Census {
    fn push(&mut self, name: &str, role: Role, shape: Vec<usize>) {
        self.tensors.push(TensorSpec { name: format!("{name}.{}", role.suffix()), role, shape });
    }
}

impl Ops for Census {
    type Map = usize;

    fn convolution(&mut self, name: &str, x: usize, channels: usize, kernel: Kernel) -> usize {
        let [d, h, w] = match kernel {
            Kernel::Point => [1; 3],
            Kernel::Wide => self.config.kernel(),
        };
        self.push(name, Role::Kernel, vec![channels, x, d, h, w]);
        self.push(name, Role::Bias, vec![channels]);
        channels
    }

    fn norm_relu(&mut self, name: &str, x: usize) -> usize {
        for role in [Role::Gamma, Role::Beta, Role::Mean, Role::Variance] {
            self.push(name, role, vec![x]);
        }
        x
    }

    fn pool(&mut self, x: usize) -> usize {
        x
    }

    fn upsample(&mut self, x: usize) -> usize {
        x
    }

    fn add(&mut self, a: usize, b: usize) -> usize {
        debug_assert_eq!(a, b);
        a
    }

    fn concatenate(&mut self, first: usize, second: usize) -> usize {
        first + second
    }

    fn sigmoid(&mut self, x: usize) -> usize {
        x
    }

    fn gate(&mut self, mask: usize, trunk: usize) -> usize {
        debug_assert_eq!(mask, trunk);
        trunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(config: &NetworkConfig, part: &str) -> usize {
        let prefix = format!("{part}.");
        config.tensors().iter().filter(|t| t.name.starts_with(&prefix)).map(TensorSpec::len).sum()
    }

    #[test]
    fn the_networks_of_the_article_have_their_parameter_counts() {
        assert_eq!(NetworkConfig::RA_UNET_I.parameter_count(), 747_321);
        assert_eq!(NetworkConfig::RA_UNET_I.trainable_count(), 737_897);
        assert_eq!(NetworkConfig::RA_UNET_II.parameter_count(), 4_439_697);
        assert_eq!(NetworkConfig::RA_UNET_II.trainable_count(), 4_420_849);
    }

    #[test]
    fn every_part_has_its_parameter_count() {
        let expected = [
            ("conv1", 1_024),
            ("res1", 3_536),
            ("res2", 10_912),
            ("res3", 42_816),
            ("res4", 169_600),
            ("atten1", 1_398_016),
            ("up1", 376_960),
            ("atten2", 512_832),
            ("up2", 95_296),
            ("atten3", 171_520),
            ("up3", 24_352),
            ("atten4", 55_152),
            ("up4", 6_352),
            ("conv9", 55_456),
            ("output", 865),
        ];
        for (part, parameters) in expected {
            assert_eq!(count(&NetworkConfig::RA_UNET_II, part), parameters, "{part}");
        }
        assert_eq!(count(&NetworkConfig::RA_UNET_II, "res5a") + count(&NetworkConfig::RA_UNET_II, "res5b"), 1_515_008);
    }

    #[test]
    fn there_are_219_convolutions_and_158_normalisations() {
        let tensors = NetworkConfig::RA_UNET_II.tensors();
        assert_eq!(tensors.iter().filter(|t| t.role == Role::Kernel).count(), 219);
        assert_eq!(tensors.iter().filter(|t| t.role == Role::Gamma).count(), 158);
    }

    #[test]
    fn names_are_unique() {
        let tensors = NetworkConfig::RA_UNET_II.tensors();
        let names: std::collections::BTreeSet<_> = tensors.iter().map(|t| &t.name).collect();
        assert_eq!(names.len(), tensors.len());
    }

    #[test]
    fn sides_must_be_multiples_of_32() {
        assert!(NetworkConfig::RA_UNET_II.accepts([32, 64, 96]));
        assert!(!NetworkConfig::RA_UNET_II.accepts([1, 64, 96]));
        assert!(!NetworkConfig::RA_UNET_II.accepts([32, 64, 80]));
        assert!(!NetworkConfig::RA_UNET_II.accepts([0, 64, 64]));
        assert!(NetworkConfig::RA_UNET_I.accepts([1, 256, 256]));
        assert!(!NetworkConfig::RA_UNET_I.accepts([32, 256, 256]));
    }
}
