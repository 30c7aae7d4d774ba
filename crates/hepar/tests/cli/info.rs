//! `hepar info`.

use std::path::Path;

use crate::files::Nifti;
use crate::program::{folder_with_scan, hepar};

#[test]
fn a_ct_is_told_from_labels_and_from_other_intensities() {
    let folder = folder_with_scan();
    let scan = hepar(folder.path(), &["info", "a_ct.nii.gz"]).expect(0).out;
    for part in
        ["NIfTI-1, gzip", "80 × 80 × 48", "int16, little-endian", "5.0000 × 5.0000", "LPS", "a CT in Hounsfield"]
    {
        assert!(scan.contains(part), "no {part:?} in: {scan}");
    }
    let labels = hepar(folder.path(), &["info", "a_label.nii.gz"]).expect(0).out;
    assert!(labels.contains("a label volume") && labels.contains("label 2: "), "{labels}");
    Nifti::scan([20, 20, 20], |n| (n % 256) as i16).write(&folder.path().join("p.nii"));
    let picture = hepar(folder.path(), &["info", "p.nii"]).expect(0).out;
    assert!(picture.contains("no CT in Hounsfield units"), "{picture}");
}

#[test]
fn the_json_has_the_same_figures() {
    let folder = folder_with_scan();
    let out = hepar(folder.path(), &["info", "a_ct.nii.gz", "--json"]).expect(0).out;
    let info: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(info["dims_ijk"], serde_json::json!([80, 80, 48]));
    assert_eq!((&info["voxels"]["kind"], &info["voxels"]["looks_like_ct"]), (&"intensities".into(), &true.into()));
    assert_eq!((&info["orientation"], &info["affine_source"]), (&"LPS".into(), &"sform".into()));
}

#[test]
fn what_cannot_be_segmented_is_described_and_refused() {
    let folder = tempfile::tempdir().unwrap();
    Nifti::scan([6, 5, 8], |n| n as i16 - 100).dims(&[6, 5, 4, 2]).write(&folder.path().join("x.nii"));
    let run = hepar(folder.path(), &["info", "x.nii"]);
    assert!(run.out.contains("6 × 5 × 4 × 2"), "{}", run.out);
    run.fails(3, &["failed to read x.nii", "time"]);
}

#[test]
fn a_real_scan_is_described() {
    let scan = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/ircad/ircad19_ct.nii.gz"));
    if !scan.exists() {
        println!("skipped: {} is not there", scan.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let run = hepar(folder.path(), &["info", scan.to_str().unwrap()]).expect(0);
    assert!(run.out.contains("a CT in Hounsfield units"), "{}", run.out);
}
