//! Synthetic scans in files.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use hepar_formats::{GridHeader, write_labels, write_scan};
use hepar_phantom::{Phantom, PhantomSpec};

use crate::error::Error;
use crate::output::{ImageFile, OutputError, make_parent};
use crate::watch::{Listener, go_on};

/// The two files of a phantom: `PREFIX_ct.nii.gz` and `PREFIX_label.nii.gz`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhantomFiles {
    /// File of the scan.
    pub ct: ImageFile,
    /// File of the labels: 0 background, 1 liver, 2 tumour.
    pub labels: ImageFile,
}

impl PhantomFiles {
    /// Files that begin with `prefix`; in an existing folder, or one that is named with a slash at its end, they are
    /// called after the phantom's `seed`.
    ///
    /// `force` lets files of hepar be replaced.
    ///
    /// # Errors
    /// When they cannot be written, or would overwrite what they must not.
    pub fn plan(prefix: &Path, seed: u64, force: bool) -> Result<Self, OutputError> {
        let is_folder = prefix.is_dir() || prefix.as_os_str().as_encoded_bytes().ends_with(b"/");
        let prefix = if is_folder { prefix.join(format!("phantom-{seed}")) } else { prefix.to_owned() };
        let file = |ending| ImageFile::plan(&with_ending(&prefix, ending), force, &[]);
        Ok(Self { ct: file("_ct.nii.gz")?, labels: file("_label.nii.gz")? })
    }

    /// Draws a phantom and writes it.
    ///
    /// # Errors
    /// When there is no such phantom, a file cannot be written, or the listener calls the work off.
    pub fn draw(&self, spec: &PhantomSpec, listener: &dyn Listener) -> Result<Phantom, Error> {
        listener.doing("drawing the phantom");
        let phantom = spec.build()?;
        let grid = GridHeader::from_geometry(phantom.ct.geometry());
        go_on(listener)?;
        listener.doing("writing the phantom");
        make_parent(self.ct.path())?;
        write_scan(self.ct.path(), &phantom.ct, &grid)?;
        go_on(listener)?;
        write_labels(self.labels.path(), &phantom.labels, &grid)?;
        Ok(phantom)
    }
}

fn with_ending(prefix: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(prefix);
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_begins_the_names_and_a_folder_holds_them() {
        let root = tempfile::tempdir().unwrap();
        let ct = |prefix: PathBuf| PhantomFiles::plan(&prefix, 7, false).unwrap().ct.path().to_owned();
        assert_eq!(ct(root.path().join("a.b")), root.path().join("a.b_ct.nii.gz"));
        assert_eq!(ct(root.path().to_owned()), root.path().join("phantom-7_ct.nii.gz"));
        assert_eq!(ct(root.path().join("new/")), root.path().join("new/phantom-7_ct.nii.gz"));
    }
}
