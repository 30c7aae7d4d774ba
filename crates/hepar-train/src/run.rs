//! The training loop.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hepar_model::bundle::sha256;
use hepar_model::engine::{Engine, Network};
use hepar_model::stage::StageName;
use hepar_model::weights::Weights;
use hepar_nets::BurnEngine;
use hepar_nets::device::Place;
use hepar_pipeline::{PipelineError, Watch};

use crate::checkpoint::{OwnFolder, State};
use crate::config::TrainConfig;
use crate::dataset::discover;
use crate::error::{DataError, StartError, TrainError};
use crate::learner::Learner;
use crate::loader::{Batch, Batches, prefetch};
use crate::log::Log;
use crate::negatives::false_lesions;
use crate::observe::{Observer, View};
use crate::prepare::{Cache, Material, Storage};
use crate::progress::Progress;
use crate::sample::Sampler;
use crate::split::{Split, unmatched};
use crate::validate::{HeldOut, Score};

/// Steps between two rows of the log.
const LOG_EVERY: u64 = 10;

/// Bytes of prepared scans that stay in memory where nobody asks for more or less.
pub const DEFAULT_MEMORY: u64 = 4 << 30;

/// How a run is watched and stopped.
#[derive(Clone, Default)]
pub struct Control {
    /// Set to stop: the run saves a checkpoint and returns.
    pub cancel: Arc<AtomicBool>,
    /// Minutes after which the run stops, counted from the first step of this session.
    pub minutes: Option<f64>,
    /// Whether to report to standard error.
    pub progress: bool,
    /// Where the network is trained.
    pub place: Place,
    /// Where prepared scans are kept for the next time.
    pub cache: Option<Cache>,
    /// Bytes of prepared scans that stay in memory; the others lie in a temporary file in the run's folder. None: all stay.
    pub memory: Option<u64>,
    /// What runs the network on whole scans, which is validation and the search for hard negatives; none: the network
    /// that is trained, layer by layer.
    pub engine: Option<Arc<dyn Engine>>,
    /// Who is shown each validation.
    pub observer: Option<Arc<dyn Observer>>,
}

/// What a session of training came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Steps that are done, over all sessions.
    pub step: u64,
    /// Whether these are all.
    pub finished: bool,
    /// Running mean of the loss; `None` before the first step.
    pub smoothed_loss: Option<f64>,
    /// Best mean Dice per case on the held-out patients, if any were held out.
    pub best_dice: Option<f64>,
    /// Seconds of training over all sessions, without preparation.
    pub seconds: f64,
}

/// When a run asks whether to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Before it reads a case.
    Preparing,
    /// When so many steps are done.
    After(u64),
    /// Before a forward pass of the validation after so many steps.
    Validating(u64),
}

/// Watches the network look at whole scans.
struct Looking<'a> {
    is_cancelled: &'a IsCancelled<'a>,
    moment: Moment,
}

/// The weights that a run begins with.
#[derive(Debug)]
struct Start {
    weights: Weights,
    /// Of the file's bytes.
    sha256: String,
}

/// Threads that make batches for a GPU at most, eight: each has three batches in memory.
const MOST_LOADERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

/// Answers whether to stop.
type IsCancelled<'a> = dyn Fn(Moment) -> bool + Sync + 'a;

impl Summary {
    fn of(state: &State, config: &TrainConfig) -> Self {
        Self {
            step: state.step,
            finished: is_finished(state, config),
            smoothed_loss: state.smoothed_loss,
            best_dice: state.best,
            seconds: state.seconds,
        }
    }
}

/// Trains a network on the cases in the folders `data`, into the folder `run`.
///
/// When the folder holds a checkpoint, the run goes on from there as if it had never stopped: samples are functions of
/// their index. It returns when all steps are done, the control cancels, or the time is up; each time a checkpoint of
/// the steps that were done is left. Nobody else can train in the folder meanwhile.
///
/// # Errors
/// When configuration or data are wrong, the folder belongs to another run, the training diverges, or a file cannot be
/// written.
pub fn train(config: &TrainConfig, data: &[PathBuf], run: &Path, control: &Control) -> Result<Summary, TrainError> {
    train_until(config, data, run, control, &|_| control.cancel.load(Ordering::Relaxed))
}

/// As [`train`], but `is_cancelled` decides when the run stops, not the flag of `control`.
fn train_until(
    config: &TrainConfig,
    data: &[PathBuf],
    run: &Path,
    control: &Control,
    is_cancelled: &IsCancelled<'_>,
) -> Result<Summary, TrainError> {
    config.check()?;
    let device = control.place.device()?;
    // Phantoms need no folder.
    let cases = if data.is_empty() { Vec::new() } else { discover(data)? };
    let split = Split::new(&cases, config)?.without_unit_grids(config)?;
    let unmatched = unmatched(&cases, config);
    let folder = OwnFolder::open(run)?;
    let cases = split.fingerprint();
    let checkpoint = folder.resume(config, &cases)?;
    let mut state = checkpoint.as_ref().map_or_else(|| State::new(cases), |checkpoint| checkpoint.state.clone());
    if is_finished(&state, config) {
        return Ok(Summary::of(&state, config));
    }
    let is_start_needed = checkpoint.is_none() || config.hard_negatives > 0.0;
    let start = if is_start_needed { starting_weights(config)? } else { None };
    let hash = start.as_ref().map(|start| start.sha256.clone());
    if checkpoint.is_none() {
        state.start = hash;
    } else if hash.is_some() && state.start.is_some() && hash != state.start {
        let path = config.start.clone().unwrap_or_default();
        return Err(TrainError::Start { path, source: StartError::Changed(run.to_owned()) });
    }
    let start = start.map(|start| start.weights);
    let progress = Progress::begin(control.progress, config.steps, state.step);
    for (key, entry) in unmatched {
        progress.say(&format!("{}: {key} names {entry}, which is no case in the folders", config.stage));
    }
    let storage = control.memory.map_or_else(Storage::memory, |bytes| Storage::new(bytes, run));
    let Some((mut material, held_out)) =
        prepare(config, &split, (control.cache.as_ref(), &storage), &progress, is_cancelled)?
    else {
        return Ok(Summary::of(&state, config));
    };
    let session = Session { config, folder, control, is_cancelled, progress, held_out };
    if !session.mine(&mut material, start.as_ref())? {
        return Ok(Summary::of(&state, config));
    }
    let learner = Learner::new(config, device, checkpoint, start, state)?;
    session.run(&material, learner)
}

/// Whether nothing is left to do: all steps are done, statistics and validation with them, or validations have brought
/// nothing better for so long that no more steps are wanted.
fn is_finished(state: &State, config: &TrainConfig) -> bool {
    let is_done = state.step >= config.steps && state.recalibrated && !owes_validation(state, config);
    is_done || config.early_stop > 0 && state.stalled >= config.early_stop
}

/// Whether the step asks for a validation that has not been done.
fn owes_validation(state: &State, config: &TrainConfig) -> bool {
    let is_due = state.step.is_multiple_of(config.validate_every) || state.step >= config.steps;
    config.fold.is_some() && is_due && state.step > state.validated
}

/// Threads that make batches: the processor needs its own for the network, and leaves them to a GPU's.
fn loaders(place: Place) -> NonZeroUsize {
    match place {
        Place::Cpu => NonZeroUsize::MIN,
        Place::Gpu => std::thread::available_parallelism().map_or(NonZeroUsize::MIN, |cores| cores.min(MOST_LOADERS)),
    }
}

/// The weights in the file that the configuration names, if it names one.
fn starting_weights(config: &TrainConfig) -> Result<Option<Start>, TrainError> {
    let Some(path) = &config.start else { return Ok(None) };
    let failed = |source| TrainError::Start { path: path.clone(), source };
    let bytes = std::fs::read(path).map_err(|error| failed(error.into()))?;
    let weights = Weights::from_safetensors(config.network()?, &bytes).map_err(|error| failed(error.into()))?;
    Ok(Some(Start { weights, sha256: sha256(&bytes) }))
}

/// Reads the cases to train on and those that are held out, if any; `None` when cancelled.
fn prepare(
    config: &TrainConfig,
    split: &Split,
    (cache, storage): (Option<&Cache>, &Storage),
    progress: &Progress,
    is_cancelled: &IsCancelled<'_>,
) -> Result<Option<(Material, Option<HeldOut>)>, DataError> {
    let (stage, start) = (config.stage, Instant::now());
    if let Some(left_out) = split.left_out_text() {
        progress.say(&format!("{stage}: cases left out: {left_out}"));
    }
    let (training, held_out) = (split.training.len(), split.validation.len());
    progress.say(&format!("{stage}: preparing {training} cases, {} phantoms, {held_out} held out", config.phantoms));
    let is_cancelled = || is_cancelled(Moment::Preparing);
    let Some(material) = Material::prepare(&split.training, config, cache, storage, &is_cancelled)? else {
        return Ok(None);
    };
    let held_out = match config.fold {
        Some(_) => match HeldOut::read(&split.validation, config, storage, &is_cancelled)? {
            None => return Ok(None),
            held_out => held_out,
        },
        None => None,
    };
    let (memory, seconds) = (material.bytes() / (1 << 20), start.elapsed().as_secs_f64());
    let (file, phantoms) = (material.bytes_in_file() / (1 << 20), material.phantoms.len());
    let file = if file > 0 { format!(" in memory and {file} MiB in a file") } else { String::new() };
    progress.say(&format!("{stage}: {memory} MiB{file} prepared in {seconds:.0} s, {phantoms} phantoms among them"));
    Ok(Some((material, held_out)))
}

/// One call of [`train`] after the data has been prepared.
struct Session<'a> {
    config: &'a TrainConfig,
    folder: OwnFolder,
    control: &'a Control,
    is_cancelled: &'a IsCancelled<'a>,
    progress: Progress,
    held_out: Option<HeldOut>,
}

impl Session<'_> {
    /// Notes the false lesions that the network with the weights `start` finds, where hard negatives are asked for; false
    /// when it was cancelled.
    fn mine(&self, material: &mut Material, start: Option<&Weights>) -> Result<bool, TrainError> {
        let (true, Some(weights)) = (self.config.hard_negatives > 0.0, start) else { return Ok(true) };
        let mut network = self.network(weights)?;
        let watch = Looking { is_cancelled: self.is_cancelled, moment: Moment::Preparing };
        let mut count = 0;
        for case in &mut material.real {
            let found = match false_lesions(case, self.config, network.as_mut(), &watch) {
                Err(TrainError::Validation(PipelineError::Cancelled)) => return Ok(false),
                found => found?,
            };
            count += found.len();
            if let Some(liver) = &mut case.liver {
                liver.false_lesions = found;
            }
        }
        self.progress.say(&format!("{}: {count} false lesions to learn from", self.config.stage));
        Ok(true)
    }

    /// The network with these weights, for whole scans.
    fn network(&self, weights: &Weights) -> Result<Box<dyn Network>, TrainError> {
        let stage = self.config.stage;
        let failed = |source| TrainError::Validation(PipelineError::Engine { stage, source });
        match &self.control.engine {
            Some(engine) => engine.load(weights).map_err(failed),
            None => BurnEngine::open(self.control.place)?.load(weights).map_err(failed),
        }
    }

    fn run(&self, material: &Material, learner: Learner) -> Result<Summary, TrainError> {
        let sampler = Sampler::new(self.config, material)?;
        self.folder.begin(self.config)?;
        std::thread::scope(|scope| {
            // Behind those of the steps come the batches for the statistics.
            let done = learner.state.step;
            // A run that has gone further than it should now ends where it is.
            let steps = [done, self.config.steps.max(done) + self.config.recalibrate];
            let [first, end] = steps.map(|step| step * self.config.accumulate as u64);
            let make = |number| Batch::make(&sampler, number, self.config.batch);
            let batches = prefetch(scope, loaders(self.control.place), first..end, make);
            self.learn(learner, batches)
        })
    }

    fn learn(&self, mut learner: Learner, mut batches: Batches) -> Result<Summary, TrainError> {
        let (start, before, first) = (Instant::now(), learner.state.seconds, learner.state.step);
        // The row of a step whose validation or statistics were cut off is written again, with its score.
        let owes_statistics = first >= self.config.steps && !learner.state.recalibrated;
        let is_row_open =
            learner.state.latest.is_some() && (owes_statistics || owes_validation(&learner.state, self.config));
        let mut logged = if is_row_open { first - 1 } else { first };
        let mut log = Log::open(&self.folder.log(), logged)?;
        let mut is_saved = true;
        loop {
            let step = learner.state.step;
            if step >= self.config.steps && !learner.state.recalibrated && !(self.is_cancelled)(Moment::After(step)) {
                if !is_saved {
                    // Where a batch fails, the statistics are of no use; what was learned is kept.
                    learner.save(&self.folder)?;
                }
                learner.recalibrate(self.config, &mut batches)?;
                is_saved = false;
            }
            let is_due = owes_validation(&learner.state, self.config);
            let validation = if is_due { self.validate(&mut learner) } else { Ok(None) };
            if validation.is_err() && !is_saved {
                learner.save(&self.folder)?;
            }
            let validation = validation?;
            is_saved &= validation.is_none();
            let (score, views) = validation.unzip();
            let is_row_due = step > logged && (is_due || step.is_multiple_of(LOG_EVERY));
            if let Some(row) = learner.row(score).filter(|_| is_row_due) {
                log.write(&row)?;
                self.progress.row(&row, start.elapsed().div_f64((step - first).max(1) as f64));
                logged = step;
            }
            let shown = self.control.observer.as_ref().zip(views);
            let shown = shown.map_or(Ok(()), |(observer, views)| observer.validated(step, &views));
            let is_over = step >= self.config.steps
                || is_finished(&learner.state, self.config)
                || (self.is_cancelled)(Moment::After(step))
                || self.is_late(start.elapsed());
            if !is_saved && (is_over || shown.is_err() || step.is_multiple_of(self.config.checkpoint_every)) {
                learner.save(&self.folder)?;
                is_saved = true;
            }
            shown.map_err(TrainError::Observer)?;
            if is_over {
                self.progress.end();
                return Ok(Summary::of(&learner.state, self.config));
            }
            let learned = learner.step(self.config, (0..self.config.accumulate).map(|_| batches.next()));
            if matches!(learned, Err(TrainError::Loader(_) | TrainError::Data(_))) && !is_saved {
                // Nothing was learned; what was learned before is kept.
                learner.save(&self.folder)?;
            }
            learned?;
            is_saved = false;
            learner.state.seconds = before + start.elapsed().as_secs_f64();
            self.progress.step(learner.state.step, learner.state.smoothed_loss.unwrap_or_default());
        }
    }

    /// Validates and takes note of it; `None` when nothing is held out or it was cancelled.
    fn validate(&self, learner: &mut Learner) -> Result<Option<(Score, Vec<View>)>, TrainError> {
        let Some(held_out) = &self.held_out else { return Ok(None) };
        let step = learner.state.step;
        let watch = Looking { is_cancelled: self.is_cancelled, moment: Moment::Validating(step) };
        let mut network = self.network(&learner.weights()?)?;
        let (score, views) = match held_out.score(self.config, network.as_mut(), &watch) {
            Err(TrainError::Validation(PipelineError::Cancelled)) => return Ok(None),
            score => score?,
        };
        let improved = learner.state.best.is_none_or(|best| score.dice_per_case > best);
        learner.state.validated = step;
        learner.state.stalled = if improved { 0 } else { learner.state.stalled + 1 };
        learner.state.plateau.note(self.config.schedule, improved);
        if improved {
            learner.state.best = Some(score.dice_per_case);
            self.folder.save_best(self.config, &learner.state, &learner.weights()?)?;
        }
        Ok(Some((score, views)))
    }

    fn is_late(&self, elapsed: Duration) -> bool {
        self.control.minutes.is_some_and(|minutes| elapsed.as_secs_f64() >= minutes * 60.0)
    }
}

impl Watch for Looking<'_> {
    fn begin(&self, _: StageName, _: usize) {}

    fn step(&self) {}

    fn end(&self) {}

    fn is_cancelled(&self) -> bool {
        (self.is_cancelled)(self.moment)
    }
}

#[cfg(test)]
mod tests;
