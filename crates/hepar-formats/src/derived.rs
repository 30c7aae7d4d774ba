//! DICOM objects that are made of labels and the series that they belong to.

use std::path::Path;

use hepar_volume::Volume;

use crate::dicom::{self, DicomSource, Measurements, Provenance, SegmentationReference, SegmentationType};
use crate::error::WriteError;
use crate::segments::{Meaning, SegmentsBy};

/// Writes labels (0 background, 1 liver, 2 tumour) as a DICOM segmentation on the frames of their series.
///
/// Segment 1 is the liver, 2 its tumours or, by lesion, 2 and above one each. Slices that were interpolated are in no
/// frame of the series and so not in the segmentation. The same labels of the same series give the same UIDs. Every
/// segment has a frame, even when nothing was found.
///
/// PS3.3 A.51 (Segmentation) and A.82 (Label Map Segmentation).
///
/// # Errors
/// When the labels are not on the grid that the series was read into, or the file cannot be written.
pub fn write_segmentation(
    path: &Path,
    labels: &Volume<u8>,
    source: &DicomSource,
    stored: SegmentationType,
    by: SegmentsBy,
    made: &Provenance,
) -> Result<SegmentationReference, WriteError> {
    dicom::segmentation::write(path, labels, source, (stored, by), made)
}

/// Writes probabilities (255 stands for 1) as a fractional DICOM segmentation on the frames of their series, a segment
/// for each, as [`write_segmentation`] writes labels.
///
/// PS3.3 C.8.20.2.3.2, with `PROBABILITY` as the type of fraction.
///
/// # Errors
/// When one of them is not on the grid that the series was read into, or the file cannot be written.
pub fn write_fractional_segmentation(
    path: &Path,
    probabilities: &[(Meaning, &Volume<u8>)],
    source: &DicomSource,
    made: &Provenance,
) -> Result<(), WriteError> {
    dicom::segmentation::write_fractional(path, probabilities, source, made)
}

/// Writes labels as an RT structure set: contours along the edges of voxels on every slice of the series.
///
/// PS3.3 A.19. The same labels of the same series give the same UIDs.
///
/// # Errors
/// When the labels are not on the grid that the series was read into, or the file cannot be written.
pub fn write_structure_set(
    path: &Path,
    labels: &Volume<u8>,
    source: &DicomSource,
    by: SegmentsBy,
    made: &Provenance,
) -> Result<(), WriteError> {
    dicom::structures::write(path, labels, source, by, made)
}

/// Writes measurements as a Comprehensive SR by template 1500, which refers to a segmentation where there is one.
///
/// PS3.3 A.35.3 and PS3.16 TID 1500. The same measurements of the same series give the same UIDs.
///
/// # Errors
/// When the file cannot be written.
pub fn write_measurements(
    path: &Path,
    measured: &Measurements,
    source: &DicomSource,
    segmentation: Option<&SegmentationReference>,
    made: &Provenance,
) -> Result<(), WriteError> {
    dicom::report::write(path, measured, source, segmentation, made)
}
