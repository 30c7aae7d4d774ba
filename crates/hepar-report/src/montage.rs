//! The liver from top to bottom, slice by slice.

use hepar_pipeline::{Findings, check_same_grid};
use hepar_volume::Volume;

use crate::canvas::{Anchor, Canvas};
use crate::error::PictureError;
use crate::palette::{BACKGROUND, BRIGHT};
use crate::panel::{Marks, draw_view};
use crate::picture::Picture;
use crate::plane::Plane;
use crate::section::{Anatomy, Liver, View};

/// Pictures side by side.
const COLUMNS: usize = 6;

/// The most pictures.
const PICTURES: usize = 24;

/// Width of a picture in pixels.
const PANEL_WIDTH: usize = 256;

/// Pixels between pictures.
const GAP: usize = 6;

/// How much is shown around the liver, in millimetres.
const MARGIN: f64 = 20.0;

/// The least side of what a picture shows, in millimetres.
const LEAST_SIDE: f64 = 10.0;

/// Axial slices through the liver, the uppermost first, at most 24 at equal distances, with outlines as those of
/// [`preview`](crate::preview()); `None` without a liver.
///
/// # Errors
/// When scan and labels are not on the same grid.
pub fn montage(scan: &Volume<i16>, labels: &Volume<u8>, findings: &Findings) -> Result<Option<Picture>, PictureError> {
    check_same_grid(scan.geometry(), labels.geometry())?;
    let anatomy = Anatomy::new(scan, labels);
    let Some(liver) = findings.liver_box.as_ref().and_then(|stored| anatomy.liver(stored)) else { return Ok(None) };
    let slices = slices(&liver);
    let frame = view(&anatomy, &liver);
    let (columns, rows) = (slices.len().min(COLUMNS), slices.len().div_ceil(COLUMNS));
    let (width, height) = (columns * (PANEL_WIDTH + GAP) + GAP, rows * (frame.height + GAP) + GAP);
    let mut canvas = Canvas::filled(width, height, BACKGROUND).ok_or(PictureError::Size { width, height })?;
    for (n, slice) in slices.into_iter().enumerate() {
        let marks = if n == 0 { Marks::All } else { Marks::None };
        let mut panel = draw_view(&anatomy, &View { slice, ..frame.clone() }, None, marks)?;
        let number = anatomy.stored_slice(Plane::Axial, slice).to_string();
        panel.rimmed_text([8.0, panel.height() - 8.0], Anchor::Left, 11.0, BRIGHT, &number);
        canvas.put(GAP + n % COLUMNS * (PANEL_WIDTH + GAP), GAP + n / COLUMNS * (frame.height + GAP), &panel);
    }
    Ok(Some(Picture(canvas)))
}

/// Canonical indices of slices through the liver from the uppermost to the lowest, at most [`PICTURES`].
fn slices(liver: &Liver) -> Vec<usize> {
    let (first, count) = (liver.bounds.start()[0], liver.bounds.shape()[0]);
    let shown = count.min(PICTURES);
    let at = |n: usize| if shown == 1 { 0 } else { (n * (count - 1) + (shown - 1) / 2) / (shown - 1) };
    (0..shown).rev().map(|n| first + at(n)).collect()
}

/// What all pictures show; its slice is of no account.
fn view(anatomy: &Anatomy<'_>, liver: &Liver) -> View {
    let spacing = anatomy.geometry().spacing();
    let side = |axis: usize| (liver.bounds.shape()[axis] as f64 * spacing[axis] + 2.0 * MARGIN).max(LEAST_SIDE);
    let (width_mm, height_mm) = (side(2), side(1));
    let height = (PANEL_WIDTH as f64 * height_mm / width_mm).clamp(0.5 * PANEL_WIDTH as f64, 1.5 * PANEL_WIDTH as f64);
    View {
        plane: Plane::Axial,
        slice: 0,
        centre: [0, 1, 2].map(|axis| (liver.bounds.start()[axis] + liver.bounds.end()[axis] - 1) as f64 / 2.0),
        pixel_mm: (width_mm / PANEL_WIDTH as f64).max(height_mm / height),
        width: PANEL_WIDTH,
        height: height as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_pipeline::{LastStage, describe};
    use hepar_volume::{Geometry, VoxelBox};

    fn slices_of(count: usize) -> Vec<usize> {
        slices(&Liver { bounds: VoxelBox::new([5, 0, 0], [5 + count, 1, 1]).unwrap(), fullest: [5, 0, 0] })
    }

    #[test]
    fn slices_go_from_the_uppermost_to_the_lowest_and_none_comes_twice() {
        assert_eq!(slices_of(1), [5]);
        assert_eq!(slices_of(3), [7, 6, 5]);
        for count in [24, 25, 47, 300] {
            let slices = slices_of(count);
            assert_eq!((slices.len(), slices[0], slices[23]), (24, 4 + count, 5));
            assert!(slices.windows(2).all(|pair| pair[0] > pair[1]));
        }
    }

    #[test]
    fn a_liver_of_any_shape_and_scale_has_a_montage_and_none_has_none() {
        for (shape, spacing) in [([1, 1, 1], [1.0; 3]), ([40, 3, 2], [1e-3; 3]), ([20, 30, 10], [5.0, 300.0, 0.1])] {
            let geometry = Geometry::axis_aligned(shape, spacing).unwrap();
            let (scan, labels) = (Volume::filled(geometry.clone(), 40i16), Volume::filled(geometry, 1u8));
            let findings = describe(&labels, &scan, LastStage::Liver).unwrap();
            assert!(montage(&scan, &labels, &findings).unwrap().is_some());
            let nothing = labels.map(|_| 0);
            let findings = describe(&nothing, &scan, LastStage::Liver).unwrap();
            assert!(montage(&scan, &nothing, &findings).unwrap().is_none());
        }
    }
}
