//! Pictures and tables of a result.
//!
//! - [`preview`](fn@preview): one PNG that shows what was found in three planes;
//! - [`lesions_csv`], [`cohort_csv`]: tables for spreadsheets;
//! - [`result_json`]: the same figures and more for programs.
//!
//! Text and bytes are returned, files are the caller's. The same input gives the same bytes on every run, and a scan
//! that is stored in another order of axes the same picture, but for the slice numbers, which are those of the input.

mod canvas;
mod contour;
mod error;
mod font;
mod header;
mod palette;
mod panel;
mod plane;
mod preview;
mod result;
mod row;
mod section;
mod tables;

pub use error::PreviewError;
pub use preview::preview;
pub use result::result_json;
pub use tables::{CohortRow, cohort_csv, lesions_csv};
