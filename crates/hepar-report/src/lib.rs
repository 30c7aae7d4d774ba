//! Pictures, tables and pages of a result.
//!
//! - [`preview`](fn@preview), [`montage`](fn@montage), [`lesion_picture`](fn@lesion_picture): what was found, in planes
//!   of the scan;
//! - [`overlay`](fn@overlay): what was found beside what is true;
//! - [`lesions_csv`], [`cohort_csv`]: tables for spreadsheets;
//! - [`result_json`]: the same figures and more for programs;
//! - [`page`]: the reports of a case, of a cohort and of a training, each one HTML file that loads nothing;
//! - [`html`], [`charts`]: what pages are made of, for other pages too;
//! - [`mesh`]: the surfaces of liver and lesions.
//!
//! Text and bytes are returned, files are the caller's. The same input gives the same bytes on every run, and a scan
//! that is stored in another order of axes the same picture, but for the slice numbers, which are those of the input.

mod blocks;
mod canvas;
pub mod charts;
mod contour;
mod error;
mod font;
mod header;
pub mod html;
mod lesion_picture;
pub mod mesh;
mod montage;
mod overlay;
pub mod page;
mod palette;
mod panel;
mod picture;
mod plane;
mod preview;
mod result;
mod row;
mod section;
mod sheet;
mod tables;
mod thumbnail;
mod viewer;

pub use error::PictureError;
pub use lesion_picture::lesion_picture;
pub use montage::montage;
pub use overlay::{embedded_png, overlay};
pub use picture::Picture;
pub use preview::preview;
pub use result::{Told, result_json};
pub use tables::{CohortRow, cohort_csv, lesions_csv};
