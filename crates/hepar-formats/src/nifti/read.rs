use std::path::Path;

use hepar_volume::{Geometry, Volume, orientation_code};
use ndarray::Array3;

use crate::datatype::ByteOrder;
use crate::error::{ReadError, ReadErrorKind};
use crate::grid::GridHeader;
use crate::image::{HeaderInfo, Labels, Scan};
use crate::nifti::header::Header;
use crate::nifti::pair;
use crate::nifti::voxels::Voxels;
use crate::sniff::{self, Content, NiftiVersion};
use crate::source::Source;
use crate::survey::{Survey, index};
use crate::warning::Warning;

/// How far a label may be from a whole number: what rounding a slope such as 1/255 to single precision does.
const WHOLE: f64 = 1e-5;

/// An image whose header was read.
struct Opened {
    header: Header,
    compressed: bool,
    /// Stands at the beginning of the file that holds the voxels.
    voxels: Source,
}

/// See [`crate::read_scan`].
pub(crate) fn read_scan(path: &Path) -> Result<Scan, ReadError> {
    scan(path).map_err(|kind| ReadError::new(path, kind))
}

/// See [`crate::read_labels`].
pub(crate) fn read_labels(path: &Path) -> Result<Labels, ReadError> {
    labels(path, label).map_err(|kind| ReadError::new(path, kind))
}

/// See [`crate::read_labels_truncated`].
pub(crate) fn read_labels_truncated(path: &Path) -> Result<Labels, ReadError> {
    labels(path, truncated).map_err(|kind| ReadError::new(path, kind))
}

/// See [`crate::inspect`].
pub(crate) fn inspect(path: &Path) -> Result<HeaderInfo, ReadError> {
    info(path).map_err(|kind| ReadError::new(path, kind))
}

fn scan(path: &Path) -> Result<Scan, ReadErrorKind> {
    let Opened { header, voxels: source, .. } = open(path)?;
    let (mut voxels, grid, mut warnings) = prepare(header, source)?;
    let mut intensities = reserve(voxels.total())?;
    let mut survey = Survey::new();
    while let Some(chunk) = voxels.next_chunk()? {
        intensities.extend(chunk.iter().map(|v| survey.round(*v)));
    }
    warnings.extend(survey.judge(grid.geometry().shape())?);
    Ok(Scan { volume: volume(intensities, grid.geometry())?, grid, warnings, dicom: None })
}

fn labels(path: &Path, label: fn(f64) -> Option<u8>) -> Result<Labels, ReadErrorKind> {
    let Opened { header, voxels: source, .. } = open(path)?;
    let (mut voxels, grid, warnings) = prepare(header, source)?;
    let mut labels: Vec<u8> = reserve(voxels.total())?;
    if voxels.are_plain_bytes() {
        // Most label volumes are, and need no detour through floats. Every byte is a label.
        let of_byte: [u8; 256] = std::array::from_fn(|byte| label(byte as f64).unwrap_or_default());
        while let Some(bytes) = voxels.next_bytes()? {
            labels.extend(bytes.iter().map(|&byte| of_byte[usize::from(byte)]));
        }
        return Ok(Labels { volume: volume(labels, grid.geometry())?, grid, warnings });
    }
    loop {
        let start = voxels.done();
        let Some(chunk) = voxels.next_chunk()? else { break };
        for (n, value) in chunk.iter().enumerate() {
            labels.push(label(*value).ok_or_else(|| ReadErrorKind::LabelValue {
                value: *value,
                index: index(start + n as u64, grid.geometry().shape()),
            })?);
        }
    }
    Ok(Labels { volume: volume(labels, grid.geometry())?, grid, warnings })
}

/// The label that a number stands for.
fn label(value: f64) -> Option<u8> {
    let whole = value.round();
    ((0.0..=255.0).contains(&whole) && (value - whole).abs() <= WHOLE).then_some(whole as u8)
}

/// The label that a number becomes when it is cut to 8 bits with a sign; none for what is not finite.
fn truncated(value: f64) -> Option<u8> {
    // The casts cut off the fraction, then all but the lowest 8 bits, which are meant.
    value.is_finite().then(|| (value as i64 as i8).max(0) as u8)
}

fn info(path: &Path) -> Result<HeaderInfo, ReadErrorKind> {
    let Opened { header, compressed, .. } = open(path)?;
    let mut warnings = Vec::new();
    // The first volume of several, and a slice as a volume that is one voxel thick.
    let axis = |n: usize| header.dims().get(n).map_or(1, |v| usize::try_from(*v).unwrap_or(0));
    let grid = GridHeader::from_forms(header.forms.clone(), [axis(2), axis(1), axis(0)], &mut warnings)?;
    Ok(HeaderInfo {
        format: match header.version {
            NiftiVersion::One => "NIfTI-1",
            NiftiVersion::Two => "NIfTI-2",
        },
        pair: header.pair,
        compressed,
        byte_order: header.order,
        dims: header.dims().iter().map(|n| u64::try_from(*n).unwrap_or(0)).collect(),
        datatype: header.datatype,
        scaling: header.scaling()?,
        geometry: grid.geometry().clone(),
        affine_source: grid.affine_source(),
        orientation: orientation_code(grid.geometry()),
        sform_code: header.forms.sform_code,
        qform_code: header.forms.qform_code,
        description: header.descrip,
        warnings,
    })
}

/// Reads the header of an image, whichever half of a pair `path` is.
fn open(path: &Path) -> Result<Opened, ReadErrorKind> {
    let source = Source::open(path)?;
    if let Content::Nifti { version, order } = sniff::content(source.head()) {
        return with_voxels(path, source, version, order);
    }
    let Some(path) = pair::header_of(path)? else { return Err(unknown(&source)) };
    let source = Source::open(&path)?;
    match sniff::content(source.head()) {
        Content::Nifti { version, order } => with_voxels(&path, source, version, order),
        _ => Err(unknown(&source)),
    }
}

/// Takes apart the header in `source`, which was opened from `path`, and finds its voxels.
fn with_voxels(path: &Path, source: Source, version: NiftiVersion, order: ByteOrder) -> Result<Opened, ReadErrorKind> {
    let header = Header::parse(source.head(), version, order)?;
    let compressed = source.compressed();
    let voxels = if header.pair { Source::open(&pair::voxels_of(path)?)? } else { source };
    Ok(Opened { header, compressed, voxels })
}

/// What is wrong with a file that does not begin with a NIfTI header.
fn unknown(source: &Source) -> ReadErrorKind {
    let head = source.head();
    let seems = match sniff::content(head) {
        Content::Empty => {
            let what = if source.compressed() { "nothing can be decompressed from it" } else { "the file is empty" };
            return ReadErrorKind::NotAnImage(what.to_owned());
        }
        Content::Text => {
            let start: String = String::from_utf8_lossy(head).trim().chars().take(30).collect();
            return ReadErrorKind::NotAnImage(format!("it is text that begins with {start:?}"));
        }
        Content::Analyze => "it is ANALYZE 7.5, which does not say how the scan lies in the patient".to_owned(),
        // What is none of these was not opened here.
        Content::Dicom | Content::Zip | Content::Nrrd | Content::MetaImage => {
            "it is compressed once more than it should be; decompress it".to_owned()
        }
        Content::Nifti { .. } | Content::Unknown => {
            let bytes: Vec<String> = head.iter().take(8).map(|b| format!("{b:02x}")).collect();
            format!("its first bytes, {}, are of no known image format", bytes.join(" "))
        }
    };
    ReadErrorKind::UnknownFormat { seems }
}

/// Checks everything that the header says and goes to the first voxel.
fn prepare(header: Header, source: Source) -> Result<(Voxels, GridHeader, Vec<Warning>), ReadErrorKind> {
    let shape = header.volume_shape()?;
    let voxels = Voxels::new(&header, shape, source)?;
    // Only where addresses are shorter than 64 bits.
    let too_large = |_| ReadErrorKind::OutOfMemory { voxels: voxels.total() };
    let [k, j, i] = shape.map(usize::try_from);
    let shape = [k.map_err(too_large)?, j.map_err(too_large)?, i.map_err(too_large)?];
    let mut warnings = Vec::new();
    let grid = GridHeader::from_forms(header.forms, shape, &mut warnings)?;
    Ok((voxels, grid, warnings))
}

/// An empty array with room for `voxels`.
fn reserve<T>(voxels: u64) -> Result<Vec<T>, ReadErrorKind> {
    let out_of_memory = || ReadErrorKind::OutOfMemory { voxels };
    let length = usize::try_from(voxels).map_err(|_| out_of_memory())?;
    let mut array = Vec::new();
    array.try_reserve_exact(length).map_err(|_| out_of_memory())?;
    Ok(array)
}

fn volume<T>(voxels: Vec<T>, geometry: &Geometry) -> Result<Volume<T>, ReadErrorKind> {
    let claimed = geometry.shape().iter().map(|n| *n as u64).product();
    let mismatch = ReadErrorKind::Truncated { claimed, held: voxels.len() as u64 };
    let Ok(data) = Array3::from_shape_vec(geometry.shape(), voxels) else { return Err(mismatch) };
    Volume::new(data, geometry.clone()).map_err(|_| mismatch)
}
