//! Medical image files to volumes and back.
//!
//! [`read_scan`] gives a CT in Hounsfield units and [`read_labels`] a label volume, each on the grid of its file;
//! [`write_labels`] puts labels on the grid of the scan that they belong to. [`inspect`] reads a header alone.
//! What a file is comes from its bytes, not from its name.
//!
//! The formats are NIfTI-1 and NIfTI-2 (`.nii`, `.nii.gz` and pairs of `.hdr` and `.img`), NRRD, MetaImage, and DICOM:
//! series of CT images, segmentations, RT structure sets. [`write_segmentation`], [`write_structure_set`] and
//! [`write_measurements`] make DICOM objects of labels and the series that they belong to.
//!
//! A file is never trusted: sizes are checked against the length of the file before memory is reserved, and voxels
//! are converted in small pieces, so a scan needs hardly more memory than its voxels.

mod atomic;
mod datatype;
mod derived;
mod dicom;
mod error;
mod grid;
mod gzip;
mod image;
mod nifti;
mod raster;
mod segments;
mod sniff;
mod source;
mod survey;
mod text_header;
mod voxels;
mod warning;

pub use atomic::write_atomically;
pub use datatype::{ByteOrder, Datatype};
pub use derived::{write_fractional_segmentation, write_measurements, write_segmentation, write_structure_set};
pub use dicom::{
    DicomError, DicomSource, ElementTag, LesionMeasures, MOST_VOXELS, Measurements, Provenance, SegmentationReference,
    SegmentationType, SeriesInfo, StackProblem, Verdict,
};
pub use error::{ReadError, ReadErrorKind, WriteError, WriteErrorKind};
pub use grid::GridHeader;
pub use image::{
    HeaderInfo, LabelOptions, Labels, Like, NiftiPosition, Scan, ScanOptions, files_of_labels, files_of_scan,
    has_unit_grid, inspect, inspect_with, is_patient_folder, labels_need_grid, list_series, names_a_readable_image,
    names_an_image, read_labels, read_labels_like, read_labels_of, read_labels_truncated, read_labels_with, read_scan,
    read_scan_with, write_labels, write_probabilities, write_scan,
};
pub use nifti::forms::AffineSource;
pub use segments::{Meaning, SegmentsBy};
pub use warning::Warning;
