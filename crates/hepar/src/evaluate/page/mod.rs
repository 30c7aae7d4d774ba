//! An evaluation as one HTML page that needs no other file.

mod picture;

use hepar_metrics::Fold;
use hepar_metrics::statistics::Bootstrap;
use hepar_report::charts;
use hepar_report::html::{Cell, Column, Page, escaped, list, number, sortable_table, table};

use crate::evaluate::{CaseScores, Comparison, Evaluation, Pair, Protocol, Total};

/// Cases whose slices are shown.
const SHOWN: usize = 12;

/// The page: figures of all cases with their intervals, charts, what another prediction comes to, and every case, the
/// worst first, with the slices where prediction and reference differ most if the evaluation kept them.
///
/// Names are escaped; the page loads nothing.
pub fn as_page(evaluation: &Evaluation, bootstrap: &Bootstrap, comparison: Option<&Comparison>) -> String {
    let totals = evaluation.totals(bootstrap);
    let cases = worst_first(evaluation);
    let mut page = Page::new("Evaluation");
    page.push(&format!(
        "<header>\n<h1>Evaluation of {} {}</h1>\n<p class=\"notice\">Protocol {}. Intervals are 95 % by drawing cases {} \
         times.</p>\n</header>\n<main>\n",
        cases.len(),
        if cases.len() == 1 { "case" } else { "cases" },
        evaluation.protocol,
        bootstrap.resamples,
    ));
    page.push(&problems(evaluation, comparison));
    page.push(&all_cases(&totals));
    if let Some(comparison) = comparison {
        page.push(&compared(comparison));
    }
    page.push(&diagrams(&cases));
    page.push(&every_case(evaluation.protocol, &cases));
    page.push(&pictures(&cases));
    page.push("</main>\n");
    page.finish()
}

/// The scored cases; those with the lowest Dice of liver and lesions together come first.
fn worst_first(evaluation: &Evaluation) -> Vec<(&Pair, &CaseScores)> {
    let mut cases: Vec<_> = evaluation.scored().collect();
    let quality = |scores: &CaseScores| {
        ["liver/dice", "lesion/dice_per_case"].iter().filter_map(|path| scores.value(path)).sum::<f64>()
    };
    cases.sort_by(|(_, a), (_, b)| quality(a).total_cmp(&quality(b)));
    cases
}

fn problems(evaluation: &Evaluation, comparison: Option<&Comparison>) -> String {
    let of_other = comparison.into_iter().flat_map(Comparison::told);
    let notes =
        evaluation.scored().flat_map(|(pair, scores)| scores.notes.iter().map(move |n| format!("{}: {n}", pair.case)));
    let all: Vec<String> = evaluation.problems().into_iter().chain(of_other).chain(notes).collect();
    list("What is odd", "warnings", &all)
}

fn all_cases(totals: &[Total]) -> String {
    let rows = totals.iter().map(|total| {
        let decimals = if total.figure.fold == Fold::Sum { 0 } else { 3 };
        let interval = total.interval.map_or(String::new(), |i| format!("{:.3} – {:.3}", i.low, i.high));
        vec![total.figure.path.to_owned(), number(total.figure.value(), decimals), interval]
    });
    format!(
        "<section>\n<h2>All cases</h2>\n<details open><summary>Figures</summary>{}</details>\n</section>\n",
        table(&["figure", "value", "95 %"], rows)
    )
}

fn compared(comparison: &Comparison) -> String {
    let rows = comparison.figures.iter().map(|c| {
        let better = c.better.map_or("", |better| if better { "this" } else { "other" });
        vec![
            c.path.to_owned(),
            c.cases.to_string(),
            format!("{:.3}", c.mean),
            format!("{:.3}", c.other_mean),
            format!("{:+.3}", c.difference()),
            format!("{:.4}", c.test.p),
            better.to_owned(),
        ]
    });
    let header = ["figure", "cases", "this", "other", "difference", "p", "better"];
    let other = escaped(&comparison.other.display().to_string());
    format!("<h2>Compared with {other}</h2>\n<p>Wilcoxon's signed-rank test, two-sided.</p>\n{}", table(&header, rows))
}

fn diagrams(cases: &[(&Pair, &CaseScores)]) -> String {
    let values = |path: &str| -> Vec<f64> { cases.iter().filter_map(|(_, scores)| scores.value(path)).collect() };
    let shares = [("liver", values("liver/dice")), ("lesions", values("lesion/dice_per_case"))];
    let distances = [("ASSD", values("liver/assd")), ("RMSD", values("liver/rmsd"))];
    let mut charts = charts::box_plot("Dice per case", &shares, Some((0.0, 1.0)));
    charts.push_str(&charts::box_plot("Liver, surface distances, mm", &distances, None));
    for (title, object) in [("Liver volume, ml", "liver"), ("Tumour volume, ml", "tumour")] {
        let both = |scores: &CaseScores| {
            let volume = |side: &str| scores.value(&format!("{object}/{side}"));
            Some((volume("predicted_ml")?, volume("reference_ml")?))
        };
        let points: Vec<(String, f64, f64)> = cases
            .iter()
            .filter_map(|(pair, scores)| {
                both(scores).map(|(predicted, reference)| (pair.case.clone(), predicted, reference))
            })
            .collect();
        charts.push_str(&charts::bland_altman(title, &points));
    }
    format!("<section>\n<h2>Charts</h2>\n<div class=\"charts\">\n{charts}</div>\n</section>\n")
}

fn every_case(protocol: Protocol, cases: &[(&Pair, &CaseScores)]) -> String {
    let columns = [
        ("liver Dice", "liver/dice", 3),
        ("VOE", "liver/voe", 3),
        ("RVD", "liver/rvd", 3),
        ("ASSD mm", "liver/assd", 2),
        ("MSD mm", "liver/msd", 1),
        ("lesion Dice", "lesion/dice_per_case", 3),
        ("TP", "detection/0.5/tp", 0),
        ("FP", "detection/0.5/fp", 0),
        ("FN", "detection/0.5/fn", 0),
        match protocol {
            Protocol::Hepar => ("burden error", "burden/error", 4),
            Protocol::Lits2017 => ("burden difference", "burden/difference", 4),
        },
    ];
    let rows = cases.iter().map(|(pair, scores)| {
        let cells = columns.iter().map(|(_, path, decimals)| Cell::number(scores.value(path), *decimals));
        std::iter::once(Cell::text(&pair.case)).chain(cells).collect()
    });
    let titles = columns.iter().map(|(title, ..)| Column { title, numeric: true });
    let header: Vec<Column<'_>> = std::iter::once(Column { title: "case", numeric: false }).chain(titles).collect();
    let caption = "Lesions found at an IoU above 0.5. Click a title to sort.";
    format!("<section>\n<h2>Every case, the worst first</h2>\n{}</section>\n", sortable_table(caption, &header, rows))
}

fn pictures(cases: &[(&Pair, &CaseScores)]) -> String {
    let figure = |(pair, scores): &(&Pair, &CaseScores)| -> String {
        let name = escaped(&pair.case);
        scores.overlays.iter().map(|overlay| picture::figure(&name, overlay)).collect()
    };
    let figures: String = cases.iter().take(SHOWN).map(figure).collect();
    if figures.is_empty() {
        return String::new();
    }
    format!("<h2>Where they differ most</h2>\n{}<div class=\"pictures\">\n{figures}</div>\n", picture::key())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Evaluated;
    use hepar_metrics::Figure;

    fn evaluation() -> Evaluation {
        let case = |name: &str, dice: f64| {
            let figures = vec![
                Figure::per_case("liver/dice", dice),
                Figure::per_case("liver/predicted_ml", 1500.0 * dice),
                Figure::per_case("liver/reference_ml", 1500.0),
                Figure::per_case("lesion/dice_per_case", 0.5),
            ];
            let pair = Pair { case: name.to_owned(), prediction: "p".into(), reference: "r".into() };
            let notes = vec!["no liver".to_owned()];
            Evaluated { pair, scores: Ok(CaseScores { figures, details: None, overlays: Vec::new(), notes }) }
        };
        let cases = vec![case("good", 0.9), case("<b>&bad", 0.2)];
        Evaluation { protocol: Protocol::Hepar, cases, unpaired: Vec::new() }
    }

    #[test]
    fn the_worst_case_comes_first_and_names_are_escaped() {
        let page = as_page(&evaluation(), &Bootstrap::default(), None);
        assert!(!page.contains("<b>") && page.contains("&lt;b&gt;&amp;bad: no liver"));
        let table = &page[page.find("Every case").unwrap()..];
        assert!(table.find("&lt;b&gt;").unwrap() < table.find("good").unwrap());
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
        let body = &page[page.find("<body>").unwrap()..page.find("<script>").unwrap()];
        assert!(!body.contains("NaN") && !body.contains("inf"));
    }

    #[test]
    fn what_is_odd_about_the_other_prediction_is_told_with_its_path() {
        let comparison =
            Comparison { other: "older".into(), figures: Vec::new(), problems: vec!["it has no case good".to_owned()] };
        let page = as_page(&evaluation(), &Bootstrap::default(), Some(&comparison));
        assert!(page.contains("<li>older: it has no case good</li>"), "{page}");
    }

    #[test]
    fn without_cases_there_is_a_page_too() {
        let nothing = Evaluation { protocol: Protocol::Hepar, cases: Vec::new(), unpaired: Vec::new() };
        assert!(as_page(&nothing, &Bootstrap::default(), None).contains("0 cases"));
    }
}
