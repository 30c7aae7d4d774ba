//! A picture that is drawn on.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, ImageError};
use ndarray::ArrayView2;
use tiny_skia::{Color, IntSize, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, PixmapPaint, Stroke, Transform};

use crate::contour::Polyline;
use crate::font;
use crate::palette::{BLACK, Colour};

/// Opaque pixels; positions are pixels `[x, y]` from the upper left corner, the first pixel's centre at (0.5, 0.5).
pub(crate) struct Canvas {
    pixmap: Pixmap,
}

/// Where a text is fastened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Left,
    Middle,
    Right,
}

impl Canvas {
    /// A canvas of one colour; `None` for a size that cannot be.
    pub(crate) fn filled(width: usize, height: usize, colour: Colour) -> Option<Self> {
        let mut pixmap = Pixmap::new(u32::try_from(width).ok()?, u32::try_from(height).ok()?)?;
        pixmap.fill(opaque(colour));
        Some(Self { pixmap })
    }

    /// A grey picture of values, `[y, x]`: black at `window[0]` and below, white at `window[1]` and above.
    pub(crate) fn grey(values: ArrayView2<f32>, window: [f32; 2]) -> Option<Self> {
        let (height, width) = values.dim();
        let size = IntSize::from_wh(u32::try_from(width).ok()?, u32::try_from(height).ok()?)?;
        let grey = |value: f32| (255.0 * (value - window[0]) / (window[1] - window[0])).round().clamp(0.0, 255.0) as u8;
        let pixels = values.iter().flat_map(|&value| {
            let grey = grey(value);
            [grey, grey, grey, 255]
        });
        Some(Self { pixmap: Pixmap::from_vec(pixels.collect(), size)? })
    }

    /// Width in pixels.
    pub(crate) fn width(&self) -> f32 {
        self.pixmap.width() as f32
    }

    /// Height in pixels.
    pub(crate) fn height(&self) -> f32 {
        self.pixmap.height() as f32
    }

    /// Whether a position lies on the canvas.
    pub(crate) fn contains(&self, [x, y]: [f32; 2]) -> bool {
        (0.0..=self.width()).contains(&x) && (0.0..=self.height()).contains(&y)
    }

    /// Puts another picture with its upper left corner at a whole pixel.
    pub(crate) fn put(&mut self, x: usize, y: usize, picture: &Self) {
        let paint = PixmapPaint::default();
        self.pixmap.draw_pixmap(x as i32, y as i32, picture.pixmap.as_ref(), &paint, Transform::identity(), None);
    }

    /// Draws lines of a thickness in pixels, with round ends and corners.
    ///
    /// Their points lie on the canvas or near it: tiny-skia does not take those millions of pixels away.
    pub(crate) fn lines(&mut self, lines: &[Polyline], thickness: f32, colour: Colour) {
        let mut path = PathBuilder::new();
        for line in lines {
            let Some((first, rest)) = line.split_first() else { continue };
            path.move_to(first[0], first[1]);
            let closed = rest.last() == Some(first);
            let rest = if closed { &rest[..rest.len() - 1] } else { rest };
            rest.iter().for_each(|point| path.line_to(point[0], point[1]));
            if closed {
                path.close();
            }
        }
        if let Some(path) = path.finish() {
            self.stroke(&path, thickness, colour);
        }
    }

    /// Writes a line on the baseline at `[x, y]` with capitals `size` pixels high.
    pub(crate) fn text(&mut self, [x, y]: [f32; 2], anchor: Anchor, size: f32, colour: Colour, text: &str) {
        if let Some(path) = font::outline(text, [left_end(x, anchor, text, size), y], size) {
            self.stroke(&path, font::pen(size), colour);
        }
    }

    /// As [`Canvas::text`], with a black rim so that it can be read on any picture.
    pub(crate) fn rimmed_text(&mut self, [x, y]: [f32; 2], anchor: Anchor, size: f32, colour: Colour, text: &str) {
        if let Some(path) = font::outline(text, [left_end(x, anchor, text, size), y], size) {
            self.stroke(&path, font::pen(size) + 3.0, BLACK);
            self.stroke(&path, font::pen(size), colour);
        }
    }

    /// The picture as PNG; the same bytes for the same pixels.
    ///
    /// # Errors
    /// When the encoder fails.
    pub(crate) fn png(&self) -> Result<Vec<u8>, ImageError> {
        let mut bytes = Cursor::new(Vec::new());
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive).write_image(
            &self.rgb(),
            self.pixmap.width(),
            self.pixmap.height(),
            ExtendedColorType::Rgb8,
        )?;
        Ok(bytes.into_inner())
    }

    /// The picture as JPEG, a fraction of the size of PNG, with colours as sharp as greys; the same bytes for the same
    /// pixels.
    ///
    /// # Errors
    /// When the encoder fails, as for sides of more than 65,535 pixels.
    pub(crate) fn jpeg(&self) -> Result<Vec<u8>, ImageError> {
        /// Of 100: blocks cannot be seen, thin outlines stay clean.
        const QUALITY: u8 = 82;
        let mut bytes = Vec::new();
        let (width, height) = (self.pixmap.width(), self.pixmap.height());
        JpegEncoder::new_with_quality(&mut bytes, QUALITY).write_image(
            &self.rgb(),
            width,
            height,
            ExtendedColorType::Rgb8,
        )?;
        Ok(bytes)
    }

    fn rgb(&self) -> Vec<u8> {
        self.pixmap.data().chunks_exact(4).flat_map(|rgba| [rgba[0], rgba[1], rgba[2]]).collect()
    }

    /// The colour of a pixel.
    #[cfg(test)]
    pub(crate) fn pixel(&self, x: usize, y: usize) -> Colour {
        let pixel = self.pixmap.pixel(x as u32, y as u32).unwrap();
        Colour([pixel.red(), pixel.green(), pixel.blue()])
    }

    fn stroke(&mut self, path: &Path, width: f32, colour: Colour) {
        let stroke = Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() };
        self.pixmap.stroke_path(path, &paint(colour), &stroke, Transform::identity(), None);
    }
}

fn opaque(Colour([r, g, b]): Colour) -> Color {
    Color::from_rgba8(r, g, b, 255)
}

fn paint(colour: Colour) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color(opaque(colour));
    paint
}

fn left_end(x: f32, anchor: Anchor, text: &str, size: f32) -> f32 {
    match anchor {
        Anchor::Left => x,
        Anchor::Middle => x - font::width(text, size) / 2.0,
        Anchor::Right => x - font::width(text, size),
    }
}
