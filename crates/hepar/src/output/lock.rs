//! One hepar at a time that moves files into a folder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::output::{OutputError, OutputErrorKind};

/// File in the folder that is locked.
const LOCK_FILE: &str = ".hepar.lock";

/// The right to move files into a folder, until it is dropped.
///
/// The system takes the lock on the file back when the process dies: a file that was left behind keeps nobody out.
#[derive(Debug)]
pub(super) struct FolderLock {
    path: PathBuf,
    _file: File,
}

impl FolderLock {
    /// Locks a folder that exists.
    ///
    /// # Errors
    /// When another one holds the lock, or the file cannot be written.
    pub(super) fn take(folder: &Path) -> Result<Self, OutputError> {
        let path = folder.join(LOCK_FILE);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| OutputError::new(&path, error))?;
        match file.try_lock() {
            Ok(()) if is_at(&file, &path) => {}
            // Whoever had the lock has removed the file in the meantime: another one may lock a new file.
            Ok(()) | Err(TryLockError::WouldBlock) => return Err(OutputError::new(folder, OutputErrorKind::Busy)),
            // Some network file systems know no locks; a result there is better than none.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(OutputError::new(&path, error)),
        }
        Ok(Self { path, _file: file })
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // As long as the lock is held: nobody else's file is removed.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether an open file is still the one at `path`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    file.metadata().map(id).ok() == fs::metadata(path).map(id).ok()
}

/// Whether an open file is still at `path`, as far as the system tells.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_cannot_write_into_a_folder_at_once_and_no_lock_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let files = || fs::read_dir(folder.path()).unwrap().count();
        // Of one that was killed.
        fs::write(folder.path().join(LOCK_FILE), b"").unwrap();
        let first = FolderLock::take(folder.path()).unwrap();
        let error = FolderLock::take(folder.path()).unwrap_err();
        assert!(error.kind().to_string().contains("another hepar is writing here"), "{error}");
        assert_eq!(files(), 1);
        drop(first);
        assert_eq!(files(), 0);
        drop(FolderLock::take(folder.path()).unwrap());
        assert_eq!(files(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_removed_or_replaced_is_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOCK_FILE);
        let file = File::create(&path).unwrap();
        assert!(is_at(&file, &path));
        fs::remove_file(&path).unwrap();
        assert!(!is_at(&file, &path));
        fs::write(&path, b"").unwrap();
        assert!(!is_at(&file, &path));
    }
}
