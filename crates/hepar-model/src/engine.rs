//! What runs a network.

use std::fmt::Debug;
use std::ops::Range;

use ndarray::{Array5, ArrayView5};

use crate::topology::NetworkConfig;
use crate::weights::Weights;

/// Makes runnable networks from weights.
pub trait Engine: Debug + Send + Sync {
    /// Name and device, for manifests: e.g. `hepar-engine (CPU, AVX-512)`.
    fn name(&self) -> String;

    /// A network that is ready to run.
    ///
    /// # Errors
    /// When the engine cannot run the network.
    fn load(&self, weights: &Weights) -> Result<Box<dyn Network>, EngineError>;
}

/// A network with its weights.
pub trait Network: Send {
    /// Which network this is.
    fn config(&self) -> &NetworkConfig;

    /// Probabilities, N × 1 × D × H × W in 0..1, of an `input` of the same shape.
    ///
    /// The same input gives the same output, bit for bit, for any number of threads.
    ///
    /// # Errors
    /// When the input has other than one channel, a side that the network does not take or a value that is not finite,
    /// or the engine fails.
    fn forward(&mut self, input: ArrayView5<'_, f32>) -> Result<Array5<f32>, EngineError>;

    /// As [`Network::forward`], but only the voxels that are wanted have to be right; the others may have any
    /// probability.
    ///
    /// # Errors
    /// As [`Network::forward`].
    fn forward_wanted(&mut self, input: ArrayView5<'_, f32>, _wanted: &Wanted<'_>) -> Result<Array5<f32>, EngineError> {
        self.forward(input)
    }
}

/// Whether any voxel of a part, `[k, j, i]`, of a sample is wanted.
pub type Wanted<'a> = dyn Fn(usize, [Range<usize>; 3]) -> bool + Sync + 'a;

/// Why a network did not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The input's shape does not fit.
    #[error(
        "the input has shape {0:?}; the network takes N × 1 × D × H × W with sides that are multiples of 32 (D = 1 for RA-UNet-I)"
    )]
    Shape([usize; 5]),
    /// The input holds something that is no number.
    #[error("the input holds {0} where a finite number is needed")]
    NotFinite(f32),
    /// The engine itself failed.
    #[error("the engine failed: {0}")]
    Failed(String),
}

/// Checks that a network takes this input.
///
/// A network would hide what is no number: its ReLUs and pools take the greater of two values, and NaN is never that.
/// Weights are finite because [`Weights`] says so.
///
/// # Errors
/// When its shape does not fit or a value is not finite.
pub fn check_input(config: &NetworkConfig, input: &ArrayView5<'_, f32>) -> Result<(), EngineError> {
    let (n, c, d, h, w) = input.dim();
    if n == 0 || c != 1 || !config.accepts([d, h, w]) {
        return Err(EngineError::Shape([n, c, d, h, w]));
    }
    input.iter().find(|value| !value.is_finite()).map_or(Ok(()), |value| Err(EngineError::NotFinite(*value)))
}
