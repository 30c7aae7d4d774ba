//! Running the program and looking at what it did.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use hepar_formats::{GridHeader, write_labels, write_scan};
use hepar_phantom::{Phantom, PhantomSpec};
use tempfile::TempDir;

use crate::tiny_model;

/// What a run of the program left behind.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Run {
    /// Asserts the exit code and gives the run back.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    /// Asserts that it failed with this code and a sentence that has all `parts`.
    #[track_caller]
    pub fn fails(self, code: i32, parts: &[&str]) {
        let run = self.expect(code);
        assert!(run.err.contains("hepar: failed to "), "{}", run.err);
        assert!(!run.err.contains("panicked"), "{}", run.err);
        for part in parts {
            assert!(run.err.contains(part), "no {part:?} in: {}", run.err);
        }
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// The program, to be run in `folder`.
pub fn command(folder: &Path, arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hepar"));
    command.current_dir(folder).args(arguments);
    command
}

/// Runs the program in `folder`.
pub fn hepar(folder: &Path, arguments: &[impl AsRef<OsStr>]) -> Run {
    command(folder, arguments).output().unwrap().into()
}

/// Runs `hepar segment` in `folder` with the test's model.
pub fn segment(folder: &Path, arguments: &[impl AsRef<OsStr>]) -> Run {
    let mut command = command(folder, &["segment", "--model"]);
    command.arg(model()).args(arguments).output().unwrap().into()
}

/// The folder of the test's model.
pub fn model() -> &'static Path {
    static MODEL: OnceLock<TempDir> = OnceLock::new();
    MODEL
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            tiny_model::write(folder.path());
            folder
        })
        .path()
}

/// A whole abdomen in large voxels.
pub fn spec() -> PhantomSpec {
    PhantomSpec { seed: 12, shape: [48, 80, 80], spacing: [5.0, 5.0, 5.0], tumours: 2, ..Default::default() }
}

/// The phantom of [`spec`].
pub fn phantom() -> &'static Phantom {
    static PHANTOM: OnceLock<Phantom> = OnceLock::new();
    PHANTOM.get_or_init(|| spec().build().unwrap())
}

/// Writes `NAME_ct.nii.gz` and `NAME_label.nii.gz` into `folder` and gives the first.
pub fn write_phantom(folder: &Path, name: &str, phantom: &Phantom) -> PathBuf {
    let grid = GridHeader::from_geometry(phantom.ct.geometry());
    let ct = folder.join(format!("{name}_ct.nii.gz"));
    write_scan(&ct, &phantom.ct, &grid).unwrap();
    write_labels(&folder.join(format!("{name}_label.nii.gz")), &phantom.labels, &grid).unwrap();
    ct
}

/// A folder with the scan `a_ct.nii.gz` and its labels.
pub fn folder_with_scan() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_phantom(folder.path(), "a", phantom());
    folder
}

/// Files of real scans beside the project, if they are all there; what needs them says that it was skipped where not.
pub fn real<const N: usize>(names: [&str; N]) -> Option<[PathBuf; N]> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let paths = names.map(|name| data.join(name));
    let missing = paths.iter().find(|path| !path.is_file());
    missing.inspect(|path| println!("skipped: no {}", path.display()));
    missing.is_none().then_some(paths)
}

/// The names of everything in `folder`, hidden files too, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A JSON file.
pub fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
