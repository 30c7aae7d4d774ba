//! The lesions of a report: a table of all, and a card with pictures for each.

use hepar_pipeline::{Findings, Lesion};
use hepar_volume::Millimetres;

use crate::header::millilitres;
use crate::html::{Cell, Column, escaped, sortable_table};

/// All lesions, a row each.
pub(super) fn lesion_table(findings: &Findings, pictured: usize) -> String {
    let number = |title| Column { title, numeric: true };
    let columns = [
        number("lesion"),
        number("slices"),
        number("volume, ml"),
        number("long axis, mm"),
        number("short axis, mm"),
        number("mean, HU"),
        number("R, mm"),
        number("A, mm"),
        number("S, mm"),
        number("confidence"),
        Column { title: "remarks", numeric: false },
    ];
    let rows = findings.lesions.iter().map(|lesion| row(lesion, pictured));
    let caption = "Click a number to go to the lesion, a title to sort. Axes after RECIST 1.1 and WHO; the centroid is \
                   given as millimetres towards the patient's right (R), front (A) and head (S). The confidence is the \
                   network's mean probability in the lesion, 0 to 1; it has not been calibrated.";
    format!("<section>\n<h2>Lesions</h2>\n{}</section>\n", sortable_table(caption, &columns, rows))
}

fn row(lesion: &Lesion, pictured: usize) -> Vec<Cell> {
    let id = lesion.id;
    let card = if id <= pictured { format!(" <a href=\"#lesion-{id}\">pictures</a>") } else { String::new() };
    let button = format!("<button type=\"button\" data-lesion=\"{id}\" aria-label=\"Go to lesion {id}\">{id}</button>");
    let [r, a, s] = lesion.centroid.0;
    vec![
        Cell { html: button + &card, key: Some(id as f64) },
        Cell { html: escaped(&slices(lesion)), key: Some(lesion.slices.0 as f64) },
        Cell::number(Some(lesion.volume_ml), if lesion.volume_ml < 1.0 { 3 } else { 1 }),
        Cell::number(Some(lesion.long_axis_mm), 1),
        Cell::number(Some(lesion.short_axis_mm), 1),
        Cell::number(Some(lesion.mean_hu), 0),
        Cell::number(Some(r), 0),
        Cell::number(Some(a), 0),
        Cell::number(Some(s), 0),
        Cell::number(lesion.confidence, 2),
        Cell::text(&remarks(lesion)),
    ]
}

/// What should be known of a lesion beside its figures.
fn remarks(lesion: &Lesion) -> String {
    let border = lesion.at_border.then_some("touches the liver's border");
    let doubtful = lesion.is_doubtful().then_some("doubtful");
    border.into_iter().chain(doubtful).collect::<Vec<_>>().join("; ")
}

/// A card for a lesion; `picture` is an `img` element.
pub(super) fn card(lesion: &Lesion, picture: &str) -> String {
    let id = lesion.id;
    let border = if lesion.at_border { " It touches the border of the liver." } else { "" };
    let confidence = lesion.confidence.map(|value| format!("; confidence {value:.2}")).unwrap_or_default();
    let doubtful = if lesion.is_doubtful() { " The network is little sure of it." } else { "" };
    format!(
        "<article class=\"card\" id=\"lesion-{id}\">\n<h3>Lesion {id} \
         <button type=\"button\" data-lesion=\"{id}\">show in the viewer</button></h3>\n{picture}\n\
         <p>{}; {}; {:.1} × {:.1} mm in slice {}; mean {:.0} HU (standard deviation {:.0}); \
         centroid {}{confidence}.{border}{doubtful}</p>\n\
         </article>\n",
        slices_in_words(lesion),
        millilitres(lesion.volume_ml),
        lesion.long_axis_mm,
        lesion.short_axis_mm,
        lesion.axial_slice,
        lesion.mean_hu,
        lesion.sd_hu,
        place(lesion.centroid),
    )
}

/// What a picture of a lesion shows, for those who cannot see it.
pub(super) fn alternative(lesion: &Lesion) -> String {
    format!(
        "Lesion {} in three planes: axial in slice {} with its long axis of {:.1} mm and its short axis of {:.1} mm, \
         coronal and sagittal through its centroid",
        lesion.id, lesion.axial_slice, lesion.long_axis_mm, lesion.short_axis_mm
    )
}

fn slices(lesion: &Lesion) -> String {
    match lesion.slices {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}–{last}"),
    }
}

fn slices_in_words(lesion: &Lesion) -> String {
    let word = if lesion.slices.0 == lesion.slices.1 { "Slice" } else { "Slices" };
    format!("{word} {}", slices(lesion))
}

/// A place in words: `12 mm left, 30 mm anterior, 4 mm inferior` of the scanner's origin.
fn place(Millimetres(point): Millimetres) -> String {
    let names = [["left", "right"], ["posterior", "anterior"], ["inferior", "superior"]];
    let parts = point.iter().zip(names).map(|(mm, [minus, plus])| {
        let side = if *mm < 0.0 { minus } else { plus };
        format!("{:.0} mm {side}", mm.abs())
    });
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::tests::tumours;

    #[test]
    fn a_lesion_is_told_in_words() {
        let findings = tumours();
        let [first, second] = &findings.lesions[..] else { panic!() };
        assert_eq!((slices_in_words(first), slices_in_words(second)), ("Slices 11–17".into(), "Slice 3".into()));
        assert_eq!(place(first.centroid), "10 mm left, 0 mm posterior, 1200 mm superior");
        assert!(card(first, "<img>").contains("touches the border") && !card(second, "").contains("border"));
        assert!(card(first, "").contains("; confidence 0.92.") && !card(second, "").contains("confidence"));
        let doubtful = Lesion { confidence: Some(0.6), ..first.clone() };
        assert!(card(&doubtful, "").contains("little sure") && remarks(&doubtful).ends_with("border; doubtful"));
    }

    #[test]
    fn every_lesion_has_a_row_and_those_with_pictures_a_link() {
        let table = lesion_table(&tumours(), 1);
        assert!(table.contains("href=\"#lesion-1\"") && !table.contains("href=\"#lesion-2\""));
        assert_eq!(table.matches("data-lesion=").count(), 2);
        assert!(table.contains("data-key=\"12.3456\">12.3<") && table.contains(">0.002<"));
    }
}
