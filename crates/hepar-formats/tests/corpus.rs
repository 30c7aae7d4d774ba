//! The corpus of the fuzzer: files of every format that are read, and some that are refused.

use std::path::Path;

use hepar_formats::{inspect, read_labels, read_scan};

#[test]
fn every_file_of_the_corpus_is_read_or_refused_with_a_sentence() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/image");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let (scan, labels) = (read_scan(&path), read_labels(&path));
        let is_described = inspect(&path).is_ok();
        if name.starts_with("refused") {
            assert!(scan.is_err() && labels.is_err(), "{name} was read");
        } else if name == "rtstruct.dcm" {
            // Its series does not lie beside it.
            assert!(labels.is_err());
        } else {
            let what = |error: &dyn std::fmt::Display| format!("{name}: {error}");
            // A single slice is no volume, but its header is read; labels are no scan.
            let is_read = scan.is_ok() || labels.is_ok() || is_described;
            assert!(is_read, "{}", scan.map(drop).map_err(|e| what(&e)).unwrap_err());
        }
        files += 1;
    }
    assert!(files > 20);
}
