//! The run folder: what it takes to go on after a stop at any time.
//!
//! `config.toml`, `log.csv`, `last/` (weights, optimiser, state) and `best/` (weights and their score).

use std::fmt::Display;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use hepar_formats::write_atomically;
use hepar_model::stage::StageName;
use hepar_model::weights::{Precision, Weights};
use serde::{Deserialize, Serialize};

use crate::config::TrainConfig;
use crate::error::TrainError;
use crate::schedule::Plateau;

/// The version of the checkpoints that this program reads and writes.
const SCHEMA: u32 = 1;

/// File of the weights, in full precision, in `last` and `best`.
pub(crate) const WEIGHTS_FILE: &str = "weights.safetensors";

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// Version of this layout.
    pub schema: u32,
    /// Steps that are done.
    pub step: u64,
    /// What the schedule remembers.
    pub plateau: Plateau,
    /// Best validation so far: mean Dice per case.
    pub best: Option<f64>,
    /// Running mean of the loss.
    pub smoothed_loss: Option<f64>,
    /// Seconds of training so far.
    pub seconds: f64,
    /// Step of the last validation; 0 when there was none.
    pub validated: u64,
    /// Fingerprint of the cases.
    pub cases: String,
}

/// A checkpoint that was found.
pub(crate) struct Checkpoint {
    /// Where the run stands.
    pub state: State,
    /// The network's weights.
    pub weights: Weights,
    /// File of the optimiser's state.
    pub optimizer: PathBuf,
}

/// A folder with the files of one run.
#[derive(Debug, Clone)]
pub(crate) struct RunFolder(PathBuf);

impl State {
    /// The state of a run that has not begun.
    pub fn new(cases: String) -> Self {
        let plateau = Plateau::default();
        Self { schema: SCHEMA, step: 0, plateau, best: None, smoothed_loss: None, seconds: 0.0, validated: 0, cases }
    }
}

impl RunFolder {
    /// The folder at `path`, made if it is not there, after an interrupted change of checkpoints has been finished.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        let folder = Self(path.to_owned());
        fs::create_dir_all(path).map_err(|e| problem(path, &e))?;
        let (last, new, old) = (folder.last(), folder.0.join(".last.new"), folder.0.join(".last.old"));
        // `last` is only ever missing between the two renames of `save`, when `new` is complete.
        if !last.exists() && old.exists() && new.exists() {
            fs::rename(&new, &last).map_err(|e| problem(&last, &e))?;
        }
        for leftover in [new, old] {
            remove(&leftover)?;
        }
        Ok(folder)
    }

    /// The folder of a run that exists.
    pub fn existing(path: &Path) -> Result<Self, TrainError> {
        if !path.join("config.toml").exists() {
            return Err(problem(path, &"there is no config.toml: it is no folder of a run"));
        }
        Self::open(path)
    }

    /// The log's path.
    pub fn log(&self) -> PathBuf {
        self.0.join("log.csv")
    }

    fn last(&self) -> PathBuf {
        self.0.join("last")
    }

    fn config_path(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// The configuration of the run in the folder.
    pub fn config(&self) -> Result<TrainConfig, TrainError> {
        let path = self.config_path();
        let text = fs::read_to_string(&path).map_err(|e| problem(&path, &e))?;
        // Every field stands in the file, so the stage does not matter.
        Ok(TrainConfig::from_toml(StageName::Liver, &text)?)
    }

    /// The weights to hand out: the best that were validated, or else the last.
    pub fn weights_to_export(&self) -> PathBuf {
        let best = self.0.join("best").join(WEIGHTS_FILE);
        if best.exists() { best } else { self.last().join(WEIGHTS_FILE) }
    }

    /// The checkpoint to go on from; `None` when the run has none yet.
    ///
    /// # Errors
    /// When it cannot be read, or it is of a run with another configuration or other cases.
    pub fn resume(&self, config: &TrainConfig, cases: &str) -> Result<Option<Checkpoint>, TrainError> {
        let last = self.last();
        if !last.exists() {
            return Ok(None);
        }
        if let Some(field) = difference(&self.config()?, config)? {
            return Err(TrainError::OtherConfig { path: self.0.clone(), field });
        }
        let path = last.join("state.json");
        let bytes = fs::read(&path).map_err(|e| problem(&path, &e))?;
        let state: State = serde_json::from_slice(&bytes).map_err(|e| problem(&path, &e))?;
        if state.schema != SCHEMA {
            return Err(problem(&path, &format!("schema {} is not {SCHEMA}", state.schema)));
        }
        if state.cases != cases {
            return Err(TrainError::OtherData(self.0.clone()));
        }
        let path = last.join(WEIGHTS_FILE);
        let bytes = fs::read(&path).map_err(|e| problem(&path, &e))?;
        let weights = Weights::from_safetensors(config.network()?, &bytes)?;
        Ok(Some(Checkpoint { state, weights, optimizer: last.join("optimizer.bpk") }))
    }

    /// Writes `config.toml`.
    pub fn write_config(&self, config: &TrainConfig) -> Result<(), TrainError> {
        write(&self.config_path(), config.to_toml()?.as_bytes())
    }

    /// Replaces the last checkpoint; a stop at any time leaves the old one or the new one.
    ///
    /// `optimizer` writes its state to the path that it is given.
    pub fn save(
        &self,
        state: &State,
        weights: &Weights,
        optimizer: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Result<(), TrainError> {
        let (last, new, old) = (self.last(), self.0.join(".last.new"), self.0.join(".last.old"));
        remove(&new)?;
        fs::create_dir(&new).map_err(|e| problem(&new, &e))?;
        write(&new.join(WEIGHTS_FILE), &weights.to_safetensors(Precision::Full)?)?;
        optimizer(&new.join("optimizer.bpk")).map_err(|e| problem(&new, &e))?;
        write(&new.join("state.json"), json(state, &new)?.as_bytes())?;
        if last.exists() {
            fs::rename(&last, &old).map_err(|e| problem(&last, &e))?;
        }
        fs::rename(&new, &last).map_err(|e| problem(&last, &e))?;
        remove(&old)
    }

    /// Replaces the best weights.
    pub fn save_best(&self, state: &State, weights: &Weights) -> Result<(), TrainError> {
        let best = self.0.join("best");
        fs::create_dir_all(&best).map_err(|e| problem(&best, &e))?;
        write(&best.join(WEIGHTS_FILE), &weights.to_safetensors(Precision::Full)?)?;
        let score = serde_json::json!({ "schema": SCHEMA, "step": state.step, "dice_per_case": state.best });
        write(&best.join("score.json"), json(&score, &best)?.as_bytes())
    }
}

/// The first field in which two configurations differ that may not change while a run goes on.
///
/// The number of steps, the learning rate and the distances of validations and checkpoints may.
fn difference(before: &TrainConfig, now: &TrainConfig) -> Result<Option<String>, TrainError> {
    let table = |config: &TrainConfig| config.to_toml().map(|text| text.parse::<toml::Table>().unwrap_or_default());
    let may_change = ["steps", "learning_rate", "validate_every", "checkpoint_every"];
    let (before, now) = (table(before)?, table(now)?);
    let fields = before.keys().chain(now.keys()).filter(|field| !may_change.contains(&field.as_str()));
    Ok(fields.into_iter().find(|field| before.get(*field) != now.get(*field)).cloned())
}

fn json(value: &impl Serialize, path: &Path) -> Result<String, TrainError> {
    serde_json::to_string_pretty(value).map_err(|e| problem(path, &e))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    write_atomically(path, |file| file.write_all(bytes)).map_err(|e| problem(path, &e))
}

fn remove(folder: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(problem(folder, &error)),
        _ => Ok(()),
    }
}

pub(crate) fn problem(path: &Path, what: &dyn Display) -> TrainError {
    TrainError::Folder { path: path.to_owned(), problem: what.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Schedule;

    #[test]
    fn only_what_may_change_while_a_run_goes_on_is_let_through() {
        let config = TrainConfig::preset(StageName::Liver);
        let longer = TrainConfig { steps: 9, learning_rate: 0.5, validate_every: 3, ..config.clone() };
        assert_eq!(difference(&config, &longer).unwrap(), None);
        let other = TrainConfig { schedule: Schedule::Constant, ..config.clone() };
        assert_eq!(difference(&config, &other).unwrap().as_deref(), Some("schedule"));
        let held_out = TrainConfig { fold: Some(1), ..config.clone() };
        assert_eq!(difference(&config, &held_out).unwrap().as_deref(), Some("fold"));
    }

    #[test]
    fn a_stop_between_the_renames_loses_nothing_and_half_a_checkpoint_is_dropped() {
        let root = tempfile::tempdir().unwrap();
        let make = |name: &str, text: &str| {
            fs::create_dir(root.path().join(name)).unwrap();
            fs::write(root.path().join(name).join("state.json"), text).unwrap();
        };
        let read = || fs::read_to_string(root.path().join("last/state.json")).unwrap();
        make(".last.old", "first");
        make(".last.new", "second");
        RunFolder::open(root.path()).unwrap();
        assert_eq!(read(), "second");
        make(".last.new", "half");
        RunFolder::open(root.path()).unwrap();
        assert_eq!(read(), "second");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
