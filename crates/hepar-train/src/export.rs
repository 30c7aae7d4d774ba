//! From a run to a stage of a model.

use std::path::Path;

use hepar_model::stage::Stage;
use hepar_model::weights::{Precision, Weights};
use sha2::{Digest, Sha256};

use crate::checkpoint::{RunFolder, problem};
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
/// # Errors
/// When the folder holds no run, or no checkpoint yet.
pub fn export_stage(run: &Path) -> Result<ExportedStage, TrainError> {
    let folder = RunFolder::existing(run)?;
    let config = folder.config()?;
    let path = folder.weights_to_export();
    let stored = std::fs::read(&path).map_err(|e| problem(&path, &e))?;
    let weights = Weights::from_safetensors(config.network()?, &stored)?;
    let bytes = weights.to_safetensors(Precision::Half)?;
    let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let stage = config.stage_table(&format!("{}.safetensors", config.stage), &sha256);
    Ok(ExportedStage { stage, bytes })
}
