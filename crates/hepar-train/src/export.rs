//! From a run to a stage of a model.

use std::path::Path;

use hepar_model::bundle::sha256;
use hepar_model::stage::Stage;
use hepar_model::weights::{Precision, Weights};

use crate::checkpoint::RunFolder;
use crate::error::TrainError;

/// A trained stage, ready to be put into a model's folder.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportedStage {
    /// The table for `model.toml`; names the file `STAGE.safetensors` and its hash.
    pub stage: Stage,
    /// The bytes of that file, kernels and biases in half precision.
    pub bytes: Vec<u8>,
}

/// The stage that the run in the folder `run` has trained: its best weights when it validated, or else its last.
///
/// The folder is only read: a training may go on in it meanwhile.
///
/// # Errors
/// When the folder holds no run, or no checkpoint yet, or its best weights are of another run.
pub fn export_stage(run: &Path) -> Result<ExportedStage, TrainError> {
    let folder = RunFolder::existing(run)?;
    let config = folder.config()?;
    let weights = Weights::from_safetensors(config.network()?, &folder.weights_to_export()?)?;
    let bytes = weights.to_safetensors(Precision::Half)?;
    let stage = config.stage_table(&format!("{}.safetensors", config.stage), &sha256(&bytes));
    Ok(ExportedStage { stage, bytes })
}
