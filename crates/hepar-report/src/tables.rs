//! Tables for spreadsheets: CSV as in RFC 4180, lines end in CR LF.

use std::borrow::Cow;

use hepar_pipeline::{Findings, Lesion, Outcome};

const LESION_COLUMNS: &str = "lesion,volume_ml,long_axis_mm,short_axis_mm,centroid_r_mm,centroid_a_mm,centroid_s_mm,\
                              long_axis_slice_0based,first_slice_0based,last_slice_0based,mean_hu,sd_hu,voxels,confidence";

const COHORT_COLUMNS: &str =
    "case,status,outcome,liver_ml,tumour_ml,tumour_fraction_of_liver,lesions,largest_long_axis_mm";

/// What became of one case of a cohort.
#[derive(Debug, Clone, PartialEq)]
pub struct CohortRow {
    /// Name of the case.
    pub case: String,
    /// What was found, or the sentence that says why the case failed.
    pub result: Result<Findings, String>,
}

/// The lesions of a case as CSV, one a line, the largest first; the header alone when there are none.
///
/// Millilitres, millimetres and Hounsfield units have three decimals. The centroid is in RAS+ millimetres: towards the
/// patient's right, to the front and to the head. Slices are 0-based indices along the stored axis of the input that is
/// nearest to inferior–superior. The confidence, 0 to 1, is the mean probability of the lesion's voxels, and empty for
/// labels that no network has made.
pub fn lesions_csv(findings: &Findings) -> String {
    table(LESION_COLUMNS, findings.lesions.iter().map(lesion_fields))
}

/// One line for each case of a cohort as CSV, in the order given.
///
/// `status` is `ok` or the sentence of the error; then the other fields are empty. Figures of tumours are empty where
/// tumours were not looked for.
pub fn cohort_csv(rows: &[CohortRow]) -> String {
    table(COHORT_COLUMNS, rows.iter().map(cohort_fields))
}

/// The name of an outcome in tables: `no-liver`, `liver-only`, `no-tumour` or `tumours`.
pub(crate) fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NoLiver => "no-liver",
        Outcome::LiverOnly => "liver-only",
        Outcome::NoTumour => "no-tumour",
        Outcome::Tumours => "tumours",
    }
}

/// Whether the figures of tumours mean anything.
pub(crate) fn tumours_were_looked_for(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::NoTumour | Outcome::Tumours)
}

fn lesion_fields(lesion: &Lesion) -> [String; 14] {
    let [x, y, z] = lesion.centroid.0.map(decimals);
    [
        lesion.id.to_string(),
        decimals(lesion.volume_ml),
        decimals(lesion.long_axis_mm),
        decimals(lesion.short_axis_mm),
        x,
        y,
        z,
        lesion.axial_slice.to_string(),
        lesion.slices.0.to_string(),
        lesion.slices.1.to_string(),
        decimals(lesion.mean_hu),
        decimals(lesion.sd_hu),
        lesion.voxels.to_string(),
        lesion.confidence.map(decimals).unwrap_or_default(),
    ]
}

fn cohort_fields(row: &CohortRow) -> [String; 8] {
    let findings = match &row.result {
        Ok(findings) => findings,
        Err(sentence) => {
            let [outcome, liver, tumour, burden, lesions, longest] = Default::default();
            return [row.case.clone(), sentence.clone(), outcome, liver, tumour, burden, lesions, longest];
        }
    };
    let of_tumours = |field: String| if tumours_were_looked_for(findings.outcome) { field } else { String::new() };
    let longest = findings.lesions.iter().map(|lesion| lesion.long_axis_mm).reduce(f64::max);
    [
        row.case.clone(),
        "ok".to_owned(),
        outcome_name(findings.outcome).to_owned(),
        decimals(findings.liver_ml),
        of_tumours(decimals(findings.tumour_ml)),
        findings.burden.map(|burden| format!("{burden:.6}")).unwrap_or_default(),
        of_tumours(findings.lesions.len().to_string()),
        of_tumours(longest.map(decimals).unwrap_or_default()),
    ]
}

fn decimals(value: f64) -> String {
    let text = format!("{value:.3}");
    if text == "-0.000" { "0.000".to_owned() } else { text }
}

fn table<const N: usize>(columns: &str, rows: impl Iterator<Item = [String; N]>) -> String {
    let mut text = columns.to_owned();
    text.push_str("\r\n");
    for row in rows {
        text.push_str(&row.each_ref().map(|field| escaped(field)).join(","));
        text.push_str("\r\n");
    }
    text
}

/// A field as it stands in a line: in quotes when it holds a comma, a quote or the end of a line.
fn escaped(field: &str) -> Cow<'_, str> {
    if field.contains([',', '"', '\r', '\n']) {
        Cow::Owned(format!("\"{}\"", field.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::tests::{healthy, tumours};

    #[test]
    fn every_lesion_is_a_line_with_its_units_in_the_header() {
        assert_eq!(
            lesions_csv(&tumours()),
            "lesion,volume_ml,long_axis_mm,short_axis_mm,centroid_r_mm,centroid_a_mm,centroid_s_mm,\
             long_axis_slice_0based,first_slice_0based,last_slice_0based,mean_hu,sd_hu,voxels,confidence\r\n\
             1,12.346,31.623,20.000,-10.500,0.000,1200.125,14,11,17,61.250,9.876,7716,0.917\r\n\
             2,0.002,1.414,0.707,0.000,1.000,2.000,3,3,3,-5.000,0.000,1,\r\n"
        );
    }

    #[test]
    fn without_lesions_the_header_is_still_there() {
        assert_eq!(lesions_csv(&healthy()), format!("{LESION_COLUMNS}\r\n"));
    }

    #[test]
    fn a_cohort_has_a_line_for_each_case_and_errors_are_escaped() {
        let mut liver_only = healthy();
        (liver_only.outcome, liver_only.burden) = (Outcome::LiverOnly, None);
        let rows = [
            ("a, b", Ok(tumours())),
            ("healthy", Ok(healthy())),
            ("liver", Ok(liver_only)),
            ("broken", Err("read \"ct.nii\":\nit is no image".to_owned())),
        ]
        .map(|(case, result)| CohortRow { case: case.to_owned(), result });
        assert_eq!(
            cohort_csv(&rows),
            "case,status,outcome,liver_ml,tumour_ml,tumour_fraction_of_liver,lesions,largest_long_axis_mm\r\n\
             \"a, b\",ok,tumours,1500.000,12.348,0.008232,2,31.623\r\n\
             healthy,ok,no-tumour,1400.500,0.000,0.000000,0,\r\n\
             liver,ok,liver-only,1400.500,,,,\r\n\
             broken,\"read \"\"ct.nii\"\":\nit is no image\",,,,,,\r\n"
        );
    }
}
