use std::path::PathBuf;

use clap::Args;
use hepar::evaluate::{Evaluated, Evaluation, ObjectScore, as_csv, as_json, evaluate};
use hepar::output::{plan_new_file, write_file};
use hepar::{exit, sentence};

use super::{Failure, print, text, warn_of};

const NOTES: &str = "\
Liver: labels 1 and above; tumour: label 2. Dice is 1 where neither volume has a voxel of the
object (marked ∅). Volumes that are stored in different axis orders are brought together by their
headers. In folders, a case is a file or a result's folder of the same name, but for endings as
_label, _seg, _ct or -hepar and beginnings as segmentation- or volume-.

Examples:
  hepar evaluate ct-hepar ct_label.nii.gz
  hepar evaluate out lits/ --csv scores.csv";

/// Compare labels with a reference: Dice and volumes of liver and tumours
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub struct Arguments {
    /// Labels, a result's folder, or a folder of either
    #[arg(value_name = "PRED")]
    prediction: PathBuf,
    /// The reference: labels, or a folder of them
    #[arg(value_name = "REF")]
    reference: PathBuf,
    /// Write the figures as JSON; the file must not be there yet
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the figures as CSV; the file must not be there yet
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

impl Arguments {
    pub fn run(self) -> Result<u8, Failure> {
        self.json.iter().chain(&self.csv).try_for_each(|path| plan_new_file(path))?;
        let evaluation = evaluate(&self.prediction, &self.reference)?;
        if let Some(path) = &self.json {
            write_file(path, format!("{:#}\n", as_json(&evaluation)).as_bytes())?;
        }
        if let Some(path) = &self.csv {
            write_file(path, as_csv(&evaluation).as_bytes())?;
        }
        print(table(&evaluation))?;
        for problem in problems(&evaluation) {
            warn_of(problem);
        }
        Ok(if evaluation.is_complete() { exit::DONE } else { exit::SOME_FAILED })
    }
}

fn problems(evaluation: &Evaluation) -> Vec<String> {
    let failed = evaluation.cases.iter().filter_map(|case| case.score.as_ref().err());
    let unpaired = evaluation.unpaired.iter().map(ToString::to_string);
    failed.map(|error| format!("failed to {}", sentence(error))).chain(unpaired).collect()
}

fn table(evaluation: &Evaluation) -> String {
    let dice = |object: &ObjectScore| format!("{:.3}{}", object.dice, if object.both_empty { " ∅" } else { "" });
    let row = |case: &Evaluated| {
        let score = case.score.as_ref().ok()?;
        let ml = |value: f64| format!("{value:.1}");
        Some([
            case.pair.case.clone(),
            dice(&score.liver),
            dice(&score.tumour),
            ml(score.liver.predicted_ml),
            ml(score.liver.reference_ml),
            format!("{:+.1}", score.liver.difference_ml()),
            ml(score.tumour.predicted_ml),
            ml(score.tumour.reference_ml),
            format!("{:+.1}", score.tumour.difference_ml()),
        ])
    };
    let mean = evaluation.mean_dice().filter(|_| evaluation.scores().count() > 1).map(|(liver, tumour)| {
        let [a, b, c, d, e, f] = Default::default();
        ["mean".to_owned(), format!("{liver:.3}"), format!("{tumour:.3}"), a, b, c, d, e, f]
    });
    let header = [
        "case",
        "liver Dice",
        "tumour Dice",
        "liver ml",
        "reference",
        "difference",
        "tumour ml",
        "reference",
        "difference",
    ];
    text::table(header, evaluation.cases.iter().filter_map(row).chain(mean))
}
