//! Any image: NIfTI, NRRD, MetaImage, DICOM and archives of it; the first bytes decide which reader is asked.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use hepar_formats::{inspect, read_labels, read_scan};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder for the file that is read"));

fuzz_target!(|data: &[u8]| {
    let path: PathBuf = FOLDER.path().join("image");
    std::fs::write(&path, data).expect("the file can be written");
    let _ = read_scan(&path);
    let _ = inspect(&path);
    let _ = read_labels(&path);
});
