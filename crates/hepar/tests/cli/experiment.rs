//! `hepar experiment`.

use crate::program::{folder_with_scan, hepar, json, model};

#[test]
fn one_case_gives_the_articles_tables_and_is_not_done_twice() {
    let folder = folder_with_scan();
    let model = model().to_str().unwrap();
    let arguments = ["experiment", "lits", "--data", ".", "--folds", "3", "--model", model, "-o", "out", "-q"];
    let run = hepar(folder.path(), &arguments).expect(0);
    assert!(run.out.contains("RA-UNet, test set of LiTS (article) | 0.595 | 0.795 |"), "{}", run.out);
    assert!(run.out.contains("This is no cross-validation"), "{}", run.out);
    assert!(run.out.contains("Scans: 1. Patients: 1. Scored: 1."), "{}", run.out);
    let path = |name: &str| folder.path().join("out").join(name);
    assert_eq!(json(&path("scores-lits-2017.json"))["cases"].as_array().unwrap().len(), 1);
    let tables = std::fs::read_to_string(path("tables.md")).unwrap();
    assert_eq!(tables, run.out);
    hepar(folder.path(), &arguments).fails(5, &["tables.md", "--force"]);
    let labels = std::fs::read_dir(path("cases")).unwrap().next().unwrap().unwrap().path().join("labels.nii.gz");
    let written = std::fs::metadata(&labels).unwrap().modified().unwrap();
    hepar(folder.path(), &[&arguments[..], &["--force"]].concat()).expect(0);
    assert_eq!(std::fs::metadata(&labels).unwrap().modified().unwrap(), written);
}

#[test]
fn models_and_folds_must_fit() {
    let folder = folder_with_scan();
    let arguments = ["experiment", "lits", "--data", ".", "--model", "a", "--model", "b"];
    hepar(folder.path(), &arguments).fails(2, &["2 models for 5 folds"]);
    hepar(folder.path(), &["experiment", "generalisation"]).expect(2);
    hepar(folder.path(), &["experiment", "generalisation", "--data", "nowhere"]).fails(3, &["nowhere"]);
}
