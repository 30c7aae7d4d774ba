//! What a person sees of a run: a bar on a terminal, lines elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::log::Row;

/// Reports to standard error, or not at all.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Whether there is no terminal for the bar, and lines are wanted instead.
    lines: bool,
    steps: u64,
}

impl Progress {
    /// A report of a run of `steps` steps of which `done` are done.
    pub fn begin(wanted: bool, steps: u64, done: u64) -> Self {
        let target = if wanted { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(steps), target);
        let template = "{bar:30} {pos}/{len} steps, {elapsed} gone, {eta} left {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_position(done);
        bar.reset_eta();
        let lines = wanted && bar.is_hidden();
        Self { bar, lines, steps }
    }

    /// Says a sentence.
    pub fn say(&self, sentence: &str) {
        if self.lines {
            eprintln!("{sentence}");
        } else {
            self.bar.println(sentence);
        }
    }

    /// Says that a step is done.
    pub fn step(&self, step: u64, smoothed_loss: f64) {
        self.bar.set_position(step);
        self.bar.set_message(format!("loss {smoothed_loss:.3}"));
    }

    /// Says what the log says.
    pub fn row(&self, row: &Row, per_step: Duration) {
        let dice = row.score.map(|s| format!(", Dice {:.3} per case, {:.3} global", s.dice_per_case, s.dice_global));
        if self.lines || dice.is_some() {
            let left = Duration::from_secs(per_step.mul_f64((self.steps - row.step.min(self.steps)) as f64).as_secs());
            self.say(&format!(
                "step {} of {}: loss {:.3}, smoothed {:.3}, {:.2} s a step, {left:?} left{}",
                row.step,
                self.steps,
                row.loss,
                row.smoothed_loss,
                per_step.as_secs_f64(),
                dice.unwrap_or_default(),
            ));
        }
    }

    /// Leaves the bar as it is.
    pub fn end(&self) {
        self.bar.abandon();
    }
}
