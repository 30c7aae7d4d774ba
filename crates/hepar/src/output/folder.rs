//! The folder of a result.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use hepar_report::{lesions_csv, preview, result_json};
use tempfile::TempDir;

use crate::error::{Error, sentence};
use crate::hash::sha256_of_file;
use crate::manifest::{MANIFEST_FILE, Manifest, Written};
use crate::output::{OutputError, OutputErrorKind, Product, check_writable, make_parent, nearest_folder};
use crate::segment::SegmentedCase;
use crate::watch::{Listener, go_on};

/// The label volume in a result's folder.
pub const LABELS_FILE: &str = "labels.nii.gz";
/// The table of lesions in a result's folder.
pub const LESIONS_FILE: &str = "lesions.csv";
/// The figures in a result's folder.
pub const RESULT_FILE: &str = "result.json";
/// The picture in a result's folder.
pub const PREVIEW_FILE: &str = "preview.png";

/// The files of every result; the manifest is the last to appear.
const FILES: [&str; 4] = [LESIONS_FILE, RESULT_FILE, PREVIEW_FILE, MANIFEST_FILE];

/// All files that results may have.
fn all_files() -> impl Iterator<Item = &'static str> {
    Product::ALL.map(Product::file).into_iter().chain(FILES)
}

/// A folder that may hold the result of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultFolder {
    path: PathBuf,
    force: bool,
}

impl ResultFolder {
    /// A folder at `path`, existing or not, for a result of hepar.
    ///
    /// `force` lets it replace a result of hepar whose files nobody has changed.
    ///
    /// # Errors
    /// When the folder cannot be written, or holds files that must not be overwritten.
    pub fn plan(path: &Path, force: bool) -> Result<Self, OutputError> {
        let folder = Self { path: path.to_owned(), force };
        if !path.exists() {
            check_writable(&nearest_folder(path)).map_err(|error| OutputError::new(path, error))?;
        } else if path.is_dir() {
            folder.check_files()?;
            check_writable(path).map_err(|error| OutputError::new(path, error))?;
        } else {
            return Err(OutputError::new(path, OutputErrorKind::NotAFolder));
        }
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the result of a case: all files, or none when something fails.
    ///
    /// # Errors
    /// When a file cannot be written or must not be overwritten, or the listener has called the work off.
    pub fn write(&self, case: &SegmentedCase, listener: &dyn Listener) -> Result<(), Error> {
        let started = Instant::now();
        let beside = if self.path.is_dir() { self.path.clone() } else { nearest_folder(&self.path) };
        let staging = staging_folder(&beside).map_err(|error| OutputError::new(&self.path, error))?;
        go_on(listener)?;
        listener.doing("writing labels");
        case.products.write(case, staging.path()).map_err(|error| {
            OutputError::image(&self.path.join(error.path().file_name().unwrap_or_default()), &error)
        })?;
        go_on(listener)?;
        listener.doing("drawing pictures");
        self.stage_findings(&staging, case)?;
        let hashes = self.hashes(&staging)?;
        self.stage(&staging, MANIFEST_FILE, Manifest::new(case, &hashes, started.elapsed()).to_json().as_bytes())?;
        go_on(listener)?;
        Ok(self.take(staging)?)
    }

    /// Writes tables and picture to the staging folder.
    fn stage_findings(&self, staging: &TempDir, case: &SegmentedCase) -> Result<(), OutputError> {
        let (findings, scan) = (case.findings(), &case.scan.volume);
        self.stage(staging, LESIONS_FILE, lesions_csv(findings).as_bytes())?;
        self.stage(staging, RESULT_FILE, result_json(&case.name, findings, scan.geometry()).as_bytes())?;
        let picture = preview(scan, &case.segmentation.labels, findings, &case.name).map_err(|error| {
            OutputError::new(&self.path.join(PREVIEW_FILE), OutputErrorKind::Picture(sentence(&error)))
        })?;
        self.stage(staging, PREVIEW_FILE, &picture)
    }

    /// Writes a file to the staging folder; an error names its final place.
    fn stage(&self, staging: &TempDir, name: &str, bytes: &[u8]) -> Result<(), OutputError> {
        fs::write(staging.path().join(name), bytes).map_err(|error| OutputError::new(&self.path.join(name), error))
    }

    /// SHA-256 of the files in the staging folder that the manifest names.
    fn hashes(&self, staging: &TempDir) -> Result<BTreeMap<String, String>, OutputError> {
        let hash = |name: &&str| match sha256_of_file(&staging.path().join(name)) {
            Ok(hash) => Ok(((*name).to_owned(), hash)),
            Err(error) => Err(OutputError::new(&self.path.join(name), error)),
        };
        let staged = |name: &&str| *name != MANIFEST_FILE && staging.path().join(name).exists();
        all_files().filter(staged).map(|name| hash(&name)).collect()
    }

    /// Moves a complete result to its place.
    fn take(&self, staging: TempDir) -> Result<(), OutputError> {
        // The user may have put something there in the meantime.
        Self::plan(&self.path, self.force)?;
        if !self.path.exists() {
            make_parent(&self.path)?;
            fs::rename(staging.path(), &self.path).map_err(|error| OutputError::new(&self.path, error))?;
            // It is no temporary folder any more.
            let _ = staging.keep();
            return Ok(());
        }
        // What an earlier result had and this one has not would not belong to it.
        let earlier = Written::read(&self.path);
        let gone = |name: &&str| !staging.path().join(name).exists();
        for name in earlier.iter().flat_map(Written::names).filter(gone) {
            if all_files().any(|known| known == name) {
                let path = self.path.join(name);
                fs::remove_file(&path).map_err(|error| OutputError::new(&path, error))?;
            }
        }
        for name in all_files().filter(|name| !gone(name)) {
            let path = self.path.join(name);
            fs::rename(staging.path().join(name), &path).map_err(|error| OutputError::new(&path, error))?;
        }
        Ok(())
    }

    /// Checks that no file of the folder would be overwritten that must not be.
    fn check_files(&self) -> Result<(), OutputError> {
        let written = Written::read(&self.path);
        let existing = all_files().map(|name| (name, self.path.join(name))).filter(|(_, path)| path.exists());
        for (name, path) in existing {
            let Some(written) = &written else { return Err(OutputError::new(&path, OutputErrorKind::Foreign)) };
            if !self.force {
                return Err(OutputError::new(&self.path, OutputErrorKind::Exists));
            }
            if name == MANIFEST_FILE {
                continue;
            }
            let hash = sha256_of_file(&path).map_err(|error| OutputError::new(&path, error))?;
            match written.hash(name) {
                Some(expected) if expected == hash => {}
                Some(_) => return Err(OutputError::new(&path, OutputErrorKind::Changed)),
                None => return Err(OutputError::new(&path, OutputErrorKind::Foreign)),
            }
        }
        Ok(())
    }
}

/// A folder in `beside` in which a result is made; it goes with all that is in it unless it is kept.
fn staging_folder(beside: &Path) -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".hepar-").suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Less the umask, as for any new folder; the default of a temporary folder keeps others from reading it.
        builder.permissions(fs::Permissions::from_mode(0o777));
    }
    builder.tempdir_in(beside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_model::bundle::sha256;

    fn kind_of(error: OutputError) -> String {
        error.kind().to_string()
    }

    fn folder_with(files: &[(&str, &str)], manifest: &str) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        if !manifest.is_empty() {
            fs::write(folder.path().join(MANIFEST_FILE), manifest).unwrap();
        }
        folder
    }

    #[test]
    fn files_of_others_are_never_overwritten() {
        let folder = folder_with(&[(LESIONS_FILE, "mine")], "");
        for force in [false, true] {
            assert!(kind_of(ResultFolder::plan(folder.path(), force).unwrap_err()).contains("not written by hepar"));
        }
        let folder = folder_with(&[("notes.txt", "mine")], "");
        assert!(ResultFolder::plan(folder.path(), false).is_ok(), "nothing would be overwritten");
    }

    #[test]
    fn a_result_is_replaced_by_force_unless_it_was_changed() {
        let manifest = format!(
            "{{\"program\": \"hepar\", \"files\": {{\"{LESIONS_FILE}\": \"{}\"}}}}",
            sha256(b"as it was written")
        );
        let folder = folder_with(&[(LESIONS_FILE, "as it was written")], &manifest);
        assert!(kind_of(ResultFolder::plan(folder.path(), false).unwrap_err()).contains("--force"));
        assert!(ResultFolder::plan(folder.path(), true).is_ok());
        let folder = folder_with(&[(LESIONS_FILE, "corrected by hand")], &manifest);
        assert!(kind_of(ResultFolder::plan(folder.path(), true).unwrap_err()).contains("changed"));
        let folder = folder_with(&[(LABELS_FILE, "added by hand")], &manifest);
        assert!(kind_of(ResultFolder::plan(folder.path(), true).unwrap_err()).contains("not written by hepar"));
    }

    #[test]
    fn a_plan_leaves_nothing_behind_and_nothing_goes_below_a_file() {
        let root = tempfile::tempdir().unwrap();
        ResultFolder::plan(&root.path().join("a/b/c"), false).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        let file = root.path().join("file");
        fs::write(&file, "text").unwrap();
        assert!(kind_of(ResultFolder::plan(&file, true).unwrap_err()).contains("need a folder"));
        assert!(ResultFolder::plan(&file.join("out"), true).is_err());
    }
}
