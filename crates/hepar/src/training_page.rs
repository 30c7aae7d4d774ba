//! How a training went, as a page in the folder of its run.

use std::path::{Path, PathBuf};
use std::{fs, io};

use hepar_report::html::is_own_page;
use hepar_report::page::{TrainingRow, TrainingRun, training_page};
use hepar_train::{Observer, Summary, TrainConfig, View};

use crate::error::{Error, ErrorKind, sentence};
use crate::output::{check_replaceable, write_file};
use crate::training_views::{read_views, write_views};

/// Name of the page.
pub const TRAINING_PAGE_FILE: &str = "training.html";

/// Checks that the page can be written into the folder `run` when the training ends.
///
/// # Errors
/// When there is a page that is not hepar's own.
pub fn check_training_page(run: &Path) -> Result<(), Error> {
    Ok(check_replaceable(&run.join(TRAINING_PAGE_FILE), true, is_own_page)?)
}

/// Writes the page, and pictures of held-out cases, after each validation of a run.
pub struct PageWriter {
    /// The folder of the run.
    pub run: PathBuf,
    /// What is trained.
    pub config: TrainConfig,
}

impl Observer for PageWriter {
    fn validated(&self, step: u64, views: &[View]) -> Result<(), String> {
        let written =
            write_views(&self.run, step, views).and_then(|()| write_training_page(&self.run, &self.config, None));
        written.map_err(|error| sentence(&error))
    }
}

/// Writes the page into the folder `run`, from the folder's log, configuration and pictures, and from what a session of
/// training came to; without a session's end, the log decides how far the run is.
///
/// A session that stopped before the run began has left no configuration, and there is no page.
///
/// # Errors
/// When a file of the run cannot be read, or the page cannot be written: a page that is there and not hepar's own stays.
pub fn write_training_page(run: &Path, config: &TrainConfig, summary: Option<&Summary>) -> Result<(), Error> {
    let Some(configuration) = text_of(&run.join("config.toml"))? else { return Ok(()) };
    let log = text_of(&run.join("log.csv"))?.unwrap_or_default();
    let rows: Vec<TrainingRow> = log.lines().filter_map(row).collect();
    let summary = summary.cloned().unwrap_or_else(|| logged(&rows));
    let page = training_page(&TrainingRun {
        title: format!("Training of the {} network in {}", config.stage, run.display()),
        stage: config.stage.to_string(),
        step: summary.step,
        steps: config.steps,
        best_dice: summary.best_dice,
        seconds: summary.seconds,
        smoothed_loss: summary.smoothed_loss,
        rows,
        pictures: read_views(run)?,
        configuration,
    });
    check_training_page(run)?;
    Ok(write_file(&run.join(TRAINING_PAGE_FILE), page.as_bytes())?)
}

/// The text of a file; `None` when there is no file.
fn text_of(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ErrorKind::Input { path: path.to_owned(), source }.into()),
    }
}

/// A line of the log; `None` for its header, and for a line that was cut off.
fn row(line: &str) -> Option<TrainingRow> {
    let fields: Vec<&str> = line.split(',').collect();
    let [step, loss, smoothed_loss, learning_rate, dice_per_case, dice_global, seconds] = fields[..] else {
        return None;
    };
    Some(TrainingRow {
        step: step.parse().ok()?,
        loss: loss.parse().ok()?,
        smoothed_loss: smoothed_loss.parse().ok()?,
        learning_rate: learning_rate.parse().ok()?,
        dice_per_case: dice_per_case.parse().ok(),
        dice_global: dice_global.parse().ok(),
        seconds: seconds.parse().ok()?,
    })
}

/// What the rows of a log say of a run that has not come to an end.
fn logged(rows: &[TrainingRow]) -> Summary {
    let last = rows.last();
    Summary {
        step: last.map_or(0, |row| row.step),
        finished: false,
        smoothed_loss: last.map(|row| row.smoothed_loss),
        best_dice: rows.iter().filter_map(|row| row.dice_per_case).reduce(f64::max),
        seconds: last.map_or(0.0, |row| row.seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_model::stage::StageName;

    const LOG: &str = "\
step,loss,smoothed_loss,learning_rate,dice_per_case,dice_global,seconds
10,0.500000,0.600000,1.0000e-3,,,1.5
20,0.400000,0.550000,9.9000e-4,0.50000,0.25000,3.0
30,0.3";

    fn write(run: &Path) -> Result<(), Error> {
        let summary =
            Summary { step: 25, finished: false, smoothed_loss: Some(0.5), best_dice: Some(0.5), seconds: 4.0 };
        write_training_page(run, &TrainConfig::preset(StageName::Tumour), Some(&summary))
    }

    #[test]
    fn the_log_has_rows_with_and_without_a_validation() {
        let rows: Vec<TrainingRow> = LOG.lines().filter_map(row).collect();
        assert_eq!(rows.iter().map(|row| row.step).collect::<Vec<_>>(), [10, 20]);
        assert_eq!((rows[0].dice_per_case, rows[0].learning_rate), (None, 1e-3));
        assert_eq!((rows[1].dice_per_case, rows[1].dice_global), (Some(0.5), Some(0.25)));
    }

    #[test]
    fn each_validation_is_on_the_page_with_its_pictures() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("config.toml"), "stage = \"liver\"\n").unwrap();
        fs::write(root.path().join("log.csv"), LOG).unwrap();
        let writer = PageWriter { run: root.path().to_owned(), config: TrainConfig::preset(StageName::Liver) };
        let (hu, mask) = (ndarray::Array2::zeros((4, 4)), ndarray::Array2::ones((4, 4)));
        let view = View { case: "case & 1".into(), dice: 0.5, hu, truth: mask.clone(), found: mask };
        writer.validated(20, &[view]).unwrap();
        let page = fs::read_to_string(root.path().join(TRAINING_PAGE_FILE)).unwrap();
        assert!(page.contains("case &amp; 1: Dice 0.500 after 20 steps"), "{page}");
        assert!(page.contains("<dd>0.500</dd>") && page.contains("<dd>20 of "));
    }

    #[test]
    fn a_run_that_has_begun_gets_a_page_that_is_replaced_but_no_page_of_others_is() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(TRAINING_PAGE_FILE);
        write(root.path()).unwrap();
        assert!(!path.exists(), "the run has not begun");
        fs::write(root.path().join("config.toml"), "stage = \"<tumour>\"\n").unwrap();
        write(root.path()).unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("no row yet"));
        fs::write(root.path().join("log.csv"), LOG).unwrap();
        write(root.path()).unwrap();
        let page = fs::read_to_string(&path).unwrap();
        assert!(page.contains("Dice on the held-out patients") && page.contains("&lt;tumour&gt;"));
        fs::write(&path, "<html>").unwrap();
        assert!(write(root.path()).unwrap_err().to_string().contains(TRAINING_PAGE_FILE));
        assert_eq!(fs::read_to_string(&path).unwrap(), "<html>");
    }
}
