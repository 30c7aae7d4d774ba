//! Samples varied in space and in intensity.

mod darken;
mod intensity;
mod lesions;
mod spatial;

pub(crate) use darken::darken_lesions;
pub(crate) use intensity::Intensity;
pub(crate) use lesions::paint_lesions;
pub(crate) use spatial::{Placement, extract};
