use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use hepar::experiment::losses::{LossResult, Losses, losses_config};
use hepar::experiment::{Experiment, ExperimentCase, Question};
use hepar::watch::Terminal;
use hepar::{CpuEngine, Error, exit, open_model, sentence};
use hepar_model::engine::Engine;
use hepar_model::stage::StageName;
use hepar_train::{Control, DEFAULT_MEMORY};

use super::model::StageArgument;
use super::{Failure, interrupt, print};

const NOTES: &str = "\
Scans and labels are found as in training: NAME_ct.nii.gz with NAME_label.nii.gz, volume-N with
segmentation-N, imagesTr with labelsTr. Results of scans that the same model made already are kept,
so an experiment that was interrupted goes on. OUT gets cases/, scores-hepar.json,
scores-lits-2017.json and tables.md.

Examples:
  hepar experiment generalisation --data 3dircadb --model my-model
  hepar experiment lits --data lits --folds 5 --model fold0 --model fold1 --model fold2 \\
    --model fold3 --model fold4";

const LOSSES: &str = "\
OUT gets a run for each loss, with its page training.html, and losses.md. An experiment that was
interrupted goes on.

Example:
  hepar experiment losses --data lits --stage tumour --steps 1000 -o losses";

/// Segment and score a data set, and write the article's tables
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    question: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A model on another data set than it was trained on
    #[command(after_help = NOTES)]
    Generalisation(Common),
    /// Models on the folds of LiTS that they were not trained on
    #[command(after_help = NOTES)]
    Lits {
        #[command(flatten)]
        common: Common,
        /// Number of folds, as in training
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
        folds: u16,
    },
    /// The same network trained with one loss after the other: the article's ablation, and more losses
    #[command(after_help = LOSSES)]
    Losses {
        /// Folder with scans and labels, as in training; several may be given
        #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
        data: Vec<PathBuf>,
        /// Which network [default: that of the configuration, or liver]
        #[arg(long, value_enum)]
        stage: Option<StageArgument>,
        /// What differs from the standard configuration, as TOML
        #[arg(long, value_name = "FILE.toml")]
        config: Option<PathBuf>,
        /// Steps with each loss [default: those of the configuration, or 300]
        #[arg(long, value_name = "N")]
        steps: Option<u64>,
        /// Into how many folds patients are divided, of which that of the configuration is held out, or the first
        /// [default: those of the configuration, or 3]
        #[arg(long, value_name = "K", value_parser = clap::value_parser!(u16).range(2..=1000))]
        folds: Option<u16>,
        /// Folder for runs and table
        #[arg(short, long, value_name = "DIR", default_value = "losses-hepar")]
        output: PathBuf,
        /// Show no progress
        #[arg(short, long)]
        quiet: bool,
    },
}

#[derive(Debug, Args)]
struct Common {
    /// Folder with scans and labels; several may be given
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Case that is left out, by its name: volume-11, or FOLDER/NAME of NAME_ct.nii.gz in FOLDER; repeatable
    #[arg(long, value_name = "CASE")]
    exclude: Vec<String>,
    /// Folder of the model; for folds one, or one for each in their order [default: the one in the program]
    #[arg(long, value_name = "DIR")]
    model: Vec<PathBuf>,
    /// Folder for results and tables
    #[arg(short, long, value_name = "DIR", default_value = "experiment-hepar")]
    output: PathBuf,
    /// Replace the tables and scores of an earlier experiment
    #[arg(long)]
    force: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

impl Arguments {
    pub fn run(self) -> Result<u8, Failure> {
        match self.question {
            What::Generalisation(common) => common.run(Question::Generalisation),
            What::Lits { common, folds } => common.run(Question::Lits { folds: usize::from(folds) }),
            What::Losses { data, stage, config, steps, folds, output, quiet } => {
                let stage = stage.map(StageName::from);
                let mut config = losses_config(config.as_deref(), stage)?;
                if let Some(stage) = stage.filter(|stage| *stage != config.stage) {
                    return Err(Failure::usage(format_args!(
                        "train the {stage} network with the configuration of the {} network",
                        config.stage
                    )));
                }
                config.steps = steps.unwrap_or(config.steps);
                config.folds = folds.map_or(config.folds, usize::from);
                losses(&Losses { config, data, folder: output }, quiet)
            }
        }
    }
}

fn losses(losses: &Losses, quiet: bool) -> Result<u8, Failure> {
    let interrupt = interrupt()?;
    let engine: Arc<dyn Engine> = Arc::new(CpuEngine);
    let (cancel, memory) = (interrupt.flag(), Some(DEFAULT_MEMORY));
    let control = Control { cancel, memory, progress: !quiet, engine: Some(engine), ..Control::default() };
    let results: Vec<LossResult> = losses.run(&control)?;
    print(losses.table(&results))?;
    Ok(if interrupt.is_set() { exit::INTERRUPTED } else { exit::DONE })
}

impl Common {
    fn run(self, question: Question) -> Result<u8, Failure> {
        let models = self.model.len().max(1);
        let experiment = Experiment::plan(question, &self.data, &self.exclude, models, &self.output, self.force)?;
        let models = if self.model.is_empty() {
            vec![open_model(None)?]
        } else {
            self.model.iter().map(|folder| open_model(Some(folder))).collect::<Result<_, _>>()?
        };
        let terminal = Terminal::new(interrupt()?, self.quiet);
        let mut report = |case: &ExperimentCase, result: Result<(), &Error>| {
            terminal.clear();
            terminal.say(&match result {
                Ok(()) => format!("{}: segmented", case.planned.name),
                Err(error) => format!("hepar: failed to {}", sentence(error)),
            });
        };
        let outcome = experiment.run(&models, &terminal, &mut report);
        terminal.clear();
        let outcome = outcome?;
        let tables = std::fs::read_to_string(experiment.tables_file()).unwrap_or_default();
        print(tables)?;
        let complete = outcome.failed.is_empty() && outcome.evaluations.iter().all(|e| e.is_complete());
        Ok(if complete { exit::DONE } else { exit::SOME_FAILED })
    }
}
