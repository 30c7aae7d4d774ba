//! The same network trained with one loss after the other.

use std::path::PathBuf;

use hepar_train::{Control, Loss, Summary, TrainConfig, train};

use crate::error::{Error, ErrorKind};
use crate::output::{check_replaceable, write_file};

/// The table of an experiment, in its folder.
const TABLE_FILE: &str = "losses.md";

/// How the table begins: by it, it is known to be hepar's.
const TITLE: &str = "# hepar experiment losses";

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

impl Losses {
    /// Trains with each loss in turn, or goes on with it, and writes the table; fewer results than losses when the
    /// control stopped it.
    ///
    /// # Errors
    /// As [`train`], and when the table cannot be written.
    pub fn run(&self, control: &Control) -> Result<Vec<LossResult>, Error> {
        let table = self.folder.join(TABLE_FILE);
        check_replaceable(&table, true, |bytes| bytes.starts_with(TITLE.as_bytes()))?;
        let mut results = Vec::new();
        for loss in Loss::ALL {
            let config = TrainConfig { loss, ..self.config.clone() };
            let doing = || format!("train with the loss {}", loss.name());
            let summary = train(&config, &self.data, &self.folder.join(loss.name()), control)
                .map_err(|source| ErrorKind::Train { doing: doing(), source })?;
            if !summary.finished {
                return Ok(results);
            }
            results.push(LossResult { loss, summary });
        }
        write_file(&table, self.table(&results).as_bytes())?;
        Ok(results)
    }

    /// The results as Markdown, the best first.
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
                format!("| {} | {:.3} | {:.1} |\n", result.loss.name(), dice(result), result.summary.seconds / 60.0)
            })
            .collect();
        format!(
            "{TITLE}\n\nThe {stage} network with widths {widths:?}, {steps} steps of {batch} samples, seed {seed}; fold {fold} of \
             {folds} (patients that it was not trained on) is validated.\n\n\
             | loss | best Dice, mean of cases | minutes |\n|---|---|---|\n{rows}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_model::stage::StageName;

    #[test]
    fn the_table_has_the_best_loss_first() {
        let config = TrainConfig { fold: Some(1), ..TrainConfig::smoke(StageName::Liver) };
        let losses = Losses { config, data: Vec::new(), folder: PathBuf::new() };
        let result = |loss, dice| LossResult {
            loss,
            summary: Summary { step: 2, finished: true, smoothed_loss: None, best_dice: Some(dice), seconds: 90.0 },
        };
        let table = losses.table(&[result(Loss::Dice, 0.5), result(Loss::Tversky, 0.75)]);
        assert!(
            table.starts_with(
                "# hepar experiment losses\n\nThe liver network with widths [4, 4, 4, 4, 4, 4], 2 steps of 2 samples"
            ),
            "{table}"
        );
        assert!(table.ends_with("| tversky | 0.750 | 1.5 |\n| dice | 0.500 | 1.5 |\n"), "{table}");
    }
}
