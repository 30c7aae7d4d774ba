//! The training loop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use hepar_model::stage::StageName;
use hepar_model::weights::Weights;
use hepar_nets::RaUnet;
use hepar_nets::loss::soft_dice;
use hepar_pipeline::{PipelineError, Watch};

use crate::checkpoint::{Checkpoint, RunFolder, State};
use crate::config::TrainConfig;
use crate::dataset::discover;
use crate::error::TrainError;
use crate::loader::{Batch, prefetch};
use crate::log::{Log, Row};
use crate::prepare::Material;
use crate::progress::Progress;
use crate::sample::Sampler;
use crate::schedule::learning_rate;
use crate::split::Split;
use crate::validate::{HeldOut, Score};

/// Steps between two rows of the log.
const LOG_EVERY: u64 = 10;

/// Share of the newest loss in the running mean.
const SMOOTHING: f64 = 0.02;

/// How a run is watched and stopped.
#[derive(Debug, Clone, Default)]
pub struct Control {
    /// Set to stop: the run saves a checkpoint and returns.
    pub cancel: Arc<AtomicBool>,
    /// Minutes after which the run stops, counted from the first step of this session.
    pub minutes: Option<f64>,
    /// Whether to report to standard error.
    pub progress: bool,
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

/// Trains a network on the cases in the folders `data`, into the folder `run`.
///
/// When the folder holds a checkpoint, the run goes on from there as if it had never stopped: samples are functions of
/// their index. It returns when all steps are done, the control cancels, or the time is up; each time a checkpoint is
/// left.
///
/// # Errors
/// When configuration or data are wrong, the folder belongs to another run, the training diverges, or a file cannot be
/// written.
pub fn train(config: &TrainConfig, data: &[PathBuf], run: &Path, control: &Control) -> Result<Summary, TrainError> {
    config.check()?;
    let split = Split::new(&discover(data)?, config)?;
    let folder = RunFolder::open(run)?;
    let cases = split.fingerprint();
    let checkpoint = folder.resume(config, &cases)?;
    let progress = Progress::begin(control.progress, config.steps, checkpoint.as_ref().map_or(0, |c| c.state.step));
    let (training, held_out) = (split.training.len(), split.validation.len());
    let stage = config.stage;
    progress.say(&format!("{stage}: preparing {training} cases, {} phantoms, {held_out} held out", config.phantoms));
    let start = Instant::now();
    let material = Material::prepare(&split.training, config)?;
    let held_out = match config.fold {
        Some(_) => Some(HeldOut::read(&split.validation, config)?),
        None => None,
    };
    let (megabytes, seconds) = (material.bytes() / (1 << 20), start.elapsed().as_secs_f64());
    let phantoms = material.phantoms.len();
    progress.say(&format!("{stage}: {megabytes} MiB prepared in {seconds:.0} s, {phantoms} phantoms among them"));
    let state = State::new(cases);
    Session { config, folder, control, progress, held_out }.run(&material, checkpoint, state)
}

/// One call of [`train`] after the data has been prepared.
struct Session<'a> {
    config: &'a TrainConfig,
    folder: RunFolder,
    control: &'a Control,
    progress: Progress,
    held_out: Option<HeldOut>,
}

/// What changes from step to step.
struct Learner {
    network: RaUnet,
    optimizer: ModuleOptimizer,
    state: State,
    /// Loss and learning rate of the step that was done last in this session.
    latest: Option<(f32, f64)>,
}

impl Session<'_> {
    fn run(&self, material: &Material, checkpoint: Option<Checkpoint>, begin: State) -> Result<Summary, TrainError> {
        let sampler = Sampler::new(self.config, material)?;
        let learner = Learner::new(self.config, checkpoint, begin)?;
        self.folder.write_config(self.config)?;
        std::thread::scope(|scope| {
            let steps = learner.state.step..self.config.steps;
            let batches = prefetch(scope, &sampler, steps, self.config.batch);
            self.learn(learner, &batches)
        })
    }

    fn learn(&self, mut learner: Learner, batches: &Receiver<Batch>) -> Result<Summary, TrainError> {
        let (start, before, first) = (Instant::now(), learner.state.seconds, learner.state.step);
        let mut log = Log::open(&self.folder.log(), first)?;
        let mut saved = first;
        loop {
            let score = self.validate_if_due(&mut learner)?;
            let step = learner.state.step;
            if let Some(row) = learner.row(score).filter(|_| step.is_multiple_of(LOG_EVERY) || score.is_some()) {
                log.write(&row)?;
                self.progress.row(&row, start.elapsed().div_f64((step - first).max(1) as f64));
            }
            let is_over = step >= self.config.steps || self.is_cancelled() || self.is_late(start.elapsed());
            if saved != step && (is_over || step.is_multiple_of(self.config.checkpoint_every)) {
                learner.save(&self.folder)?;
                saved = step;
            }
            if is_over {
                self.progress.end();
                return Ok(learner.summary(self.config));
            }
            learner.step(self.config, batches.recv().map_err(|_| TrainError::Loader)?)?;
            learner.state.seconds = before + start.elapsed().as_secs_f64();
            self.progress.step(learner.state.step, learner.state.smoothed_loss.unwrap_or_default());
        }
    }

    /// Validates when the step asks for it and it has not been done; `None` also when it was cancelled.
    fn validate_if_due(&self, learner: &mut Learner) -> Result<Option<Score>, TrainError> {
        let step = learner.state.step;
        let is_due = step.is_multiple_of(self.config.validate_every) || step == self.config.steps;
        let Some(held_out) = self.held_out.as_ref().filter(|_| is_due && step > learner.state.validated) else {
            return Ok(None);
        };
        let score = match held_out.score(self.config, &mut learner.network.valid(), self) {
            Err(TrainError::Validation(PipelineError::Cancelled)) => return Ok(None),
            score => score?,
        };
        let improved = learner.state.best.is_none_or(|best| score.dice_per_case > best);
        learner.state.validated = step;
        learner.state.plateau.note(self.config.schedule, improved);
        if improved {
            learner.state.best = Some(score.dice_per_case);
            self.folder.save_best(&learner.state, &learner.weights()?)?;
        }
        Ok(Some(score))
    }

    fn is_late(&self, elapsed: Duration) -> bool {
        self.control.minutes.is_some_and(|minutes| elapsed.as_secs_f64() >= minutes * 60.0)
    }
}

impl Watch for Session<'_> {
    fn begin(&self, _: StageName, _: usize) {}

    fn step(&self) {}

    fn end(&self) {}

    fn is_cancelled(&self) -> bool {
        self.control.cancel.load(Ordering::Relaxed)
    }
}

impl Learner {
    /// The learner of a checkpoint, or an untrained one in the state `begin`.
    fn new(config: &TrainConfig, checkpoint: Option<Checkpoint>, begin: State) -> Result<Self, TrainError> {
        let device = Device::default().autodiff();
        let optimizer = AdamConfig::new().with_beta_1(0.9).with_beta_2(0.999).with_epsilon(1e-8).init();
        let Some(checkpoint) = checkpoint else {
            let network = RaUnet::untrained(config.network()?, config.seed, &device);
            return Ok(Self { network, optimizer, state: begin, latest: None });
        };
        let path = &checkpoint.optimizer;
        let optimizer = optimizer.load(path).map_err(|e| crate::checkpoint::problem(path, &format!("{e:?}")))?;
        Ok(Self {
            network: RaUnet::new(&checkpoint.weights, &device),
            optimizer,
            state: checkpoint.state,
            latest: None,
        })
    }

    /// Learns from one batch.
    fn step(&mut self, config: &TrainConfig, batch: Batch) -> Result<(), TrainError> {
        let device = Device::default().autodiff();
        let [depth, height, width] = config.patch;
        let shape = [config.batch, 1, depth, height, width];
        let tensor = |values: Vec<f32>| Tensor::<5>::from_data(TensorData::new(values, shape), &device);
        let probabilities = self.network.forward(tensor(batch.input));
        let loss = soft_dice(probabilities, tensor(batch.target));
        let value = loss.clone().into_data().try_to_vec::<f32>().ok().and_then(|v| v.first().copied());
        let value = value.unwrap_or(f32::NAN);
        let step = self.state.step;
        if !value.is_finite() {
            return Err(TrainError::Diverged { step, samples: batch.samples, loss: value });
        }
        let rate = learning_rate(config, self.state.plateau, step);
        let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
        self.network = self.optimizer.step(rate, self.network.clone(), gradients);
        let smoothed =
            self.state.smoothed_loss.map_or(f64::from(value), |mean| mean + SMOOTHING * (f64::from(value) - mean));
        self.state.smoothed_loss = Some(smoothed);
        self.state.step = step + 1;
        self.latest = Some((value, rate));
        Ok(())
    }

    /// What the log says of the last step; `None` before the first of this session.
    fn row(&self, score: Option<Score>) -> Option<Row> {
        let (loss, learning_rate) = self.latest?;
        let State { step, smoothed_loss, seconds, .. } = self.state;
        Some(Row { step, loss, smoothed_loss: smoothed_loss?, learning_rate, score, seconds })
    }

    fn save(&self, folder: &RunFolder) -> Result<(), TrainError> {
        let optimizer = |path: &Path| self.optimizer.save(path).map_err(|e| format!("{e:?}"));
        folder.save(&self.state, &self.weights()?, optimizer)
    }

    fn weights(&self) -> Result<Weights, TrainError> {
        self.network.weights().map_err(|source| TrainError::DivergedWeights { step: self.state.step, source })
    }

    fn summary(&self, config: &TrainConfig) -> Summary {
        Summary {
            step: self.state.step,
            finished: self.state.step >= config.steps,
            smoothed_loss: self.state.smoothed_loss,
            best_dice: self.state.best,
            seconds: self.state.seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Augmentation, Schedule};
    use hepar_formats::{GridHeader, write_labels, write_scan};
    use hepar_model::stage::Grid;
    use hepar_phantom::PhantomSpec;

    /// A folder with small phantoms as a data set of `count` patients.
    fn data(count: u64) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for seed in 0..count {
            let spec = PhantomSpec { seed, shape: [40, 80, 80], spacing: [6.0, 4.8, 4.8], ..PhantomSpec::default() };
            let phantom = spec.build().unwrap();
            let path = |what: &str| folder.path().join(format!("case{seed}_{what}.nii.gz"));
            let grid = GridHeader::from_geometry(phantom.ct.geometry());
            write_scan(&path("ct"), &phantom.ct, &grid).unwrap();
            write_labels(&path("label"), &phantom.labels, &grid).unwrap();
        }
        folder
    }

    fn tiny(stage: StageName) -> TrainConfig {
        let config = TrainConfig {
            widths: [4; 6],
            batch: 2,
            steps: 6,
            checkpoint_every: 2,
            phantoms: 0,
            phantom_share: 0.0,
            ..TrainConfig::preset(stage)
        };
        match stage {
            StageName::Localizer => {
                TrainConfig { patch: [1, 64, 64], grid: Grid::ResizedInPlane { size: [64, 64] }, ..config }
            }
            StageName::Liver | StageName::Tumour => {
                TrainConfig { patch: [32, 64, 64], grid: Grid::Spacing { mm: [6.0, 4.0, 4.0] }, ..config }
            }
        }
    }

    fn quiet() -> Control {
        Control::default()
    }

    fn run(config: &TrainConfig, data: &Path, run: &Path) -> Result<Summary, TrainError> {
        train(config, &[data.to_owned()], run, &quiet())
    }

    fn last_weights(run: &Path) -> Vec<u8> {
        std::fs::read(run.join("last/weights.safetensors")).unwrap()
    }

    #[test]
    fn a_resumed_run_ends_with_the_same_bits_as_an_uninterrupted_one() {
        let (data, runs) = (data(2), tempfile::tempdir().unwrap());
        let schedule = Schedule::Constant;
        let config = TrainConfig { schedule, ..tiny(StageName::Liver) };
        let (whole, parts) = (runs.path().join("whole"), runs.path().join("parts"));
        assert!(run(&config, data.path(), &whole).unwrap().finished);
        run(&TrainConfig { steps: 3, ..config.clone() }, data.path(), &parts).unwrap();
        let after_three = last_weights(&parts);
        assert_eq!(run(&config, data.path(), &parts).unwrap().step, 6);
        assert!(last_weights(&whole) != after_three, "the last three steps change something");
        assert!(last_weights(&whole) == last_weights(&parts));
    }

    #[test]
    fn every_stage_trains_validates_and_can_be_exported() {
        let (data, runs) = (data(4), tempfile::tempdir().unwrap());
        for stage in StageName::ALL {
            let config = TrainConfig { folds: 2, fold: Some(0), steps: 3, ..tiny(stage) };
            let folder = runs.path().join(stage.as_str());
            let summary = run(&config, data.path(), &folder).unwrap();
            assert!(summary.best_dice.is_some_and(|dice| (0.0..=1.0).contains(&dice)), "{summary:?}");
            let exported = crate::export_stage(&folder).unwrap();
            let weights =
                hepar_model::weights::Weights::from_safetensors(exported.stage.config().unwrap(), &exported.bytes);
            assert_eq!(weights.unwrap().config(), &config.network().unwrap());
            assert!(folder.join("best/score.json").exists());
        }
    }

    #[test]
    fn a_cancelled_run_leaves_a_checkpoint_and_says_so() {
        let (data, runs) = (data(1), tempfile::tempdir().unwrap());
        let control = Control { minutes: Some(0.0), ..Control::default() };
        let config = tiny(StageName::Localizer);
        let summary = train(&config, &[data.path().to_owned()], runs.path(), &control).unwrap();
        assert_eq!((summary.step, summary.finished), (0, false));
        let control = Control { minutes: Some(1e-9), ..Control::default() };
        control.cancel.store(true, Ordering::Relaxed);
        assert_eq!(train(&config, &[data.path().to_owned()], runs.path(), &control).unwrap().step, 0);
        assert!(run(&config, data.path(), runs.path()).unwrap().finished);
        assert!(runs.path().join("last/state.json").exists());
    }

    #[test]
    fn a_loss_that_is_no_number_ends_the_run_with_the_step_and_samples() {
        let (data, runs) = (data(1), tempfile::tempdir().unwrap());
        let config = TrainConfig { learning_rate: 1e38, schedule: Schedule::Constant, ..tiny(StageName::Localizer) };
        let error = run(&config, data.path(), runs.path()).unwrap_err();
        assert!(matches!(error, TrainError::Diverged { .. } | TrainError::DivergedWeights { .. }), "{error}");
        assert!(error.to_string().contains("lower the learning rate"), "{error}");
    }

    #[test]
    fn a_run_folder_of_another_configuration_or_other_data_is_refused() {
        let (data1, data2, runs) = (data(1), data(2), tempfile::tempdir().unwrap());
        let config = TrainConfig { steps: 1, ..tiny(StageName::Localizer) };
        run(&config, data1.path(), runs.path()).unwrap();
        let other = TrainConfig { augmentation: Augmentation::NONE, ..config.clone() };
        let error = run(&other, data1.path(), runs.path()).unwrap_err().to_string();
        assert!(error.contains("augmentation"), "{error}");
        assert!(matches!(run(&config, data2.path(), runs.path()), Err(TrainError::OtherData(_))));
    }

    #[test]
    fn a_network_learns_where_the_liver_of_a_phantom_is() {
        let (data, runs) = (data(1), tempfile::tempdir().unwrap());
        let config = TrainConfig {
            steps: 120,
            batch: 4,
            learning_rate: 3e-3,
            augmentation: Augmentation::NONE,
            schedule: Schedule::Constant,
            widths: [4, 4, 8, 8, 8, 8],
            ..tiny(StageName::Localizer)
        };
        run(&config, data.path(), runs.path()).unwrap();
        let log = std::fs::read_to_string(runs.path().join("log.csv")).unwrap();
        let losses: Vec<f64> = log.lines().skip(1).map(|l| l.split(',').nth(2).unwrap().parse().unwrap()).collect();
        assert!(losses[11] < losses[0] - 0.1, "{losses:?}");
    }
}
