//! A slice with two outlines as SVG.

use std::fmt::Write;

use crate::evaluate::{Overlay, Side};

/// Pixels of the longer side.
const SIZE: f64 = 260.0;

const SIDES: [(Side, &str, &str); 3] = [
    (Side::Both, "#9aa7b4", "both"),
    (Side::Prediction, "#d9822b", "prediction alone"),
    (Side::Reference, "#2b7bd9", "reference alone"),
];

/// What the colours mean.
pub(super) fn key() -> String {
    let square = |colour: &str| {
        format!(
            "<svg width=\"13\" height=\"13\" aria-hidden=\"true\"><path d=\"M0 0h13v13H0z\" fill=\"{colour}\"/></svg>"
        )
    };
    let entries = SIDES.iter().map(|(_, colour, name)| format!("<span>{}{name}</span>\n", square(colour)));
    format!("<p class=\"key\">\n{}</p>\n", entries.collect::<String>())
}

/// A slice of a case, whose name is HTML already.
pub(super) fn figure(case: &str, overlay: &Overlay) -> String {
    let [rows, columns] = overlay.size;
    let (height, width) = (rows as f64 * overlay.spacing[0], columns as f64 * overlay.spacing[1]);
    let scale = SIZE / height.max(width);
    let mut paths = String::new();
    for (side, colour, _) in SIDES {
        let mut path = String::new();
        for run in overlay.runs.iter().filter(|run| run.side == side) {
            // Writing to a string cannot fail.
            let _ = write!(path, "M{} {}h{}v1h-{}z", run.start, run.row, run.length, run.length);
        }
        let _ = write!(paths, "<path d=\"{path}\" fill=\"{colour}\"/>");
    }
    format!(
        "<figure><svg width=\"{:.0}\" height=\"{:.0}\" viewBox=\"0 0 {columns} {rows}\" preserveAspectRatio=\"none\" \
         role=\"img\" aria-label=\"{case}\" shape-rendering=\"crispEdges\">{paths}</svg>\
         <figcaption>{case}: {}, slice at {:.1} mm (superior)</figcaption></figure>\n",
        width * scale,
        height * scale,
        overlay.object,
        overlay.superior_mm,
    )
}
