//! An evaluation on the terminal.

use hepar::evaluate::{CaseScores, Comparison, Evaluation, Protocol, Total};
use hepar_metrics::statistics::Bootstrap;
use hepar_report::html::number;

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
    let find = |path: &str| totals.iter().find(|total| total.figure.path == path);
    let mut written = text::table(
        ["all cases", "Dice", "VOE", "RVD", "ASSD", "RMSD", "MSD", "HD95", "NSD 1 mm", "2 mm", "3 mm"],
        objects(totals, several),
    );
    let detection = ["0", "0.5"].map(|threshold| {
        let at = |name: &str, decimals| {
            find(&format!("detection/{threshold}/{name}")).map_or(String::new(), |t| number(t.figure.value(), decimals))
        };
        let counts = ["tp", "fp", "fn"].map(|name| at(name, 0));
        let [tp, fp, fn_] = counts;
        [format!("IoU > {threshold}"), tp, fp, fn_, at("precision", 3), at("recall", 3), at("f1", 3)]
    });
    written.push_str(&text::table(["lesions found", "TP", "FP", "FN", "precision", "recall", "F1"], detection));
    let single = [
        ("liver Dice per case", "liver/dice_per_case"),
        ("liver Dice global", "liver/dice_global"),
        ("lesion Dice per case", "lesion/dice_per_case"),
        ("lesion Dice global", "lesion/dice_global"),
        ("tumour burden, RMSE", "burden/rmse"),
        ("tumour burden, greatest error", "burden/max"),
    ];
    let lines: Vec<(&str, String)> = single
        .into_iter()
        .filter_map(|(name, path)| {
            let total = find(path)?;
            Some((name, number(total.figure.value(), 3) + &interval(total, several, 3)))
        })
        .collect();
    written + &text::aligned(&lines)
}

/// A line for each object, and one with the intervals below it.
fn objects(totals: &[Total], several: bool) -> Vec<[String; 11]> {
    const NAMES: [(&str, usize); 10] = [
        ("dice", 3),
        ("voe", 3),
        ("rvd", 3),
        ("assd", 2),
        ("rmsd", 2),
        ("msd", 1),
        ("hd95", 1),
        ("nsd_1mm", 3),
        ("nsd_2mm", 3),
        ("nsd_3mm", 3),
    ];
    let mut rows = Vec::new();
    for (title, object) in [("liver", "liver"), ("lesions found", "lesion"), ("tumour as one", "tumour")] {
        let of = |name: &str| totals.iter().find(|total| total.figure.path == format!("{object}/{name}"));
        if of("dice").is_none() {
            continue;
        }
        let mut cells = |title: &str, cell: &dyn Fn(&Total, usize) -> String| {
            rows.push(std::array::from_fn(|n| match n.checked_sub(1).map(|n| NAMES[n]) {
                None => title.to_owned(),
                Some((name, decimals)) => of(name).map_or(String::new(), |total| cell(total, decimals)),
            }));
        };
        cells(title, &|total, decimals| number(total.figure.value(), decimals));
        if several {
            cells("  95 %", &|total, decimals| interval(total, true, decimals).trim().to_owned());
        }
    }
    rows
}

/// The interval of a total as it stands behind its value; nothing without one.
fn interval(total: &Total, several: bool, decimals: usize) -> String {
    let interval = total.interval.filter(|_| several);
    let number = |value: f64| number(Some(value), decimals);
    interval.map_or(String::new(), |i| format!(" ({}–{})", number(i.low), number(i.high)))
}

/// The figures of two predictions.
pub fn comparison(comparison: &Comparison) -> String {
    let rows = comparison.figures.iter().map(|compared| {
        [
            compared.path.to_owned(),
            compared.cases.to_string(),
            number(Some(compared.mean), 3),
            number(Some(compared.other_mean), 3),
            // Rounded first, so that there is no minus before a zero.
            format!("{:+.3}", (compared.difference() * 1000.0).round() / 1000.0 + 0.0),
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

/// Whether a Dice is 1 because there was nothing to find and nothing was found.
fn is_empty(scores: &CaseScores, path: &str) -> bool {
    let Some(details) = &scores.details else { return false };
    match path {
        "liver/dice" => details.liver.overlap.is_empty(),
        "tumour/dice" => details.tumour.overlap.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_metrics::Figure;
    use hepar_metrics::statistics::Interval;

    #[test]
    fn what_is_rounded_to_nought_has_no_minus() {
        assert_eq!(number(Some(-0.0004), 3), "0.000");
        let total =
            Total { figure: Figure::per_case("liver/rvd", 0.0), interval: Some(Interval { low: -0.0004, high: 0.01 }) };
        assert_eq!(interval(&total, true, 3), " (0.000–0.010)");
    }
}
