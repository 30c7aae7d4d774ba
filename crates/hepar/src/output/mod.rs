//! Where results go: what may be written, and how it appears.
//!
//! Files that hepar did not write are never overwritten; its own are replaced only where that was asked for. A result
//! is made beside its place and moved there when it is complete, so that nothing half-written is ever found. In the folder
//! of an earlier result its files take the place of the old ones one after the other, for one hepar at a time; when that is
//! interrupted, `--force` replaces what is left of both.

mod contents;
mod file;
mod files;
mod folder;
mod lock;
mod new_files;
mod products;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hepar_formats::{WriteError, write_labels};
use tempfile::TempDir;

use crate::error::{Error, ErrorKind, sentence};
use crate::segment::SegmentedCase;
use crate::watch::{Listener, go_on};

pub use contents::{
    Contents, LABELS_FILE, LESIONS_FILE, LESIONS_FOLDER, MESH_FILE, MESH_FOLDER, MONTAGE_FILE, MeshFormat,
    PREVIEW_FILE, Pictures, REPORT_FILE, RESULT_FILE,
};
pub(crate) use file::check_replaceable;
pub use file::{ImageFile, plan_new_file, write_file};
pub use folder::ResultFolder;
pub(crate) use folder::{NEXT_MANIFEST_FILE, ResultCase};
pub(crate) use new_files::write_new_files;
pub(crate) use products::provenance;
pub use products::{Product, Products};

/// A result cannot be written: where; the source says why.
#[derive(Debug, thiserror::Error)]
#[error("write {}", path.display())]
pub struct OutputError {
    path: PathBuf,
    #[source]
    kind: OutputErrorKind,
}

/// Why a result cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputErrorKind {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Something of hepar is there already.
    #[error("it exists; --force replaces it")]
    Exists,
    /// A file of that name is there already, whoever wrote it.
    #[error("it exists. Take another name, or move it away")]
    Taken,
    /// Something else is there already.
    #[error("it exists and was not written by hepar. Take another name, or move it away")]
    Foreign,
    /// Something of hepar is there that someone has changed.
    #[error("it was changed after hepar wrote it. Take another name, or move it away")]
    Changed,
    /// A file is where a folder should be.
    #[error(
        "it is a file; the results need a folder. Only `hepar segment` writes labels alone, to a name that ends in .nii.gz"
    )]
    NotAFolder,
    /// A folder is where a file should be.
    #[error("it is a folder")]
    NotAFile,
    /// The result would replace what it is made from.
    #[error("it is an input")]
    IsInput,
    /// Another run is moving its files there.
    #[error("another hepar is writing here")]
    Busy,
    /// The image cannot be written.
    #[error("{0}")]
    Image(String),
    /// The picture cannot be drawn.
    #[error("{0}")]
    Picture(String),
}

/// Where the result of a case goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A folder for all of it.
    Folder(ResultFolder),
    /// A file for the labels, and nothing else.
    Labels(ImageFile),
}

impl OutputError {
    /// The error `kind` at `path`.
    pub(crate) fn new(path: &Path, kind: impl Into<OutputErrorKind>) -> Self {
        Self { path: path.to_owned(), kind: kind.into() }
    }

    /// What is wrong.
    pub fn kind(&self) -> &OutputErrorKind {
        &self.kind
    }

    /// The error of writing an image that is to stand at `path`.
    pub(crate) fn image(path: &Path, error: &WriteError) -> Self {
        Self::new(path, OutputErrorKind::Image(sentence(error.kind())))
    }
}

impl From<WriteError> for OutputError {
    fn from(error: WriteError) -> Self {
        Self::image(error.path(), &error)
    }
}

impl Destination {
    /// Where it is.
    pub fn path(&self) -> &Path {
        match self {
            Self::Folder(folder) => folder.path(),
            Self::Labels(file) => file.path(),
        }
    }

    /// Writes the result of a case.
    ///
    /// # Errors
    /// When it cannot be written, or the listener has called the work off; then nothing is left.
    pub fn write(&self, case: &SegmentedCase, listener: &dyn Listener) -> Result<(), Error> {
        match self {
            Self::Folder(folder) => folder.write(case, listener),
            Self::Labels(file) => {
                go_on(listener)?;
                listener.doing("writing labels");
                make_parent(file.path())?;
                Ok(write_labels(file.path(), &case.segmentation.labels, &case.scan.grid)?)
            }
        }
    }
}

/// Checks that a folder for results is none of the `inputs`: labels in a folder of DICOM would be taken for its scans
/// the next time.
pub(crate) fn check_no_input(folder: &Path, inputs: &[impl AsRef<Path>]) -> Result<(), Error> {
    let is_this = |input: &Path| match (fs::canonicalize(input), fs::canonicalize(folder)) {
        (Ok(input), Ok(folder)) => input == folder,
        _ => false,
    };
    if folder.is_dir() && inputs.iter().any(|input| is_this(input.as_ref())) {
        return Err(ErrorKind::IntoInput(folder.to_owned()).into());
    }
    Ok(())
}

/// Makes the folder of `path`, and those above it.
pub(crate) fn make_parent(path: &Path) -> Result<(), OutputError> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            fs::create_dir_all(parent).map_err(|error| OutputError::new(path, error))
        }
        _ => Ok(()),
    }
}

/// A folder, near `path`, in which files are made before they take their places; see [`folder::staging_folder`].
pub(crate) fn staging_near(path: &Path) -> Result<TempDir, OutputError> {
    folder::staging_folder(&nearest_folder(path)).map_err(|error| OutputError::new(path, error))
}

/// The innermost folder above `path` that exists.
fn nearest_folder(path: &Path) -> PathBuf {
    let here = Path::new(".");
    let above = path.ancestors().skip(1).map(|folder| if folder.as_os_str().is_empty() { here } else { folder });
    above.into_iter().find(|folder| folder.exists()).unwrap_or(here).to_owned()
}

/// Tries whether a file can be made in `folder`.
fn check_writable(folder: &Path) -> io::Result<()> {
    tempfile::Builder::new().prefix(".hepar-").tempfile_in(folder).map(drop)
}
