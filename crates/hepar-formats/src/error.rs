use std::io;
use std::path::{Path, PathBuf};

use hepar_volume::GeometryError;

use crate::dicom::DicomError;
use crate::nifti::forms::AffineSource;

/// An image could not be read: which file; the source says why.
#[derive(Debug, thiserror::Error)]
#[error("read {}", path.display())]
pub struct ReadError {
    path: PathBuf,
    #[source]
    kind: ReadErrorKind,
}

impl ReadError {
    pub(crate) fn new(path: &Path, kind: ReadErrorKind) -> Self {
        Self { path: path.to_path_buf(), kind }
    }

    /// The file that was to be read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with it.
    pub fn kind(&self) -> &ReadErrorKind {
        &self.kind
    }
}

/// What is wrong with a file that could not be read. Voxel indices are `[k, j, i]`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadErrorKind {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// An empty file, a folder, text, or a header that no image can have.
    #[error("it is no image: {0}")]
    NotAnImage(String),
    /// The bytes are of another format, or of none that is known.
    #[error("{seems}; NIfTI, NRRD, MetaImage and DICOM are read")]
    UnknownFormat {
        /// What the bytes look like, as a short sentence.
        seems: String,
    },
    /// The voxels end before the header says.
    #[error("the header claims {claimed} voxels, the file holds {held}. Is the copy complete?")]
    Truncated {
        /// Voxels by the header.
        claimed: u64,
        /// Voxels in the file.
        held: u64,
    },
    /// The compressed bytes are damaged.
    #[error(
        "the compressed stream is damaged after {good} decompressed bytes ({reason}). Copy or download the file again"
    )]
    GzipBroken {
        /// Bytes that could be decompressed before the damage.
        good: u64,
        /// What the decoder said.
        reason: String,
    },
    /// A header of an image pair without its voxels, or the other way round.
    #[error("its other half {} is missing: keep the .hdr and the .img file in one folder", missing.display())]
    Pair {
        /// The file that is not there.
        missing: PathBuf,
    },
    /// The file of the voxels that a header names is not there.
    #[error(
        "the file of its voxels, {}, is missing: keep it in the folder of the header, by the name that the header says",
        missing.display()
    )]
    DataFile {
        /// The file that is not there.
        missing: PathBuf,
    },
    /// The voxels cannot begin where the header says.
    #[error("the header places the voxels at byte {offset}; they must begin at or after byte {least}, where it ends")]
    VoxelOffset {
        /// `vox_offset` of the header.
        offset: f64,
        /// First byte after the header.
        least: u64,
    },
    /// The voxels begin beyond the end of the file.
    #[error("the header places the voxels at byte {offset}, the file ends at byte {end}. Is the copy complete?")]
    NoVoxels {
        /// `vox_offset` of the header.
        offset: u64,
        /// Length of the (decompressed) file in bytes.
        end: u64,
    },
    /// The image is no volume of one time point.
    #[error("{0}")]
    Dimensions(String),
    /// Voxels that are no plain numbers.
    #[error("the voxels are {0}; a volume of integers or of 32 or 64 bit floats is needed")]
    UnsupportedType(crate::datatype::Datatype),
    /// Slope or intercept cannot be applied.
    #[error("the header's intensity scaling, slope {slope} and intercept {intercept}, is not finite")]
    Scaling {
        /// `scl_slope`.
        slope: f64,
        /// `scl_inter`.
        intercept: f64,
    },
    /// Voxels that are NaN or infinite.
    #[error(
        "{count} voxels are NaN or infinite, the first is (i, j, k) = {}. \
        Replace them, by -1000 (air) say",
        ijk(first)
    )]
    NotFinite {
        /// How many.
        count: u64,
        /// Index of the first.
        first: [usize; 3],
    },
    /// A spacing that is needed is zero, negative or not finite.
    #[error(
        "the header's voxel spacing is {spacing:?} (i, j, k); the position comes from the {form}, which \
        needs it positive"
    )]
    Spacing {
        /// Which form needs it.
        form: AffineSource,
        /// `pixdim[1..=3]`.
        spacing: [f64; 3],
    },
    /// The voxels are of a size that no scan of a body has.
    #[error(
        "the header's voxels measure {} × {} × {} mm (i, j, k). Is the unit of length right?",
        spacing[0], spacing[1], spacing[2]
    )]
    VoxelSize {
        /// Spacing along i, j, k in millimetres.
        spacing: [f64; 3],
    },
    /// The affine of the header is no grid in space.
    #[error("by the header's {form}, {error}")]
    Geometry {
        /// Where the affine was taken from.
        form: AffineSource,
        /// What is wrong with it.
        error: GeometryError,
    },
    /// More voxels than the file can hold, compressed as it is.
    #[error("the header claims {i} × {j} × {k} voxels, more than the {held} bytes of the file can \
        hold. Is it damaged?",
        i = shape[2], j = shape[1], k = shape[0])]
    TooLarge {
        /// Claimed shape, `[k, j, i]`.
        shape: [u64; 3],
        /// Length of the file in bytes.
        held: u64,
    },
    /// The memory for the voxels is not to be had.
    #[error("there is not enough memory for its {voxels} voxels")]
    OutOfMemory {
        /// Number of voxels.
        voxels: u64,
    },
    /// A field of a text header cannot be used.
    #[error("{name} of its header, {value:?}, {problem}")]
    HeaderField {
        /// Name of the field.
        name: String,
        /// Its value.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Something is wrong with DICOM files.
    #[error(transparent)]
    Dicom(#[from] DicomError),
    /// A CT was expected and the file holds a few whole numbers only.
    #[error("it holds only the values {}: is it a label volume? A CT in Hounsfield units is needed", list(values))]
    LooksLikeLabels {
        /// The values, ascending.
        values: Vec<u8>,
    },
    /// Labels that are to become segments are neither liver nor tumour.
    #[error(
        "it holds the label {label} ({voxels} voxels); segments are made of 1 liver and 2 tumour. Give the voxels one of \
        these, or write .nii.gz, .nrrd or .mha, which hold any label"
    )]
    OtherLabel {
        /// The least of these labels.
        label: u8,
        /// How many voxels have it.
        voxels: usize,
    },
    /// A label volume was expected and a voxel holds something else.
    #[error("voxel (i, j, k) = {} holds {value}; labels are whole numbers from 0 to 255", ijk(index))]
    LabelValue {
        /// The first value that is no label.
        value: f64,
        /// Where it is.
        index: [usize; 3],
    },
}

fn ijk([k, j, i]: &[usize; 3]) -> String {
    format!("({i}, {j}, {k})")
}

fn list(values: &[u8]) -> String {
    values.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")
}

/// An image could not be written: which file; the source says why.
#[derive(Debug, thiserror::Error)]
#[error("write {}", path.display())]
pub struct WriteError {
    path: PathBuf,
    #[source]
    kind: WriteErrorKind,
}

impl WriteError {
    pub(crate) fn new(path: &Path, kind: WriteErrorKind) -> Self {
        Self { path: path.to_path_buf(), kind }
    }

    /// The file that was to be written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What went wrong.
    pub fn kind(&self) -> &WriteErrorKind {
        &self.kind
    }
}

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteErrorKind {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The name says no format that is written.
    #[error("the name must end in .nii, .nii.gz, .nrrd or .mha")]
    UnknownExtension,
    /// The object could not be put together.
    #[error("{0}")]
    Compose(String),
    /// The volume has another shape than the grid.
    #[error("the volume has shape {volume:?}, the grid {grid:?} (k, j, i)")]
    Shape {
        /// Shape of the volume.
        volume: [usize; 3],
        /// Shape of the grid.
        grid: [usize; 3],
    },
    /// The volume lies elsewhere in the patient than the grid.
    #[error("the volume lies elsewhere in the patient than the grid that it is to be written on")]
    Elsewhere,
}
