//! A model's folder from three training runs.

use std::path::{Path, PathBuf};

use hepar_model::bundle::{Bundle, CARD_FILE, Card, SCHEMA, Score, Training};
use hepar_model::stage::StageName;
use hepar_train::{ExportedStage, export_stage};
use serde::Deserialize;

use crate::embedded::ModelError;
use crate::error::{Error, ErrorKind};
use crate::output::{plan_new_file, write_file};

/// Folders of the three training runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runs {
    /// Of the localizer.
    pub localizer: PathBuf,
    /// Of the liver stage.
    pub liver: PathBuf,
    /// Of the tumour stage.
    pub tumour: PathBuf,
}

/// What a person writes of a model: its card without the stages.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    name: String,
    version: String,
    description: String,
    licence: String,
    training: Training,
    #[serde(default, rename = "score")]
    scores: Vec<Score>,
}

/// Puts the networks of three `runs` and the description in the file `card` together in `folder`, and opens the model.
///
/// `card` is TOML with `name`, `version`, `description`, `licence`, `[training]` (`data`, `method`) and any number of
/// `[[score]]` (`on`, `metric`, `value`): what `model.toml` holds, but for the stages, which the runs know. Files that
/// are there already are not overwritten.
///
/// # Errors
/// When a run has no network yet, the card is not understood, or a file cannot be written.
pub fn assemble(runs: &Runs, card: &Path, folder: &Path) -> Result<Bundle, Error> {
    let description = read_description(card)?;
    let stages = [
        export(StageName::Localizer, &runs.localizer)?,
        export(StageName::Liver, &runs.liver)?,
        export(StageName::Tumour, &runs.tumour)?,
    ];
    let card = toml::to_string(&description.card(&stages)).map_err(|error| card_error(card, &error))?;
    let weights: Vec<(&str, &[u8])> = stages.iter().map(|s| (s.stage.weights.as_str(), s.bytes.as_slice())).collect();
    write_bundle(&card, &weights, folder)
}

/// Writes a model's folder, its card last, and opens it; `card` is the text of `model.toml`.
pub(crate) fn write_bundle(card: &str, weights: &[(&str, &[u8])], folder: &Path) -> Result<Bundle, Error> {
    // What does not fit fails here, before anything is written.
    Bundle::from_memory(card, weights).map_err(ModelError::from)?;
    let files = || weights.iter().copied().chain([(CARD_FILE, card.as_bytes())]);
    files().try_for_each(|(name, _)| plan_new_file(&folder.join(name)))?;
    files().try_for_each(|(name, bytes)| write_file(&folder.join(name), bytes))?;
    Ok(Bundle::open(folder).map_err(ModelError::from)?)
}

impl Description {
    fn card(self, [localizer, liver, tumour]: &[ExportedStage; 3]) -> Card {
        Card {
            schema: SCHEMA,
            name: self.name,
            version: self.version,
            description: self.description,
            licence: self.licence,
            training: self.training,
            scores: self.scores,
            localizer: localizer.stage.clone(),
            liver: liver.stage.clone(),
            tumour: tumour.stage.clone(),
        }
    }
}

fn export(stage: StageName, run: &Path) -> Result<ExportedStage, Error> {
    let exported = export_stage(run).map_err(|source| ErrorKind::Export { run: run.to_owned(), source })?;
    // Liver and tumour stage have networks of one kind, so that nothing else would tell them apart.
    if exported.stage.weights != format!("{stage}.safetensors") {
        let found = exported.stage.weights;
        return Err(ErrorKind::WrongRun { stage, run: run.to_owned(), found }.into());
    }
    Ok(exported)
}

fn read_description(path: &Path) -> Result<Description, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| ErrorKind::Input { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|error| card_error(path, &error))
}

fn card_error(path: &Path, error: &dyn std::fmt::Display) -> Error {
    ErrorKind::Card { path: path.to_owned(), problem: error.to_string() }.into()
}
