//! The report of a training.

use super::figures::{boxes, figure};
use crate::charts::{Line, line_chart};
use crate::html::{NOTICE, Page, escaped, number};

/// A training, as the folder of its run tells of it.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingRun {
    /// What stands on top of the page.
    pub title: String,
    /// Which network is trained.
    pub stage: String,
    /// Steps that are done.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Best mean Dice per case on the held-out patients; `None` when nothing was validated.
    pub best_dice: Option<f64>,
    /// Seconds of training.
    pub seconds: f64,
    /// Running mean of the loss; `None` before the first step.
    pub smoothed_loss: Option<f64>,
    /// The log, the first step first.
    pub rows: Vec<TrainingRow>,
    /// Held-out cases in the last validation.
    pub pictures: Vec<TrainingPicture>,
    /// Everything that decides the run, as text.
    pub configuration: String,
}

/// A slice of a held-out case with outlines.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingPicture {
    /// An `img` element, as [`crate::embedded_png`] makes it.
    pub element: String,
    /// What stands below it, as plain text.
    pub caption: String,
}

/// A row of the log of a training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingRow {
    /// Steps that are done.
    pub step: u64,
    /// Loss of the last of them.
    pub loss: f64,
    /// Running mean of the loss.
    pub smoothed_loss: f64,
    /// Its learning rate.
    pub learning_rate: f64,
    /// Mean Dice per held-out case, if there was a validation.
    pub dice_per_case: Option<f64>,
    /// Dice of the voxels of all held-out cases as one set, if there was a validation.
    pub dice_global: Option<f64>,
    /// Seconds of training so far.
    pub seconds: f64,
}

/// How far a training is, how loss, learning rate and Dice went, what it finds in held-out cases, and its configuration.
/// One HTML page that loads nothing.
pub fn training_page(run: &TrainingRun) -> String {
    let mut page = Page::new(&run.title);
    page.push(&format!(
        "<header>\n<h1>{}</h1>\n<p class=\"notice\"><strong>{NOTICE}</strong></p>\n</header>\n<main>\n",
        escaped(&run.title)
    ));
    page.push(&figures(run));
    page.push(&curves(&run.rows));
    page.push(&pictures(&run.pictures));
    page.push(&format!("<section>\n<h2>Configuration</h2>\n<pre>{}</pre>\n</section>\n", escaped(&run.configuration)));
    page.push(&format!("</main>\n<footer>\n<p>{NOTICE}</p>\n</footer>\n"));
    page.finish()
}

fn figures(run: &TrainingRun) -> String {
    boxes([
        ("Network", run.stage.clone()),
        ("Steps", format!("{} of {}", run.step, run.steps)),
        ("Best Dice", number(run.best_dice, 3)),
        ("Minutes", number(Some(run.seconds / 60.0), 1)),
        ("Smoothed loss", number(run.smoothed_loss, 3)),
    ])
}

fn curves(rows: &[TrainingRow]) -> String {
    let loss = [
        line("loss", "#7a8896", 1.0, rows, |row| Some(row.loss)),
        line("smoothed", "#1f78a8", 2.0, rows, |row| Some(row.smoothed_loss)),
    ];
    let learning_rate = [line("learning rate", "#1f78a8", 2.0, rows, |row| Some(row.learning_rate))];
    let dice = [
        line("mean per case", "#1f78a8", 2.0, rows, |row| row.dice_per_case),
        line("all cases as one", "#b34700", 1.0, rows, |row| row.dice_global),
    ];
    let charts = line_chart("Loss", "step", &loss)
        + &line_chart("Learning rate", "step", &learning_rate)
        + &line_chart("Dice on the held-out patients", "step", &dice);
    if charts.is_empty() {
        return "<p>The log has no row yet.</p>\n".to_owned();
    }
    format!("<section>\n<h2>How it went</h2>\n<div class=\"charts\">\n{charts}</div>\n</section>\n")
}

fn pictures(pictures: &[TrainingPicture]) -> String {
    if pictures.is_empty() {
        return String::new();
    }
    let figures: String =
        pictures.iter().map(|TrainingPicture { element, caption }| figure(element, caption)).collect();
    format!(
        "<section>\n<h2>Held-out cases</h2>\n<p>The slice with most to find, in the last validation. Yellow: the labels; \
         blue: what the network found.</p>\n<div class=\"pictures\">\n{figures}</div>\n</section>\n"
    )
}

/// A value of the rows that have it over their steps.
fn line(
    name: &'static str,
    colour: &'static str,
    width: f64,
    rows: &[TrainingRow],
    value: fn(&TrainingRow) -> Option<f64>,
) -> Line<'static> {
    let points = rows.iter().filter_map(|row| Some((row.step as f64, value(row)?))).collect();
    Line { name, colour, width, points }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rows: Vec<TrainingRow>) -> TrainingRun {
        TrainingRun {
            title: "Training in <runs>".into(),
            stage: "liver & more".into(),
            step: 20,
            steps: 100,
            best_dice: None,
            seconds: 90.0,
            smoothed_loss: Some(0.25),
            rows,
            pictures: Vec::new(),
            configuration: "start = \"</pre><script>alert(1)</script>\"\n".into(),
        }
    }

    fn row(step: u64) -> TrainingRow {
        TrainingRow {
            step,
            loss: 0.5,
            smoothed_loss: 0.25,
            learning_rate: 1e-3,
            dice_per_case: None,
            dice_global: None,
            seconds: 1.5,
        }
    }

    #[test]
    fn a_run_has_its_figures_and_a_chart_of_the_dice_only_after_a_validation() {
        let page = training_page(&run(vec![row(10), row(20)]));
        for text in ["<dd>20 of 100</dd>", "<dd>1.5</dd>", "<dd>0.250</dd>", "<dt>Best Dice</dt><dd>–</dd>"] {
            assert!(page.contains(text), "no {text}");
        }
        assert_eq!(page.matches("<svg").count(), 2);
        let validated = TrainingRow { dice_per_case: Some(0.5), dice_global: Some(0.75), ..row(20) };
        let page = training_page(&run(vec![row(10), validated]));
        assert_eq!((page.matches("<svg").count(), page.matches("</svg>").count()), (3, 3));
        assert!(page.contains("mean per case: from 0.5 at step 20 to 0.5 at step 20"));
    }

    #[test]
    fn held_out_cases_are_shown_with_their_captions() {
        let picture = TrainingPicture { element: "<img src=\"data:\">".into(), caption: "lits <1>: Dice 0.9".into() };
        let page = training_page(&TrainingRun { pictures: vec![picture], ..run(vec![row(10)]) });
        assert!(page.contains("<h2>Held-out cases</h2>") && page.contains("lits &lt;1&gt;: Dice 0.9"));
        assert!(!training_page(&run(vec![row(10)])).contains("Held-out cases"));
    }

    #[test]
    fn nothing_of_title_stage_and_configuration_is_taken_for_markup() {
        let page = training_page(&run(Vec::new()));
        assert!(page.contains("<h1>Training in &lt;runs&gt;</h1>") && page.contains("liver &amp; more"));
        assert!(page.contains("&quot;&lt;/pre&gt;&lt;script&gt;") && !page.contains("<script"));
        assert!(page.contains("script-src 'none'"));
    }

    #[test]
    fn without_rows_or_with_rows_that_are_no_numbers_there_is_a_page_too() {
        let broken = TrainingRow { loss: f64::NAN, smoothed_loss: f64::NAN, learning_rate: f64::NAN, ..row(1) };
        for rows in [Vec::new(), vec![broken]] {
            let page = training_page(&run(rows));
            assert!(page.contains("no row yet") && !page.contains("<svg") && !page.contains("NaN"));
        }
    }
}
