//! A model's folder from training runs.

use std::path::{Path, PathBuf};

use hepar_model::bundle::{Bundle, CARD_FILE, Card, SCHEMA, Score, Training};
use hepar_model::stage::{Stage, StageName, WeightsFile};
use hepar_train::{ExportedStage, export_stage};
use serde::Deserialize;

use crate::embedded::ModelError;
use crate::error::{Error, ErrorKind};
use crate::output::write_new_files;

/// Folders of the training runs of each stage: one, or several whose networks become an ensemble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runs {
    /// Of the localizer.
    pub localizer: Vec<PathBuf>,
    /// Of the liver stage.
    pub liver: Vec<PathBuf>,
    /// Of the tumour stage.
    pub tumour: Vec<PathBuf>,
}

/// What a person writes of a model: its card without the stages.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is, in a sentence or two.
    pub description: String,
    /// Under which terms it may be used.
    pub licence: String,
    /// What it is not made for, and what it is known to do badly.
    #[serde(default)]
    pub limits: Option<String>,
    /// What it was trained on, and how.
    pub training: Training,
    /// How good it is.
    #[serde(default, rename = "score")]
    pub scores: Vec<Score>,
}

/// Puts the networks of `runs` and a `description` together in `folder`, and opens the model.
///
/// Files that are there already are not overwritten.
///
/// # Errors
/// When a run has no network yet, or a file cannot be written.
pub fn assemble(runs: &Runs, description: Description, folder: &Path) -> Result<Bundle, Error> {
    let [localizer, liver, tumour] = StageName::ALL.map(|stage| StageFiles::of_runs(stage, runs.of(stage)));
    let stages = [localizer?, liver?, tumour?];
    let card = description.card(stages.each_ref().map(|files| files.stage.clone()));
    let card = toml::to_string(&card).map_err(|error| card_error(&folder.join(CARD_FILE), &error))?;
    write_bundle(&card, &stages, folder)
}

/// Whether the model in `folder` has the weights of the `runs`; not when there is none that can be opened.
///
/// # Errors
/// When a run has no network yet.
pub fn is_model_of(runs: &Runs, folder: &Path) -> Result<bool, Error> {
    let Ok(bundle) = Bundle::open(folder) else { return Ok(false) };
    for stage in StageName::ALL {
        if StageFiles::of_runs(stage, runs.of(stage))?.stage.files() != bundle.card().stage(stage).files() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A stage, and the bytes of its weights in the order of [`Stage::files`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StageFiles {
    pub stage: Stage,
    pub bytes: Vec<Vec<u8>>,
}

impl StageFiles {
    /// A stage with the names that its files have in a model of its own: `STAGE.safetensors`, `STAGE-2.safetensors` …
    pub fn named(name: StageName, stage: Stage, bytes: Vec<Vec<u8>>) -> Self {
        let member = |(index, member): (usize, WeightsFile)| WeightsFile {
            weights: format!("{name}-{}.safetensors", index + 2),
            ..member
        };
        let ensemble = stage.ensemble.clone().into_iter().enumerate().map(member).collect();
        Self { stage: Stage { weights: format!("{name}.safetensors"), ensemble, ..stage }, bytes }
    }

    /// The stage that `runs` have trained, an ensemble where there are several.
    fn of_runs(name: StageName, runs: &[PathBuf]) -> Result<Self, Error> {
        let mut stages = Vec::new();
        let mut bytes = Vec::new();
        for run in runs {
            let exported = export(name, run)?;
            stages.push(exported.stage);
            bytes.push(exported.bytes);
        }
        let mut members = stages.into_iter().zip(runs);
        let Some((mut stage, _)) = members.next() else {
            return Err(ErrorKind::NoRun(name).into());
        };
        for (other, run) in members {
            let member = WeightsFile { weights: other.weights, sha256: other.sha256 };
            let other = Stage { weights: stage.weights.clone(), sha256: stage.sha256.clone(), ..other };
            if other != (Stage { ensemble: Vec::new(), ..stage.clone() }) {
                return Err(ErrorKind::OtherSettings { stage: name, run: run.clone(), first: runs[0].clone() }.into());
            }
            stage.ensemble.push(member);
        }
        Ok(Self::named(name, stage, bytes))
    }
}

impl Runs {
    fn of(&self, stage: StageName) -> &[PathBuf] {
        match stage {
            StageName::Localizer => &self.localizer,
            StageName::Liver => &self.liver,
            StageName::Tumour => &self.tumour,
        }
    }
}

/// Writes a model's folder, whole or not at all, and opens it; `card` is the text of `model.toml`.
pub(crate) fn write_bundle(card: &str, stages: &[StageFiles; 3], folder: &Path) -> Result<Bundle, Error> {
    let names: Vec<String> = stages.iter().flat_map(|s| s.stage.files()).map(|file| file.weights).collect();
    let bytes = stages.iter().flat_map(|s| &s.bytes).map(Vec::as_slice);
    let mut files: Vec<(&str, &[u8])> = names.iter().map(String::as_str).zip(bytes).collect();
    // What does not fit fails here, before anything is written.
    Bundle::from_memory(card, &files).map_err(ModelError::from)?;
    // The last: where there is a card, there is a model.
    files.push((CARD_FILE, card.as_bytes()));
    write_new_files(folder, &files)?;
    Ok(Bundle::open(folder).map_err(ModelError::from)?)
}

impl Description {
    /// The description in a TOML file with `name`, `version`, `description`, `licence`, `[training]` (`data`, `method`)
    /// and any number of `[[score]]` (`on`, `metric`, `value`, `interval` where there is one): what `model.toml` holds, but
    /// for the stages, which the runs know.
    ///
    /// # Errors
    /// When the file cannot be read or is not understood.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ErrorKind::Input { path: path.to_owned(), source })?;
        toml::from_str(&text).map_err(|error| card_error(path, &error))
    }

    /// A description of a model that somebody has just trained: the `runs` on the scans in the folders `data`.
    pub fn of_training(runs: &Path, data: &[PathBuf]) -> Self {
        let name = runs.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned());
        let folders: Vec<String> = data.iter().map(|folder| folder.display().to_string()).collect();
        Self {
            name,
            version: "0".to_owned(),
            description: "Trained by hepar; nobody has measured yet how good it is. No medical device.".to_owned(),
            licence: "what the licences of the scans allow that it was trained on".to_owned(),
            limits: Some("nobody has measured yet where it fails".to_owned()),
            training: Training {
                data: if folders.is_empty() { "phantoms".to_owned() } else { folders.join(", ") },
                method: "config.toml of each run".to_owned(),
            },
            scores: Vec::new(),
        }
    }

    fn card(self, [localizer, liver, tumour]: [Stage; 3]) -> Card {
        Card {
            schema: SCHEMA,
            name: self.name,
            version: self.version,
            description: self.description,
            licence: self.licence,
            limits: self.limits,
            training: self.training,
            scores: self.scores,
            localizer,
            liver,
            tumour,
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

fn card_error(path: &Path, error: &dyn std::fmt::Display) -> Error {
    ErrorKind::Card { path: path.to_owned(), problem: error.to_string() }.into()
}
