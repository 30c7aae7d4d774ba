//! An evaluation on the terminal.

use hepar::evaluate::{CaseScores, Comparison, Evaluation, Protocol, Total};
use hepar_metrics::Fold;
use hepar_metrics::statistics::Bootstrap;

use crate::cli::text;

/// Figures of hepar's protocol that stand in the table of cases, with their decimals.
const HEPAR: [(&str, &str, usize); 12] = [
    ("liver Dice", "liver/dice", 3),
    ("VOE", "liver/voe", 3),
    ("RVD", "liver/rvd", 3),
    ("ASSD mm", "liver/assd", 2),
    ("HD95 mm", "liver/hd95", 1),
    ("liver ml", "liver/predicted_ml", 1),
    ("diff. ml", "liver/difference_ml", 1),
    ("tumour Dice", "tumour/dice", 3),
    ("tumour ml", "tumour/predicted_ml", 1),
    ("diff. ml", "tumour/difference_ml", 1),
    ("found", "detection/0/tp", 0),
    ("at 0.5", "detection/0.5/tp", 0),
];

/// Figures of the challenge's protocol that stand in the table of cases.
const LITS2017: [(&str, &str, usize); 12] = [
    ("liver Dice", "liver/dice", 3),
    ("VOE", "liver/voe", 3),
    ("RVD", "liver/rvd", 3),
    ("ASSD", "liver/assd", 3),
    ("RMSD", "liver/rmsd", 3),
    ("MSD", "liver/msd", 3),
    ("lesion Dice", "lesion/dice_per_case", 3),
    ("objects", "lesion/objects", 0),
    ("TP", "detection/0.5/tp", 0),
    ("FP", "detection/0.5/fp", 0),
    ("FN", "detection/0.5/fn", 0),
    ("burden diff.", "burden/difference", 3),
];

/// The cases with their means, and what can only be said of all of them.
pub fn cases(evaluation: &Evaluation, bootstrap: &Bootstrap) -> String {
    let columns = match evaluation.protocol {
        Protocol::Hepar => HEPAR,
        Protocol::Lits2017 => LITS2017,
    };
    let totals = evaluation.totals(bootstrap);
    let total = |path: &str| totals.iter().find(|total| total.figure.path == path);
    let case = |name: &str, scores: &CaseScores| {
        row(
            name,
            columns.map(|(_, path, decimals)| {
                let mark = if is_empty(scores, path) { " ∅" } else { "" };
                number(scores.value(path), decimals) + mark
            }),
        )
    };
    let mean = row(
        "mean, sum",
        columns.map(|(_, path, decimals)| {
            total(path).map_or(String::new(), |total| number(total.figure.value(), decimals))
        }),
    );
    let several = evaluation.scored().count() > 1;
    let rows = evaluation.scored().map(|(pair, scores)| case(&pair.case, scores)).chain(several.then_some(mean));
    let header = row("case", columns.map(|(name, ..)| name.to_owned()));
    let mut written = text::table(header.each_ref().map(String::as_str), rows);
    if !totals.is_empty() {
        written.push_str(&all(&totals, several));
    }
    written
}

/// The totals, with their intervals where there are several cases.
fn all(totals: &[Total], several: bool) -> String {
    let shown = totals.iter().filter(|total| {
        let path = total.figure.path;
        // Volumes and counts of sizes are for the files.
        !path.ends_with("_ml") && !(path.starts_with("by_size/") && !path.ends_with("recall"))
    });
    let rows = shown.map(|total| {
        let decimals = if total.figure.fold == Fold::Sum { 0 } else { 3 };
        let interval = total.interval.filter(|_| several);
        let interval = interval.map_or(String::new(), |i| format!("{:.3} to {:.3}", i.low, i.high));
        [total.figure.path.to_owned(), number(total.figure.value(), decimals), interval]
    });
    text::table(["all cases", "value", "95 % interval"], rows)
}

/// The figures of two predictions.
pub fn comparison(comparison: &Comparison) -> String {
    let rows = comparison.figures.iter().map(|compared| {
        [
            compared.path.to_owned(),
            compared.cases.to_string(),
            format!("{:.3}", compared.mean),
            format!("{:.3}", compared.other_mean),
            format!("{:+.3}", compared.difference()),
            format!("{:.4}", compared.test.p),
            compared.better.map_or("", |better| if better { "yes" } else { "no" }).to_owned(),
        ]
    });
    text::table(["figure", "cases", "mean", "other", "difference", "p", "better"], rows)
}

fn row(first: &str, others: [String; 12]) -> [String; 13] {
    let mut others = others.into_iter();
    std::array::from_fn(|n| if n == 0 { first.to_owned() } else { others.next().unwrap_or_default() })
}

fn number(value: Option<f64>, decimals: usize) -> String {
    match value {
        // No minus before a zero.
        Some(value) => format!("{:.decimals$}", if value == 0.0 { 0.0 } else { value }),
        None => "–".to_owned(),
    }
}

/// Whether a Dice is 1 because there was nothing to find and nothing was found.
fn is_empty(scores: &CaseScores, path: &str) -> bool {
    let Some(details) = &scores.details else { return false };
    match path {
        "liver/dice" => details.liver.overlap.is_empty(),
        "tumour/dice" => details.tumour.overlap.is_empty(),
        _ => false,
    }
}
