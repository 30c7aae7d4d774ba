mod folds;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, ValueEnum};
use hepar::assemble::{Description, Runs, assemble, is_model_of};
use hepar::training_page::{PageWriter, check_training_page, write_training_page};
use hepar::watch::Interrupt;
use hepar::{CpuEngine, ErrorKind, exit};
use hepar_model::engine::Engine;
use hepar_model::stage::StageName;
use hepar_nets::device::Place;
use hepar_train::{Cache, Control, DEFAULT_MEMORY, Observer, Split, Summary, TrainConfig, TrainError, discover, train};

use self::folds::{Held, Model, check_folds, fold_folder, held};
use super::engine::DeviceArguments;
use super::{Failure, interrupt, print};

/// Bytes of a GiB.
const GIB: f64 = (1 << 30) as f64;

/// File of the configuration in a run's folder.
const RUN_CONFIG: &str = "config.toml";

/// Folder of the model among the runs of all three networks.
const MODEL_FOLDER: &str = "model";

const EXAMPLES: &str = "\
Examples:
  hepar train liver --data lits --data ircad --run runs/liver
  hepar train liver --data lits --run runs/liver --steps 8000    goes on with the same run
  hepar train tumour --data lits --run runs/fold0 --fold 0       with a fifth of the patients held out
  hepar train all --data lits --run runs/mine                    all three, and the model of them: runs/mine/model
  hepar train all --data lits --run runs/five --fold all         five times, a fifth held out each time, and the ensemble
  hepar train all --preset smoke --run smoke                     shows in a minute that everything works

A run that was stopped, by Ctrl-C too, goes on where it was with the same command. Three runs become
a model by `hepar model assemble` too.";

/// Train one of the three networks; a stopped run goes on with the same command
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Which network
    stage: Trained,
    /// Folder of labelled scans, searched as LiTS, the Medical Decathlon and X_ct/X_label are laid out; repeatable.
    /// The preset smoke needs none
    #[arg(long, value_name = "DIR", num_args = 1..)]
    data: Vec<PathBuf>,
    /// Folder of the run; of all three, with one in it for each
    #[arg(long, value_name = "RUN")]
    run: PathBuf,
    /// What differs from the preset, as TOML; for all, a folder with a file for each network, as liver.toml
    /// [default: the run's own, if there is one]
    #[arg(long, value_name = "FILE.toml", conflicts_with = "preset")]
    config: Option<PathBuf>,
    /// Configuration to start from
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// Steps in all
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Stop after so many minutes
    #[arg(long, value_name = "M", value_parser = positive)]
    minutes: Option<f64>,
    /// Fold of patients that is held out, from 0; all: each in its turn, in RUN/fold-0 and so on, and with all three
    /// networks the models of all folds as one, RUN/model
    #[arg(long, value_name = "I|all", value_parser = held)]
    fold: Option<Held>,
    /// Into how many folds patients are divided
    #[arg(long, value_name = "K")]
    folds: Option<usize>,
    /// From which everything random is drawn
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Folder in which prepared scans are kept, so that the next training begins at once
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// GiB of prepared scans that stay in memory; what is beyond lies in a temporary file in the folder of the run
    #[arg(long, value_name = "GIB", value_parser = positive, default_value_t = DEFAULT_MEMORY as f64 / GIB)]
    memory: f64,
    #[command(flatten)]
    device: DeviceArguments,
    /// Show no progress and no summary
    #[arg(short, long)]
    quiet: bool,
}

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Trained {
    /// Finds the liver's box in slices
    Localizer,
    /// Segments the liver in its box
    Liver,
    /// Segments tumours in the liver
    Tumour,
    /// All three, one after the other, and a model of them
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// Narrow networks that a few processor cores can train
    Standard,
    /// The networks of the model in the program, from the beginning in one run each: some seven hours of one processor core
    Shipped,
    /// The article's
    Article,
    /// The smallest networks for two steps on phantoms: shows that everything works, and teaches nothing
    Smoke,
}

impl Trained {
    fn stages(self) -> &'static [StageName] {
        match self {
            Self::Localizer => &[StageName::Localizer],
            Self::Liver => &[StageName::Liver],
            Self::Tumour => &[StageName::Tumour],
            Self::All => &StageName::ALL,
        }
    }
}

impl Arguments {
    pub fn run(self) -> Result<u8, Failure> {
        // What is wrong with the last one is said before the first one takes its hours.
        let models = self.models()?;
        for Model { root, configs } in &models {
            configs.iter().try_for_each(|config| check_training_page(&self.run_of(root, config.stage)))?;
        }
        self.check_cases(&models)?;
        self.check_models(&models)?;
        let (interrupt, started) = (interrupt()?, Instant::now());
        for Model { root, configs } in &models {
            for config in configs {
                if !self.train(config, &self.run_of(root, config.stage), &interrupt, started)? {
                    return Ok(code(&interrupt));
                }
            }
        }
        if self.stage == Trained::All {
            let roots: Vec<PathBuf> = models.into_iter().map(|model| model.root).collect();
            roots.iter().try_for_each(|root| self.assemble(root, std::slice::from_ref(root)))?;
            if roots.len() > 1 {
                self.assemble(&self.run, &roots)?;
            }
        }
        Ok(exit::DONE)
    }

    /// Checks that each network has cases to train on and, where a fold is held out, cases to validate it on.
    fn check_cases(&self, models: &[Model]) -> Result<(), Failure> {
        let wrong = |stage: StageName| {
            move |error| ErrorKind::Train {
                doing: format!("train the {stage} network"),
                source: TrainError::Data(error),
            }
        };
        let first =
            models.iter().flat_map(|model| &model.configs).next().map_or(StageName::Liver, |config| config.stage);
        let cases = if self.data.is_empty() { Vec::new() } else { discover(&self.data).map_err(wrong(first))? };
        for config in models.iter().flat_map(|model| &model.configs) {
            Split::new(&cases, config)
                .and_then(|split| split.without_unit_grids(config))
                .map_err(wrong(config.stage))?;
        }
        Ok(())
    }

    /// Checks that no model is in the way of the one that the networks will be once they have been trained longer.
    fn check_models(&self, models: &[Model]) -> Result<(), Failure> {
        if self.stage != Trained::All {
            return Ok(());
        }
        let has_all_steps = |root: &Path, config: &TrainConfig| {
            let before = read(&self.run_of(root, config.stage).join(RUN_CONFIG), config.stage);
            before.is_ok_and(|before| before.steps >= config.steps)
        };
        let goes_on = |model: &&Model| !model.configs.iter().all(|config| has_all_steps(&model.root, config));
        let longer: Vec<&Path> = models.iter().filter(goes_on).map(|model| &*model.root).collect();
        let ensemble = (models.len() > 1 && !longer.is_empty()).then_some(&*self.run);
        let folders = longer.into_iter().chain(ensemble).map(|root| root.join(MODEL_FOLDER));
        folders.into_iter().find(|folder| folder.exists()).map_or(Ok(()), |folder| Err(in_the_way(&folder)))
    }

    /// What is to be trained, one after the other.
    fn models(&self) -> Result<Vec<Model>, Failure> {
        let with_configs = |root: PathBuf, fold| {
            let configs = self.stage.stages().iter().map(|&stage| self.config(&root, stage, fold));
            Ok(Model { configs: configs.collect::<Result<_, Failure>>()?, root })
        };
        match self.fold {
            Some(Held::InTurn) => {
                let first = self.config(&self.run.join(fold_folder(0)), self.stage.stages()[0], Some(0))?;
                let folds = (0..first.folds).map(|fold| with_configs(self.run.join(fold_folder(fold)), Some(fold)));
                let models = folds.collect::<Result<Vec<_>, Failure>>()?;
                check_folds(&models)?;
                Ok(models)
            }
            Some(Held::Out(fold)) => Ok(vec![with_configs(self.run.clone(), Some(fold))?]),
            None => Ok(vec![with_configs(self.run.clone(), None)?]),
        }
    }

    /// Trains a network in the folder `run`; false when it has not come to its end.
    fn train(
        &self,
        config: &TrainConfig,
        run: &Path,
        interrupt: &Interrupt,
        started: Instant,
    ) -> Result<bool, Failure> {
        let minutes = self.minutes.map(|minutes| (minutes - started.elapsed().as_secs_f64() / 60.0).max(0.0));
        let (place, cache) = (self.device.place(), self.cache()?);
        let engine: Option<Arc<dyn Engine>> = match place {
            Place::Cpu => Some(Arc::new(CpuEngine)),
            Place::Gpu => None,
        };
        let observer = Some(Arc::new(PageWriter { run: run.to_owned(), config: config.clone() }) as Arc<dyn Observer>);
        let (cancel, progress) = (interrupt.flag(), !self.quiet);
        // The cast saturates.
        let memory = Some((self.memory * GIB) as u64);
        let control = Control { cancel, minutes, progress, place, cache, memory, engine, observer };
        let trained = train(config, &self.data, run, &control);
        if let Err(TrainError::Diverged { .. } | TrainError::DivergedWeights { .. }) = trained {
            // What led to it is in the curves; that there is no page would not be the reason.
            drop(write_training_page(run, config, None));
        }
        let doing = format!("train the {} network", config.stage);
        let summary = trained.map_err(|source| ErrorKind::Train { doing, source })?;
        if !self.quiet {
            print(said(&summary, config, run))?;
        }
        write_training_page(run, config, Some(&summary))?;
        Ok(summary.finished)
    }

    fn cache(&self) -> Result<Option<Cache>, Failure> {
        let Some(path) = &self.cache else { return Ok(None) };
        let failed = |error| anyhow::Error::from(error).context(format!("make the folder {}", path.display()));
        Ok(Some(Cache::open(path).map_err(|error| Failure { code: exit::OUTPUT, error: failed(error) })?))
    }

    /// Folder of the run of one network.
    fn run_of(&self, root: &Path, stage: StageName) -> PathBuf {
        if self.stage == Trained::All { root.join(stage.as_str()) } else { root.to_owned() }
    }

    /// Makes a model in `root` of the three networks below each of `roots`, unless there is one with the same weights.
    fn assemble(&self, root: &Path, roots: &[PathBuf]) -> Result<(), Failure> {
        let folder = root.join(MODEL_FOLDER);
        let name = folder.display();
        let [localizer, liver, tumour] =
            StageName::ALL.map(|stage| roots.iter().map(|root| self.run_of(root, stage)).collect());
        let runs = Runs { localizer, liver, tumour };
        if !folder.exists() {
            assemble(&runs, Description::of_training(root, &self.data), &folder)?;
        } else if !is_model_of(&runs, &folder)? {
            return Err(in_the_way(&folder));
        }
        let text = format!("{name}: the model; hepar segment CT --model {name} uses it\n");
        if self.quiet { Ok(()) } else { print(text) }
    }

    fn config(&self, root: &Path, stage: StageName, fold: Option<usize>) -> Result<TrainConfig, Failure> {
        let of_run = self.run_of(root, stage).join(RUN_CONFIG);
        let given = self.config.as_ref().map(|path| match self.stage {
            Trained::All => path.join(format!("{stage}.toml")),
            _ => path.clone(),
        });
        let mut config = match (given, self.preset) {
            (Some(path), _) => read(&path, stage)?,
            (None, Some(Preset::Standard)) => TrainConfig::preset(stage),
            (None, Some(Preset::Shipped)) => TrainConfig::shipped(stage),
            (None, Some(Preset::Article)) => TrainConfig::article(stage),
            (None, Some(Preset::Smoke)) => TrainConfig::smoke(stage),
            (None, None) if of_run.exists() => read(&of_run, stage)?,
            (None, None) => TrainConfig::preset(stage),
        };
        if config.stage != stage {
            return Err(Failure::usage(format_args!(
                "train the {stage} network with the configuration of the {} network",
                config.stage
            )));
        }
        if self.data.is_empty() && config.phantom_share < 1.0 {
            return Err(Failure::usage("train on nothing: name the folders of the scans with --data"));
        }
        config.steps = self.steps.unwrap_or(config.steps);
        config.folds = self.folds.unwrap_or(config.folds);
        config.seed = self.seed.unwrap_or(config.seed);
        config.fold = fold.or(config.fold);
        if let Some(start) = config.start.as_ref().filter(|start| !start.exists() && !of_run.exists()) {
            let why = "which does not exist; paths are relative to the working directory";
            return Err(Failure::usage(format_args!("begin the {stage} network from {}, {why}", start.display())));
        }
        let wrong =
            |error| ErrorKind::Train { doing: format!("train the {stage} network"), source: TrainError::from(error) };
        config.check().map_err(wrong)?;
        Ok(config)
    }
}

/// A model that is not that of the runs is in `folder`.
fn in_the_way(folder: &Path) -> Failure {
    let error =
        anyhow::anyhow!("make the model {}: another one is there; remove it to have a new one", folder.display());
    Failure { code: exit::OUTPUT, error }
}

/// The configuration in a file.
pub fn read(path: &Path, stage: StageName) -> Result<TrainConfig, Failure> {
    let text = std::fs::read_to_string(path).map_err(|source| ErrorKind::Input { path: path.to_owned(), source })?;
    let failed = |error| ErrorKind::Train { doing: format!("use {}", path.display()), source: TrainError::from(error) };
    Ok(TrainConfig::from_toml(stage, &text).map_err(failed)?)
}

fn said(summary: &Summary, config: &TrainConfig, run: &Path) -> String {
    let state = if summary.finished { "done" } else { "stopped; the same command goes on" };
    let loss = summary.smoothed_loss.map(|loss| format!(", loss {loss:.3}")).unwrap_or_default();
    let dice = summary.best_dice.map(|dice| format!(", best Dice {dice:.3}")).unwrap_or_default();
    let (step, steps, minutes) = (summary.step, config.steps, summary.seconds / 60.0);
    format!("{}: {step} of {steps} steps in {minutes:.1} minutes{loss}{dice}: {state}\n", run.display())
}

/// The exit code of a run that has not come to its end.
fn code(interrupt: &Interrupt) -> u8 {
    if interrupt.is_set() { exit::INTERRUPTED } else { exit::DONE }
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|v: &f64| *v > 0.0 && v.is_finite())
        .ok_or_else(|| "a positive number is needed".to_owned())
}
