//! What stands above and below the pictures.

use hepar_pipeline::{Findings, Outcome};

use crate::canvas::{Anchor, Canvas};
use crate::font;
use crate::html::sentence;
use crate::palette::{BRIGHT, DIM, ORANGE, SKY_BLUE, VERMILLION, WINDOW};

/// Pixels at the left and the right edge.
const MARGIN: f32 = 16.0;

/// Height in pixels without cautions.
const HEIGHT: usize = 80;

/// Height in pixels of a line with a caution.
const CAUTION_HEIGHT: usize = 24;

/// Height in pixels of what stands below the pictures.
pub(crate) const FOOTER_HEIGHT: usize = 36;

/// Height in pixels of what stands above the pictures.
pub(crate) fn height(findings: &Findings) -> usize {
    HEIGHT + CAUTION_HEIGHT * findings.cautions.len()
}

/// Writes the name of the case, what was found and what a reader should know.
pub(crate) fn write_header(canvas: &mut Canvas, findings: &Findings, case: &str) {
    /// Room for the legend, in pixels.
    const LEGEND: f32 = 260.0;
    let (left, right) = (MARGIN, canvas.width() - MARGIN);
    let name = font::fitted(&font::printable(case), 20.0, right - left - LEGEND);
    canvas.text([left, 38.0], Anchor::Left, 20.0, BRIGHT, &name);
    canvas.text([left, 66.0], Anchor::Left, 13.0, BRIGHT, &summary(findings));
    if findings.outcome != Outcome::NoLiver {
        write_legend(canvas, right);
    }
    for (n, caution) in findings.cautions.iter().enumerate() {
        let baseline = (HEIGHT + n * CAUTION_HEIGHT + 12) as f32;
        let text = font::fitted(&font::printable(&sentence(&caution.to_string())), 11.0, right - left);
        canvas.text([left, baseline], Anchor::Left, 11.0, ORANGE, &text);
    }
}

fn write_legend(canvas: &mut Canvas, right: f32) {
    let mut x = right;
    for (label, colour) in [("tumour", VERMILLION), ("liver", SKY_BLUE)] {
        canvas.text([x, 38.0], Anchor::Right, 13.0, BRIGHT, label);
        x -= font::width(label, 13.0) + 34.0;
        canvas.lines(&[vec![[x, 32.0], [x + 22.0, 32.0]]], 3.0, colour);
        x -= 26.0;
    }
}

/// Writes what the pictures are for and how to read them.
pub(crate) fn write_footer(canvas: &mut Canvas) {
    let (left, right, baseline) = (MARGIN, canvas.width() - MARGIN, canvas.height() - 13.0);
    let notice = "hepar: research use only, not a medical device";
    canvas.text([left, baseline], Anchor::Left, 10.0, DIM, notice);
    let [low, high] = WINDOW;
    let reading = format!("Window {low} to {high} HU. Slice numbers count from 0 in the stored scan");
    canvas.text([right, baseline], Anchor::Right, 10.0, DIM, &reading);
}

/// What was found, in a line.
pub(crate) fn summary(findings: &Findings) -> String {
    let liver = format!("Liver {}", millilitres(findings.liver_ml));
    match findings.outcome {
        Outcome::NoLiver => "No liver found".to_owned(),
        Outcome::LiverOnly => format!("{liver}, tumours were not looked for"),
        Outcome::NoTumour => format!("{liver}, no tumour found"),
        Outcome::Tumours => {
            let burden = findings.burden.map(|share| format!(" ({:.1} % of the liver)", 100.0 * share));
            let lesions = match findings.lesions.len() {
                1 => "1 lesion".to_owned(),
                n => format!("{n} lesions"),
            };
            format!("{liver}, tumour {}{}, {lesions}", millilitres(findings.tumour_ml), burden.unwrap_or_default())
        }
    }
}

/// A volume with three figures that count, as far as decimals go.
pub(crate) fn millilitres(ml: f64) -> String {
    let decimals = if ml < 1.0 {
        2
    } else if ml < 100.0 {
        1
    } else {
        0
    };
    format!("{ml:.decimals$} ml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::tests::{healthy, tumours};

    #[test]
    fn the_summary_says_what_was_found() {
        assert_eq!(summary(&tumours()), "Liver 1500 ml, tumour 12.3 ml (0.8 % of the liver), 2 lesions");
        assert_eq!(summary(&healthy()), "Liver 1400 ml, no tumour found");
        let liver_only = Findings { outcome: Outcome::LiverOnly, liver_ml: 0.456, ..healthy() };
        assert_eq!(summary(&liver_only), "Liver 0.46 ml, tumours were not looked for");
        assert_eq!(summary(&Findings { outcome: Outcome::NoLiver, ..healthy() }), "No liver found");
    }

    #[test]
    fn a_caution_begins_with_a_capital() {
        assert_eq!(sentence("slices are far apart"), "Slices are far apart");
        assert_eq!(sentence(""), "");
    }
}
