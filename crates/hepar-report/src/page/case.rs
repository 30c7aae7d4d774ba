//! The report of a case: one HTML file.

use hepar_pipeline::{Findings, Outcome, check_same_grid};
use hepar_volume::Volume;
use rayon::prelude::*;

use super::figures::{figure, figures, warnings};
use super::histograms;
use super::lesions::{alternative, card, lesion_table};
use super::provenance::{Identity, Provenance, facts};
use crate::error::PictureError;
use crate::header::summary;
use crate::html::{NOTICE, Page, escaped};
use crate::lesion_picture::lesion_picture;
use crate::montage::montage;
use crate::preview::preview;
use crate::viewer::{acknowledgement, push_viewer};

/// The most lesions that get pictures of their own, the largest first: the report of a 512×512×300 scan stays below
/// 15 MB.
pub const PICTURED_LESIONS: usize = 60;

/// What a report is made from.
#[derive(Debug, Clone, Copy)]
pub struct CaseReport<'a> {
    /// Name of the case.
    pub case: &'a str,
    /// The scan in Hounsfield units, in any orientation.
    pub scan: &'a Volume<i16>,
    /// 0 background, 1 liver, 2 tumour, on the scan's grid.
    pub labels: &'a Volume<u8>,
    /// What the labels say.
    pub findings: &'a Findings,
    /// How the result came about.
    pub provenance: &'a Provenance,
    /// Who the patient is; `None` where the user has not asked for it.
    pub identity: Option<&'a Identity>,
}

/// The report of a case as one HTML page that loads nothing and asks for nothing.
///
/// Whatever text comes from files is escaped. The page has pictures and tables that need no script, and a viewer for
/// browsers with WebGL 2.
///
/// # Errors
/// When scan and labels are not on the same grid, or a picture cannot be made.
pub fn case_page(report: &CaseReport<'_>) -> Result<String, PictureError> {
    let CaseReport { case, scan, labels, findings, provenance, identity } = *report;
    check_same_grid(scan.geometry(), labels.geometry())?;
    let mut page = Page::new(&format!("{case}: liver and tumours"));
    page.push(&format!("<header>\n<h1>{}: liver and tumours</h1>\n", escaped(case)));
    page.push(&format!("<p class=\"notice\"><strong>{NOTICE}</strong></p>\n"));
    if let Some(Identity(known)) = identity {
        page.push(&facts(known.iter().map(|(name, value)| (name.as_str(), value.clone()))));
    }
    page.push("</header>\n<main>\n");
    if findings.outcome == Outcome::NoLiver {
        page.push("<p><strong>No liver was found in this scan.</strong></p>\n");
    }
    page.push(&figures(findings));
    page.push(&warnings(findings, &provenance.warnings));
    let [shown, caption] = match findings.liver_box {
        Some(_) => [
            "Axial, coronal and sagittal slices with outlines",
            "The slices with the most liver and, below, the largest lesion if there is one. The liver is outlined in \
             blue, tumours in vermillion; the patient's right is on the left.",
        ],
        None => [
            "Axial, coronal and sagittal slices",
            "Slices through the middle of the scan; the patient's right is on the left.",
        ],
    };
    let alternative = format!("{}. {shown}", summary(findings));
    page.push(&figure(&preview(scan, labels, findings, case)?.embedded(&alternative)?, caption));
    push_viewer(&mut page, scan, labels, findings, PICTURED_LESIONS)?;
    if !findings.lesions.is_empty() {
        page.push(&lesion_table(findings, PICTURED_LESIONS));
        page.push(&cards(report)?);
    }
    if let Some(montage) = montage(scan, labels, findings)? {
        let picture = montage.embedded("Axial slices through the liver with outlines, from the head to the feet")?;
        page.push("<section>\n<h2>The liver, slice by slice</h2>\n");
        page.push(&figure(&picture, "From the head to the feet; the numbers are those of the slices, counted from 0."));
        page.push("</section>\n");
    }
    let chart = histograms::chart(scan, labels);
    if !chart.is_empty() {
        page.push(&format!("<section>\n<h2>Intensities</h2>\n<div class=\"charts\">\n{chart}</div>\n</section>\n"));
    }
    page.push(&provenance.section());
    page.push(&format!("</main>\n<footer>\n<p>{NOTICE}</p>\n{}</footer>\n", acknowledgement()));
    Ok(page.finish())
}

/// A card for each lesion up to [`PICTURED_LESIONS`], and a word about the others.
fn cards(report: &CaseReport<'_>) -> Result<String, PictureError> {
    let lesions = &report.findings.lesions;
    let cards = lesions.par_iter().take(PICTURED_LESIONS).map(|lesion| {
        let picture = lesion_picture(report.scan, report.labels, lesion)?;
        Ok(card(lesion, &picture.embedded(&alternative(lesion))?))
    });
    let cards: Vec<String> = cards.collect::<Result<_, PictureError>>()?;
    let others = match lesions.len().saturating_sub(PICTURED_LESIONS) {
        0 => String::new(),
        n => {
            format!("<p>Pictures are shown of the {PICTURED_LESIONS} largest lesions; {n} more are in the table.</p>\n")
        }
    };
    Ok(format!("<section>\n<h2>Every lesion</h2>\n{others}{}</section>\n", cards.concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_pipeline::{LastStage, describe};
    use hepar_volume::Geometry;

    #[test]
    fn the_page_of_a_scan_without_a_liver_does_not_speak_of_outlines_or_a_crop() {
        let geometry = Geometry::axis_aligned([6, 8, 10], [2.0; 3]).unwrap();
        let scan = Volume::filled(geometry.clone(), 40i16);
        let page = |label: u8| {
            let labels = Volume::filled(geometry.clone(), label);
            let findings = describe(&labels, &scan, LastStage::Tumour).unwrap();
            let (labels, findings, provenance) = (&labels, &findings, &Provenance::default());
            case_page(&CaseReport { case: "a", scan: &scan, labels, findings, provenance, identity: None }).unwrap()
        };
        let sentences = ["with outlines", "The liver is outlined in", "cropped to what is around the liver"];
        assert_eq!(sentences.map(|sentence| page(1).contains(sentence)), [true; 3]);
        assert_eq!(sentences.map(|sentence| page(0).contains(sentence)), [false; 3]);
    }
}
