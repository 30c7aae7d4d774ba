//! `hepar data`.

use hepar_train::{PatientId, fold_of};
use serde_json::json;

use crate::program::{folder_with_scan, hepar, json, names, phantom, write_phantom};

#[test]
fn a_scan_that_is_there_twice_is_found_and_folds_are_those_of_training() {
    let folder = tempfile::tempdir().unwrap();
    let (path, data) = (folder.path(), folder.path().join("data"));
    std::fs::create_dir(&data).unwrap();
    for name in ["anna", "bert"] {
        write_phantom(&data, name, phantom());
    }
    let arguments = ["data", "check", "data", "--folds", "4", "--json", "out/data.json"];
    let run = hepar(path, &arguments).expect(0);
    let [anna, bert] = ["data/anna", "data/bert"].map(|name| fold_of(&PatientId::of(name), 4));
    let size = "80 × 80 × 48 voxels of 5.000 × 5.000 × 5.000 mm (LPS)";
    let line = format!("data/anna: patient data/anna, fold {anna}, {size}, liver ");
    for part in [
        line.as_str(),
        "  the same scan as data/anna, voxel by voxel, under the name of another patient",
        "2 cases of 2 patients, ",
    ] {
        assert!(run.out.contains(part), "no {part:?} in: {}", run.out);
    }
    let manifest = json(&path.join("out/data.json"));
    assert_eq!((&manifest["schema"], &manifest["folds"]), (&json!(1), &json!(4)));
    let [first, second] = &manifest["cases"].as_array().unwrap()[..] else { panic!("{manifest:#}") };
    assert_eq!(second["name"], "data/bert");
    assert_eq!((&second["patient"], &second["fold"]), (&json!("data/bert"), &json!(bert)));
    assert_eq!(second["kept_for_tests"], json!(false));
    assert!(second["image"].as_str().unwrap().ends_with("bert_ct.nii.gz"));
    assert!(second["labels"].as_str().unwrap().ends_with("bert_label.nii.gz"));
    assert_eq!(second["shape_ijk"], json!([80, 80, 48]));
    assert_eq!(second["spacing_ijk_mm"], json!([5.0, 5.0, 5.0]));
    assert_eq!(second["voxels_sha256"], first["voxels_sha256"]);
    assert_eq!(second["voxels_sha256"].as_str().unwrap().len(), 64);
    assert!(second["liver_ml"].as_f64().unwrap() > second["tumour_ml"].as_f64().unwrap());
    assert!(second["lesions"].as_u64().unwrap() > 0);
    let findings = second["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding.as_str().unwrap().starts_with("the same scan as data/anna")));
    hepar(path, &arguments).fails(5, &["failed to write out/data.json: it exists. Take another name"]);
}

#[test]
fn a_case_that_cannot_be_read_is_told_of_and_the_others_are_looked_at() {
    let folder = folder_with_scan();
    std::fs::copy(folder.path().join("a_label.nii.gz"), folder.path().join("b_label.nii.gz")).unwrap();
    std::fs::write(folder.path().join("b_ct.nii.gz"), "").unwrap();
    let run = hepar(folder.path(), &["data", "check", "."]).expect(6);
    for part in ["  failed to read ", "b_ct.nii.gz: it is no image", "80 × 80 × 48 voxels", "2 cases of 2 patients"] {
        assert!(run.out.contains(part), "no {part:?} in: {}", run.out);
    }
    assert_eq!(names(folder.path()), ["a_ct.nii.gz", "a_label.nii.gz", "b_ct.nii.gz", "b_label.nii.gz"]);
}

#[test]
fn packed_copies_are_not_for_the_localizer() {
    let folder = folder_with_scan();
    hepar(folder.path(), &["data", "pack", ".", "-o", "packed"]).expect(0);
    let train = ["train", "all", "--data", "packed", "--run", "run"];
    hepar(folder.path(), &train).fails(3, &["failed to train the localizer network", "1 cropped in plane"]);
}

#[test]
fn a_folder_without_cases_cannot_be_checked() {
    let folder = tempfile::tempdir().unwrap();
    hepar(folder.path(), &["data", "check", "."]).fails(3, &["failed to check the data set", "no cases in ."]);
}
