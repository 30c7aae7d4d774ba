//! One training at a time in a run folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use crate::error::{TrainError, problem};

/// The right to write into a run folder, until it is dropped.
///
/// The file `.lock` in the folder is locked by the system, which takes the lock back when the process dies: that the file
/// stays keeps nobody out. It must stay: whoever had opened it before it was removed would lock a file that is no more.
#[derive(Debug)]
pub(crate) struct RunLock {
    _file: File,
}

impl RunLock {
    /// Locks the folder `run`, which exists.
    ///
    /// # Errors
    /// When another training holds the lock, or the file cannot be written.
    pub fn take(run: &Path) -> Result<Self, TrainError> {
        let path = run.join(".lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|e| problem(&path, &e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(problem(run, &"another training is running in this folder")),
            // Some network file systems know no locks; a run there is better than none.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(problem(&path, &error)),
        }
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn two_trainings_cannot_share_a_folder_but_a_file_left_behind_keeps_nobody_out() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".lock"), b"").unwrap();
        let first = RunLock::take(folder.path()).unwrap();
        let error = RunLock::take(folder.path()).unwrap_err().to_string();
        assert!(error.contains("another training"), "{error}");
        drop(first);
        RunLock::take(folder.path()).unwrap();
    }
}
