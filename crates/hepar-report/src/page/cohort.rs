//! The report of several cases.

use hepar_pipeline::{Findings, Outcome};
use hepar_volume::Volume;

use crate::charts::box_plot;
use crate::error::PictureError;
use crate::header::summary;
use crate::html::{Cell, Column, NOTICE, Page, escaped, list, sentence, sortable_table};
use crate::tables::tumours_were_looked_for;
use crate::thumbnail::thumbnail;

/// A case of a cohort's page.
#[derive(Debug, Clone, PartialEq)]
pub struct CohortEntry {
    /// Name of the case.
    pub case: String,
    /// Address of the case's report, relative to the page, as a path with `/`.
    pub link: String,
    /// What was found with an `img` element that shows it, or the sentence that says why the case failed.
    pub result: Result<(Findings, String), String>,
}

/// An `img` element that shows a case in a [`CohortEntry`].
///
/// # Errors
/// When scan and labels are not on the same grid.
pub fn cohort_picture(scan: &Volume<i16>, labels: &Volume<u8>, findings: &Findings) -> Result<String, PictureError> {
    Ok(thumbnail(scan, labels, findings)?.embedded(&format!("Axial slice. {}", summary(findings)))?)
}

/// All cases in a table with pictures, figures, warnings and links to their reports; how the figures are spread; what
/// failed. One HTML page that loads nothing.
pub fn cohort_page(entries: &[CohortEntry]) -> String {
    let failed = entries.iter().filter(|entry| entry.result.is_err()).count();
    let mut page = Page::new(&format!("{} scans: liver and tumours", entries.len()));
    page.push(&format!(
        "<header>\n<h1>{} scans: liver and tumours</h1>\n<p class=\"notice\"><strong>{NOTICE}</strong></p>\n</header>\n\
         <main>\n",
        entries.len()
    ));
    let failures = entries
        .iter()
        .filter_map(|entry| entry.result.as_ref().err().map(|reason| format!("{}: {reason}", entry.case)));
    page.push(&list(&format!("{failed} failed"), "warnings", &failures.collect::<Vec<_>>()));
    page.push(&case_table(entries));
    page.push(&distributions(entries));
    page.push(&format!("</main>\n<footer>\n<p>{NOTICE}</p>\n</footer>\n"));
    page.finish()
}

fn case_table(entries: &[CohortEntry]) -> String {
    let text = |title| Column { title, numeric: false };
    let number = |title| Column { title, numeric: true };
    let columns = [
        text("scan"),
        text("picture"),
        number("liver, ml"),
        number("tumours, ml"),
        number("burden, %"),
        number("lesions"),
        number("longest diameter, mm"),
        text("beware"),
    ];
    sortable_table("Click a title to sort.", &columns, entries.iter().map(row))
}

fn row(entry: &CohortEntry) -> Vec<Cell> {
    let name = escaped(&entry.case);
    let Ok((findings, picture)) = &entry.result else {
        let empty = || Cell::number(None, 0);
        let failed = Cell::text("failed");
        return vec![Cell { html: name, key: None }, empty(), empty(), empty(), empty(), empty(), empty(), failed];
    };
    let link = format!("<a href=\"{}\">{name}</a>", escaped(&as_address(&entry.link)));
    let of_tumours = |value: Option<f64>| value.filter(|_| tumours_were_looked_for(findings.outcome));
    let longest = findings.lesions.iter().map(|lesion| lesion.long_axis_mm).reduce(f64::max);
    let none = (findings.outcome == Outcome::NoLiver).then(|| "no liver found".to_owned());
    let cautions: Vec<String> =
        none.into_iter().chain(findings.cautions.iter().map(ToString::to_string)).map(|text| sentence(&text)).collect();
    vec![
        Cell { html: link, key: None },
        Cell { html: picture.clone(), key: None },
        Cell::number(Some(findings.liver_ml), 0),
        Cell::number(of_tumours(Some(findings.tumour_ml)), 1),
        Cell::number(findings.burden.map(|share| 100.0 * share), 1),
        Cell::number(of_tumours(Some(findings.lesions.len() as f64)), 0),
        Cell::number(longest, 1),
        Cell::text(&cautions.join(". ")),
    ]
}

/// A relative path as an address: what is no letter, digit, `-`, `.`, `_`, `~` or `/` as `%` and two digits (RFC 3986).
fn as_address(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let relative =
        path.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    format!("./{}", relative.collect::<String>())
}

fn distributions(entries: &[CohortEntry]) -> String {
    let found: Vec<&Findings> = entries
        .iter()
        .filter_map(|entry| entry.result.as_ref().ok())
        .map(|(findings, _)| findings)
        .filter(|findings| findings.outcome != Outcome::NoLiver)
        .collect();
    if found.is_empty() {
        return String::new();
    }
    let values = |value: fn(&Findings) -> Option<f64>| -> Vec<f64> { found.iter().filter_map(|f| value(f)).collect() };
    let searched = |f: &Findings| tumours_were_looked_for(f.outcome);
    let tumours: Vec<f64> = found.iter().filter(|f| searched(f)).map(|f| f.tumour_ml).collect();
    let counts: Vec<f64> = found.iter().filter(|f| searched(f)).map(|f| f.lesions.len() as f64).collect();
    let charts = [
        ("Volume of the liver, ml", "liver", values(|f| Some(f.liver_ml))),
        ("Volume of tumours, ml", "tumours", tumours),
        ("Number of lesions", "lesions", counts),
        ("Mean of the liver outside tumours, HU", "liver", values(|f| f.parenchyma_mean_hu)),
    ];
    let charts: String = charts
        .into_iter()
        .filter(|(_, _, values)| !values.is_empty())
        .map(|(title, name, values)| box_plot(title, &[(name, values)], None))
        .collect();
    format!("<section>\n<h2>How the figures are spread</h2>\n<div class=\"charts\">\n{charts}</div>\n</section>\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::tests::{healthy, tumours};

    #[test]
    fn every_case_has_a_row_and_names_are_escaped_in_text_and_links() {
        let entry = |case: &str, result| CohortEntry { case: case.into(), link: format!("{case}/report.html"), result };
        let page = cohort_page(&[
            entry("a<b> \"%/", Ok((tumours(), "<img alt=\"\">".into()))),
            entry("fine", Ok((healthy(), String::new()))),
            entry("javascript:alert(1)", Ok((healthy(), String::new()))),
            entry("broken", Err("read <it>".into())),
        ]);
        assert!(page.contains("href=\"./a%3Cb%3E%20%22%25//report.html\">a&lt;b&gt; &quot;%/</a>"), "{page}");
        assert!(page.contains("broken: read &lt;it&gt;") && page.contains("1 failed"));
        assert!(page.contains("href=\"./javascript%3Aalert%281%29/report.html\""));
        let (body, _script) = page.split_once("<script>").unwrap();
        assert!(!body.contains("NaN") && body.contains("4 scans") && body.contains("<svg"));
    }

    #[test]
    fn without_any_liver_there_is_a_page_too() {
        let none = Findings { outcome: Outcome::NoLiver, ..healthy() };
        let entry = CohortEntry { case: "x".into(), link: "x/report.html".into(), result: Ok((none, String::new())) };
        assert!(cohort_page(&[entry]).contains("No liver found"));
        assert!(cohort_page(&[]).contains("0 scans"));
    }
}
