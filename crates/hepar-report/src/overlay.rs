//! What a network found in a slice, beside what is true.

use image::ImageError;
use ndarray::{Array2, ArrayView2};

use crate::canvas::Canvas;
use crate::contour::contours;
use crate::error::PictureError;
use crate::palette::{SKY_BLUE, WINDOW, YELLOW};
use crate::picture::Picture;

/// Pixels that a picture is wide at least.
const LEAST_WIDTH: usize = 360;

/// A slice with two outlines: yellow what is true, blue what was found.
///
/// `hu` are Hounsfield units, `truth` and `found` 1 inside and 0 outside, all `[y, x]`. Each voxel becomes a square of
/// pixels; what was found is drawn last.
///
/// # Errors
/// When there is no voxel or too many of them, or the arrays differ in shape.
pub fn overlay(
    hu: ArrayView2<'_, i16>,
    truth: ArrayView2<'_, u8>,
    found: ArrayView2<'_, u8>,
) -> Result<Picture, PictureError> {
    let (height, width) = hu.dim();
    let size = PictureError::Size { width, height };
    if width == 0 || truth.dim() != hu.dim() || found.dim() != hu.dim() {
        return Err(size);
    }
    let zoom = LEAST_WIDTH.div_ceil(width);
    let large = Array2::from_shape_fn((height * zoom, width * zoom), |(y, x)| f32::from(hu[[y / zoom, x / zoom]]));
    let mut canvas = Canvas::grey(large.view(), WINDOW).ok_or(size)?;
    for (mask, colour) in [(truth, YELLOW), (found, SKY_BLUE)] {
        let mut lines = contours(mask.mapv(f32::from).view());
        lines.iter_mut().flatten().for_each(|point| *point = point.map(|at| at * zoom as f32));
        canvas.lines(&lines, 2.0, colour);
    }
    Ok(Picture(canvas))
}

/// An `img` element that holds a picture in PNG; `alternative` is plain text for whoever cannot see it.
///
/// # Errors
/// When the bytes are no PNG.
pub fn embedded_png(png: &[u8], alternative: &str) -> Result<String, ImageError> {
    let picture = image::load_from_memory_with_format(png, image::ImageFormat::Png)?;
    Ok(crate::html::image("image/png", png, [picture.width(), picture.height()], alternative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_outlines_are_drawn_where_they_are() {
        let hu = Array2::from_elem((40, 60), 40_i16);
        let square = |from: usize, to: usize| {
            Array2::from_shape_fn((40, 60), |(y, x)| u8::from((from..to).contains(&y) && (from..to).contains(&x)))
        };
        let picture = overlay(hu.view(), square(5, 15).view(), square(20, 35).view()).unwrap();
        // Six pixels a voxel; an edge lies halfway between two voxels' centres.
        assert_eq!((picture.0.width(), picture.0.height()), (360.0, 240.0));
        assert_eq!([picture.0.pixel(60, 30), picture.0.pixel(165, 120)], [YELLOW, SKY_BLUE]);
        let png = picture.png().unwrap();
        let element = embedded_png(&png, "a & b").unwrap();
        assert!(element.contains("width=\"360\" height=\"240\"") && element.contains("a &amp; b"), "{element}");
        assert!(embedded_png(&png[..20], "").is_err());
    }

    #[test]
    fn arrays_that_differ_are_refused() {
        let (hu, mask) = (Array2::zeros((4, 4)), Array2::zeros((4, 5)));
        assert!(overlay(hu.view(), mask.view(), mask.view()).is_err());
        assert!(
            overlay(Array2::zeros((4, 0)).view(), Array2::zeros((4, 0)).view(), Array2::zeros((4, 0)).view()).is_err()
        );
    }
}
