use std::path::{Path, PathBuf};

use hepar_volume::{Geometry, Volume};

use crate::datatype::{ByteOrder, Datatype};
use crate::dicom::{self, DicomSource, SeriesInfo, Slices};
use crate::error::{ReadError, ReadErrorKind, WriteError};
use crate::grid::{GridHeader, unit_grid};
use crate::nifti;
use crate::nifti::forms::AffineSource;
use crate::raster::{self, Labelling};
use crate::segments::Meaning;
use crate::sniff::{self, Content};
use crate::source::Source;
use crate::text_header::{self, Contents, TextFormat};
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

impl Scan {
    /// What [`ScanOptions::series`] takes the series by that the scan was read from; `None` of other formats.
    pub fn series(&self) -> Option<String> {
        self.dicom.as_ref().map(DicomSource::series)
    }
}

/// How a scan is to be read. By default as the rules for DICOM say, and what can be mended is mended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanOptions {
    /// UID or number of the DICOM series to be taken, with a colon and its place behind it for one of several volumes of a
    /// series; else the rules choose.
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

impl Labels {
    /// Checks that there are no labels but 0 background, 1 liver and 2 tumour: of others [`write_segmentation`],
    /// [`write_structure_set`] and `.seg.nrrd` know no segments, and would leave them out.
    ///
    /// `path` is where they were read from.
    ///
    /// # Errors
    /// When there are others.
    ///
    /// [`write_segmentation`]: crate::write_segmentation
    /// [`write_structure_set`]: crate::write_structure_set
    pub fn check_segments(&self, path: &Path) -> Result<(), ReadError> {
        let mut counts = [0usize; 256];
        self.volume.data().iter().for_each(|label| counts[usize::from(*label)] += 1);
        match (Meaning::Tumour.label() + 1..=u8::MAX).find(|label| counts[usize::from(*label)] > 0) {
            Some(label) => {
                let voxels = counts[usize::from(label)];
                Err(ReadError::new(path, ReadErrorKind::OtherLabel { label, voxels }))
            }
            None => Ok(()),
        }
    }
}

/// How labels are to be read. By default on the grid of their file, and cysts of the liver are liver.
#[derive(Debug, Clone, Copy, Default)]
pub struct LabelOptions<'a> {
    /// What labels of DICOM are put on.
    pub like: Option<Like<'a>>,
    /// Whether cysts of the liver, which 3D-IRCADb has as structures of their own, count as tumours.
    pub cysts_are_tumours: bool,
}

/// What labels of DICOM are put on.
#[derive(Debug, Clone, Copy)]
pub enum Like<'a> {
    /// A grid, which a segmentation's frames must lie on and a structure set is drawn on.
    Grid(&'a Geometry),
    /// The grid of a scan. Where it was made of a DICOM series, what lies on the slices of the series gets to where these
    /// are in the volume, whatever was mended: slices that were interpolated have the labels of the nearest.
    Scan(&'a Scan),
}

impl<'a> Like<'a> {
    pub(crate) fn grid(self) -> &'a Geometry {
        match self {
            Self::Grid(grid) => grid,
            Self::Scan(scan) => scan.volume.geometry(),
        }
    }

    /// The slices that the volume was made of, as long as it is on the grid of their series.
    pub(crate) fn slices(self) -> Option<Slices> {
        let Self::Scan(scan) = self else { return None };
        let source = scan.dicom.as_ref().filter(|source| source.has_grid_of(&scan.volume));
        source.map(DicomSource::slices_in_volume)
    }
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
    /// Which of a NIfTI header's statements the geometry comes from.
    pub position: Option<NiftiPosition>,
    /// What +i, +j, +k point to, roughly: three of the letters R, L, A, P, S, I, as `LPS`.
    pub orientation: String,
    /// The free text of the header.
    pub description: String,
    /// What the reader decided and the user should know.
    pub warnings: Vec<Warning>,
}

/// Where the geometry of a NIfTI file comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NiftiPosition {
    /// Which of the header's statements is used.
    pub source: AffineSource,
    /// Code of the sform; 0 when there is none.
    pub sform_code: i32,
    /// Code of the qform; 0 when there is none.
    pub qform_code: i32,
}

/// Reads a CT: NIfTI, NRRD, MetaImage, or a DICOM file, folder or zip archive.
///
/// Intensities are `slope · stored + intercept`, rounded to the nearest whole number (halves away from zero).
/// A [`Warning::NotHounsfield`] is given when every voxel has the same value or none lies below −50: a CT of the
/// abdomen always shows fat. A CT that was clipped to a window from −100 or less passes.
///
/// # Errors
/// When the file is no three-dimensional image of plain finite numbers, is a single slice, is incomplete, has no valid
/// grid, or holds at most eight values, all labels (whole, 0 to 255); of DICOM when no series makes a CT volume.
pub fn read_scan(path: &Path) -> Result<Scan, ReadError> {
    read_scan_with(path, &ScanOptions::default())
}

/// Reads a CT; of a DICOM file, folder or zip archive the series that `options` ask for.
///
/// # Errors
/// As [`read_scan`], and when the series cannot be found or makes no volume.
pub fn read_scan_with(path: &Path, options: &ScanOptions) -> Result<Scan, ReadError> {
    let fail = |kind| ReadError::new(path, kind);
    let mut scan = match Format::of(path).map_err(fail)? {
        Format::Dicom => dicom::scan(path, options).map_err(fail)?,
        Format::Text(format) => text_header::read_scan(path, format)?,
        Format::Other => nifti::read_scan(path)?,
    };
    check_thickness(&scan.volume, scan.dicom.as_ref()).map_err(fail)?;
    // A DICOM series always states where it lies.
    if scan.dicom.is_none() {
        scan.warnings.extend(unit_grid(scan.volume.geometry()));
    }
    Ok(scan)
}

/// Refuses a volume that is one voxel thick along an axis.
fn check_thickness<T>(volume: &Volume<T>, series: Option<&DicomSource>) -> Result<(), ReadErrorKind> {
    let [k, j, i] = volume.shape();
    if ![k, j, i].contains(&1) {
        return Ok(());
    }
    Err(ReadErrorKind::Dimensions(match series {
        Some(series) if k == 1 => {
            format!("it is one slice of series {}. Name the folder of the series", series.name())
        }
        _ => format!("it is a single slice ({i} × {j} × {k} voxels). Give the whole volume"),
    }))
}

/// The series in a DICOM file, folder or zip archive, and what would become of each; `None` when it is something else.
///
/// # Errors
/// When there is nothing that can be read.
pub fn list_series(path: &Path, options: &ScanOptions) -> Result<Option<Vec<SeriesInfo>>, ReadError> {
    let fail = |kind| ReadError::new(path, kind);
    match Format::of(path).map_err(fail)? {
        Format::Dicom => Ok(Some(dicom::list(path, options).map_err(fail)?.0)),
        Format::Text(_) | Format::Other => Ok(None),
    }
}

/// Reads a label volume of any type of number; of DICOM a segmentation, a structure set, or the masks of a patient of
/// 3D-IRCADb.
///
/// Segments and structures become 1 where they are a liver and 2 where they are a tumour, by their codes or names;
/// where none is either, the labels are their numbers, and [`Warning::SegmentsByNumber`] says so.
///
/// # Errors
/// As [`read_scan`], and when a voxel is no whole number from 0 to 255. Values within 10⁻⁵ of a whole number count
/// as whole, since a slope such as 1/255 is rounded in the header. A structure set needs the series that it was drawn
/// on in its folder.
pub fn read_labels(path: &Path) -> Result<Labels, ReadError> {
    read_labels_with(path, &LabelOptions::default())
}

/// Reads labels as [`read_labels`] does, and as `options` say.
///
/// # Errors
/// As [`read_labels_like`].
pub fn read_labels_with(path: &Path, options: &LabelOptions<'_>) -> Result<Labels, ReadError> {
    labels(path, options, raster::label)
}

/// Reads labels as [`read_labels`] does; those of DICOM are put on the grid `like`, which a segmentation's frames must
/// lie on and a structure set is drawn on.
///
/// Where the grid is that of a scan, [`read_labels_of`] reads more: a scan that was mended does not lie as its slices do.
///
/// # Errors
/// As [`read_labels`], and when a segmentation lies between the voxels of the grid.
pub fn read_labels_like(path: &Path, like: &Geometry) -> Result<Labels, ReadError> {
    read_labels_with(path, &LabelOptions { like: Some(Like::Grid(like)), ..LabelOptions::default() })
}

/// Reads the labels of a scan as [`read_labels`] does; those of DICOM are put on the grid of the scan as
/// [`Like::Scan`] says.
///
/// # Errors
/// As [`read_labels_like`].
pub fn read_labels_of(path: &Path, scan: &Scan) -> Result<Labels, ReadError> {
    read_labels_with(path, &LabelOptions { like: Some(Like::Scan(scan)), ..LabelOptions::default() })
}

/// Reads a label volume of any type of number as a program does that casts to 8-bit integers with a sign: fractions are
/// cut off, what does not fit wraps round. What is negative then is 0 here, for it is neither liver nor lesion.
///
/// # Errors
/// As [`read_scan`], and when a voxel is NaN or infinite.
pub fn read_labels_truncated(path: &Path) -> Result<Labels, ReadError> {
    labels(path, &LabelOptions::default(), raster::truncated)
}

fn labels(path: &Path, options: &LabelOptions<'_>, label: Labelling) -> Result<Labels, ReadError> {
    let fail = |kind| ReadError::new(path, kind);
    let labels = match Format::of(path).map_err(fail)? {
        // The smallest grid of a segmentation may be one slice.
        Format::Dicom => return dicom::labels(path, options).map_err(fail),
        Format::Text(format) => text_header::read_labels(path, format, label)?,
        Format::Other => nifti::read_labels(path, label)?,
    };
    check_thickness(&labels.volume, None).map_err(fail)?;
    Ok(labels)
}

/// The files that the scan in `path` is read from: of a header and its voxels both, of a DICOM folder those of the series
/// that `options` ask for, in the order of the slices; of an archive the archive.
///
/// # Errors
/// As [`inspect_with`].
pub fn files_of_scan(path: &Path, options: &ScanOptions) -> Result<Vec<PathBuf>, ReadError> {
    let files = if path.is_dir() { dicom::files_of_series(path, options).map_err(Into::into) } else { files(path) };
    files.map_err(|kind| ReadError::new(path, kind))
}

/// The files that the labels in `path` are read from; of a folder all in it, sorted by name.
///
/// # Errors
/// When a header cannot be read, or a folder not be listed.
pub fn files_of_labels(path: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let files = if path.is_dir() { dicom::files_below(path).map_err(Into::into) } else { files(path) };
    files.map_err(|kind| ReadError::new(path, kind))
}

/// A file, and the one with its voxels where it has none.
fn files(path: &Path) -> Result<Vec<PathBuf>, ReadErrorKind> {
    match Format::of(path)? {
        Format::Dicom => Ok(vec![path.to_owned()]),
        Format::Text(format) => text_header::files(path, format),
        Format::Other => nifti::files(path),
    }
}

/// Whether labels in `path` have no grid of their own, or one without empty slices: DICOM segmentations and structure
/// sets, which [`read_labels_like`] puts on the grid of a scan.
pub fn labels_need_grid(path: &Path) -> bool {
    !path.is_dir() && matches!(Format::of(path), Ok(Format::Dicom))
}

/// Whether a folder is one patient whose labels can be read, rather than a folder of cases: 3D-IRCADb's layout with
/// `PATIENT_DICOM` and `MASKS_DICOM`.
pub fn is_patient_folder(folder: &Path) -> bool {
    dicom::is_patient_with_masks(folder)
}

/// Reads what the header says, without the voxels; images that are no volumes are described too. Of DICOM the series
/// that would be taken is described.
///
/// # Errors
/// When the file is no image or its header has no valid grid.
pub fn inspect(path: &Path) -> Result<HeaderInfo, ReadError> {
    inspect_with(path, &ScanOptions::default())
}

/// As [`inspect`]; of DICOM the series that `options` ask for is described.
///
/// # Errors
/// As [`inspect`].
pub fn inspect_with(path: &Path, options: &ScanOptions) -> Result<HeaderInfo, ReadError> {
    let fail = |kind| ReadError::new(path, kind);
    let mut header = match Format::of(path).map_err(fail)? {
        Format::Dicom => return dicom::inspect(path, options).map_err(fail),
        Format::Text(format) => text_header::inspect(path, format)?,
        Format::Other => nifti::inspect(path)?,
    };
    header.warnings.extend(unit_grid(&header.geometry));
    Ok(header)
}

/// Whether nobody may have filled in the header of the scan in `image`, as [`Warning::UnitGrid`] says; never of DICOM.
///
/// # Errors
/// When the header cannot be read.
pub fn has_unit_grid(image: &Path) -> Result<bool, ReadError> {
    Ok(image.is_file() && inspect(image)?.warnings.contains(&Warning::UnitGrid))
}

/// Writes labels as bytes on `grid`, in the format of the name: NIfTI (`.nii`, `.nii.gz`), NRRD (`.nrrd`, and
/// `.seg.nrrd` with names and colours of liver and tumour for 3D Slicer) or MetaImage (`.mha`). The same bytes on every
/// run.
///
/// The file appears whole or not at all. NIfTI is NIfTI-1 unless the grid needs NIfTI-2: an axis longer than 32,767
/// voxels, or positions of a NIfTI-2 file that single precision cannot hold.
///
/// # Errors
/// When the name ends otherwise, the labels are not on the grid, or the file cannot be written.
pub fn write_labels(path: &Path, labels: &Volume<u8>, grid: &GridHeader) -> Result<(), WriteError> {
    match ending(path).as_str() {
        ".seg.nrrd" => text_header::write(path, TextFormat::Nrrd, &Contents::Segments(labels)),
        ".nrrd" => text_header::write(path, TextFormat::Nrrd, &Contents::Labels(labels)),
        ".mha" => text_header::write(path, TextFormat::MetaImage, &Contents::Labels(labels)),
        _ => nifti::write_labels(path, labels, grid),
    }
}

/// Writes a CT in Hounsfield units as 16-bit integers on `grid`; otherwise as [`write_labels`].
///
/// # Errors
/// As [`write_labels`].
pub fn write_scan(path: &Path, scan: &Volume<i16>, grid: &GridHeader) -> Result<(), WriteError> {
    match ending(path).as_str() {
        ".nrrd" => text_header::write(path, TextFormat::Nrrd, &Contents::Scan(scan)),
        ".mha" => text_header::write(path, TextFormat::MetaImage, &Contents::Scan(scan)),
        _ => nifti::write_scan(path, scan, grid),
    }
}

/// Writes probabilities as bytes that the file's slope brings to 0..=1 (255 stands for 1) on `grid`, as NIfTI.
///
/// # Errors
/// As [`write_labels`].
pub fn write_probabilities(path: &Path, probabilities: &Volume<u8>, grid: &GridHeader) -> Result<(), WriteError> {
    nifti::write_probabilities(path, probabilities, grid)
}

/// Endings of images that are written, the longer ones first.
const WRITTEN: [&str; 5] = [".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".mha"];

/// Endings of files that one image is read from; where its voxels are in a second file, the header's.
const READ: [&str; 9] = [".nii.gz", ".nii", ".hdr.gz", ".hdr", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm"];

/// The last part of a path, in lower case.
fn lower_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
}

/// The ending by which a path names an image that can be written, in lower case; empty when it names none.
fn ending(path: &Path) -> String {
    let name = lower_name(path);
    WRITTEN.iter().find(|ending| name.ends_with(*ending)).map_or(String::new(), |ending| (*ending).to_owned())
}

/// Whether a path names an image that can be written, by its ending: `.nii`, `.nii.gz`, `.nrrd`, `.seg.nrrd`, `.mha`.
pub fn names_an_image(path: &Path) -> bool {
    !ending(path).is_empty()
}

/// Whether a path names an image that can be read, by its ending: those that [`names_an_image`] knows, `.hdr`, `.hdr.gz`,
/// `.nhdr`, `.mhd` and `.dcm`. A header stands for itself and the file with its voxels.
pub fn names_a_readable_image(path: &Path) -> bool {
    let name = lower_name(path);
    READ.iter().any(|ending| name.ends_with(*ending))
}

/// Which reader a path is for.
enum Format {
    /// A DICOM object, or a folder or an archive with some.
    Dicom,
    Text(TextFormat),
    /// NIfTI, or nothing that is known.
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
            _ if source.compressed() => Self::Other,
            Content::Dicom | Content::Zip => Self::Dicom,
            Content::Nrrd => Self::Text(TextFormat::Nrrd),
            Content::MetaImage => Self::Text(TextFormat::MetaImage),
            _ => Self::Other,
        })
    }
}
