//! Synthetic scans in files.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use hepar_formats::{GridHeader, write_labels, write_scan};
use hepar_phantom::{Phantom, PhantomSpec};

use crate::error::Error;
use crate::output::{ImageFile, OutputError, make_parent, staging_near};
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

    /// Draws a phantom and writes it; no file takes its place before both are made.
    ///
    /// # Errors
    /// When there is no such phantom, a file cannot be written, or the listener calls the work off.
    pub fn draw(&self, spec: &PhantomSpec, listener: &dyn Listener) -> Result<Phantom, Error> {
        listener.doing("drawing the phantom");
        let phantom = spec.build()?;
        let grid = GridHeader::from_geometry(phantom.ct.geometry());
        go_on(listener)?;
        listener.doing("writing the phantom");
        // Labels are those of their scan alone.
        let staging = staging_near(self.ct.path())?;
        let made = |file: &ImageFile| staging.path().join(file.path().file_name().unwrap_or_default());
        write_scan(&made(&self.ct), &phantom.ct, &grid).map_err(|error| OutputError::image(self.ct.path(), &error))?;
        go_on(listener)?;
        write_labels(&made(&self.labels), &phantom.labels, &grid)
            .map_err(|error| OutputError::image(self.labels.path(), &error))?;
        go_on(listener)?;
        for file in [&self.ct, &self.labels] {
            make_parent(file.path())?;
            fs::rename(made(file), file.path()).map_err(|error| OutputError::new(file.path(), error))?;
        }
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
    use hepar_model::stage::StageName;
    use hepar_pipeline::Watch;
    use std::fmt::Display;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Lets the work go on as often as it says, and then calls it off.
    struct Patience(AtomicUsize);

    impl Watch for Patience {
        fn begin(&self, _: StageName, _: usize) {}

        fn step(&self) {}

        fn end(&self) {}

        fn is_cancelled(&self) -> bool {
            self.0.fetch_sub(1, Ordering::Relaxed) == 0
        }
    }

    impl Listener for Patience {
        fn doing(&self, _: &str) {}

        fn warn(&self, _: &dyn Display) {}
    }

    #[test]
    fn a_prefix_begins_the_names_and_a_folder_holds_them() {
        let root = tempfile::tempdir().unwrap();
        let ct = |prefix: PathBuf| PhantomFiles::plan(&prefix, 7, false).unwrap().ct.path().to_owned();
        assert_eq!(ct(root.path().join("a.b")), root.path().join("a.b_ct.nii.gz"));
        assert_eq!(ct(root.path().to_owned()), root.path().join("phantom-7_ct.nii.gz"));
        assert_eq!(ct(root.path().join("new/")), root.path().join("new/phantom-7_ct.nii.gz"));
    }

    #[test]
    fn a_phantom_that_is_called_off_leaves_scan_and_labels_of_the_earlier_one() {
        let root = tempfile::tempdir().unwrap();
        let files = PhantomFiles::plan(&root.path().join("p"), 0, false).unwrap();
        let draw = |seed: u64, patience: usize| {
            let spec = PhantomSpec { seed, shape: [24, 48, 40], spacing: [10.0, 8.0, 8.0], ..Default::default() };
            files.draw(&spec, &Patience(AtomicUsize::new(patience)))
        };
        let both = || [&files.ct, &files.labels].map(|file| fs::read(file.path()).unwrap());
        draw(3, 3).unwrap();
        let earlier = both();
        for patience in 0..3 {
            assert!(draw(4, patience).unwrap_err().is_interruption());
            assert!(both() == earlier, "{patience}");
            assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2, "nothing else is left");
        }
        draw(4, 3).unwrap();
        let [ct, labels] = both();
        assert!(ct != earlier[0] && labels != earlier[1]);
    }
}
