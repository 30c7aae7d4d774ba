//! The run folder: what it takes to go on after a stop at any time.
//!
//! `config.toml`, `log.csv`, `last/` (weights, optimiser, state) and `best/` (weights, their score and configuration),
//! and files of events for TensorBoard.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use hepar_formats::write_atomically;
use hepar_model::bundle::sha256;
use hepar_model::stage::StageName;
use hepar_model::weights::{Precision, Weights};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::{ConfigError, TrainConfig};
use crate::error::{TrainError, problem};
use crate::lock::RunLock;
use crate::log::Log;
use crate::schedule::Plateau;

/// The version of the checkpoints that this program reads and writes.
const SCHEMA: u32 = 1;

/// Folder of the last checkpoint.
const LAST: &str = "last";

/// Folder of the best weights.
const BEST: &str = "best";

/// File of the weights, in full precision, in `last` and `best`.
const WEIGHTS_FILE: &str = "weights.safetensors";

/// File of the running mean of the weights in `last`, where there is one.
const AVERAGE_FILE: &str = "average.safetensors";

/// File of the configuration, in the run folder and in `best`.
const CONFIG_FILE: &str = "config.toml";

/// File of the state in `last`.
const STATE_FILE: &str = "state.json";

/// Folder of a run into which whoever looks on may write pictures of the validation.
pub const VIEWS: &str = "validation";

/// File in [`VIEWS`] that says what the pictures show: without it they are those of nobody.
pub const VIEWS_INDEX: &str = "validation.json";

/// File of the score in `best`.
const SCORE_FILE: &str = "score.json";

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
    /// Loss and learning rate of the last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<(f32, f64)>,
    /// Seconds of training so far.
    pub seconds: f64,
    /// Whether the statistics were recalibrated after the last step.
    #[serde(default)]
    pub recalibrated: bool,
    /// Step of the last validation; 0 when there was none.
    pub validated: u64,
    /// Validations since the best one.
    #[serde(default)]
    pub stalled: u32,
    /// Fingerprint of the cases.
    pub cases: String,
    /// SHA-256 of the file with the weights that the run began with; `None` where there was none, or an earlier version of
    /// hepar began the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
}

/// What is known of the best weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BestScore {
    schema: u32,
    /// Steps after which the weights were validated.
    step: u64,
    dice_per_case: Option<f64>,
    /// SHA-256 of the weights' file.
    weights: String,
}

/// A checkpoint that was found.
pub(crate) struct Checkpoint {
    /// Where the run stands.
    pub state: State,
    /// The network's weights.
    pub weights: Weights,
    /// Their running mean, if the run takes one.
    pub average: Option<Weights>,
    /// File of the optimiser's state.
    pub optimizer: PathBuf,
}

/// A folder with the files of one run, which a training may be writing: it is only read.
#[derive(Debug, Clone)]
pub(crate) struct RunFolder(PathBuf);

/// A run folder that nobody else writes.
#[derive(Debug)]
pub(crate) struct OwnFolder {
    folder: RunFolder,
    _lock: RunLock,
}

impl State {
    /// The state of a run that has not begun.
    pub fn new(cases: String) -> Self {
        Self {
            schema: SCHEMA,
            step: 0,
            plateau: Plateau::default(),
            best: None,
            smoothed_loss: None,
            latest: None,
            seconds: 0.0,
            recalibrated: false,
            validated: 0,
            stalled: 0,
            cases,
            start: None,
        }
    }
}

impl RunFolder {
    /// The folder of a run that exists.
    pub fn existing(path: &Path) -> Result<Self, TrainError> {
        if !path.join(CONFIG_FILE).exists() {
            return Err(problem(path, &"there is no config.toml: it is no folder of a run"));
        }
        Ok(Self(path.to_owned()))
    }

    /// The configuration of the run in the folder.
    pub fn config(&self) -> Result<TrainConfig, TrainError> {
        read_config(&self.0.join(CONFIG_FILE))
    }

    /// The bytes of the weights to hand out: of the best that were validated, or else of the last.
    ///
    /// # Errors
    /// When there are none, or the best are not of the run that `config.toml` describes.
    pub fn weights_to_export(&self) -> Result<Vec<u8>, TrainError> {
        if let Some(best) = self.current(BEST) {
            return self.best_weights(&best);
        }
        let last = self.current(LAST).ok_or_else(|| problem(&self.0, &"the run has no checkpoint yet"))?;
        let average = last.join(AVERAGE_FILE);
        read(&if average.exists() { average } else { last.join(WEIGHTS_FILE) })
    }

    fn best_weights(&self, best: &Path) -> Result<Vec<u8>, TrainError> {
        let weights = read(&best.join(WEIGHTS_FILE))?;
        let score: BestScore = read_json(&best.join(SCORE_FILE))?;
        if score.weights != sha256(&weights) {
            return Err(problem(best, &"the weights are not those of score.json"));
        }
        match difference(&read_config(&best.join(CONFIG_FILE))?, &self.config()?)? {
            Some(field) => Err(problem(best, &format!("the weights are of a run with another {field}"))),
            None => Ok(weights),
        }
    }

    /// The folder `name` as it is, or as it was before a change that is going on or was interrupted.
    fn current(&self, name: &str) -> Option<PathBuf> {
        let [now, _, old] = self.versions(name);
        [now, old].into_iter().find(|path| path.exists())
    }

    /// Where the folder `name` lies, and while it is changed its new and its old contents.
    fn versions(&self, name: &str) -> [PathBuf; 3] {
        [self.0.join(name), self.0.join(format!(".{name}.new")), self.0.join(format!(".{name}.old"))]
    }
}

impl OwnFolder {
    /// The folder at `path`, made if it is not there, after an interrupted change of checkpoints has been finished.
    ///
    /// # Errors
    /// When another training has it, or it cannot be written.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        fs::create_dir_all(path).map_err(|e| problem(path, &e))?;
        let own = Self { folder: RunFolder(path.to_owned()), _lock: RunLock::take(path)? };
        own.repair(LAST)?;
        own.repair(BEST)?;
        Ok(own)
    }

    /// The log's path.
    pub fn log(&self) -> PathBuf {
        self.path("log.csv")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    /// The checkpoint to go on from; `None` when the run has none yet.
    ///
    /// # Errors
    /// When it cannot be read, or it is of a run with another configuration or other cases; when there is none, but files
    /// of others are in the way of the run's.
    pub fn resume(&self, config: &TrainConfig, cases: &str) -> Result<Option<Checkpoint>, TrainError> {
        let last = self.path(LAST);
        if !last.exists() {
            return self.check_foreign().map(|()| None);
        }
        let root = || self.folder.0.clone();
        if let Some(field) = difference(&self.folder.config()?, config)? {
            return Err(TrainError::OtherConfig { path: root(), field });
        }
        let path = last.join(STATE_FILE);
        let state: State = read_json(&path)?;
        if state.schema != SCHEMA {
            return Err(problem(&path, &format!("schema {} is not {SCHEMA}", state.schema)));
        }
        if state.cases != cases {
            return Err(TrainError::OtherData(root()));
        }
        let weights = |path: &Path| Ok::<_, TrainError>(Weights::from_safetensors(config.network()?, &read(path)?)?);
        let average = Some(last.join(AVERAGE_FILE)).filter(|path| path.exists());
        Ok(Some(Checkpoint {
            state,
            weights: weights(&last.join(WEIGHTS_FILE))?,
            average: average.map(|path| weights(&path)).transpose()?,
            optimizer: last.join("optimizer.bpk"),
        }))
    }

    /// Checks that what a run without a checkpoint would replace is of a run: `config.toml`, `log.csv`, the best weights,
    /// and, where there is no `config.toml`, what is in `validation`.
    fn check_foreign(&self) -> Result<(), TrainError> {
        let foreign = |path: &Path| {
            Err(problem(path, &"this version of hepar did not write it; take another folder for the run"))
        };
        let (best, config, log, views) = (self.path(BEST), self.path(CONFIG_FILE), self.log(), self.path(VIEWS));
        if best.exists() && !best.join(SCORE_FILE).is_file() {
            return foreign(&best);
        }
        if log.exists() && !fs::read_to_string(&log).is_ok_and(|text| Log::is_log(&text)) {
            return foreign(&log);
        }
        if !config.exists() && fs::read_dir(&views).is_ok_and(|mut files| files.next().is_some()) {
            return foreign(&views);
        }
        let is_written = |text: &str| -> bool {
            TrainConfig::from_toml(StageName::Liver, text)
                .and_then(|config| config.to_toml())
                .is_ok_and(|written| written == text)
        };
        match fs::read_to_string(&config) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Ok(text) if is_written(&text) => Ok(()),
            _ => foreign(&config),
        }
    }

    /// Writes `config.toml`, when the run begins or goes on.
    ///
    /// What an earlier run left as its best, and what says which pictures are of its validation, is removed when there is no
    /// checkpoint: it is not of this run.
    pub fn begin(&self, config: &TrainConfig) -> Result<(), TrainError> {
        if !self.path(LAST).exists() {
            remove(&self.path(BEST))?;
            let index = self.path(VIEWS).join(VIEWS_INDEX);
            if index.is_file() {
                fs::remove_file(&index).map_err(|error| problem(&index, &error))?;
            }
        }
        write(&self.path(CONFIG_FILE), config.to_toml()?.as_bytes())
    }

    /// Replaces the last checkpoint; a stop at any time leaves the old one or the new one.
    ///
    /// `optimizer` writes its state to the path that it is given.
    pub fn save(
        &self,
        state: &State,
        weights: &Weights,
        average: Option<&Weights>,
        optimizer: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Result<(), TrainError> {
        let weights = weights.to_safetensors(Precision::Full)?;
        let average = average.map(|average| average.to_safetensors(Precision::Full)).transpose()?;
        self.replace(LAST, |new| {
            write(&new.join(WEIGHTS_FILE), &weights)?;
            if let Some(average) = &average {
                write(&new.join(AVERAGE_FILE), average)?;
            }
            optimizer(&new.join("optimizer.bpk")).map_err(|e| problem(new, &e))?;
            write_json(&new.join(STATE_FILE), state)
        })
    }

    /// Replaces the best weights, as [`OwnFolder::save`] does the last.
    pub fn save_best(&self, config: &TrainConfig, state: &State, weights: &Weights) -> Result<(), TrainError> {
        let bytes = weights.to_safetensors(Precision::Full)?;
        let (step, dice_per_case) = (state.step, state.best);
        let score = BestScore { schema: SCHEMA, step, dice_per_case, weights: sha256(&bytes) };
        let config = config.to_toml()?;
        self.replace(BEST, |new| {
            write(&new.join(WEIGHTS_FILE), &bytes)?;
            write(&new.join(CONFIG_FILE), config.as_bytes())?;
            write_json(&new.join(SCORE_FILE), &score)
        })
    }

    /// Puts a folder that `fill` fills in the place of the folder `name`.
    fn replace(&self, name: &str, fill: impl FnOnce(&Path) -> Result<(), TrainError>) -> Result<(), TrainError> {
        let [now, new, old] = self.folder.versions(name);
        remove(&new)?;
        fs::create_dir(&new).map_err(|e| problem(&new, &e))?;
        fill(&new)?;
        if now.exists() {
            fs::rename(&now, &old).map_err(|e| problem(&now, &e))?;
        }
        fs::rename(&new, &now).map_err(|e| problem(&now, &e))?;
        remove(&old)
    }

    /// Finishes an interrupted [`OwnFolder::replace`].
    fn repair(&self, name: &str) -> Result<(), TrainError> {
        let [now, new, old] = self.folder.versions(name);
        // The folder is only ever missing between the two renames, when the new one is complete.
        if !now.exists() && old.exists() {
            fs::rename(if new.exists() { &new } else { &old }, &now).map_err(|e| problem(&now, &e))?;
        }
        remove(&new)?;
        remove(&old)
    }
}

/// The first field in which two configurations differ that may not change while a run goes on.
///
/// The number of steps, the learning rate, the distances of validations and checkpoints may, and what only goes into the
/// model that is made of the run.
fn difference(before: &TrainConfig, now: &TrainConfig) -> Result<Option<String>, TrainError> {
    // Configurations of two stages differ in much else.
    if before.stage != now.stage {
        return Ok(Some("stage".to_owned()));
    }
    let table = |config: &TrainConfig| -> Result<toml::Table, ConfigError> {
        config.to_toml()?.parse::<toml::Table>().map_err(|error| ConfigError::Toml(error.to_string()))
    };
    let may_change =
        ["steps", "learning_rate", "validate_every", "checkpoint_every", "greatest_exposure", "sheet", "enclosed"];
    let (before, now) = (table(before)?, table(now)?);
    let fields = before.keys().chain(now.keys()).filter(|field| !may_change.contains(&field.as_str()));
    Ok(fields.into_iter().find(|field| before.get(*field) != now.get(*field)).cloned())
}

fn read_config(path: &Path) -> Result<TrainConfig, TrainError> {
    let text = fs::read_to_string(path).map_err(|e| problem(path, &e))?;
    // Every field stands in the file, so the stage does not matter.
    Ok(TrainConfig::from_toml(StageName::Liver, &text)?)
}

fn read(path: &Path) -> Result<Vec<u8>, TrainError> {
    fs::read(path).map_err(|e| problem(path, &e))
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, TrainError> {
    serde_json::from_slice(&read(path)?).map_err(|e| problem(path, &e))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), TrainError> {
    let text = serde_json::to_string_pretty(value).map_err(|e| problem(path, &e))?;
    write(path, text.as_bytes())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    write_atomically(path, |file| file.write_all(bytes)).map_err(|e| problem(path, &e))
}

fn remove(folder: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(problem(folder, &error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Schedule;

    #[test]
    fn only_what_may_change_while_a_run_goes_on_is_let_through() {
        let config = TrainConfig::preset(StageName::Liver);
        let longer = TrainConfig { steps: 9, learning_rate: 0.5, validate_every: 3, enclosed: true, ..config.clone() };
        assert_eq!(difference(&config, &longer).unwrap(), None);
        let other = TrainConfig { schedule: Schedule::Constant, ..config.clone() };
        assert_eq!(difference(&config, &other).unwrap().as_deref(), Some("schedule"));
        let held_out = TrainConfig { fold: Some(1), ..config.clone() };
        assert_eq!(difference(&config, &held_out).unwrap().as_deref(), Some("fold"));
    }

    #[test]
    fn a_seed_that_no_file_can_state_is_refused_and_makes_no_two_runs_alike() {
        let config = |seed| TrainConfig { seed, ..TrainConfig::preset(StageName::Liver) };
        let greatest = i64::MAX.unsigned_abs();
        config(greatest).check().unwrap();
        assert_eq!(difference(&config(1), &config(greatest)).unwrap().as_deref(), Some("seed"));
        let error = config(greatest + 1).check().unwrap_err().to_string();
        assert!(error.contains("seed = 9223372036854775808"), "{error}");
        assert!(difference(&config(greatest + 1), &config(greatest + 2)).is_err());
    }

    #[test]
    fn runs_of_two_networks_differ_in_their_stage() {
        let [localizer, liver] = [StageName::Localizer, StageName::Liver].map(TrainConfig::smoke);
        assert_eq!(difference(&localizer, &liver).unwrap().as_deref(), Some("stage"));
    }

    /// Makes the folder `name` in `root`, with a file that says `text`.
    fn make(root: &Path, name: &str, text: &str) {
        fs::create_dir(root.join(name)).unwrap();
        fs::write(root.join(name).join(STATE_FILE), text).unwrap();
    }

    fn names(root: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(root).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_stop_between_the_renames_loses_nothing_and_half_a_checkpoint_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let read = || fs::read_to_string(root.join("last/state.json")).unwrap();
        make(root, ".last.old", "first");
        make(root, ".last.new", "second");
        drop(OwnFolder::open(root).unwrap());
        assert_eq!(read(), "second");
        make(root, ".last.new", "half");
        drop(OwnFolder::open(root).unwrap());
        assert_eq!(read(), "second");
        assert_eq!(names(root), [".lock", "last"]);
    }

    #[test]
    fn files_of_others_keep_a_run_from_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let own = OwnFolder::open(folder.path()).unwrap();
        let config = TrainConfig::preset(StageName::Tumour);
        let begin = || own.resume(&config, "").map(|checkpoint| checkpoint.is_none());
        assert!(begin().unwrap());
        // A run that was stopped before its first checkpoint leaves this.
        own.begin(&config).unwrap();
        assert!(begin().unwrap());
        fs::write(folder.path().join(CONFIG_FILE), "# Mine.\nsteps = 100\n").unwrap();
        assert!(begin().unwrap_err().to_string().contains("hepar did not write it"), "mine stays");
        fs::remove_file(folder.path().join(CONFIG_FILE)).unwrap();
        make(folder.path(), BEST, "photographs");
        assert!(begin().unwrap_err().to_string().contains("best"));
    }

    #[test]
    fn a_log_and_pictures_of_others_are_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let own = OwnFolder::open(folder.path()).unwrap();
        let config = TrainConfig::preset(StageName::Tumour);
        let begin = || own.resume(&config, "").map(|checkpoint| checkpoint.is_none());
        let refused = |name: &str| assert!(begin().unwrap_err().to_string().contains(name), "{name}");
        make(folder.path(), VIEWS, "photographs");
        refused(VIEWS);
        own.begin(&config).unwrap();
        assert!(begin().unwrap(), "a run that was stopped before its first checkpoint may have validated");
        for text in [&b"date,weight\n1,80\n"[..], b"", b"\xff"] {
            fs::write(own.log(), text).unwrap();
            refused("log.csv");
        }
        fs::remove_file(own.log()).unwrap();
        drop(Log::open(&own.log(), 0).unwrap());
        assert!(begin().unwrap());
    }

    #[test]
    fn who_only_reads_a_run_changes_nothing_even_while_a_checkpoint_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::write(root.join(CONFIG_FILE), TrainConfig::preset(StageName::Liver).to_toml().unwrap()).unwrap();
        make(root, ".last.old", "first");
        make(root, ".last.new", "half");
        fs::write(root.join(".last.old").join(WEIGHTS_FILE), b"weights").unwrap();
        let before = names(root);
        assert_eq!(RunFolder::existing(root).unwrap().weights_to_export().unwrap(), b"weights");
        assert_eq!(names(root), before);
    }

    #[test]
    fn numbers_of_a_checkpoint_come_back_with_the_same_bits() {
        for n in 1..2000 {
            let numbers =
                State { smoothed_loss: Some(1.0 / f64::from(n)), seconds: 1e5 / 7.0, ..State::new("".into()) };
            let text = serde_json::to_string(&numbers).unwrap();
            assert_eq!(serde_json::from_str::<State>(&text).unwrap(), numbers);
        }
    }

    #[test]
    fn a_checkpoint_without_the_loss_of_its_last_step_can_be_read() {
        let text = r#"{"schema":1,"step":100,"plateau":{"falls":0,"stalled":0},"best":null,"smoothed_loss":0.5,
            "seconds":1.5,"validated":0,"cases":""}"#;
        assert_eq!(serde_json::from_str::<State>(text).unwrap().latest, None);
    }
}
