//! Real scans and their labels, where they lie beside the project; otherwise nothing is tested.

use std::path::{Path, PathBuf};

use hepar_formats::{read_labels, read_scan, write_labels};

fn data(file: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")).join(file);
    if path.is_file() {
        return Some(path);
    }
    println!("skipped: no {}", path.display());
    None
}

#[test]
fn a_scan_and_its_labels_lie_on_one_grid() {
    for case in ["lits/lits000", "ircad/ircad19", "lits-sparse/lits050"] {
        let (Some(ct), Some(label)) = (data(&format!("{case}_ct.nii.gz")), data(&format!("{case}_label.nii.gz")))
        else {
            continue;
        };
        let scan = read_scan(&ct).unwrap();
        let labels = read_labels(&label).unwrap();
        assert!(scan.volume.geometry().matches(labels.volume.geometry(), 0.01), "{case}");
        assert!(labels.volume.data().iter().all(|v| *v <= 2), "{case}");
        assert!(scan.warnings.is_empty(), "{case}: {:?}", scan.warnings);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.nii.gz");
        write_labels(&path, &labels.volume, &labels.grid).unwrap();
        assert_eq!(read_labels(&path).unwrap().volume, labels.volume, "{case}");
        assert!(read_scan(&label).is_err(), "{case}: labels are no scan");
        assert!(read_labels(&ct).is_err(), "{case}: a scan is no labels");
    }
}
