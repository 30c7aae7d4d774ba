//! Training: one network, or all three and the model of them, once or for every fold of the patients.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use hepar_engine::CpuEngine;
use hepar_model::bundle::CARD_FILE;
use hepar_model::engine::Engine;
use hepar_model::stage::StageName;
use hepar_nets::device::Place;
use hepar_train::{Cache, Control, Observer, Split, Summary, TrainConfig, TrainError, discover, train};

use crate::assemble::{Description, Runs, assemble, is_model_of};
use crate::error::{Error, ErrorKind};
use crate::output::plan_new_file;
use crate::training_page::{PageWriter, check_training_page, write_training_page};
use crate::watch::Interrupt;

/// File of the configuration in a run's folder.
pub const RUN_CONFIG: &str = "config.toml";

/// Folder of the model among the runs of all three networks.
pub const MODEL_FOLDER: &str = "model";

/// Networks that are trained one after the other: one, or the three of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Networks {
    /// Folder of the run; of three networks, the folder that their runs are in.
    pub root: PathBuf,
    /// What is trained.
    pub configs: Vec<TrainConfig>,
}

/// Networks that can be trained.
#[derive(Debug)]
pub struct Training {
    /// Those of one model, or of the models of all folds.
    networks: Vec<Networks>,
    data: Vec<PathBuf>,
    /// Folder of the whole training.
    root: PathBuf,
}

/// How a training is to be done, none of which changes what comes out.
#[derive(Debug)]
pub struct Settings {
    /// Minutes after which it stops.
    pub minutes: Option<f64>,
    /// Where the networks are trained.
    pub place: Place,
    /// Where prepared scans are kept.
    pub cache: Option<Cache>,
    /// Bytes of prepared scans that stay in memory.
    pub memory: u64,
    /// Whether progress is shown on standard error.
    pub progress: bool,
}

/// What a training has come to.
#[derive(Debug)]
pub enum Event<'a> {
    /// The session of a network has ended.
    Trained {
        /// Folder of its run.
        run: &'a Path,
        /// What was trained.
        config: &'a TrainConfig,
        /// How far it is.
        summary: &'a Summary,
    },
    /// The model in the folder is that of the networks.
    Assembled(&'a Path),
}

impl Networks {
    /// Whether these are the networks of a model.
    pub fn is_model(&self) -> bool {
        self.configs.len() == StageName::ALL.len()
    }

    /// Folder of the run of one of them.
    pub fn run_of(&self, stage: StageName) -> PathBuf {
        run_folder(&self.root, stage, self.is_model())
    }
}

impl Training {
    /// Plans to train networks on the cases in the folders `data`: those of one model or one network into the folder
    /// `root`, or those of every fold, each into a folder in `root`.
    ///
    /// # Errors
    /// What is wrong with the last network is said before the first one takes its hours: folds that are not trained alike,
    /// too few cases, a file or a model in the way.
    pub fn plan(networks: Vec<Networks>, data: Vec<PathBuf>, root: PathBuf) -> Result<Self, Error> {
        if networks.len() > 1 {
            check_folds(&networks)?;
        }
        let training = Self { networks, data, root };
        for (networks, config) in training.all() {
            check_training_page(&networks.run_of(config.stage))?;
        }
        training.check_cases()?;
        training.check_models()?;
        Ok(training)
    }

    /// Trains one network after the other, and makes the model of three, and of the models of all folds; false when it
    /// was stopped before that.
    ///
    /// # Errors
    /// When a network cannot be trained, or a file cannot be written.
    pub fn run(
        &self,
        settings: &Settings,
        interrupt: &Interrupt,
        tell: &mut dyn FnMut(&Event<'_>),
    ) -> Result<bool, Error> {
        let started = Instant::now();
        for (networks, config) in self.all() {
            let left = settings.minutes.map(|minutes| (minutes - started.elapsed().as_secs_f64() / 60.0).max(0.0));
            if !self.train(config, &networks.run_of(config.stage), settings, left, interrupt, tell)? {
                return Ok(false);
            }
        }
        let models: Vec<&Networks> = self.networks.iter().filter(|networks| networks.is_model()).collect();
        models.iter().try_for_each(|model| self.assemble(&model.root, &[model], tell))?;
        if models.len() > 1 {
            self.assemble(&self.root, &models, tell)?;
        }
        Ok(true)
    }

    /// Every network, with those that it is trained beside.
    fn all(&self) -> impl Iterator<Item = (&Networks, &TrainConfig)> {
        self.networks.iter().flat_map(|networks| networks.configs.iter().map(move |config| (networks, config)))
    }

    /// Checks that each network has cases to train on and, where a fold is held out, cases to validate it on.
    fn check_cases(&self) -> Result<(), Error> {
        let wrong = |stage: StageName| move |error| cannot_train(stage, TrainError::Data(error));
        let first = self.all().next().map_or(StageName::Liver, |(_, config)| config.stage);
        let cases = if self.data.is_empty() { Vec::new() } else { discover(&self.data).map_err(wrong(first))? };
        for (_, config) in self.all() {
            let split = Split::new(&cases, config).and_then(|split| split.without_unit_grids(config));
            split.map_err(wrong(config.stage))?;
        }
        Ok(())
    }

    /// Checks that no model is in the way of the one that the networks will be once they have been trained longer.
    fn check_models(&self) -> Result<(), Error> {
        let has_all_steps = |networks: &Networks, config: &TrainConfig| {
            let before = read_config(&networks.run_of(config.stage).join(RUN_CONFIG), config.stage);
            before.is_ok_and(|before| before.steps >= config.steps)
        };
        let goes_on = |networks: &&Networks| !networks.configs.iter().all(|config| has_all_steps(networks, config));
        let models = self.networks.iter().filter(|networks| networks.is_model());
        let longer: Vec<&Path> = models.filter(goes_on).map(|networks| &*networks.root).collect();
        let ensemble = (self.networks.len() > 1 && !longer.is_empty()).then_some(&*self.root);
        longer.into_iter().chain(ensemble).try_for_each(|root| check_model_folder(&root.join(MODEL_FOLDER)))
    }

    /// Trains a network in the folder `run` for so many `minutes` at most; false when it has not come to its end.
    fn train(
        &self,
        config: &TrainConfig,
        run: &Path,
        settings: &Settings,
        minutes: Option<f64>,
        interrupt: &Interrupt,
        tell: &mut dyn FnMut(&Event<'_>),
    ) -> Result<bool, Error> {
        let engine: Option<Arc<dyn Engine>> = match settings.place {
            Place::Cpu => Some(Arc::new(CpuEngine)),
            Place::Gpu => None,
        };
        let control = Control {
            cancel: interrupt.flag(),
            minutes,
            progress: settings.progress,
            place: settings.place,
            cache: settings.cache.clone(),
            memory: Some(settings.memory),
            engine,
            observer: Some(Arc::new(PageWriter { run: run.to_owned(), config: config.clone() }) as Arc<dyn Observer>),
        };
        let trained = train(config, &self.data, run, &control);
        if let Err(TrainError::Diverged { .. } | TrainError::DivergedWeights { .. }) = trained {
            // What led to it is in the curves; that there is no page would not be the reason.
            drop(write_training_page(run, config, None));
        }
        let summary = trained.map_err(|source| cannot_train(config.stage, source))?;
        tell(&Event::Trained { run, config, summary: &summary });
        write_training_page(run, config, Some(&summary))?;
        Ok(summary.finished)
    }

    /// Makes a model in `root` of all networks of `parts`, unless there is one with the same weights.
    fn assemble(&self, root: &Path, parts: &[&Networks], tell: &mut dyn FnMut(&Event<'_>)) -> Result<(), Error> {
        let folder = root.join(MODEL_FOLDER);
        let [localizer, liver, tumour] =
            StageName::ALL.map(|stage| parts.iter().map(|networks| networks.run_of(stage)).collect());
        let runs = Runs { localizer, liver, tumour };
        if !folder.join(CARD_FILE).exists() {
            assemble(&runs, Description::of_training(root, &self.data), &folder)?;
        } else if !is_model_of(&runs, &folder)? {
            return Err(ErrorKind::OtherModel(folder).into());
        }
        tell(&Event::Assembled(&folder));
        Ok(())
    }
}

/// Folder of the run of a network in `root`: a folder of its own where it `is_of_model`, `root` itself where it is alone.
pub fn run_folder(root: &Path, stage: StageName, is_of_model: bool) -> PathBuf {
    if is_of_model { root.join(stage.as_str()) } else { root.to_owned() }
}

/// Folder of a fold's runs among those of all.
pub fn fold_folder(fold: usize) -> String {
    format!("fold-{fold}")
}

/// The configuration in a file, for the stage where the file names none.
///
/// # Errors
/// When it cannot be read, or is none.
pub fn read_config(path: &Path, stage: StageName) -> Result<TrainConfig, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| ErrorKind::Input { path: path.to_owned(), source })?;
    let failed = |error| ErrorKind::Train { doing: format!("use {}", path.display()), source: TrainError::from(error) };
    Ok(TrainConfig::from_toml(stage, &text).map_err(failed)?)
}

/// The error that the network of a stage cannot be trained.
pub fn cannot_train(stage: StageName, source: TrainError) -> Error {
    ErrorKind::Train { doing: format!("train the {stage} network"), source }.into()
}

/// Checks that a model can be put into a folder: there is none, nor files in its way.
fn check_model_folder(folder: &Path) -> Result<(), Error> {
    if folder.join(CARD_FILE).exists() {
        return Err(ErrorKind::OtherModel(folder.to_owned()).into());
    }
    for stage in StageName::ALL {
        plan_new_file(&folder.join(format!("{stage}.safetensors")))?;
    }
    Ok(())
}

/// Checks that the networks of all folds are trained alike, each from the beginning.
fn check_folds(folds: &[Networks]) -> Result<(), Error> {
    let but_the_fold = |config: &TrainConfig| TrainConfig { fold: None, ..config.clone() };
    for Networks { root, configs } in folds {
        for (config, first) in configs.iter().zip(&folds[0].configs) {
            if config.start.is_some() {
                let why = "the weights have seen the patients of other folds; train the folds one by one";
                return Err(ErrorKind::Folds(format!("begin every fold from the same start: {why}")).into());
            }
            if but_the_fold(config) != but_the_fold(first) || config.folds != configs[0].folds {
                let (one, other) = (folds[0].root.display(), root.display());
                return Err(ErrorKind::Folds(format!(
                    "train the folds alike: {one} and {other} differ in more than the fold; give the options that they were \
                     begun with"
                ))
                .into());
            }
        }
    }
    Ok(())
}
