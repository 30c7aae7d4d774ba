//! One picture of a row: a plane with outlines, directions and a scale.

use hepar_pipeline::Lesion;
use hepar_volume::Millimetres;

use crate::canvas::{Anchor, Canvas};
use crate::contour::contours;
use crate::error::PictureError;
use crate::palette::{BLACK, BRIGHT, SKY_BLUE, VERMILLION, WINDOW, YELLOW};
use crate::plane::Plane;
use crate::row::Row;
use crate::section::{Anatomy, Section, View};

/// What is written into a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marks {
    /// Directions at its edges and a scale bar.
    All,
    /// Nothing.
    None,
}

/// Draws the picture of a plane.
///
/// # Errors
/// When two axes of the scan are all but parallel.
pub(crate) fn draw_panel(anatomy: &Anatomy, row: &Row, plane: Plane) -> Result<Canvas, PictureError> {
    draw_view(anatomy, &row.view(plane), row.lesion.filter(|_| plane == Plane::Axial), Marks::All)
}

/// Draws what a view shows, with the diameters of a lesion if there is one.
///
/// # Errors
/// When two axes of the scan are all but parallel.
pub(crate) fn draw_view(
    anatomy: &Anatomy,
    view: &View,
    lesion: Option<&Lesion>,
    marks: Marks,
) -> Result<Canvas, PictureError> {
    let size = PictureError::Size { width: view.width, height: view.height };
    let section = anatomy.section(view)?;
    let mut panel = Canvas::grey(section.hu.view(), WINDOW).ok_or(size)?;
    let thickness = if view.width < 300 { 1.5 } else { 2.0 };
    for (mask, colour) in [(&section.liver, SKY_BLUE), (&section.tumour, VERMILLION)] {
        panel.lines(&contours(mask.view()), thickness, colour);
    }
    if let Some(lesion) = lesion {
        draw_diameters(&mut panel, anatomy, &section, lesion);
    }
    if marks == Marks::All {
        write_edges(&mut panel, view.plane);
        draw_scale(&mut panel, view.pixel_mm);
    }
    Ok(panel)
}

fn draw_diameters(panel: &mut Canvas, anatomy: &Anatomy, section: &Section, lesion: &Lesion) {
    let place = |end: Millimetres| section.projection.pixel(anatomy.geometry().to_index(end));
    let lines = [lesion.long_axis_ends, lesion.short_axis_ends].map(|ends| ends.map(place).to_vec());
    // A lesion of another scan may lie anywhere.
    if lines.iter().flatten().all(|&point| panel.contains(point)) {
        panel.lines(&lines, 1.5, YELLOW);
    }
}

fn write_edges(panel: &mut Canvas, plane: Plane) {
    const SIZE: f32 = 13.0;
    let (width, height) = (panel.width(), panel.height());
    let [left, right, top, bottom] = plane.edges();
    let middle = (height + SIZE) / 2.0;
    for (place, anchor, letter) in [
        ([10.0, middle], Anchor::Left, left),
        ([width - 10.0, middle], Anchor::Right, right),
        ([width / 2.0, 10.0 + SIZE], Anchor::Middle, top),
        ([width / 2.0, height - 10.0], Anchor::Middle, bottom),
    ] {
        panel.rimmed_text(place, anchor, SIZE, BRIGHT, letter);
    }
}

/// Draws a bar with its length, at most a quarter of the panel.
fn draw_scale(panel: &mut Canvas, pixel_mm: f64) {
    let length = bar_length(f64::from(panel.width()) / 4.0 * pixel_mm);
    let label = if length >= 10.0 { format!("{} cm", (length / 10.0).round()) } else { format!("{length} mm") };
    let (pixels, right, bottom) = ((length / pixel_mm) as f32, panel.width() - 14.0, panel.height() - 14.0);
    let bar = vec![[right - pixels, bottom - 5.0], [right - pixels, bottom], [right, bottom], [right, bottom - 5.0]];
    for (thickness, colour) in [(4.0, BLACK), (1.5, BRIGHT)] {
        panel.lines(std::slice::from_ref(&bar), thickness, colour);
    }
    panel.rimmed_text([right - pixels / 2.0, bottom - 10.0], Anchor::Middle, 10.0, BRIGHT, &label);
}

/// The greatest of 1, 2 and 5 times a power of ten that is no more than `limit`.
fn bar_length(limit: f64) -> f64 {
    let power = 10f64.powf(limit.log10().floor());
    [5.0, 2.0].map(|n| n * power).into_iter().find(|&length| length <= limit).unwrap_or(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_bar_has_a_round_length() {
        let lengths = [99.0, 50.0, 49.0, 21.0, 10.0, 0.7].map(bar_length);
        assert_eq!(lengths, [50.0, 50.0, 20.0, 20.0, 10.0, 0.5]);
    }
}
