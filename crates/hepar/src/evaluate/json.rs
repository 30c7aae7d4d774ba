//! An evaluation as JSON.

use hepar_metrics::statistics::Bootstrap;
use hepar_metrics::{Figure, Fold};
use serde_json::{Map, Value, json};

use crate::evaluate::{CaseScores, Comparison, Evaluation, Pair};

/// Version of the JSON layout; it grows when a key changes its meaning or goes.
const SCHEMA: u32 = 2;

/// The evaluation for programs; the layout is described in `docs/evaluation.md`.
///
/// `cases` hold name, files and figures, `totals` the figures of all cases together, `confidence` their 95 % intervals,
/// `comparison` what `comparison` says, `problems` a sentence for each case without figures and file without a partner;
/// those of the other prediction stand in `comparison`. Figures that are undefined are null.
pub fn as_json(evaluation: &Evaluation, bootstrap: &Bootstrap, comparison: Option<&Comparison>) -> Value {
    let totals = evaluation.totals(bootstrap);
    let mut all = Map::from_iter([("cases".to_owned(), json!(evaluation.scored().count()))]);
    let mut confidence = Map::from_iter([
        ("level".to_owned(), json!(0.95)),
        ("resamples".to_owned(), json!(bootstrap.resamples)),
        ("seed".to_owned(), json!(bootstrap.seed)),
    ]);
    for total in &totals {
        place(&mut all, total.figure.path, number(&total.figure));
        if let Some(interval) = total.interval {
            place(&mut confidence, total.figure.path, json!([interval.low, interval.high]));
        }
    }
    let mut value = json!({
        "schema": SCHEMA,
        "program": "hepar",
        "protocol": evaluation.protocol.to_string(),
        "cases": evaluation.scored().map(|(pair, scores)| case(pair, scores)).collect::<Vec<_>>(),
        "totals": all,
        "confidence": confidence,
        "problems": evaluation.problems(),
    });
    if let (Some(comparison), Some(object)) = (comparison, value.as_object_mut()) {
        object.insert("comparison".to_owned(), compared(comparison));
    }
    value
}

fn case(pair: &Pair, scores: &CaseScores) -> Value {
    let mut object = Map::from_iter([
        ("name".to_owned(), json!(pair.case)),
        ("prediction".to_owned(), json!(pair.prediction.display().to_string())),
        ("reference".to_owned(), json!(pair.reference.display().to_string())),
    ]);
    for figure in scores.figures.iter().filter(|figure| figure.is_of_case()) {
        place(&mut object, figure.path, number(figure));
    }
    object.insert("notes".to_owned(), json!(scores.notes));
    Value::Object(object)
}

fn compared(comparison: &Comparison) -> Value {
    let figures = comparison.figures.iter().map(|compared| {
        json!({
            "figure": compared.path,
            "cases": compared.cases,
            "mean": compared.mean,
            "other_mean": compared.other_mean,
            "difference": compared.difference(),
            "p": compared.test.p,
            "better": compared.better.map(|better| if better { "prediction" } else { "other" }),
        })
    });
    json!({
        "other": comparison.other.display().to_string(),
        "figures": figures.collect::<Vec<_>>(),
        "problems": comparison.problems,
    })
}

/// Puts a value where a path such as `detection/0.5/tp` leads; objects on the way are made.
fn place(object: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('/') {
        None => {
            object.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = object.entry(first).or_insert_with(|| Value::Object(Map::new()));
            if let Some(inner) = inner.as_object_mut() {
                place(inner, rest, value);
            }
        }
    }
}

/// A figure's value; what is counted is a whole number.
fn number(figure: &Figure) -> Value {
    match (figure.value(), figure.fold) {
        (Some(value), Fold::Sum) => json!(value as i64),
        (value, _) => json!(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_its_place() {
        let mut object = Map::new();
        place(&mut object, "detection/0.5/tp", json!(1));
        place(&mut object, "detection/0.5/fp", json!(2));
        place(&mut object, "x", json!(null));
        assert_eq!(Value::Object(object), json!({ "detection": { "0.5": { "tp": 1, "fp": 2 } }, "x": null }));
    }

    #[test]
    fn counts_are_whole_and_what_is_undefined_is_null() {
        assert_eq!(number(&Figure::count("n", -2.0)), json!(-2));
        assert_eq!(number(&Figure::per_case("d", 0.5)), json!(0.5));
        assert_eq!(number(&Figure::per_case("d", None)), Value::Null);
    }
}
