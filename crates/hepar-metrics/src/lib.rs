//! Scores of a segmentation against a reference.
//!
//! Masks are arrays of one shape, `[k, j, i]`; bringing two scans to one grid is the caller's part.

mod assignment;
mod cell_areas;
mod figure;
mod lesions;
mod masks;
mod object;
mod overlap;
pub mod protocol;
pub mod statistics;
mod surface;
mod surface_dice;
mod surface_distances;

pub use figure::{Figure, Fold, Scope, totals};
pub use masks::Masks;
pub use object::{DistanceScores, ObjectScores, TOLERANCES_MM};
pub use overlap::{Overlap, ShapeMismatch};
pub use surface::surface;
pub use surface_dice::surface_dice;
pub use surface_distances::SurfaceDistances;
