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
use hepar_train::{Cache, Control, Observer, Summary, TrainConfig, TrainError, train};

use super::engine::DeviceArguments;
use super::{Failure, interrupt, print};

/// Folder of the model among the runs of all three networks.
const MODEL_FOLDER: &str = "model";

const EXAMPLES: &str = "\
Examples:
  hepar train liver --data lits --data ircad --run runs/liver
  hepar train liver --data lits --run runs/liver --steps 8000    goes on with the same run
  hepar train tumour --data lits --run runs/fold0 --fold 0       with a fifth of the patients held out
  hepar train all --data lits --run runs/mine                    all three, and the model of them: runs/mine/model
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
    /// Fold of patients that is held out, from 0
    #[arg(long, value_name = "I")]
    fold: Option<usize>,
    /// Into how many folds patients are divided
    #[arg(long, value_name = "K")]
    folds: Option<usize>,
    /// From which everything random is drawn
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Folder in which prepared scans are kept, so that the next training begins at once
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
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
        let stages = self.stage.stages();
        // What is wrong with the last one is said before the first one takes its hours.
        let configs: Vec<TrainConfig> = stages.iter().map(|&stage| self.config(stage)).collect::<Result<_, _>>()?;
        stages.iter().try_for_each(|&stage| check_training_page(&self.run_of(stage)))?;
        let (interrupt, started) = (interrupt()?, Instant::now());
        for (&stage, config) in stages.iter().zip(&configs) {
            let minutes = self.minutes.map(|minutes| (minutes - started.elapsed().as_secs_f64() / 60.0).max(0.0));
            let place = self.device.place();
            let cache = self.cache()?;
            let engine: Option<Arc<dyn Engine>> = match place {
                Place::Cpu => Some(Arc::new(CpuEngine)),
                Place::Gpu => None,
            };
            let run = self.run_of(stage);
            let observer = Some(Arc::new(PageWriter { run: run.clone(), config: config.clone() }) as Arc<dyn Observer>);
            let (cancel, progress) = (interrupt.flag(), !self.quiet);
            let control = Control { cancel, minutes, progress, place, cache, engine, observer };
            let trained = train(config, &self.data, &run, &control);
            if let Err(TrainError::Diverged { .. } | TrainError::DivergedWeights { .. }) = trained {
                // What led to it is in the curves.
                write_training_page(&run, config, None)?;
            }
            let summary =
                trained.map_err(|source| ErrorKind::Train { doing: format!("train the {stage} network"), source })?;
            if !self.quiet {
                print(said(&summary, config, &run))?;
            }
            write_training_page(&run, config, Some(&summary))?;
            if !summary.finished {
                return Ok(code(&interrupt));
            }
        }
        if self.stage == Trained::All {
            self.assemble()?;
        }
        Ok(exit::DONE)
    }

    fn cache(&self) -> Result<Option<Cache>, Failure> {
        let Some(path) = &self.cache else { return Ok(None) };
        let failed = |error| anyhow::Error::from(error).context(format!("make the folder {}", path.display()));
        Ok(Some(Cache::open(path).map_err(|error| Failure { code: exit::OUTPUT, error: failed(error) })?))
    }

    /// Folder of the run of one network.
    fn run_of(&self, stage: StageName) -> PathBuf {
        if self.stage == Trained::All { self.run.join(stage.as_str()) } else { self.run.clone() }
    }

    /// Makes a model of all three, unless there is one with the same weights.
    fn assemble(&self) -> Result<(), Failure> {
        let folder = self.run.join(MODEL_FOLDER);
        let name = folder.display();
        let [localizer, liver, tumour] = StageName::ALL.map(|stage| vec![self.run_of(stage)]);
        let runs = Runs { localizer, liver, tumour };
        if !folder.exists() {
            assemble(&runs, Description::of_training(&self.run, &self.data), &folder)?;
        } else if !is_model_of(&runs, &folder)? {
            let error = anyhow::anyhow!("make the model {name}: another one is there; remove it to have a new one");
            return Err(Failure { code: exit::OUTPUT, error });
        }
        let text = format!("{name}: the model; hepar segment CT --model {name} uses it\n");
        if self.quiet { Ok(()) } else { print(text) }
    }

    fn config(&self, stage: StageName) -> Result<TrainConfig, Failure> {
        let of_run = self.run_of(stage).join("config.toml");
        let given = self.config.as_ref().map(|path| match self.stage {
            Trained::All => path.join(format!("{stage}.toml")),
            _ => path.clone(),
        });
        let mut config = match (given, self.preset) {
            (Some(path), _) => read(&path, stage)?,
            (None, Some(Preset::Standard)) => TrainConfig::preset(stage),
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
        config.fold = self.fold.or(config.fold);
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
