//! The figures on top of a report, and what to beware of.

use hepar_pipeline::{Findings, Outcome};

use crate::header::millilitres;
use crate::html::{escaped, list, sentence};
use crate::tables::tumours_were_looked_for;

/// The few figures that most readers came for.
pub(super) fn figures(findings: &Findings) -> String {
    let looked_for = tumours_were_looked_for(findings.outcome);
    let of_tumours = |value: String| if looked_for { value } else { "not looked for".to_owned() };
    let burden = findings.burden.map_or("–".to_owned(), |share| format!("{:.1} %", 100.0 * share));
    let longest = findings.lesions.iter().map(|lesion| lesion.long_axis_mm).reduce(f64::max);
    let mut figures = vec![("Liver with tumours", millilitres(findings.liver_ml))];
    if findings.outcome != Outcome::NoLiver {
        figures.push(("Tumours", of_tumours(millilitres(findings.tumour_ml))));
        figures.push(("Tumour burden", burden));
        figures.push(("Lesions", of_tumours(findings.lesions.len().to_string())));
    }
    figures.extend(longest.map(|mm| ("Longest diameter", format!("{mm:.1} mm"))));
    figures.extend(findings.parenchyma_mean_hu.map(|hu| ("Mean of the liver outside tumours", format!("{hu:.0} HU"))));
    boxes(figures)
}

/// A picture, as an `img` element, with plain text below it.
pub(super) fn figure(picture: &str, caption: &str) -> String {
    format!("<figure>{picture}\n<figcaption>{}</figcaption></figure>\n", escaped(caption))
}

/// Figures with their names, plain text, each in a box.
pub(super) fn boxes<'a>(figures: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let boxes: String = figures
        .into_iter()
        .map(|(name, value)| format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escaped(name), escaped(&value)))
        .collect();
    format!("<dl class=\"figures\">\n{boxes}</dl>\n")
}

/// What makes findings less certain: cautions, and what the reader of the scan had to say. Nothing without any.
pub(super) fn warnings(findings: &Findings, others: &[String]) -> String {
    let cautions = findings.cautions.iter().map(ToString::to_string);
    let texts: Vec<String> = cautions.chain(others.iter().cloned()).map(|text| sentence(&text) + ".").collect();
    list("Beware", "warnings", &texts)
}
