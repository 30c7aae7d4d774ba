//! Weights of a network that has learnt nothing.

use hepar_model::generated::uniform;
use hepar_model::tensors::Role;
use hepar_model::topology::NetworkConfig;
use hepar_model::weights::Weights;

/// Glorot-uniform kernels (Glorot and Bengio 2010), zero biases and shifts, unit scales and variances.
pub(crate) fn untrained_weights(config: NetworkConfig, seed: u64) -> Weights {
    Weights::from_fn(config, |spec| match spec.role {
        Role::Kernel => {
            let field: usize = spec.shape[2..].iter().product();
            let bound = (6.0 / ((spec.shape[0] + spec.shape[1]) * field) as f64).sqrt();
            let draws = uniform(&format!("{seed}:{}", spec.name), spec.len());
            draws.map(|u| (bound * (2.0 * u - 1.0)) as f32).collect()
        }
        Role::Bias | Role::Beta | Role::Mean => vec![0.0; spec.len()],
        Role::Gamma | Role::Variance => vec![1.0; spec.len()],
    })
    // Every value is finite and every variance 1.
    .unwrap_or_else(|error| unreachable!("{error}"))
}
