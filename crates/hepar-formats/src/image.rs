use std::path::Path;

use hepar_volume::{Geometry, Volume};

use crate::datatype::{ByteOrder, Datatype};
use crate::dicom::{self, DicomSource, SeriesInfo};
use crate::error::{ReadError, ReadErrorKind, WriteError};
use crate::grid::GridHeader;
use crate::nifti;
use crate::nifti::forms::AffineSource;
use crate::sniff::{self, Content};
use crate::source::Source;
use crate::warning::Warning;

/// A CT as it was read.
#[derive(Debug, Clone)]
pub struct Scan {
    /// Hounsfield units, rounded to whole numbers, on the grid of the file: `[k, j, i]`, axes in stored order.
    pub volume: Volume<i16>,
    /// What a writer needs to put labels on the same grid.
    pub grid: GridHeader,
    /// What the reader decided and the user should know.
    pub warnings: Vec<Warning>,
    /// The series, of a scan that was read from DICOM.
    pub dicom: Option<DicomSource>,
}

/// How a scan is to be read. By default as the rules for DICOM say, and what can be mended is mended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanOptions {
    /// UID or number of the DICOM series to be taken; else the rules choose.
    pub series: Option<String>,
    /// Refuse a DICOM series in which anything would have to be mended: missing or repeated slices, a tilted gantry,
    /// different rescalings, damaged files beside it.
    pub strict: bool,
}

/// A label volume as it was read.
#[derive(Debug, Clone)]
pub struct Labels {
    /// Labels on the grid of the file: `[k, j, i]`, axes in stored order.
    pub volume: Volume<u8>,
    /// What a writer needs to put labels on the same grid.
    pub grid: GridHeader,
    /// What the reader decided and the user should know.
    pub warnings: Vec<Warning>,
}

/// What the header of an image says.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HeaderInfo {
    /// Name and version of the format, as `NIfTI-1`.
    pub format: &'static str,
    /// Whether the voxels are in a second file.
    pub pair: bool,
    /// Whether the file is compressed with gzip.
    pub compressed: bool,
    /// Order of the bytes of a number.
    pub byte_order: ByteOrder,
    /// Number of voxels along each axis as the file has them: i, j, k, time, …
    pub dims: Vec<u64>,
    /// Type of the stored voxels.
    pub datatype: Datatype,
    /// Slope and intercept that make intensities from stored numbers; (1, 0) when the header states none.
    pub scaling: (f64, f64),
    /// Where the first volume lies; its spacing in millimetres is `geometry.spacing()`.
    pub geometry: Geometry,
    /// Which of the header's statements the geometry comes from.
    pub affine_source: AffineSource,
    /// What +i, +j, +k point to, roughly: three of the letters R, L, A, P, S, I, as `LPS`.
    pub orientation: String,
    /// NIfTI's code of the sform; 0 when there is none.
    pub sform_code: i32,
    /// NIfTI's code of the qform; 0 when there is none.
    pub qform_code: i32,
    /// The free text of the header.
    pub description: String,
    /// What the reader decided and the user should know.
    pub warnings: Vec<Warning>,
}

/// Reads a CT.
///
/// Intensities are `slope · stored + intercept`, rounded to the nearest whole number (halves away from zero).
/// A [`Warning::NotHounsfield`] is given when every voxel has the same value or none lies below −50: a CT of the
/// abdomen always shows fat. A CT that was clipped to a window from −100 or less passes.
///
/// # Errors
/// When the file is no three-dimensional NIfTI image of plain finite numbers, is incomplete, has no valid grid, or
/// holds at most eight values, all labels (whole, 0 to 255).
pub fn read_scan(path: &Path) -> Result<Scan, ReadError> {
    read_scan_with(path, &ScanOptions::default())
}

/// Reads a CT; of a DICOM file, folder or zip archive the series that `options` ask for.
///
/// # Errors
/// As [`read_scan`], and when the series cannot be found or makes no volume.
pub fn read_scan_with(path: &Path, options: &ScanOptions) -> Result<Scan, ReadError> {
    let fail = |kind| ReadError::new(path, kind);
    match Format::of(path).map_err(fail)? {
        Format::Dicom => dicom::scan(path, options).map_err(fail),
        Format::Other => nifti::read_scan(path),
    }
}

/// The series in a DICOM file, folder or zip archive, and what would become of each; `None` when it is something else.
///
/// # Errors
/// When there is nothing that can be read.
pub fn list_series(path: &Path, options: &ScanOptions) -> Result<Option<Vec<SeriesInfo>>, ReadError> {
    let fail = |kind| ReadError::new(path, kind);
    match Format::of(path).map_err(fail)? {
        Format::Dicom => Ok(Some(dicom::list(path, options).map_err(fail)?.0)),
        Format::Other => Ok(None),
    }
}

/// Reads a label volume of any type of number.
///
/// # Errors
/// As [`read_scan`], and when a voxel is no whole number from 0 to 255. Values within 10⁻⁵ of a whole number count
/// as whole, since a slope such as 1/255 is rounded in the header.
pub fn read_labels(path: &Path) -> Result<Labels, ReadError> {
    nifti::read_labels(path)
}

/// Reads a label volume of any type of number as a program does that casts to 8-bit integers with a sign: fractions are
/// cut off, what does not fit wraps round. What is negative then is 0 here, for it is neither liver nor lesion.
///
/// # Errors
/// As [`read_scan`], and when a voxel is NaN or infinite.
pub fn read_labels_truncated(path: &Path) -> Result<Labels, ReadError> {
    nifti::read_labels_truncated(path)
}

/// Reads what the header says, without the voxels; images that are no volumes are described too.
///
/// # Errors
/// When the file is no NIfTI image or its header has no valid grid.
pub fn inspect(path: &Path) -> Result<HeaderInfo, ReadError> {
    nifti::inspect(path)
}

/// Writes labels as bytes on `grid`: NIfTI, compressed when the name ends in `.gz`, the same bytes on every run.
///
/// The file appears whole or not at all. It is NIfTI-1 unless the grid needs NIfTI-2: an axis longer than 32,767
/// voxels, or positions of a NIfTI-2 file that single precision cannot hold.
///
/// # Errors
/// When the name ends in neither `.nii` nor `.nii.gz`, the labels are not on the grid, or the file cannot be written.
pub fn write_labels(path: &Path, labels: &Volume<u8>, grid: &GridHeader) -> Result<(), WriteError> {
    nifti::write_labels(path, labels, grid)
}

/// Writes a CT in Hounsfield units as 16-bit integers on `grid`; otherwise as [`write_labels`].
///
/// # Errors
/// As [`write_labels`].
pub fn write_scan(path: &Path, scan: &Volume<i16>, grid: &GridHeader) -> Result<(), WriteError> {
    nifti::write_scan(path, scan, grid)
}

/// Which reader a path is for.
enum Format {
    /// A DICOM object, or a folder or an archive with some.
    Dicom,
    Other,
}

impl Format {
    /// Tells a folder, and a file by its first bytes.
    fn of(path: &Path) -> Result<Self, ReadErrorKind> {
        if path.is_dir() {
            return Ok(Self::Dicom);
        }
        let source = Source::open(path)?;
        Ok(match sniff::content(source.head()) {
            Content::Dicom | Content::Zip if !source.compressed() => Self::Dicom,
            _ => Self::Other,
        })
    }
}
