//! DICOM, after PS3 of the standard: CT series to volumes, labels to segmentations, structure sets and reports.

mod catalogue;
mod choice;
mod codec;
mod codes;
mod compose;
mod error;
mod escapes;
mod hounsfield;
mod instance;
mod ircad;
mod labels;
mod object;
mod outline;
mod pixels;
mod place;
mod plane;
mod read;
pub(crate) mod report;
pub(crate) mod segmentation;
mod segmentation_read;
mod slices;
mod source;
mod stack;
mod steps;
mod structure;
pub(crate) mod structures;
mod structures_read;
mod syntax;
mod vectors;

pub use choice::{SeriesInfo, Verdict};
pub use compose::Provenance;
pub use error::{DicomError, ElementTag, StackProblem};
pub(crate) use labels::labels;
pub(crate) use place::files_below;
pub(crate) use read::{files_of_series, inspect, list, scan};
pub use report::{LesionMeasures, Measurements};
pub use segmentation::{SegmentationReference, SegmentationType};
pub use segmentation_read::MOST_VOXELS;
pub(crate) use slices::Slices;
pub use source::DicomSource;

/// Whether a folder is a patient of 3D-IRCADb, whose masks are labels.
pub(crate) fn is_patient_with_masks(folder: &std::path::Path) -> bool {
    ircad::Patient::at(folder).is_some()
}

/// Category and type of a segment as 3D Slicer writes concepts: scheme, code and meaning.
pub(crate) fn terminology(meaning: crate::segments::Meaning) -> [String; 2] {
    [codes::category(meaning), codes::type_of(meaning)].map(|code| format!("{}^{}^{}", code.1, code.0, code.2))
}
