//! The article's tables with our figures, as Markdown.

use std::fmt::Write;

use hepar_metrics::statistics::Bootstrap;
use hepar_report::html;

use crate::evaluate::{CaseScores, Evaluation, Protocol, Total};
use crate::experiment::article::{Published, published};
use crate::experiment::{Experiment, Outcome, Question, TABLES_TITLE};

const HEADER: &str = "| object | figures | DC per case | DC global | VOE | RVD | ASSD mm | RMSD mm | MSD mm |\n\
                      |---|---|---|---|---|---|---|---|---|\n";

/// Paths of the columns for the liver.
const LIVER: [&str; 7] =
    ["liver/dice_per_case", "liver/dice_global", "liver/voe", "liver/rvd", "liver/assd", "liver/rmsd", "liver/msd"];

/// Paths of the columns for tumours as one object a case.
const TUMOUR: [&str; 7] = [
    "lesion/dice_per_case",
    "lesion/dice_global",
    "tumour/voe",
    "tumour/rvd",
    "tumour/assd",
    "tumour/rmsd",
    "tumour/msd",
];

/// Paths of the columns for tumours as the challenge has them: the objects that are found.
const FOUND: [&str; 7] = [
    "lesion/dice_per_case",
    "lesion/dice_global",
    "lesion/voe",
    "lesion/rvd",
    "lesion/assd",
    "lesion/rmsd",
    "lesion/msd",
];

/// The tables of an experiment: all cases with their intervals and the article's figures, then every case.
pub fn tables(experiment: &Experiment, outcome: &Outcome, bootstrap: &Bootstrap) -> String {
    let question = experiment.question;
    let mut text = format!("{TABLES_TITLE}{}\n\n", question.name());
    text.push_str(&preface(experiment, outcome));
    text.push_str(
        "\n## All cases\n\nMeans; in parentheses 95 % intervals by drawing cases, where there are several.\n\n",
    );
    text.push_str(HEADER);
    for (object, paths) in [("liver", LIVER), ("tumour", TUMOUR)] {
        let [ours, challenge] = &outcome.evaluations;
        text.push_str(&row(object, "hepar", &paths, ours, bootstrap));
        let paths = if object == "tumour" { FOUND } else { paths };
        text.push_str(&row(object, "hepar, protocol lits-2017", &paths, challenge, bootstrap));
        text.push_str(&article_row(object, &paths, published(question)));
    }
    text.push_str(&remarks(question));
    if let Question::Lits { folds } = question {
        text.push_str(&by_fold(experiment, outcome, folds));
    }
    text.push_str(&every_case(experiment, outcome));
    text
}

/// What was segmented by what, and what that is worth.
fn preface(experiment: &Experiment, outcome: &Outcome) -> String {
    let scored = outcome.evaluations[0].scored().count();
    let patients: std::collections::BTreeSet<_> = experiment.cases.iter().map(|case| &case.patient).collect();
    let scans = experiment.cases.len();
    let mut text = format!("Scans: {scans}. Patients: {}. Scored: {scored}.\n\n", patients.len());
    for (n, model) in outcome.models.iter().enumerate() {
        let fold = if outcome.models.len() > 1 { format!("Fold {n}: ") } else { String::new() };
        let id = &model.identity;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "- {fold}{} {} ({}), by its card trained on: {}",
            id.name,
            id.version,
            &id.sha256[..id.sha256.len().min(12)],
            model.trained_on
        );
    }
    text.push_str(match (experiment.question, outcome.models.len()) {
        (Question::Lits { folds }, 1) if folds > 1 => {
            "\n**This is no cross-validation**: one model segmented all folds. Cases that it was trained on say \
             nothing about others.\n"
        }
        (Question::Lits { .. }, _) => {
            "\nThat each model was trained without the patients of its fold (`hepar train --fold`) is for its card to \
             show; it is not checked here.\n"
        }
        (Question::Generalisation, _) => {
            "\nThis is generalisation only as far as the model was trained on none of these patients. Volumes 28 to 47 \
             of LiTS are patients 1 to 20 of 3D-IRCADb.\n"
        }
    });
    if let Some(doubt) = experiment.doubt() {
        let _ = writeln!(text, "\n**Doubtful**: {doubt}.");
    }
    let problems = outcome.failed.iter().map(|(case, problem)| format!("{case}: {problem}"));
    let problems = problems.chain(
        outcome.evaluations.iter().flat_map(|e| e.problems().into_iter().map(move |p| format!("{}: {p}", e.protocol))),
    );
    for problem in problems {
        let _ = write!(text, "\n- {problem}");
    }
    text + "\n"
}

fn row(object: &str, figures: &str, paths: &[&str; 7], evaluation: &Evaluation, bootstrap: &Bootstrap) -> String {
    let totals = evaluation.totals(bootstrap);
    let several = evaluation.scored().count() > 1;
    let cell = |path: &&str| {
        let total = totals.iter().find(|total| total.figure.path == *path);
        total.map_or("–".to_owned(), |total| value(total, several))
    };
    format!("| {object} | {figures} | {} |\n", paths.iter().map(cell).collect::<Vec<_>>().join(" | "))
}

fn value(total: &Total, several: bool) -> String {
    let interval = total.interval.filter(|_| several);
    let interval = interval.map_or(String::new(), |i| format!(" ({}–{})", number(Some(i.low)), number(Some(i.high))));
    number(total.figure.value()) + &interval
}

fn number(value: Option<f64>) -> String {
    html::number(value, 3)
}

/// The article's figures in the places that have one; no row without any.
fn article_row(object: &str, paths: &[&str; 7], published: &[Published]) -> String {
    let of = |path: &&str| published.iter().find(|p| p.object == object && p.path == *path).map(|p| p.value);
    if paths.iter().all(|path| of(path).is_none()) {
        return String::new();
    }
    let cells: Vec<String> = paths.iter().map(|path| number(of(path))).collect();
    format!("| {object} | RA-UNet, test set of LiTS (article) | {} |\n", cells.join(" | "))
}

fn remarks(question: Question) -> String {
    let article = match question {
        Question::Generalisation => {
            "No figure of the article for 3D-IRCADb is confirmed by a second source, so none stands here."
        }
        Question::Lits { .. } => {
            "The article's figures are of the challenge's test set, whose labels are not public; ours are of scans \
             with public labels. Its other figures are not confirmed by a second source and do not stand here."
        }
    };
    format!(
        "\n{article}\nTumour, hepar: all lesions of a case as one object; a case in which prediction or reference has \
         none has no distances. Tumour, lits-2017: the objects that count as found at an IoU of 0.5, 9001 where there \
         are none.\n"
    )
}

fn by_fold(experiment: &Experiment, outcome: &Outcome, folds: usize) -> String {
    let mut text =
        "\n## Folds\n\n| fold | cases | liver DC per case | tumour DC per case |\n|---|---|---|---|\n".to_owned();
    for fold in 0..folds {
        let in_fold = |name: &str| experiment.cases.iter().any(|case| case.fold == fold && case.planned.name == name);
        let scores: Vec<&CaseScores> =
            outcome.evaluations[0].scored().filter(|(pair, _)| in_fold(&pair.case)).map(|(_, scores)| scores).collect();
        let mean = |path: &str| {
            let values: Vec<f64> = scores.iter().filter_map(|scores| scores.value(path)).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        let (liver, tumour) = (number(mean("liver/dice")), number(mean("lesion/dice_per_case")));
        let _ = writeln!(text, "| {fold} | {} | {liver} | {tumour} |", scores.len());
    }
    text
}

fn every_case(experiment: &Experiment, outcome: &Outcome) -> String {
    let mut text = "\n## Every case\n\nBy hepar's protocol.\n\n\
                    | case | patient | object | labelled ml | found ml | DC | VOE | RVD | ASSD mm | RMSD mm | MSD mm |\n\
                    |---|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    debug_assert_eq!(outcome.evaluations[0].protocol, Protocol::Hepar);
    for (pair, scores) in outcome.evaluations[0].scored() {
        let patient =
            experiment.cases.iter().find(|case| case.planned.name == pair.case).map(|case| case.patient.to_string());
        for object in ["liver", "tumour"] {
            let cells = ["reference_ml", "predicted_ml", "dice", "voe", "rvd", "assd", "rmsd", "msd"]
                .map(|name| number(scores.value(&format!("{object}/{name}"))));
            let patient = patient.as_deref().unwrap_or_default();
            let _ =
                writeln!(text, "| {} | {patient} | {object} | {} |", pair.case.replace('|', "\\|"), cells.join(" | "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_metrics::Figure;
    use hepar_metrics::statistics::Interval;

    #[test]
    fn what_is_rounded_to_nought_has_no_minus() {
        let interval = Some(Interval { low: -0.0004, high: 0.01 });
        let total = Total { figure: Figure::per_case("liver/rvd", -0.0001), interval };
        assert_eq!(value(&total, true), "0.000 (0.000–0.010)");
    }

    #[test]
    fn only_confirmed_figures_stand_beside_ours() {
        let question = Question::Lits { folds: 5 };
        let row = article_row("tumour", &FOUND, published(question));
        assert!(row.ends_with("| 0.595 | 0.795 | – | – | – | – | – |\n"), "{row}");
        assert_eq!(article_row("liver", &LIVER, published(question)), "");
        assert_eq!(article_row("tumour", &FOUND, published(Question::Generalisation)), "");
    }
}
