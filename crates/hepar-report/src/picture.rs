use image::ImageError;

use crate::canvas::Canvas;
use crate::html;

/// A picture that is drawn and not yet encoded.
pub struct Picture(pub(crate) Canvas);

impl Picture {
    /// Its bytes as PNG, for files: every pixel as it was drawn.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn png(&self) -> Result<Vec<u8>, ImageError> {
        self.0.png()
    }

    /// An `img` element that holds it, as JPEG; `alternative` is plain text for whoever cannot see it.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn embedded(&self, alternative: &str) -> Result<String, ImageError> {
        let size = [self.0.width(), self.0.height()].map(|side| side as u32);
        Ok(html::image("image/jpeg", &self.0.jpeg()?, size, alternative))
    }
}
