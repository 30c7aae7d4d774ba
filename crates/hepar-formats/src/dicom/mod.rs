//! DICOM, after PS3 of the standard: CT series to volumes, labels to segmentations, structure sets and reports.

mod catalogue;
mod choice;
mod codec;
mod error;
mod hounsfield;
mod instance;
mod object;
mod pixels;
mod place;
mod plane;
mod read;
mod source;
mod stack;
mod structure;
mod syntax;
mod vectors;

pub use choice::{SeriesInfo, Verdict};
pub use error::{DicomError, ElementTag, StackProblem};
pub(crate) use read::{list, scan};
pub use source::DicomSource;
