//! Formats whose header is text: NRRD and MetaImage.

mod metaimage;
mod nrrd;
mod write;

use std::path::{Component, Path, PathBuf};

use hepar_volume::{Geometry, orientation_code};

use crate::datatype::{ByteOrder, Datatype};
use crate::error::{ReadError, ReadErrorKind};
use crate::grid::GridHeader;
use crate::image::{HeaderInfo, Labels, Scan};
use crate::raster::{Labelling, Raster, addressable};
use crate::source::{Packing, Source};
use crate::voxels::{Layout, Voxels};
use crate::warning::Warning;

pub(crate) use write::{Contents, write};

/// Longest header: what programs write has some kilobytes, with the names of a hundred segments.
const LONGEST_HEADER: usize = 1 << 20;

/// Which of the formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextFormat {
    Nrrd,
    MetaImage,
}

/// What a header says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TextHeader {
    /// Lengths of all axes, the fastest first.
    sizes: Vec<u64>,
    datatype: Datatype,
    order: ByteOrder,
    packing: Packing,
    /// Whether the header says how the axes lie in the patient.
    oriented: bool,
    /// RAS+ millimetres by rows, from `(i, j, k, 1)`.
    affine: [[f64; 4]; 4],
    /// File of the voxels; `None` when they follow the header.
    data_file: Option<String>,
    /// Bytes before the voxels in that file; `None` when they are at its very end.
    skip: Option<u64>,
    description: String,
}

impl TextFormat {
    fn name(self) -> &'static str {
        match self {
            Self::Nrrd => "NRRD",
            Self::MetaImage => "MetaImage",
        }
    }

    /// The field that says how many bytes lie before the voxels.
    fn skip_field(self) -> &'static str {
        match self {
            Self::Nrrd => "byte skip",
            Self::MetaImage => "HeaderSize",
        }
    }

    /// The field that names the file of the voxels.
    fn data_field(self) -> &'static str {
        match self {
            Self::Nrrd => "data file",
            Self::MetaImage => "ElementDataFile",
        }
    }
}

/// See [`crate::read_scan`].
pub(crate) fn read_scan(path: &Path, format: TextFormat) -> Result<Scan, ReadError> {
    raster(path, format).and_then(Raster::into_scan).map_err(|kind| ReadError::new(path, kind))
}

/// See [`crate::read_labels`].
pub(crate) fn read_labels(path: &Path, format: TextFormat, label: Labelling) -> Result<Labels, ReadError> {
    raster(path, format).and_then(|raster| raster.into_labels(label)).map_err(|kind| ReadError::new(path, kind))
}

/// See [`crate::inspect`].
pub(crate) fn inspect(path: &Path, format: TextFormat) -> Result<HeaderInfo, ReadError> {
    info(path, format).map_err(|kind| ReadError::new(path, kind))
}

fn info(path: &Path, format: TextFormat) -> Result<HeaderInfo, ReadErrorKind> {
    let (header, _) = header(path, format)?;
    let (grid, warnings) = header.grid()?;
    Ok(HeaderInfo {
        format: format.name(),
        pair: header.data_file.is_some(),
        compressed: header.packing != Packing::None,
        byte_order: header.order,
        dims: header.sizes.clone(),
        datatype: header.datatype,
        scaling: (1.0, 0.0),
        geometry: grid.geometry().clone(),
        position: None,
        orientation: orientation_code(grid.geometry()),
        description: header.description,
        warnings,
    })
}

/// See [`crate::files_of_scan`].
pub(crate) fn files(path: &Path, format: TextFormat) -> Result<Vec<PathBuf>, ReadErrorKind> {
    let (header, _) = header(path, format)?;
    let voxels = header.data_file.map(|name| beside(path, format, &name)).transpose()?;
    Ok([Some(path.to_owned()), voxels].into_iter().flatten().collect())
}

/// Reads the header and goes to the first voxel.
fn raster(path: &Path, format: TextFormat) -> Result<Raster, ReadErrorKind> {
    let (header, end) = header(path, format)?;
    let (grid, warnings) = header.grid()?;
    let (file, start) = match &header.data_file {
        Some(name) => (beside(path, format, name)?, header.skip),
        None => {
            let skip = header.skip.unwrap_or(0);
            let wrong = || field(format.skip_field(), &skip.to_string(), "leads beyond the end of the file");
            (path.to_owned(), Some(end.checked_add(skip).ok_or_else(wrong)?))
        }
    };
    let shape = grid.geometry().shape().map(|n| n as u64);
    let bytes = header.datatype.bytes().ok_or(ReadErrorKind::UnsupportedType(header.datatype))? as u64;
    let start = match start {
        Some(start) => start,
        // The voxels are the last bytes of the file.
        None => std::fs::metadata(&file)?.len().saturating_sub(shape.iter().product::<u64>() * bytes),
    };
    let source = Source::part(&file, start, header.packing)?;
    let layout = Layout { datatype: header.datatype, order: header.order, scaling: (1.0, 0.0), offset: 0 };
    Ok(Raster { voxels: Voxels::new(layout, shape, source)?, grid, warnings })
}

/// The header of a file, and the first byte behind it.
fn header(path: &Path, format: TextFormat) -> Result<(TextHeader, u64), ReadErrorKind> {
    let mut source = Source::part(path, 0, Packing::None)?;
    let mut bytes = vec![0; LONGEST_HEADER];
    let read = source.read(&mut bytes)?;
    bytes.truncate(read);
    match format {
        TextFormat::Nrrd => nrrd::parse(&bytes),
        TextFormat::MetaImage => metaimage::parse(&bytes),
    }
}

/// The file of the voxels, which a header may only name in its own folder: it must not lead elsewhere.
fn beside(path: &Path, format: TextFormat, name: &str) -> Result<PathBuf, ReadErrorKind> {
    let wrong = |problem| field(format.data_field(), name, problem);
    if name == "LIST" || name.starts_with("LIST ") || name.contains('%') {
        return Err(wrong("is a list of files, which is not read"));
    }
    let mut parts = Path::new(name).components().filter(|part| *part != Component::CurDir);
    let (Some(Component::Normal(named)), None) = (parts.next(), parts.next()) else {
        return Err(wrong("is no file in the folder of the header, where it must be"));
    };
    let file = path.with_file_name(named);
    if file.is_file() { Ok(file) } else { Err(ReadErrorKind::DataFile { missing: file }) }
}

impl TextHeader {
    fn grid(&self) -> Result<(GridHeader, Vec<Warning>), ReadErrorKind> {
        let [i, j, k] = self.sizes[..] else {
            let count = self.sizes.len();
            return Err(ReadErrorKind::Dimensions(format!("it has {count} axes; a volume of three is needed")));
        };
        let shape = addressable([k, j, i])?;
        let geometry = Geometry::new(self.affine, shape)
            .map_err(|error| field("header", "its directions", &format!("make no grid: {error}")))?;
        let [k, j, i] = geometry.spacing();
        if ![i, j, k].iter().all(|mm| (1e-4..=1000.0).contains(mm)) {
            return Err(ReadErrorKind::VoxelSize { spacing: [i, j, k] });
        }
        let warnings =
            if self.oriented { Vec::new() } else { vec![Warning::NoOrientation { axes: orientation_code(&geometry) }] };
        Ok((GridHeader::from_geometry(&geometry), warnings))
    }
}

/// The error of a line of the header.
fn field(name: &str, value: &str, problem: &str) -> ReadErrorKind {
    let value: String = value.chars().take(60).collect();
    ReadErrorKind::HeaderField { name: name.to_owned(), value, problem: problem.to_owned() }
}

/// The affine of an image by its axes and its origin, each RAS+.
fn affine(axes: [[f64; 3]; 3], origin: [f64; 3]) -> [[f64; 4]; 4] {
    let row = |r: usize| [axes[0][r], axes[1][r], axes[2][r], origin[r]];
    [row(0), row(1), row(2), [0.0, 0.0, 0.0, 1.0]]
}

/// Numbers between blanks; `None` when one is none.
fn numbers(text: &str) -> Option<Vec<f64>> {
    text.split_whitespace().map(|word| word.parse().ok()).collect()
}
