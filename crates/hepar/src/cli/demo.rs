use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::Args;
use hepar::demo::{Demo, DemoScore, FIRST_SEED};
use hepar::output::{PREVIEW_FILE, REPORT_FILE};
use hepar::watch::Terminal;
use hepar::{Segmenter, exit, open_model};

use super::{Failure, interrupt, print, text};

/// Make a synthetic CT, segment it and compare the result with the truth: needs no data
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder for the scans and their results; what an earlier demo left there is replaced
    #[arg(short, long, value_name = "DIR", default_value = "demo-hepar")]
    output: PathBuf,
    /// Which synthetic patient
    #[arg(long, default_value_t = FIRST_SEED)]
    seed: u64,
    /// How many patients, from the seed on, with a table and the mean
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Folder of the model [default: the one in the program]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

impl Arguments {
    pub fn run(self) -> Result<u8, Failure> {
        let demos = self.all_seeds()?.map(|seed| Demo::plan(seed, &self.output)).collect::<Result<Vec<_>, _>>()?;
        let terminal = Terminal::new(interrupt()?, self.quiet);
        let mut segmenter = Segmenter::new(&open_model(self.model.as_deref())?)?;
        let mut scores = Vec::with_capacity(demos.len());
        for demo in &demos {
            let score = demo.run(&mut segmenter, &terminal);
            terminal.clear();
            scores.push(score?);
        }
        match (&demos[..], &scores[..]) {
            ([demo], [score]) => print(one(demo, score))?,
            _ => print(several(&demos, &scores))?,
        }
        Ok(exit::DONE)
    }

    fn all_seeds(&self) -> Result<RangeInclusive<u64>, Failure> {
        let (first, more) = (self.seed, self.seeds - 1);
        let beyond = || Failure::usage(format!("take {more} seeds after {first}: the greatest seed is {}", u64::MAX));
        Ok(first..=first.checked_add(more).ok_or_else(beyond)?)
    }
}

fn one(demo: &Demo, score: &DemoScore) -> String {
    let result = demo.result.path();
    let mut text = text::aligned(&[
        ("scan", demo.files.ct.path().display().to_string()),
        ("truth", demo.files.labels.path().display().to_string()),
        ("result", result.display().to_string()),
        ("report", result.join(REPORT_FILE).display().to_string()),
        ("picture", result.join(PREVIEW_FILE).display().to_string()),
    ]);
    text.push('\n');
    text.push_str(&text::aligned(&[
        ("found", text::summary(&score.findings)),
        ("liver Dice", format!("{:.3}", score.score.liver.dice)),
        ("tumour Dice", format!("{:.3}", score.score.tumour.dice)),
        ("tumours found", lesions(score)),
        ("seconds", format!("{:.1}", score.seconds)),
    ]));
    text
}

fn several(demos: &[Demo], scores: &[DemoScore]) -> String {
    let mean = |value: fn(&DemoScore) -> f64| scores.iter().map(value).sum::<f64>() / scores.len() as f64;
    let row = |demo: &Demo, score: &DemoScore| {
        [
            demo.seed.to_string(),
            format!("{:.3}", score.score.liver.dice),
            format!("{:.3}", score.score.tumour.dice),
            lesions(score),
            format!("{:.1}", score.seconds),
        ]
    };
    let found: usize = scores.iter().map(|score| score.found).sum();
    let tumours: usize = scores.iter().map(|score| score.tumours).sum();
    let last = [
        "mean".to_owned(),
        format!("{:.3}", mean(|score| score.score.liver.dice)),
        format!("{:.3}", mean(|score| score.score.tumour.dice)),
        format!("{found} of {tumours}"),
        format!("{:.1}", mean(|score| score.seconds)),
    ];
    let rows = demos.iter().zip(scores).map(|(demo, score)| row(demo, score)).chain([last]);
    text::table(["seed", "liver Dice", "tumour Dice", "tumours found", "seconds"], rows)
}

fn lesions(score: &DemoScore) -> String {
    let reported = score.findings.lesions.len();
    format!("{} of {}, {reported} reported", score.found, score.tumours)
}
