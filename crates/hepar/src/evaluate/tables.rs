//! An evaluation as CSV and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::error::sentence;
use crate::evaluate::{Evaluation, ObjectScore, Score};

/// Version of the JSON layout; it grows when a key changes its meaning or goes.
const SCHEMA: u32 = 1;

const COLUMNS: &str = "case,status,liver_dice,tumour_dice,liver_ml,liver_reference_ml,liver_difference_ml,tumour_ml,\
                       tumour_reference_ml,tumour_difference_ml,tumour_both_empty";

/// One line for each case as RFC 4180 has it. `status` is `ok` or says why there are no figures.
///
/// Dice has six decimals, millilitres three; a difference is prediction less reference.
pub fn as_csv(evaluation: &Evaluation) -> String {
    let mut text = format!("{COLUMNS}\r\n");
    for case in &evaluation.cases {
        let (status, figures) = match &case.score {
            Ok(score) => ("ok".to_owned(), figures(score)),
            Err(error) => (format!("failed to {}", sentence(error)), ",".repeat(8)),
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "{},{},{figures}\r\n", field(&case.pair.case), field(&status));
    }
    for unpaired in &evaluation.unpaired {
        let _ = write!(text, ",{},{}\r\n", field(&unpaired.to_string()), ",".repeat(8));
    }
    text
}

/// The evaluation for programs: `cases` with their files and figures, `problems`, and the `mean` of the scored cases.
pub fn as_json(evaluation: &Evaluation) -> Value {
    let mut problems: Vec<String> = evaluation.unpaired.iter().map(ToString::to_string).collect();
    let mut cases = Vec::new();
    for case in &evaluation.cases {
        match &case.score {
            Ok(score) => cases.push(json!({
                "case": case.pair.case,
                "prediction": case.pair.prediction.display().to_string(),
                "reference": case.pair.reference.display().to_string(),
                "liver": object(&score.liver),
                "tumour": object(&score.tumour),
            })),
            Err(error) => problems.push(format!("failed to {}", sentence(error))),
        }
    }
    let mean = evaluation.mean_dice().map(|(liver, tumour)| json!({ "liver_dice": liver, "tumour_dice": tumour }));
    json!({ "schema": SCHEMA, "program": "hepar", "cases": cases, "mean": mean, "problems": problems })
}

fn object(score: &ObjectScore) -> Value {
    json!({
        "dice": score.dice,
        "both_empty": score.both_empty,
        "predicted_ml": score.predicted_ml,
        "reference_ml": score.reference_ml,
        "difference_ml": score.difference_ml(),
    })
}

fn figures(Score { liver, tumour }: &Score) -> String {
    let volumes =
        |o: &ObjectScore| format!("{:.3},{:.3},{:.3}", o.predicted_ml, o.reference_ml, o.difference_ml() + 0.0);
    let both_empty = tumour.both_empty;
    format!("{:.6},{:.6},{},{},{both_empty}", liver.dice, tumour.dice, volumes(liver), volumes(tumour))
}

/// A field as it stands in a line: in quotes when it holds a comma, a quote or the end of a line.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{EvaluateError, Evaluated, Pair, Unpaired};

    fn evaluation() -> Evaluation {
        let pair = |case: &str| Pair { case: case.to_owned(), prediction: "p.nii".into(), reference: "r.nii".into() };
        let liver = ObjectScore { dice: 0.9, both_empty: false, predicted_ml: 1400.0, reference_ml: 1500.5 };
        let tumour = ObjectScore { dice: 1.0, both_empty: true, predicted_ml: 0.0, reference_ml: 0.0 };
        let (prediction, reference) = ("p".into(), "r".into());
        let failed = EvaluateError::FileAndFolder { prediction, reference };
        Evaluation {
            cases: vec![
                Evaluated { pair: pair("a,b"), score: Ok(Score { liver, tumour }) },
                Evaluated { pair: pair("c"), score: Err(failed) },
            ],
            unpaired: vec![Unpaired::Reference("d.nii".into())],
        }
    }

    #[test]
    fn every_line_of_the_table_has_all_columns() {
        let text = as_csv(&evaluation());
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines[1], "\"a,b\",ok,0.900000,1.000000,1400.000,1500.500,-100.500,0.000,0.000,0.000,true");
        assert_eq!(lines[2], "c,\"failed to compare p with r: one is a file, the other a folder of cases\",,,,,,,,,");
        assert_eq!(lines[3], ",d.nii has no prediction,,,,,,,,,");
        assert_eq!(lines[0].matches(',').count(), 10);
        assert_eq!(lines[3].matches(',').count(), 10);
    }

    #[test]
    fn the_json_has_figures_mean_and_problems() {
        let value = as_json(&evaluation());
        assert_eq!(value["cases"].as_array().unwrap().len(), 1);
        assert_eq!(value["cases"][0]["liver"]["difference_ml"], -100.5);
        assert_eq!(value["mean"]["liver_dice"], 0.9);
        assert_eq!(value["problems"].as_array().unwrap().len(), 2);
    }
}
