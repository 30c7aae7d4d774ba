//! One network of a model alone, on an array in a file.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use hepar_engine::CpuNetwork;
pub use hepar_engine::StepProfile;
use hepar_model::bundle::Bundle;
use hepar_model::engine::{Engine, EngineError};
use hepar_model::ensemble::load_all;
use hepar_model::stage::StageName;
use hepar_train::{NpyError, check_npy};
use ndarray::{Array5, ArrayD, Axis, Ix5};
use ndarray_npy::{ReadNpyExt, WriteNpyExt};

use crate::embedded::ModelError;
use crate::error::Error;
use crate::exit;
use crate::output::write_file;

/// Why a network did not run on an array.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The array cannot be read.
    #[error("read {}", path.display())]
    Array {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: NpyError,
    },
    /// The array has neither four nor five dimensions.
    #[error(
        "run the network on {}: it has {rank} dimensions; N × 1 × D × H × W or, for the localizer, N × 1 × H × W is \
         needed",
        path.display()
    )]
    Rank {
        /// The file.
        path: PathBuf,
        /// How many it has.
        rank: usize,
    },
    /// The engine did not run the network.
    #[error("run the {stage} network")]
    Engine {
        /// The network's stage.
        stage: StageName,
        /// The engine's reason.
        source: EngineError,
    },
}

impl NetworkError {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Array { .. }
            | Self::Rank { .. }
            | Self::Engine { source: EngineError::Shape(_) | EngineError::NotFinite(_), .. } => exit::INPUT,
            Self::Engine { .. } => exit::INTERNAL,
        }
    }
}

/// Runs the network of a stage in an engine on the array in `input` and writes its probabilities, 0..1, to `output`.
///
/// Both are `.npy` files of f32 and of one shape: N × 1 × D × H × W, or N × 1 × H × W for planar networks; sides are
/// multiples of 32. Values are what the network sees: in 0..1 after the stage's window.
///
/// # Errors
/// When a file cannot be read or written, the weights do not fit, or the network does not take the shape.
pub fn run_network(
    bundle: &Bundle,
    stage: StageName,
    engine: &dyn Engine,
    input: &Path,
    output: &Path,
) -> Result<(), Error> {
    let array = read_array(input)?;
    let (shape, rank) = (array.raw_dim(), array.ndim());
    let wrong_rank = || NetworkError::Rank { path: input.to_owned(), rank };
    let array = if rank == 4 { array.insert_axis(Axis(2)) } else { array };
    let array: Array5<f32> = array.into_dimensionality::<Ix5>().map_err(|_| wrong_rank())?;
    let weights = bundle.weights(stage).map_err(ModelError::from)?;
    let failed = |source| NetworkError::Engine { stage, source };
    let mut network = load_all(engine, &weights).map_err(failed)?;
    let probabilities = network.forward(array.view()).map_err(failed)?;
    let probabilities = probabilities.into_shape_with_order(shape).map_err(|_| wrong_rank())?;
    let mut bytes = Cursor::new(Vec::new());
    probabilities.write_npy(&mut bytes).map_err(|error| failed(EngineError::Failed(error.to_string())))?;
    Ok(write_file(output, bytes.get_ref())?)
}

/// The array in a `.npy` file; memory for it is only taken when the file is as long as its header says.
fn read_array(path: &Path) -> Result<ArrayD<f32>, NetworkError> {
    let failed = |source| NetworkError::Array { path: path.to_owned(), source };
    let bytes = std::fs::read(path).map_err(|error| failed(error.into()))?;
    check_npy::<f32>(bytes.as_slice(), bytes.len() as u64).map_err(failed)?;
    ArrayD::read_npy(bytes.as_slice()).map_err(|error| failed(error.into()))
}

/// Runs the network of a stage, the first of an ensemble, `runs` times on values in 0..1, N × 1 × the stage's patch, and
/// says where the time went.
///
/// # Errors
/// When the weights do not fit.
pub fn profile_network(
    bundle: &Bundle,
    stage: StageName,
    batch: usize,
    runs: usize,
) -> Result<Vec<StepProfile>, Error> {
    let weights = bundle.weights(stage).map_err(ModelError::from)?;
    let failed = |source| NetworkError::Engine { stage, source };
    // All of an ensemble take the same time.
    let mut network = CpuNetwork::new(&weights[0]).map_err(failed)?;
    let [d, h, w] = bundle.card().stage(stage).patch;
    // A ramp: what the values are changes no time, but many zeros might.
    let input = Array5::from_shape_fn((batch, 1, d, h, w), |(_, _, k, j, i)| ((k + j + i) % 97) as f32 / 97.0);
    Ok(network.profile(input.view(), runs).map_err(failed)?)
}
