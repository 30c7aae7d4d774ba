//! A file in another format.

use std::path::{Path, PathBuf};

use hepar_formats::{
    DicomSource, LabelOptions, Labels, ReadErrorKind, Scan, ScanOptions, SegmentationType, SegmentsBy, names_an_image,
    read_labels_with, read_scan, read_scan_with, write_labels, write_scan, write_segmentation, write_structure_set,
};
use hepar_volume::{Geometry, Reorientation, Volume};

use crate::error::{Error, ErrorKind};
use crate::output::provenance;
use crate::watch::Listener;

/// A DICOM object that labels can become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DicomObject {
    /// A segmentation.
    #[default]
    Segmentation,
    /// An RT structure set.
    StructureSet,
}

/// What is to become of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conversion {
    /// How a scan is read.
    pub scan: ScanOptions,
    /// The scan whose grid labels are put on; a DICOM series, where they are to become a DICOM object.
    pub like: Option<PathBuf>,
    /// What a file whose name ends in `.dcm` becomes.
    pub object: DicomObject,
    /// Whether labels are wanted of a folder that holds a scan too: a patient of 3D-IRCADb.
    pub labels: bool,
    /// Whether cysts of the liver count as tumours there.
    pub cysts_are_tumours: bool,
    /// How a segmentation is stored.
    pub stored: SegmentationType,
    /// Whether there is a segment for each lesion.
    pub by: SegmentsBy,
}

/// Writes the scan or the labels in `input` to `output`, whose name says the format: `.nii`, `.nii.gz`, `.nrrd`,
/// `.seg.nrrd`, `.mha`, or `.dcm` for labels.
///
/// # Errors
/// When the input cannot be read, the output not be written, or the one cannot become the other.
pub fn convert(input: &Path, output: &Path, conversion: &Conversion, listener: &dyn Listener) -> Result<(), Error> {
    let fail = |problem: &str| Error::from(ErrorKind::Convert { path: input.to_owned(), problem: problem.to_owned() });
    let is_dicom = output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("dcm"));
    if !is_dicom && !names_an_image(output) {
        return Err(fail("the name of the result must end in .nii, .nii.gz, .nrrd, .seg.nrrd, .mha or .dcm"));
    }
    listener.doing("reading");
    let like = conversion.like.as_deref().map(read_scan).transpose()?;
    match read(input, like.as_ref(), conversion)? {
        Content::Scan(_) if is_dicom => Err(fail("a scan cannot become a DICOM series here; labels become .dcm")),
        Content::Scan(scan) => {
            scan.warnings.iter().for_each(|warning| listener.warn(&format_args!("{}: {warning}", input.display())));
            listener.doing("writing");
            Ok(write_scan(output, &scan.volume, &scan.grid)?)
        }
        Content::Labels(labels) => {
            labels.warnings.iter().for_each(|warning| listener.warn(&format_args!("{}: {warning}", input.display())));
            listener.doing("writing");
            let (volume, grid) = match &like {
                Some(scan) => (on_grid(labels.volume, scan.volume.geometry()), scan.grid.clone()),
                None => (labels.volume, labels.grid),
            };
            if !is_dicom {
                return Ok(write_labels(output, &volume, &grid)?);
            }
            let series = like.as_ref().and_then(|scan| scan.dicom.as_ref());
            let series = series.ok_or_else(|| {
                fail("labels become a DICOM object with the series that they belong to: name it with --like")
            })?;
            write_object(output, &volume, series, conversion)
        }
    }
}

enum Content {
    Scan(Box<Scan>),
    Labels(Box<Labels>),
}

/// Reads a scan, or labels where that is what the file holds.
fn read(input: &Path, like: Option<&Scan>, conversion: &Conversion) -> Result<Content, Error> {
    let like = like.map(|scan| scan.volume.geometry());
    let options = LabelOptions { like, cysts_are_tumours: conversion.cysts_are_tumours };
    let as_labels = || read_labels_with(input, &options);
    if conversion.labels {
        return Ok(Content::Labels(Box::new(as_labels()?)));
    }
    let error = match read_scan_with(input, &conversion.scan) {
        Ok(scan) => return Ok(Content::Scan(Box::new(scan))),
        Err(error) => error,
    };
    match error.kind() {
        ReadErrorKind::LooksLikeLabels { .. } => Ok(Content::Labels(Box::new(as_labels()?))),
        // A segmentation is no CT; whatever else is none, the first error says better.
        ReadErrorKind::Dicom(_) => {
            as_labels().map(Box::new).map(Content::Labels).map_err(|of_labels| match of_labels.kind() {
                ReadErrorKind::Dicom(hepar_formats::DicomError::OtherObject { .. }) => error.into(),
                _ => of_labels.into(),
            })
        }
        _ => Err(error.into()),
    }
}

/// Labels with their axes in the order of another grid.
fn on_grid(labels: Volume<u8>, grid: &Geometry) -> Volume<u8> {
    let canonical = Reorientation::to_canonical(labels.geometry()).apply_into(labels);
    Reorientation::to_canonical(grid).inverse().apply_into(canonical)
}

fn write_object(
    output: &Path,
    labels: &Volume<u8>,
    series: &DicomSource,
    conversion: &Conversion,
) -> Result<(), Error> {
    let made = provenance("converted", "labels");
    match conversion.object {
        DicomObject::Segmentation => {
            write_segmentation(output, labels, series, conversion.stored, conversion.by, &made)?;
        }
        DicomObject::StructureSet => write_structure_set(output, labels, series, conversion.by, &made)?,
    }
    Ok(())
}
