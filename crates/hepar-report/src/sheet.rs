//! Rows of pictures with what stands above them.

use crate::canvas::{Anchor, Canvas};
use crate::error::PictureError;
use crate::palette::DIM;
use crate::panel::draw_panel;
use crate::plane::Plane;
use crate::row::Row;
use crate::section::Anatomy;

/// Pixels around and between pictures.
pub(crate) const GAP: usize = 16;

/// Height in pixels of what stands above a picture.
const CAPTION_HEIGHT: usize = 36;

/// Width in pixels of a row of pictures that are `panel_width` wide.
pub(crate) const fn width(panel_width: usize) -> usize {
    3 * (panel_width + GAP) + GAP
}

/// Height in pixels of a row with its captions.
pub(crate) fn height(row: &Row<'_>) -> usize {
    CAPTION_HEIGHT + row.panel_height()
}

/// Draws the three planes of a row side by side with their captions, from `top` down.
///
/// # Errors
/// When two axes of the scan are all but parallel.
pub(crate) fn draw_row(
    canvas: &mut Canvas,
    anatomy: &Anatomy<'_>,
    row: &Row<'_>,
    top: usize,
) -> Result<(), PictureError> {
    for (n, plane) in Plane::ALL.into_iter().enumerate() {
        let panel = draw_panel(anatomy, row, plane)?;
        let left = GAP + n * (panel.width() as usize + GAP);
        let baseline = [left as f32, (top + CAPTION_HEIGHT - 12) as f32];
        canvas.text(baseline, Anchor::Left, 11.0, DIM, &row.caption(anatomy, plane));
        canvas.put(left, top + CAPTION_HEIGHT, &panel);
    }
    Ok(())
}
