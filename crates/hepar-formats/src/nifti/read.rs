use std::path::{Path, PathBuf};

use hepar_volume::orientation_code;

use crate::datatype::ByteOrder;
use crate::error::{ReadError, ReadErrorKind};
use crate::grid::GridHeader;
use crate::image::{HeaderInfo, Labels, NiftiPosition, Scan};
use crate::nifti::header::Header;
use crate::nifti::pair;
use crate::raster::{Labelling, Raster, addressable};
use crate::sniff::{self, Content, NiftiVersion};
use crate::source::Source;
use crate::voxels::{Layout, Voxels};

/// An image whose header was read.
struct Opened {
    header: Header,
    compressed: bool,
    /// The header's file, and that of the voxels where it is another one.
    files: Vec<PathBuf>,
    /// Stands at the beginning of the file that holds the voxels.
    voxels: Source,
}

/// See [`crate::read_scan`].
pub(crate) fn read_scan(path: &Path) -> Result<Scan, ReadError> {
    scan(path).map_err(|kind| ReadError::new(path, kind))
}

/// See [`crate::read_labels`].
pub(crate) fn read_labels(path: &Path, label: Labelling) -> Result<Labels, ReadError> {
    labels(path, label).map_err(|kind| ReadError::new(path, kind))
}

/// See [`crate::inspect`].
pub(crate) fn inspect(path: &Path) -> Result<HeaderInfo, ReadError> {
    info(path).map_err(|kind| ReadError::new(path, kind))
}

/// See [`crate::files_of_scan`].
pub(crate) fn files(path: &Path) -> Result<Vec<PathBuf>, ReadErrorKind> {
    Ok(open(path)?.files)
}

fn scan(path: &Path) -> Result<Scan, ReadErrorKind> {
    let Opened { header, voxels: source, .. } = open(path)?;
    prepare(header, source)?.into_scan()
}

fn labels(path: &Path, of_number: Labelling) -> Result<Labels, ReadErrorKind> {
    let Opened { header, voxels: source, .. } = open(path)?;
    prepare(header, source)?.into_labels(of_number)
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
        position: Some(NiftiPosition {
            source: grid.affine_source(),
            sform_code: header.forms.sform_code,
            qform_code: header.forms.qform_code,
        }),
        orientation: orientation_code(grid.geometry()),
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
    let mut files = vec![path.to_owned()];
    let voxels = match header.pair {
        true => {
            let beside = pair::voxels_of(path)?;
            files.push(beside.clone());
            Source::open(&beside)?
        }
        false => source,
    };
    Ok(Opened { header, compressed, files, voxels })
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
fn prepare(header: Header, source: Source) -> Result<Raster, ReadErrorKind> {
    let shape = header.volume_shape()?;
    let datatype = header.datatype;
    datatype.bytes().ok_or(ReadErrorKind::UnsupportedType(datatype))?;
    let layout = Layout { datatype, order: header.order, scaling: header.scaling()?, offset: header.voxel_offset()? };
    let voxels = Voxels::new(layout, shape, source)?;
    let mut warnings = Vec::new();
    let grid = GridHeader::from_forms(header.forms, addressable(shape)?, &mut warnings)?;
    Ok(Raster { voxels, grid, warnings })
}
