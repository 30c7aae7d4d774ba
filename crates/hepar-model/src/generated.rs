//! Pseudo-random weights and inputs that any language can make again from a name.
//!
//! The golden numbers of other implementations are small because of this: instead of weights, they name the
//! generator. Value n of the tensor called `name` comes from splitmix64 (Steele, Lea, Flood 2014, "Fast splittable
//! pseudorandom number generators") with the seed FNV-1a-64(`name`).

use crate::tensors::{Role, TensorSpec};
use crate::topology::NetworkConfig;
use crate::weights::Weights;

/// Variance gains of the kernels by the end of their names, first match: a kernel's values are uniform in
/// ±√(3·gain / fan-in). Chosen so that the outputs of both nets spread over 0..1, since equality of flat outputs would
/// prove nothing.
const GAINS: [(&str, f64); 8] = [
    ("output.weight", 6.0),
    ("conv9.conv.weight", 4.0),
    ("conv1.conv.weight", 0.5),
    ("mask.a.weight", 1.0),
    ("mask.b.weight", 1.0),
    ("shortcut.weight", 1.0),
    ("conv2.weight", 4.0),
    (".weight", 0.25),
];

/// Numbers, uniform in 0..1, that belong to a name.
pub fn uniform(name: &str, len: usize) -> impl Iterator<Item = f64> + use<> {
    let seed = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    (1..=len as u64).map(move |n| {
        let mut z = seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 11) as f64 / (1_u64 << 53) as f64
    })
}

/// Weights whose every tensor, biases and statistics included, is far from its initial value.
pub fn generated(config: NetworkConfig) -> Weights {
    Weights::from_fn(config, |spec| {
        let (low, high) = range(spec);
        uniform(&spec.name, spec.len()).map(|u| (low + (high - low) * u) as f32).collect()
    })
    // Every range is finite, and that of the variances positive.
    .unwrap_or_else(|error| unreachable!("{error}"))
}

fn range(spec: &TensorSpec) -> (f64, f64) {
    match spec.role {
        Role::Gamma | Role::Variance => (0.5, 1.5),
        Role::Beta | Role::Mean => (-0.5, 0.5),
        Role::Bias => (-0.1, 0.1),
        Role::Kernel => {
            let gain = GAINS.iter().find(|(end, _)| spec.name.ends_with(end)).map_or(1.0, |(_, gain)| *gain);
            let fan_in: usize = spec.shape[1..].iter().product();
            let bound = (3.0 * gain / fan_in as f64).sqrt();
            (-bound, bound)
        }
    }
}
