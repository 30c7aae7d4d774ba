//! A network of a model as an ONNX file.

use std::path::Path;

use hepar_interchange::onnx::to_onnx;
use hepar_model::bundle::Bundle;
use hepar_model::stage::StageName;

use crate::embedded::ModelError;
use crate::error::{Error, ErrorKind};
use crate::output::{plan_new_file, write_file};

/// Writes a network of a stage, number `member` of its ensemble from 0, as an ONNX model to `output`, which must not be
/// there yet.
///
/// Its metadata say what must be known to use it: the model's name, version, licence and hash, the stage, as JSON what
/// `model.toml` says of that stage (window, grid, patch, threshold), and of the network its number in the ensemble, from 1,
/// and the hash of its weights.
///
/// # Errors
/// When there is no such network, its weights do not fit, or the file cannot be written.
pub fn export_onnx(bundle: &Bundle, stage: StageName, member: usize, output: &Path) -> Result<(), Error> {
    plan_new_file(output)?;
    let weights = bundle.weights(stage).map_err(ModelError::from)?;
    let Some(network) = weights.get(member) else {
        return Err(ErrorKind::NoMember { stage, number: member + 1, count: weights.len() }.into());
    };
    Ok(write_file(output, &to_onnx(network, &properties(bundle, stage, member)))?)
}

fn properties(bundle: &Bundle, stage: StageName, member: usize) -> [(&'static str, String); 8] {
    let card = bundle.card();
    [
        ("hepar.model", card.name.clone()),
        ("hepar.model_version", card.version.clone()),
        ("hepar.model_sha256", bundle.hash()),
        ("hepar.licence", card.licence.clone()),
        ("hepar.stage", stage.to_string()),
        // Names, numbers and lists of them always have a JSON.
        ("hepar.stage_settings", serde_json::to_string(card.stage(stage)).unwrap_or_default()),
        ("hepar.network", (member + 1).to_string()),
        ("hepar.network_sha256", card.stage(stage).files()[member].sha256.clone()),
    ]
}
