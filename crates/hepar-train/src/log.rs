//! `log.csv`, and events beside it: how the loss and the Dice went.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use hepar_formats::write_atomically;

use crate::error::{TrainError, problem};
use crate::events::Events;
use crate::validate::Score;

const HEADER: &str = "step,loss,smoothed_loss,learning_rate,dice_per_case,dice_global,seconds";

/// One line of the log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Row {
    /// Steps that are done.
    pub step: u64,
    /// Loss of the last of them.
    pub loss: f32,
    /// Running mean of the loss.
    pub smoothed_loss: f64,
    /// Its learning rate.
    pub learning_rate: f64,
    /// The validation after it, if there was one.
    pub score: Option<Score>,
    /// Seconds of training, over all sessions.
    pub seconds: f64,
}

/// The log of a run; every row is in the file, and among the events, as soon as it is written.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: fs::File,
    events: Events,
}

impl Row {
    /// The figures, with their tags in TensorBoard.
    fn figures(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let score = self.score.map(|s| [("dice/per_case", s.dice_per_case), ("dice/global", s.dice_global)]);
        [("loss", f64::from(self.loss)), ("loss/smoothed", self.smoothed_loss), ("learning_rate", self.learning_rate)]
            .into_iter()
            .chain(score.into_iter().flatten())
    }
}

impl Log {
    /// Whether a file's text is a log's, of any run.
    pub fn is_log(text: &str) -> bool {
        text.starts_with(HEADER)
    }

    /// The log at `path`, from which rows after `step` are removed: their steps are about to be done again. Events go
    /// into a new file beside it.
    pub fn open(path: &Path, step: u64) -> Result<Self, TrainError> {
        let old = match fs::read_to_string(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            old => old.map_err(|e| problem(path, &e))?,
        };
        let is_kept = |line: &&str| line.split(',').next().and_then(|s| s.parse().ok()).is_some_and(|s: u64| s <= step);
        let kept: Vec<&str> = old.lines().filter(is_kept).collect();
        write_atomically(path, |file| {
            writeln!(file, "{HEADER}")?;
            kept.iter().try_for_each(|line| writeln!(file, "{line}"))
        })
        .map_err(|e| problem(path, &e))?;
        let file = fs::OpenOptions::new().append(true).open(path).map_err(|e| problem(path, &e))?;
        let events = Events::create(path.parent().unwrap_or(Path::new("")), step)?;
        Ok(Self { path: path.to_owned(), file, events })
    }

    /// Appends a row.
    pub fn write(&mut self, row: &Row) -> Result<(), TrainError> {
        let score = row.score.map_or(",".into(), |s| format!("{:.5},{:.5}", s.dice_per_case, s.dice_global));
        let Row { step, loss, smoothed_loss, learning_rate, seconds, .. } = row;
        let line = format!("{step},{loss:.6},{smoothed_loss:.6},{learning_rate:.4e},{score},{seconds:.1}\n");
        self.file.write_all(line.as_bytes()).map_err(|e| problem(&self.path, &e))?;
        self.events.write(row.step, row.figures())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reopened_log_has_each_step_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        let row = |step, score| Row { step, loss: 0.5, smoothed_loss: 0.6, learning_rate: 1e-3, score, seconds: 1.0 };
        let mut log = Log::open(&path, 0).unwrap();
        for step in [10, 20, 30] {
            log.write(&row(step, None)).unwrap();
        }
        let score = Some(Score { dice_per_case: 0.5, dice_global: 0.25 });
        Log::open(&path, 20).unwrap().write(&row(30, score)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], HEADER);
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[3], "30,0.500000,0.600000,1.0000e-3,0.50000,0.25000,1.0");
    }

    #[test]
    fn only_a_validation_has_events_of_the_dice() {
        let row = Row { step: 1, loss: 0.5, smoothed_loss: 0.6, learning_rate: 1e-3, score: None, seconds: 1.0 };
        let figures = [("loss", 0.5), ("loss/smoothed", 0.6), ("learning_rate", 1e-3)];
        assert!(row.figures().eq(figures));
        let score = Some(Score { dice_per_case: 0.5, dice_global: 0.25 });
        let dice: Vec<_> = Row { score, ..row }.figures().skip(3).collect();
        assert_eq!(dice, [("dice/per_case", 0.5), ("dice/global", 0.25)]);
    }
}
