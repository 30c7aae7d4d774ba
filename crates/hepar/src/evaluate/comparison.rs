//! Whether one prediction is better than another.

use std::path::{Path, PathBuf};

use hepar_metrics::statistics::{SignedRank, signed_rank};
use hepar_metrics::{Figure, Fold};

use crate::evaluate::{CaseScores, EvaluateError, Evaluation, Pair, Pairing};

/// Two predictions of the same cases, figure by figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Where the other prediction is.
    pub other: PathBuf,
    /// The figures that both have for at least one case.
    pub figures: Vec<Compared>,
    /// What kept cases from being compared, for which the other prediction is the reason, a sentence each.
    pub problems: Vec<String>,
}

/// One figure of two predictions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    /// Its place in the JSON layout.
    pub path: &'static str,
    /// Cases for which both are defined.
    pub cases: usize,
    /// Mean over these of the prediction.
    pub mean: f64,
    /// Mean over these of the other prediction.
    pub other_mean: f64,
    /// Wilcoxon's signed-rank test of the differences, prediction less other.
    pub test: SignedRank,
    /// Whether the prediction's mean is the better one; `None` when they are equal or neither direction is better.
    pub better: Option<bool>,
}

impl Comparison {
    /// The problems, each behind the path of the other prediction.
    pub fn told(&self) -> impl Iterator<Item = String> {
        self.problems.iter().map(|problem| format!("{}: {problem}", self.other.display()))
    }
}

impl Compared {
    /// The prediction's mean less the other's.
    pub fn difference(&self) -> f64 {
        self.mean - self.other_mean
    }
}

/// Checks, before anything is scored, that two predictions can be compared: they share a case by its name, and the cases
/// that they share have one reference. `prediction` and `other` are the paths by which the two were named.
///
/// # Errors
/// When they cannot.
pub fn check_comparable(
    ours: &Pairing,
    prediction: &Path,
    theirs: &Pairing,
    other: &Path,
) -> Result<(), EvaluateError> {
    let mut shares_a_case = false;
    for pair in &ours.pairs {
        let Some(partner) = theirs.pairs.iter().find(|partner| partner.case == pair.case) else { continue };
        shares_a_case = true;
        if are_different(&pair.reference, &partner.reference) {
            let (first, second) = (pair.reference.clone(), partner.reference.clone());
            return Err(EvaluateError::OtherReference { case: pair.case.clone(), first, second });
        }
    }
    if !shares_a_case {
        let (predictions, references) = (other.to_owned(), prediction.to_owned());
        return Err(EvaluateError::NoPairs { predictions, references });
    }
    Ok(())
}

/// Whether two paths lead to different files. Of what is not there, scoring the case tells.
fn are_different(first: &Path, second: &Path) -> bool {
    match (first.canonicalize(), second.canonicalize()) {
        (Ok(first), Ok(second)) => first != second,
        _ => false,
    }
}

/// Compares two predictions over the cases, by name, that both have scores for, and says which cases only one has.
///
/// Every figure that is defined per case is tested by Wilcoxon's signed-rank test, two-sided, over the cases for which
/// both have something to average; nothing is done about there being many.
pub fn compare(evaluation: &Evaluation, other: &Evaluation, path: &Path) -> Comparison {
    let partner = |name: &str| other.scored().find(|(pair, _)| pair.case == name).map(|(_, scores)| scores);
    let pairs: Vec<(&CaseScores, &CaseScores)> =
        evaluation.scored().filter_map(|(pair, scores)| Some((scores, partner(&pair.case)?))).collect();
    let count = pairs.first().map_or(0, |(scores, _)| scores.figures.len());
    let figures = (0..count).filter_map(|n| compare_figure(&pairs, n)).collect();
    let mut problems = other.problems();
    problems.extend(only_in(evaluation, other).map(|pair| format!("it has no case {}", pair.case)));
    problems.extend(only_in(other, evaluation).map(|pair| format!("its case {} has no partner", pair.case)));
    Comparison { other: path.to_owned(), figures, problems }
}

/// The cases of `one` that the `other` has not, unless its list of files without a partner says so already.
fn only_in<'a>(one: &'a Evaluation, other: &'a Evaluation) -> impl Iterator<Item = &'a Pair> {
    let is_missing = move |pair: &&'a Pair| {
        other.cases.iter().all(|case| case.pair.case != pair.case)
            && other.unpaired.iter().all(|file| file.path() != pair.reference)
    };
    one.cases.iter().map(|case| &case.pair).filter(is_missing)
}

fn compare_figure(pairs: &[(&CaseScores, &CaseScores)], n: usize) -> Option<Compared> {
    let first = pairs.first()?.0.figures[n];
    if !is_quality(&first) {
        return None;
    }
    // The challenge's 9001 for a case without objects is no distance that a mean could hold.
    let values: Vec<(f64, f64)> =
        pairs.iter().filter_map(|(a, b)| Some((a.figures[n].measured()?, b.figures[n].measured()?))).collect();
    if values.is_empty() {
        return None;
    }
    let mean = |value: fn(&(f64, f64)) -> f64| values.iter().map(value).sum::<f64>() / values.len() as f64;
    let (ours, theirs) = (mean(|v| v.0), mean(|v| v.1));
    let differences: Vec<f64> = values.iter().map(|(a, b)| a - b).collect();
    let better = match better_is_greater(first.path) {
        Some(greater) if ours != theirs => Some((ours > theirs) == greater),
        None if ours.abs() != theirs.abs() => Some(ours.abs() < theirs.abs()),
        _ => None,
    };
    let test = signed_rank(&differences);
    Some(Compared { path: first.path, cases: values.len(), mean: ours, other_mean: theirs, test, better })
}

/// Whether a figure says how good a prediction is, of a case.
fn is_quality(figure: &Figure) -> bool {
    let name = figure.path.rsplit('/').next().unwrap_or_default();
    let describes = matches!(name, "predicted_ml" | "reference_ml" | "prediction" | "reference");
    let counts = figure.fold == Fold::Sum && !matches!(name, "tp" | "fp" | "fn");
    figure.is_of_case() && !describes && !counts
}

/// Whether greater values are better, lower ones, or (`None`) those nearer to 0.
fn better_is_greater(path: &str) -> Option<bool> {
    let name = path.rsplit('/').next().unwrap_or_default();
    match name {
        "rvd" | "difference_ml" | "difference" => None,
        "voe" | "assd" | "rmsd" | "msd" | "hd95" | "fp" | "fn" | "error" => Some(false),
        _ => Some(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{Evaluated, Protocol, Unpaired};

    fn evaluation(values: &[(&str, f64, Option<f64>)]) -> Evaluation {
        let case = |&(name, dice, rvd): &(&str, f64, Option<f64>)| {
            let figures = vec![Figure::per_case("liver/dice", dice), Figure::per_case("liver/rvd", rvd)];
            let pair = Pair { case: name.to_owned(), prediction: "p".into(), reference: name.into() };
            let scores = CaseScores { figures, details: None, overlays: Vec::new(), notes: Vec::new() };
            Evaluated { pair, scores: Ok(scores) }
        };
        Evaluation { protocol: Protocol::Hepar, cases: values.iter().map(case).collect(), unpaired: Vec::new() }
    }

    #[test]
    fn only_what_both_have_is_compared() {
        let ours = evaluation(&[("a", 0.9, Some(-0.5)), ("b", 0.8, None), ("c", 0.1, Some(9.0))]);
        let theirs = evaluation(&[("a", 0.7, Some(0.1)), ("b", 0.7, Some(0.0)), ("d", 1.0, None)]);
        let comparison = compare(&ours, &theirs, Path::new("x"));
        assert_eq!(comparison.told().collect::<Vec<_>>(), ["x: it has no case c", "x: its case d has no partner"]);
        let [dice, rvd] = comparison.figures[..] else { panic!("{comparison:?}") };
        assert_eq!((dice.cases, dice.better, dice.test.count), (2, Some(true), 2));
        assert!((dice.mean - 0.85).abs() < 1e-12 && (dice.difference() - 0.15).abs() < 1e-12);
        // Nearer to 0 is better.
        assert_eq!((rvd.cases, rvd.better), (1, Some(false)));
    }

    #[test]
    fn what_stands_for_a_case_without_objects_is_not_compared() {
        let evaluation = |values: [&[f64]; 2]| {
            let mut evaluation = evaluation(&[("a", 1.0, None), ("b", 1.0, None)]);
            for (case, values) in evaluation.cases.iter_mut().zip(values) {
                let figure = Figure::pooled("lesion/assd", values.iter().copied()).or(9001.0);
                case.scores.as_mut().unwrap().figures = vec![figure];
            }
            evaluation
        };
        let comparison = compare(&evaluation([&[1.0], &[2.0]]), &evaluation([&[3.0], &[]]), Path::new("x"));
        let [assd] = comparison.figures[..] else { panic!("{comparison:?}") };
        assert_eq!((assd.cases, assd.mean, assd.other_mean), (1, 1.0, 3.0));
    }

    #[test]
    fn a_case_that_one_folder_lacks_is_told_once() {
        let ours = evaluation(&[("a", 0.9, None), ("b", 0.8, None)]);
        let mut theirs = evaluation(&[("a", 0.7, None)]);
        theirs.unpaired = vec![Unpaired::Reference("b".into())];
        let problems = compare(&ours, &theirs, Path::new("x")).problems;
        assert_eq!(problems, ["b has no prediction"]);
    }

    #[test]
    fn predictions_without_a_common_case_or_with_other_references_are_not_compared() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, "").unwrap();
            path
        };
        let (first, second) = (file("first.nii"), file("second.nii"));
        let pairing = |case: &str, reference: &Path| {
            let pair = Pair { case: case.to_owned(), prediction: "p".into(), reference: reference.to_owned() };
            Pairing { pairs: vec![pair], unpaired: Vec::new(), single: false }
        };
        let check = |theirs: Pairing| check_comparable(&pairing("a", &first), Path::new("x"), &theirs, Path::new("y"));
        assert!(check(pairing("a", &folder.path().join("./first.nii"))).is_ok());
        assert!(check(pairing("a", Path::new("gone.nii"))).is_ok(), "scoring tells");
        let said = |theirs: Pairing| check(theirs).unwrap_err().to_string();
        assert_eq!(said(pairing("b", &first)), "find a case that is in both y and x");
        assert!(said(pairing("a", &second)).starts_with("compare two predictions of case a: the reference of one is "));
    }
}
