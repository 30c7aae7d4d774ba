//! Where objects are: files, folders, archives.

use std::fmt;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use zip::ZipArchive;

use crate::dicom::error::DicomError;

/// The most bytes of one file in an archive: what 4,000 uncompressed slices need.
const LARGEST_ENTRY: u64 = 1 << 31;

/// The most files in a folder or an archive.
const MOST_FILES: usize = 200_000;

/// Folders in folders.
const DEEPEST_FOLDER: usize = 32;

/// Bytes that can be read in any order.
pub(crate) trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

/// Where the bytes of an object are.
#[derive(Clone)]
pub(crate) enum Place {
    File(PathBuf),
    Entry { archive: Arc<Archive>, index: usize, name: Arc<str> },
}

/// An open zip archive; one reads from it at a time.
pub(crate) struct Archive {
    zip: Mutex<ZipArchive<File>>,
}

impl Place {
    /// Opens the bytes, and says how many there are.
    pub(crate) fn open(&self) -> Result<(Box<dyn ReadSeek>, u64), DicomError> {
        match self {
            Self::File(path) => {
                let failed = |source| DicomError::Io { path: path.clone(), source };
                let file = File::open(path).map_err(failed)?;
                let length = file.metadata().map_err(failed)?.len();
                Ok((Box::new(file), length))
            }
            Self::Entry { archive, index, .. } => {
                let bytes = archive.entry(*index)?;
                let length = bytes.len() as u64;
                Ok((Box::new(Cursor::new(bytes)), length))
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Entry { name, .. } => f.write_str(name),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Archive {
    fn open(path: &Path) -> Result<Self, DicomError> {
        let file = File::open(path).map_err(|source| DicomError::Io { path: path.to_owned(), source })?;
        let zip = ZipArchive::new(file).map_err(|error| DicomError::Archive(error.to_string()))?;
        Ok(Self { zip: Mutex::new(zip) })
    }

    /// The bytes of an entry, decompressed.
    fn entry(&self, index: usize) -> Result<Vec<u8>, DicomError> {
        // An archive that another thread left in the middle of an entry is read from its own place again.
        let mut zip = self.zip.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entry = zip.by_index(index).map_err(|error| DicomError::Archive(error.to_string()))?;
        let (name, claimed) = (entry.name().to_owned(), entry.size());
        if claimed > LARGEST_ENTRY {
            return Err(DicomError::Limit(format!("{name} in the archive has {claimed} bytes, more than is read")));
        }
        let mut bytes = Vec::new();
        let read = (&mut entry).take(claimed + 1).read_to_end(&mut bytes);
        let read = read.map_err(|error| DicomError::Archive(format!("{name}: {error}")))?;
        if read as u64 > claimed {
            let text = format!("{name} holds more than the {claimed} bytes that the archive claims");
            return Err(DicomError::Archive(text));
        }
        Ok(bytes)
    }
}

/// As [`files_below`], as places.
pub(crate) fn files_in_folder(folder: &Path) -> Result<Vec<Place>, DicomError> {
    Ok(files_below(folder)?.into_iter().map(Place::File).collect())
}

/// The files in a folder and the folders in it, sorted by name; hidden ones are left out.
///
/// # Errors
/// When a folder cannot be listed, or there are more files than any study has.
pub(crate) fn files_below(folder: &Path) -> Result<Vec<PathBuf>, DicomError> {
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let failed = |source| DicomError::Io { path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            // Links to files are followed, links to folders are not: they might lead back.
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                if depth < DEEPEST_FOLDER {
                    folders.push((path, depth + 1));
                }
            } else if kind.is_file() || path.is_file() {
                files.push(path);
            }
            check_number(files.len() + folders.len())?;
        }
    }
    // The system lists folders in any order.
    files.sort();
    Ok(files)
}

/// The files in a zip archive, in its order; hidden ones are left out.
///
/// # Errors
/// When it is none, is damaged, or holds more files than any study has.
pub(crate) fn files_in_archive(path: &Path) -> Result<Vec<Place>, DicomError> {
    let archive = Arc::new(Archive::open(path)?);
    let zip = archive.zip.lock().unwrap_or_else(PoisonError::into_inner);
    check_number(zip.len())?;
    let hidden = |name: &str| name.split('/').any(|part| part.starts_with('.') || part == "__MACOSX");
    let names: Vec<(usize, Arc<str>)> = (0..zip.len())
        .filter_map(|index| zip.name_for_index(index).map(|name| (index, Arc::from(name))))
        .filter(|(_, name): &(usize, Arc<str>)| !name.ends_with('/') && !hidden(name))
        .collect();
    drop(zip);
    let place = |(index, name)| Place::Entry { archive: Arc::clone(&archive), index, name };
    Ok(names.into_iter().map(place).collect())
}

fn check_number(files: usize) -> Result<(), DicomError> {
    if files <= MOST_FILES {
        return Ok(());
    }
    Err(DicomError::Limit(format!("it holds more than {MOST_FILES} files; name the folder of one study")))
}

/// Reads `length` bytes from `start` on.
///
/// # Errors
/// When the file is shorter or cannot be read.
pub(crate) fn read_at(source: &mut dyn ReadSeek, start: u64, length: usize) -> io::Result<Vec<u8>> {
    source.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let read = source.take(length as u64).read_to_end(&mut bytes)?;
    if read < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}
