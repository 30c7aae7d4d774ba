//! A small picture of a case for tables.

use hepar_pipeline::{Findings, check_same_grid};
use hepar_volume::Volume;

use crate::error::PictureError;
use crate::panel::{Marks, draw_view};
use crate::picture::Picture;
use crate::plane::Plane;
use crate::row::Row;
use crate::section::Anatomy;

/// Width in pixels.
const WIDTH: usize = 180;

/// The axial slice with the most liver, or the middle of a scan without a liver, with outlines.
///
/// # Errors
/// When scan and labels are not on the same grid.
pub(crate) fn thumbnail(scan: &Volume<i16>, labels: &Volume<u8>, findings: &Findings) -> Result<Picture, PictureError> {
    check_same_grid(scan.geometry(), labels.geometry())?;
    let anatomy = Anatomy::new(scan, labels);
    let liver = findings.liver_box.as_ref().and_then(|stored| anatomy.liver(stored));
    let row = match liver {
        Some(liver) => Row::through_liver(&anatomy, &liver, WIDTH),
        None => Row::middle(&anatomy, WIDTH),
    };
    Ok(Picture(draw_view(&anatomy, &row.view(Plane::Axial), None, Marks::None)?))
}
