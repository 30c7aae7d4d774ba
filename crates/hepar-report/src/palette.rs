//! The colours of pictures.

/// Red, green, blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Colour(pub(crate) [u8; 3]);

pub(crate) const BLACK: Colour = Colour([0, 0, 0]);
pub(crate) const BACKGROUND: Colour = Colour([16, 19, 24]);
pub(crate) const BRIGHT: Colour = Colour([236, 239, 242]);
pub(crate) const DIM: Colour = Colour([150, 160, 172]);

// Colour-blind readers tell these apart: Okabe and Ito, "Color universal design" (2008).
/// The outline of the liver.
pub(crate) const SKY_BLUE: Colour = Colour([86, 180, 233]);
/// The surface of the liver, through which lesions are seen on dark ground.
pub(crate) const PALE_BLUE: Colour = Colour([140, 208, 248]);
/// The outlines of tumours.
pub(crate) const VERMILLION: Colour = Colour([213, 94, 0]);
/// Diameters.
pub(crate) const YELLOW: Colour = Colour([240, 228, 66]);
/// Cautions.
pub(crate) const ORANGE: Colour = Colour([230, 159, 0]);

/// What is black and what is white, in Hounsfield units: the soft tissues of the abdomen.
pub(crate) const WINDOW: [f32; 2] = [-160.0, 240.0];
