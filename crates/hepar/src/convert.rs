//! A file in another format.

use std::path::{Path, PathBuf};

use hepar_formats::{
    DicomSource, LabelOptions, Labels, Like, ReadErrorKind, Scan, ScanOptions, SegmentationType, SegmentsBy, Warning,
    names_an_image, read_labels_with, read_scan_with, write_labels, write_scan, write_segmentation,
    write_structure_set,
};
use hepar_pipeline::{GridMismatch, check_same_grid};
use hepar_volume::{Volume, stored_like};

use crate::error::{Error, ErrorKind};
use crate::output::{make_parent, provenance};
use crate::watch::{Listener, go_on};

/// A range of intensities that is narrower than this, and no CT's, does not survive rounding to whole numbers.
const NARROW: i32 = 16;

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
    /// How a scan is read, that of `like` too.
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
/// When the input cannot be read, the output not be written, the one cannot become the other, labels that are to be segments
/// are neither liver nor tumour, or the listener calls the work off.
pub fn convert(input: &Path, output: &Path, conversion: &Conversion, listener: &dyn Listener) -> Result<(), Error> {
    let fail = |problem: &str| Error::from(ErrorKind::Convert { path: input.to_owned(), problem: problem.to_owned() });
    let is_dicom = output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("dcm"));
    if !is_dicom && !names_an_image(output) {
        return Err(fail("the name of the result must end in .nii, .nii.gz, .nrrd, .seg.nrrd, .mha or .dcm"));
    }
    let is_segments = output.to_string_lossy().to_ascii_lowercase().ends_with(".seg.nrrd");
    listener.doing("reading");
    let like = conversion.like.as_deref().map(|path| read_like(path, conversion, listener)).transpose()?;
    go_on(listener)?;
    let content = read(input, like.as_ref(), conversion)?;
    go_on(listener)?;
    let begin_to_write = || -> Result<(), Error> {
        go_on(listener)?;
        listener.doing("writing");
        Ok(make_parent(output)?)
    };
    match content {
        Content::Scan(_) if is_dicom => Err(fail("a scan cannot become a DICOM series here; labels become .dcm")),
        Content::Scan(_) if is_segments => Err(fail("a scan cannot become a .seg.nrrd; labels do")),
        Content::Scan(scan) if is_lost(&scan) => Err(fail(
            "its values would be rounded to whole numbers, of which a few are all that is left; scans in Hounsfield units \
             and labels can be converted",
        )),
        Content::Scan(scan) => {
            scan.warnings.iter().for_each(|warning| listener.warn(&format_args!("{}: {warning}", input.display())));
            begin_to_write()?;
            Ok(write_scan(output, &scan.volume, &scan.grid)?)
        }
        Content::Labels(labels) => {
            labels.warnings.iter().for_each(|warning| listener.warn(&format_args!("{}: {warning}", input.display())));
            if is_dicom || is_segments {
                labels.check_segments(input)?;
            }
            let (volume, grid) = match &like {
                Some(scan) => {
                    let volume = on_grid_of(labels.volume, scan)
                        .map_err(|mismatch| fail(&format!("put it on the grid of --like: {mismatch}")))?;
                    (volume, scan.grid.clone())
                }
                None => (labels.volume, labels.grid),
            };
            if !is_dicom {
                begin_to_write()?;
                return Ok(write_labels(output, &volume, &grid)?);
            }
            let series = like.as_ref().and_then(|scan| scan.dicom.as_ref());
            let series = series.ok_or_else(|| {
                fail("labels become a DICOM object with the DICOM series that they belong to: name it with --like")
            })?;
            begin_to_write()?;
            write_object(output, &volume, series, conversion)
        }
    }
}

/// Reads the scan that labels belong to.
fn read_like(path: &Path, conversion: &Conversion, listener: &dyn Listener) -> Result<Scan, Error> {
    let scan = read_scan_with(path, &conversion.scan)?;
    scan.warnings.iter().for_each(|warning| listener.warn(&format_args!("{}: {warning}", path.display())));
    Ok(scan)
}

/// Labels on the grid of the scan that they belong to, which may be stored in another order of axes.
fn on_grid_of(labels: Volume<u8>, scan: &Scan) -> Result<Volume<u8>, GridMismatch> {
    let grid = scan.volume.geometry();
    let stored = stored_like(labels, grid);
    check_same_grid(grid, stored.geometry())?;
    // What is within half a voxel is the same place.
    let voxels = stored.data();
    Ok(Volume::from_fn(grid.clone(), |index| voxels[index]))
}

/// Whether next to nothing of a scan is left in whole numbers: probabilities, and what was brought to a range of 0 to 1.
fn is_lost(scan: &Scan) -> bool {
    let is_narrow = |warning: &Warning| match warning {
        Warning::NotHounsfield { min, max, rounded: true } => i32::from(*max) - i32::from(*min) < NARROW,
        _ => false,
    };
    scan.warnings.iter().any(is_narrow)
}

/// Whether every voxel of a file that is no DICOM holds the same label: labels in which nothing was found, say. A scan
/// that shows nothing is none.
fn is_blank(scan: &Scan) -> bool {
    let is_blank = |warning: &Warning| match warning {
        Warning::NotHounsfield { min, max, rounded: false } => min == max && u8::try_from(*min).is_ok(),
        _ => false,
    };
    scan.dicom.is_none() && scan.warnings.iter().any(is_blank)
}

enum Content {
    Scan(Box<Scan>),
    Labels(Box<Labels>),
}

/// Reads a scan, or labels where that is what the file holds.
fn read(input: &Path, like: Option<&Scan>, conversion: &Conversion) -> Result<Content, Error> {
    let options = LabelOptions { like: like.map(Like::Scan), cysts_are_tumours: conversion.cysts_are_tumours };
    let as_labels = || read_labels_with(input, &options);
    if conversion.labels {
        return Ok(Content::Labels(Box::new(as_labels()?)));
    }
    let error = match read_scan_with(input, &conversion.scan) {
        Ok(scan) if is_blank(&scan) => return Ok(Content::Labels(Box::new(as_labels()?))),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit;
    use crate::watch::{Interrupt, Terminal};
    use hepar_formats::GridHeader;
    use hepar_volume::Geometry;

    #[test]
    fn a_conversion_that_is_called_off_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let [input, output] = ["a.nii", "new/b.nrrd"].map(|name| folder.path().join(name));
        let labels = Volume::from_fn(Geometry::axis_aligned([3; 3], [2.0; 3]).unwrap(), |[k, _, _]| k as u8);
        write_labels(&input, &labels, &GridHeader::from_geometry(labels.geometry())).unwrap();
        let interrupt = Interrupt::default();
        let terminal = Terminal::new(interrupt.clone(), true);
        interrupt.set();
        let error = convert(&input, &output, &Conversion::default(), &terminal).unwrap_err();
        assert_eq!(error.exit_code(), exit::INTERRUPTED);
        assert!(!folder.path().join("new").exists());
    }
}
