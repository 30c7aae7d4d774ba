use hepar_pipeline::GridMismatch;
use hepar_volume::GeometryError;
use image::ImageError;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The labels are not on the scan's grid.
    #[error("the labels do not fit the scan")]
    Grid(#[from] GridMismatch),
    /// A plane of the scan cannot be drawn.
    #[error("a plane of the scan cannot be drawn")]
    Plane(#[from] GeometryError),
    /// The picture cannot have this size.
    #[error("a picture of {width} × {height} pixels cannot be made")]
    Size {
        /// Its width in pixels.
        width: usize,
        /// Its height in pixels.
        height: usize,
    },
    /// The picture cannot be encoded.
    #[error("the picture cannot be encoded")]
    Encode(#[from] ImageError),
    /// Data for the page cannot be compressed.
    #[error("data of the page cannot be compressed")]
    Compress(#[from] std::io::Error),
}
