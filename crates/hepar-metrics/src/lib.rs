//! Scores of a segmentation against a reference.
//!
//! Masks are arrays of one shape, `[k, j, i]`; bringing two scans to one grid is the caller's part.

mod overlap;

pub use overlap::{Overlap, ShapeMismatch};
