//! Samples varied in space and in intensity.

mod intensity;
mod spatial;

pub(crate) use intensity::Intensity;
pub(crate) use spatial::{Placement, extract};
