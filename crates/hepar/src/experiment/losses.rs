//! The same network trained with one loss after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hepar_model::stage::StageName;
use hepar_train::{Control, Loss, Observer, Summary, TrainConfig, train};

use crate::error::{Error, ErrorKind};
use crate::output::{check_replaceable, write_file};
use crate::train::read_config;
use crate::training_page::{PageWriter, check_training_page, write_training_page};

/// The table of an experiment, in its folder.
const TABLE_FILE: &str = "losses.md";

/// How the table begins: by it, it is known to be hepar's.
const TITLE: &str = "# hepar experiment losses";

/// What the table says where a run has not done the steps that were asked for.
const MIXED: &str = "\n**Not every run has done these steps**: runs of different lengths do not compare losses.\n";

/// Steps with each loss, unless more or fewer are asked for.
const STEPS: u64 = 300;

/// Into how many folds patients are divided, unless it is said otherwise.
const FOLDS: usize = 3;

/// One configuration, trained with each loss.
#[derive(Debug, Clone, PartialEq)]
pub struct Losses {
    /// What all runs share; its fold is held out, and its loss does not matter.
    pub config: TrainConfig,
    /// Folders of labelled scans.
    pub data: Vec<PathBuf>,
    /// Folder of the runs, one for each loss, and of the table.
    pub folder: PathBuf,
}

/// What came of a loss.
#[derive(Debug, Clone, PartialEq)]
pub struct LossResult {
    /// Which one.
    pub loss: Loss,
    /// What its run came to.
    pub summary: Summary,
}

/// The configuration of the experiment: that of `file`, else the preset of the stage, which is the liver's unless the file
/// or `stage` names one. What the file does not say of steps and folds is little: 300 steps, the first of 3 folds.
///
/// # Errors
/// As [`read_config`].
pub fn losses_config(file: Option<&Path>, stage: Option<StageName>) -> Result<TrainConfig, Error> {
    let stage = stage.unwrap_or(StageName::Liver);
    let Some(path) = file else {
        return Ok(TrainConfig { steps: STEPS, folds: FOLDS, fold: Some(0), ..TrainConfig::preset(stage) });
    };
    let config = read_config(path, stage)?;
    // It could be read, so that this can.
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let stated: toml::Table = text.parse().unwrap_or_default();
    Ok(TrainConfig {
        steps: if stated.contains_key("steps") { config.steps } else { STEPS },
        folds: if stated.contains_key("folds") { config.folds } else { FOLDS },
        fold: config.fold.or(Some(0)),
        ..config
    })
}

impl Losses {
    /// Trains with each loss in turn, or goes on with it, and writes the table, and a page into the folder of each run;
    /// fewer results than losses when the control stopped it.
    ///
    /// # Errors
    /// As [`train`], and when the table or a page cannot be written.
    pub fn run(&self, control: &Control) -> Result<Vec<LossResult>, Error> {
        let table = self.folder.join(TABLE_FILE);
        check_replaceable(&table, true, |bytes| bytes.starts_with(TITLE.as_bytes()))?;
        let run_of = |loss: Loss| self.folder.join(loss.name());
        Loss::ALL.into_iter().try_for_each(|loss| check_training_page(&run_of(loss)))?;
        let mut results = Vec::new();
        for loss in Loss::ALL {
            let (run, config) = (run_of(loss), TrainConfig { loss, ..self.config.clone() });
            let observer: Arc<dyn Observer> = Arc::new(PageWriter { run: run.clone(), config: config.clone() });
            let control = Control { observer: Some(observer), ..control.clone() };
            let doing = || format!("train with the loss {}", loss.name());
            let summary = train(&config, &self.data, &run, &control)
                .map_err(|source| ErrorKind::Train { doing: doing(), source })?;
            write_training_page(&run, &config, Some(&summary))?;
            if !summary.finished {
                return Ok(results);
            }
            results.push(LossResult { loss, summary });
        }
        write_file(&table, self.table(&results).as_bytes())?;
        Ok(results)
    }

    /// The results as Markdown, the best first, each with the steps that were really done: a run that was there already may have
    /// more, and one that ended early has fewer.
    pub fn table(&self, results: &[LossResult]) -> String {
        let TrainConfig { stage, widths, steps, seed, fold, folds, .. } = &self.config;
        let batch = self.config.batch * self.config.accumulate;
        let fold = fold.unwrap_or_default();
        let mut sorted: Vec<&LossResult> = results.iter().collect();
        let dice = |result: &LossResult| result.summary.best_dice.unwrap_or_default();
        sorted.sort_by(|a, b| dice(b).total_cmp(&dice(a)));
        let rows: String = sorted
            .iter()
            .map(|result| {
                let (name, minutes) = (result.loss.name(), result.summary.seconds / 60.0);
                format!("| {name} | {} | {:.3} | {minutes:.1} |\n", result.summary.step, dice(result))
            })
            .collect();
        let is_mixed = results.iter().any(|result| result.summary.step != *steps);
        let warning = if is_mixed { MIXED } else { "" };
        format!(
            "{TITLE}\n\nThe {stage} network with widths {widths:?}, {steps} steps of {batch} samples, seed {seed}; fold {fold} of \
             {folds} (patients that it was not trained on) is validated.\n{warning}\n\
             | loss | steps | best Dice, mean of cases | minutes |\n|---|---|---|---|\n{rows}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What came of a loss whose run has done so many steps.
    fn result(loss: Loss, step: u64, dice: f64) -> LossResult {
        let summary = Summary { step, finished: true, smoothed_loss: None, best_dice: Some(dice), seconds: 90.0 };
        LossResult { loss, summary }
    }

    #[test]
    fn what_the_file_says_of_stage_steps_and_folds_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let of = |config: TrainConfig| (config.stage, config.steps, config.folds, config.fold);
        let read = |text: &str, stage: Option<StageName>| {
            std::fs::write(&path, text).unwrap();
            of(losses_config(Some(&path), stage).unwrap())
        };
        assert_eq!(of(losses_config(None, None).unwrap()), (StageName::Liver, 300, 3, Some(0)));
        assert_eq!(read("batch = 1\n", Some(StageName::Tumour)), (StageName::Tumour, 300, 3, Some(0)));
        let all = "stage = \"tumour\"\nsteps = 70\nfolds = 5\nfold = 2\n";
        assert_eq!(read(all, None), (StageName::Tumour, 70, 5, Some(2)));
    }

    #[test]
    fn the_table_has_the_best_loss_first() {
        let config = TrainConfig { fold: Some(1), ..TrainConfig::smoke(StageName::Liver) };
        let losses = Losses { config, data: Vec::new(), folder: PathBuf::new() };
        let table = losses.table(&[result(Loss::Dice, 2, 0.5), result(Loss::Tversky, 2, 0.75)]);
        assert!(
            table.starts_with(
                "# hepar experiment losses\n\nThe liver network with widths [4, 4, 4, 4, 4, 4], 2 steps of 2 samples"
            ),
            "{table}"
        );
        assert!(table.ends_with("| tversky | 2 | 0.750 | 1.5 |\n| dice | 2 | 0.500 | 1.5 |\n"), "{table}");
        assert!(!table.contains(MIXED), "{table}");
    }

    #[test]
    fn a_run_of_another_length_is_told_from_the_others() {
        let config = TrainConfig { fold: Some(1), ..TrainConfig::smoke(StageName::Liver) };
        let losses = Losses { config, data: Vec::new(), folder: PathBuf::new() };
        let table = losses.table(&[result(Loss::Dice, 2, 0.5), result(Loss::Tversky, 300, 0.75)]);
        assert!(table.contains("| tversky | 300 | 0.750 |") && table.contains("| dice | 2 | 0.500 |"), "{table}");
        assert!(table.contains(MIXED), "{table}");
    }
}
