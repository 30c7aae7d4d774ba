//! An evaluation as CSV: a line for each case, or one for each lesion.

use std::fmt::Write;

use hepar_metrics::protocol::hepar::{Hepar, Lesion, LesionPair};
use hepar_metrics::{Figure, Fold};

use crate::evaluate::csv::field;
use crate::evaluate::{Evaluated, Evaluation, failure};

const LESION_COLUMNS: &str = "case,status,reference,predicted,reference_ml,predicted_ml,reference_long_axis_mm,\
                              predicted_long_axis_mm,iou,dice,voe,rvd,assd,rmsd,msd,hd95,nsd_1mm,nsd_2mm,nsd_3mm";

/// One line for each case, and for each file without a partner that the protocol does not pass over, as RFC 4180 has it.
/// `status` is `ok` or says why there are no figures.
///
/// The columns are the places of the figures in the JSON layout, with `_` for `/`: `liver_dice`, `detection_0.5_tp`.
/// Figures have six decimals, counts none; what is undefined is empty.
pub fn as_csv(evaluation: &Evaluation) -> String {
    let figures = |case: &'_ Evaluated| -> Vec<Figure> {
        let scores = case.scores.as_ref().ok();
        scores.map_or(Vec::new(), |s| s.figures.iter().copied().filter(Figure::is_of_case).collect())
    };
    let columns = evaluation.cases.iter().map(figures).find(|figures| !figures.is_empty()).unwrap_or_default();
    let mut text = "name,status".to_owned();
    // Writing to a string cannot fail.
    for figure in &columns {
        let _ = write!(text, ",{}", figure.path.replace('/', "_"));
    }
    text.push_str("\r\n");
    let empty = || ",".repeat(columns.len());
    for case in &evaluation.cases {
        let (status, values) = match &case.scores {
            Ok(_) => ("ok".to_owned(), figures(case).iter().map(|figure| format!(",{}", cell(figure))).collect()),
            Err(error) => (failure(error), empty()),
        };
        let _ = write!(text, "{},{}{values}\r\n", field(&case.pair.case), field(&status));
    }
    for unpaired in evaluation.unpaired_problems() {
        let _ = write!(text, ",{}{}\r\n", field(&unpaired.to_string()), empty());
    }
    text
}

fn cell(figure: &Figure) -> String {
    match (figure.value(), figure.fold) {
        (Some(value), Fold::Sum) => format!("{value:.0}"),
        (Some(value), _) => format!("{value:.6}"),
        (None, _) => String::new(),
    }
}

/// One line for each lesion of the reference and for each predicted lesion that is matched with none.
///
/// `status` is `matched`, `missed` or `false positive`; `reference` and `predicted` are numbers within the case, the
/// largest lesion being 1. Only hepar's own protocol has lesions one by one.
pub fn lesions_as_csv(evaluation: &Evaluation) -> String {
    let mut text = format!("{LESION_COLUMNS}\r\n");
    for (pair, scores) in evaluation.scored() {
        let Some(details) = &scores.details else { continue };
        for line in lesion_lines(details) {
            let _ = write!(text, "{},{line}\r\n", field(&pair.case));
        }
    }
    text
}

fn lesion_lines(scores: &Hepar) -> Vec<String> {
    let pair_of = |reference: usize| scores.pairs.iter().find(|pair| pair.reference == reference);
    let mut lines = Vec::new();
    for (n, reference) in scores.reference.iter().enumerate() {
        lines.push(match pair_of(n) {
            Some(pair) => {
                let predicted = Some((pair.predicted, &scores.predicted[pair.predicted]));
                line("matched", Some((n, reference)), predicted, Some(pair))
            }
            None => line("missed", Some((n, reference)), None, None),
        });
    }
    for (n, predicted) in scores.predicted.iter().enumerate() {
        if !scores.pairs.iter().any(|pair| pair.predicted == n) {
            lines.push(line("false positive", None, Some((n, predicted)), None));
        }
    }
    lines
}

fn line(
    status: &str,
    reference: Option<(usize, &Lesion)>,
    predicted: Option<(usize, &Lesion)>,
    pair: Option<&LesionPair>,
) -> String {
    let number = |lesion: Option<(usize, &Lesion)>| lesion.map_or(String::new(), |(n, _)| (n + 1).to_string());
    let measure = |lesion: Option<(usize, &Lesion)>, value: fn(&Lesion) -> f64| {
        lesion.map_or(String::new(), |(_, lesion)| format!("{:.3}", value(lesion)))
    };
    let mut fields = vec![
        status.to_owned(),
        number(reference),
        number(predicted),
        measure(reference, |l| l.volume_ml),
        measure(predicted, |l| l.volume_ml),
        measure(reference, |l| l.long_axis_mm),
        measure(predicted, |l| l.long_axis_mm),
    ];
    let scores = pair.map(|pair| &pair.scores);
    let distances = scores.and_then(|scores| scores.distances);
    let shares = scores.and_then(|scores| scores.surface_dice);
    let figures = [
        pair.map(LesionPair::iou),
        scores.map(|s| s.overlap.dice()),
        scores.map(|s| s.overlap.voe()),
        scores.and_then(|s| s.overlap.rvd()),
        distances.map(|d| d.assd),
        distances.map(|d| d.rmsd),
        distances.map(|d| d.msd),
        distances.map(|d| d.hd95),
        shares.map(|s| s[0]),
        shares.map(|s| s[1]),
        shares.map(|s| s[2]),
    ];
    fields.extend(figures.map(|figure| figure.map_or(String::new(), |value| format!("{value:.6}"))));
    fields.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{CaseScores, EvaluateError, Pair, Protocol, Unpaired};

    fn evaluation() -> Evaluation {
        let pair = |case: &str| Pair { case: case.to_owned(), prediction: "p.nii".into(), reference: "r.nii".into() };
        let (prediction, reference) = ("p".into(), "r".into());
        let failed = EvaluateError::FileAndFolder { prediction, reference };
        let figures = vec![Figure::per_case("liver/dice", 0.9), Figure::count("detection/0.5/tp", 3.0)];
        let scores = CaseScores { figures, details: None, overlays: Vec::new(), notes: Vec::new() };
        Evaluation {
            protocol: Protocol::Hepar,
            cases: vec![
                Evaluated { pair: pair("a,b"), scores: Ok(scores) },
                Evaluated { pair: pair("c"), scores: Err(failed) },
            ],
            unpaired: vec![Unpaired::Reference("d.nii".into())],
        }
    }

    #[test]
    fn every_line_of_the_table_has_all_columns() {
        let text = as_csv(&evaluation());
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines[0], "name,status,liver_dice,detection_0.5_tp");
        assert_eq!(lines[1], "\"a,b\",ok,0.900000,3");
        assert_eq!(lines[2], "c,\"failed to compare p with r: one is a file, the other a folder of cases\",,");
        assert_eq!(lines[3], ",d.nii has no prediction,,");
    }

    #[test]
    fn what_the_challenge_passes_over_has_no_line() {
        let extra = Unpaired::Prediction("e.nii".into());
        let of = |protocol| as_csv(&Evaluation { protocol, unpaired: vec![extra.clone()], ..evaluation() });
        assert!(of(Protocol::Hepar).contains("e.nii has no reference"));
        assert!(!of(Protocol::Lits2017).contains("e.nii"));
    }

    #[test]
    fn a_line_of_a_lesion_has_all_columns() {
        let lesion = Lesion { voxels: 2, volume_ml: 0.5, long_axis_mm: 12.0 };
        let missed = line("missed", Some((0, &lesion)), None, None);
        assert_eq!(missed.matches(',').count() + 1, LESION_COLUMNS.matches(',').count());
        assert!(missed.starts_with("missed,1,,0.500,,12.000,,,"), "{missed}");
    }
}
