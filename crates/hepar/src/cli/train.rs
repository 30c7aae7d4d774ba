use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use hepar::watch::Interrupt;
use hepar::{ErrorKind, exit};
use hepar_model::stage::StageName;
use hepar_train::{Control, Summary, TrainConfig, TrainError, train};

use super::engine::DeviceArguments;
use super::model::StageArgument;
use super::{Failure, interrupt, print};

const EXAMPLES: &str = "\
Examples:
  hepar train liver --data lits --data ircad --run runs/liver
  hepar train liver --data lits --run runs/liver --steps 8000    goes on with the same run
  hepar train tumour --data lits --run runs/fold0 --fold 0       with a fifth of the patients held out

A run that was stopped, by Ctrl-C too, goes on where it was with the same command. Three runs become
a model by `hepar model assemble`.";

/// Train one of the three networks; a stopped run goes on with the same command
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Which network
    stage: StageArgument,
    /// Folder of labelled scans, searched as LiTS, the Medical Decathlon and X_ct/X_label are laid out; repeatable
    #[arg(long, required = true, value_name = "DIR", num_args = 1..)]
    data: Vec<PathBuf>,
    /// Folder of the run
    #[arg(long, value_name = "RUN")]
    run: PathBuf,
    /// What differs from the preset, as TOML [default: the run's own, if there is one]
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
    #[command(flatten)]
    device: DeviceArguments,
    /// Show no progress and no summary
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// Narrow networks that a few processor cores can train
    Standard,
    /// The article's
    Article,
}

impl Arguments {
    pub fn run(self) -> Result<u8, Failure> {
        let config = self.config()?;
        let interrupt = interrupt()?;
        let place = self.device.place();
        let control = Control { cancel: interrupt.flag(), minutes: self.minutes, progress: !self.quiet, place };
        let summary = train(&config, &self.data, &self.run, &control)
            .map_err(|source| ErrorKind::Train { doing: format!("train the {} network", config.stage), source })?;
        if !self.quiet {
            print(said(&summary, &config, &self.run))?;
        }
        Ok(code(&summary, &interrupt))
    }

    fn config(&self) -> Result<TrainConfig, Failure> {
        let stage = StageName::from(self.stage);
        let of_run = self.run.join("config.toml");
        let mut config = match (&self.config, self.preset) {
            (Some(path), _) => read(path, stage)?,
            (None, Some(Preset::Standard)) => TrainConfig::preset(stage),
            (None, Some(Preset::Article)) => TrainConfig::article(stage),
            (None, None) if of_run.exists() => read(&of_run, stage)?,
            (None, None) => TrainConfig::preset(stage),
        };
        if config.stage != stage {
            return Err(Failure::usage(format_args!(
                "train the {stage} network with the configuration of the {} network",
                config.stage
            )));
        }
        config.steps = self.steps.unwrap_or(config.steps);
        config.folds = self.folds.unwrap_or(config.folds);
        config.seed = self.seed.unwrap_or(config.seed);
        config.fold = self.fold.or(config.fold);
        Ok(config)
    }
}

fn read(path: &Path, stage: StageName) -> Result<TrainConfig, Failure> {
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

fn code(summary: &Summary, interrupt: &Interrupt) -> u8 {
    if interrupt.is_set() && !summary.finished { exit::INTERRUPTED } else { exit::DONE }
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|v: &f64| *v > 0.0 && v.is_finite())
        .ok_or_else(|| "a positive number is needed".to_owned())
}
