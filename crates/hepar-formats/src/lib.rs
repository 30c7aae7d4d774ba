//! Medical image files to volumes and back.
//!
//! [`read_scan`] gives a CT in Hounsfield units and [`read_labels`] a label volume, each on the grid of its file;
//! [`write_labels`] puts labels on the grid of the scan that they belong to. [`inspect`] reads a header alone.
//! What a file is comes from its bytes, not from its name.
//!
//! The format is NIfTI-1 and NIfTI-2: `.nii`, `.nii.gz` and pairs of `.hdr` and `.img`.
//!
//! A file is never trusted: sizes are checked against the length of the file before memory is reserved, and voxels
//! are converted in small pieces, so a scan needs hardly more memory than its voxels.

mod atomic;
mod datatype;
mod dicom;
mod error;
mod grid;
mod gzip;
mod image;
mod nifti;
mod sniff;
mod source;
mod survey;
mod warning;

pub use atomic::write_atomically;
pub use datatype::{ByteOrder, Datatype};
pub use dicom::{DicomError, DicomSource, ElementTag, SeriesInfo, StackProblem, Verdict};
pub use error::{ReadError, ReadErrorKind, WriteError, WriteErrorKind};
pub use grid::GridHeader;
pub use image::{
    HeaderInfo, Labels, Scan, ScanOptions, inspect, list_series, read_labels, read_labels_truncated, read_scan,
    read_scan_with, write_labels, write_scan,
};
pub use nifti::forms::AffineSource;
pub use warning::Warning;
