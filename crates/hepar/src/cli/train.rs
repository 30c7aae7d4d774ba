use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use hepar::exit;
use hepar::train::{
    Event, Networks, RUN_CONFIG, Settings, Training, cannot_train, fold_folder, read_config, run_folder,
};
use hepar_model::stage::StageName;
use hepar_train::{Cache, DEFAULT_MEMORY, TrainConfig, TrainError};

use super::engine::DeviceArguments;
use super::{Failure, interrupt, print};

/// Bytes of a GiB.
const GIB: f64 = (1 << 30) as f64;

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
    /// The networks of the model in the program, from the beginning in one run each: about 25 100 steps of two patches
    /// and 1600 of the localizer, some 8 hours of one core with AVX-512, 14 to 20 without
    Shipped,
    /// The article's
    Article,
    /// The smallest networks for two steps on phantoms: shows that everything works, and teaches nothing
    Smoke,
}

/// Which of the folds of patients is held out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// This one.
    Out(usize),
    /// Each in its turn.
    InTurn,
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
        let training = Training::plan(self.networks()?, self.data.clone(), self.run.clone())?;
        let settings = Settings {
            minutes: self.minutes,
            place: self.device.place(),
            cache: self.cache()?,
            // The cast saturates.
            memory: (self.memory * GIB) as u64,
            progress: !self.quiet,
        };
        let interrupt = interrupt()?;
        let mut tell = |event: &Event<'_>| {
            if !self.quiet {
                // What cannot be printed here is no reason to leave the other networks untrained.
                drop(print(said(event)));
            }
        };
        let is_done = training.run(&settings, &interrupt, &mut tell)?;
        Ok(if !is_done && interrupt.is_set() { exit::INTERRUPTED } else { exit::DONE })
    }

    /// What is to be trained, one after the other.
    fn networks(&self) -> Result<Vec<Networks>, Failure> {
        let with_configs = |root: PathBuf, fold| {
            let configs = self.stage.stages().iter().map(|&stage| self.config(&root, stage, fold));
            Ok(Networks { configs: configs.collect::<Result<_, Failure>>()?, root })
        };
        match self.fold {
            Some(Held::InTurn) => {
                let first = self.config(&self.run.join(fold_folder(0)), self.stage.stages()[0], Some(0))?;
                (0..first.folds).map(|fold| with_configs(self.run.join(fold_folder(fold)), Some(fold))).collect()
            }
            Some(Held::Out(fold)) => Ok(vec![with_configs(self.run.clone(), Some(fold))?]),
            None => Ok(vec![with_configs(self.run.clone(), None)?]),
        }
    }

    fn cache(&self) -> Result<Option<Cache>, Failure> {
        let Some(path) = &self.cache else { return Ok(None) };
        let failed = |error| anyhow::Error::from(error).context(format!("make the folder {}", path.display()));
        Ok(Some(Cache::open(path).map_err(|error| Failure { code: exit::OUTPUT, error: failed(error) })?))
    }

    fn config(&self, root: &Path, stage: StageName, fold: Option<usize>) -> Result<TrainConfig, Failure> {
        let of_run = run_folder(root, stage, self.stage == Trained::All).join(RUN_CONFIG);
        let given = self.config.as_ref().map(|path| match self.stage {
            Trained::All => path.join(format!("{stage}.toml")),
            _ => path.clone(),
        });
        let mut config = match (given, self.preset) {
            (Some(path), _) => read_config(&path, stage)?,
            (None, Some(Preset::Standard)) => TrainConfig::preset(stage),
            (None, Some(Preset::Shipped)) => TrainConfig::shipped(stage),
            (None, Some(Preset::Article)) => TrainConfig::article(stage),
            (None, Some(Preset::Smoke)) => TrainConfig::smoke(stage),
            (None, None) if of_run.exists() => read_config(&of_run, stage)?,
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
        config.check().map_err(|error| cannot_train(stage, TrainError::from(error)))?;
        Ok(config)
    }
}

fn said(event: &Event<'_>) -> String {
    let (run, config, summary) = match event {
        Event::Trained { run, config, summary } => (run, config, summary),
        Event::Assembled(folder) => {
            let name = folder.display();
            return format!("{name}: the model; hepar segment CT --model {name} uses it\n");
        }
    };
    let state = if summary.finished { "done" } else { "stopped; the same command goes on" };
    let loss = summary.smoothed_loss.map(|loss| format!(", loss {loss:.3}")).unwrap_or_default();
    let dice = summary.best_dice.map(|dice| format!(", best Dice {dice:.3}")).unwrap_or_default();
    let (step, steps, minutes) = (summary.step, config.steps, summary.seconds / 60.0);
    format!("{}: {step} of {steps} steps in {minutes:.1} minutes{loss}{dice}: {state}\n", run.display())
}

/// Which fold an argument means.
fn held(text: &str) -> Result<Held, String> {
    match text {
        "all" => Ok(Held::InTurn),
        number => number.parse().map(Held::Out).map_err(|_| "the number of a fold, from 0, or all".to_owned()),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|v: &f64| *v > 0.0 && v.is_finite())
        .ok_or_else(|| "a positive number is needed".to_owned())
}
