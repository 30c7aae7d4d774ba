//! One lesion in three planes.

use hepar_pipeline::{Lesion, check_same_grid};
use hepar_volume::Volume;

use crate::canvas::Canvas;
use crate::error::PictureError;
use crate::palette::BACKGROUND;
use crate::picture::Picture;
use crate::row::Row;
use crate::section::Anatomy;
use crate::sheet::{self, GAP, draw_row};

/// Width in pixels of the picture of a plane.
const PANEL_WIDTH: usize = 384;

/// A picture of a lesion: the axial slice of its diameters with both drawn, and the coronal and sagittal slices through
/// its centroid, all to one scale.
///
/// Otherwise as [`preview`](crate::preview()); 1216 pixels wide and some 400 high.
///
/// # Errors
/// When scan and labels are not on the same grid.
pub fn lesion_picture(scan: &Volume<i16>, labels: &Volume<u8>, lesion: &Lesion) -> Result<Picture, PictureError> {
    check_same_grid(scan.geometry(), labels.geometry())?;
    let anatomy = Anatomy::new(scan, labels);
    let row = Row::through_lesion(&anatomy, lesion, PANEL_WIDTH);
    let (width, height) = (sheet::width(PANEL_WIDTH), sheet::height(&row) + GAP);
    let mut canvas = Canvas::filled(width, height, BACKGROUND).ok_or(PictureError::Size { width, height })?;
    draw_row(&mut canvas, &anatomy, &row, 0)?;
    Ok(Picture(canvas))
}
