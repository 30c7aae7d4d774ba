//! Single files.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use hepar_formats::{inspect, write_atomically};

use crate::output::{OutputError, OutputErrorKind, check_writable, make_parent, nearest_folder};

/// An image that may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    path: PathBuf,
}

impl ImageFile {
    /// An image at `path`, which names a NIfTI file, made from the files `inputs`.
    ///
    /// `force` lets it replace an image that hepar wrote, by its header.
    ///
    /// # Errors
    /// When it cannot be written, or must not be overwritten.
    pub fn plan(path: &Path, force: bool, inputs: &[&Path]) -> Result<Self, OutputError> {
        let refuse = |kind| Err(OutputError::new(path, kind));
        if path.is_dir() {
            return refuse(OutputErrorKind::NotAFile);
        }
        if is_taken(path) {
            let is_this = |input: &&Path| match (fs::canonicalize(input), fs::canonicalize(path)) {
                (Ok(input), Ok(path)) => input == path,
                _ => false,
            };
            if inputs.iter().any(is_this) {
                return refuse(OutputErrorKind::IsInput);
            }
            if !inspect(path).is_ok_and(|header| header.description.starts_with("hepar")) {
                return refuse(OutputErrorKind::Foreign);
            }
            if !force {
                return refuse(OutputErrorKind::Exists);
            }
        }
        check_writable(&nearest_folder(path)).map_err(|error| OutputError::new(path, error))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Checks that a plain file of the user's choice can be written: it must not be there yet.
///
/// # Errors
/// When it is, or its folder cannot be written.
pub fn plan_new_file(path: &Path) -> Result<(), OutputError> {
    if is_taken(path) {
        return Err(OutputError::new(path, OutputErrorKind::Taken));
    }
    check_writable(&nearest_folder(path)).map_err(|error| OutputError::new(path, error))
}

/// Checks that a file may be written: it is not there, or it is hepar's own and may be replaced.
pub(crate) fn check_replaceable(
    path: &Path,
    force: bool,
    is_own: impl FnOnce(&[u8]) -> bool,
) -> Result<(), OutputError> {
    if !is_taken(path) {
        return Ok(());
    }
    if !path.exists() {
        return Err(OutputError::new(path, OutputErrorKind::Foreign));
    }
    let bytes = fs::read(path).map_err(|error| OutputError::new(path, error))?;
    match (is_own(&bytes), force) {
        (false, _) => Err(OutputError::new(path, OutputErrorKind::Foreign)),
        (true, false) => Err(OutputError::new(path, OutputErrorKind::Exists)),
        (true, true) => Ok(()),
    }
}

/// Whether something is at `path`, be it a link to what is not there.
pub(super) fn is_taken(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Writes a plain file, whole or not at all; folders on the way are made.
///
/// # Errors
/// When the system refuses.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    make_parent(path)?;
    write_atomically(path, |file| file.write_all(bytes)).map_err(|error| OutputError::new(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_leaves_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        ImageFile::plan(&root.path().join("a/x.nii.gz"), false, &[]).unwrap();
        plan_new_file(&root.path().join("b.json")).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_nothing_is_in_the_way() {
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join("link.nii");
        std::os::unix::fs::symlink(root.path().join("unplugged/ct.nii"), &link).unwrap();
        let kind = |error: OutputError| error.kind().to_string();
        assert!(kind(ImageFile::plan(&link, true, &[]).unwrap_err()).contains("not written by hepar"));
        assert!(kind(plan_new_file(&link).unwrap_err()).contains("it exists. Take another name"));
        assert!(kind(check_replaceable(&link, true, |_| true).unwrap_err()).contains("not written by hepar"));
        assert!(crate::output::ResultFolder::plan(&link, true).is_err());
    }

    #[test]
    fn files_of_others_are_never_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file.nii");
        fs::write(&file, "text").unwrap();
        let kind = |error: OutputError| error.kind().to_string();
        assert!(kind(ImageFile::plan(&file, true, &[]).unwrap_err()).contains("not written by hepar"));
        assert!(kind(ImageFile::plan(&file, true, &[&file]).unwrap_err()).contains("an input"));
        assert!(kind(plan_new_file(&file).unwrap_err()).contains("it exists. Take another name"));
        assert!(ImageFile::plan(&file.join("x.nii"), true, &[]).is_err());
        assert!(kind(ImageFile::plan(root.path(), true, &[]).unwrap_err()).contains("a folder"));
    }
}
