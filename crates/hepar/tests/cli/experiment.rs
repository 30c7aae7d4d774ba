//! `hepar experiment`.

use std::path::Path;

use hepar_formats::{read_labels, write_labels};

use crate::program::{folder_with_scan, hepar, json, model, names, segment};

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
    let liver = tables.lines().find(|line| line.contains("| liver | ") && line.split(" | ").count() == 11).unwrap();
    let ml: f64 = liver.split(" | ").nth(3).unwrap().parse().unwrap();
    assert!(ml > 500.0, "{liver}");
    assert_eq!(tables, run.out);
    hepar(folder.path(), &arguments).fails(5, &["tables.md", "--force"]);
    let labels = std::fs::read_dir(path("cases")).unwrap().next().unwrap().unwrap().path().join("labels.nii.gz");
    let written = std::fs::metadata(&labels).unwrap().modified().unwrap();
    hepar(folder.path(), &[&arguments[..], &["--force"]].concat()).expect(0);
    let modified = || std::fs::metadata(&labels).unwrap().modified().unwrap();
    assert_eq!(modified(), written);
    // The same weights with another threshold are another model.
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    for file in names(Path::new(model)) {
        std::fs::copy(Path::new(model).join(&file), other.join(&file)).unwrap();
    }
    let card = std::fs::read_to_string(other.join("model.toml")).unwrap();
    std::fs::write(other.join("model.toml"), card.replacen("threshold = 0.5", "threshold = 0.25", 1)).unwrap();
    let arguments =
        ["experiment", "lits", "--data", ".", "--folds", "3", "--model", "other", "-o", "out", "-q", "--force"];
    hepar(folder.path(), &arguments).expect(0);
    assert_ne!(modified(), written);
}

#[test]
fn only_the_models_own_labels_are_scored_and_corrected_ones_are_kept() {
    let folder = folder_with_scan();
    let model = model().to_str().unwrap();
    let experiment = ["experiment", "generalisation", "--data", ".", "--model", model, "-o", "out", "-q", "--force"];
    hepar(folder.path(), &experiment).expect(0);
    let case = std::fs::read_dir(folder.path().join("out/cases")).unwrap().next().unwrap().unwrap().path();
    let (path, result) = (case.join("labels.nii.gz"), case.to_str().unwrap());
    let labels = || std::fs::read(&path).unwrap();
    let own = labels();
    for otherwise in [&["--stages", "liver"][..], &["--liver", "a_label.nii.gz"]] {
        let arguments = [&["a_ct.nii.gz", "-o", result, "-q", "--force"][..], otherwise].concat();
        segment(folder.path(), &arguments).expect(0);
        assert!(labels() != own, "{otherwise:?}");
        hepar(folder.path(), &experiment).expect(0);
        assert!(labels() == own, "{otherwise:?}");
    }
    let found = read_labels(&path).unwrap();
    write_labels(&path, &found.volume.map(|&label| label.min(1)), &found.grid).unwrap();
    let corrected = labels();
    hepar(folder.path(), &["report", result, "-q"]).expect(0);
    hepar(folder.path(), &experiment).fails(5, &["out/cases/", "labels.nii.gz: it was changed after hepar wrote it"]);
    assert!(labels() == corrected);
}

#[test]
fn models_and_folds_must_fit() {
    let folder = folder_with_scan();
    let arguments = ["experiment", "lits", "--data", ".", "--model", "a", "--model", "b"];
    hepar(folder.path(), &arguments).fails(2, &["2 models for 5 folds"]);
    hepar(folder.path(), &["experiment", "generalisation"]).expect(2);
    let without = |case| ["experiment", "generalisation", "--data", ".", "--exclude", case];
    let name = folder.path().file_name().unwrap().to_str().unwrap();
    let known = format!("there is no case nobody to be left out; there are {name}/a");
    hepar(folder.path(), &without("nobody")).fails(2, &[&known]);
    hepar(folder.path(), &without(&format!("{name}/a"))).fails(2, &["the data hold no scan with labels"]);
    hepar(folder.path(), &["experiment", "generalisation", "--data", "nowhere"]).fails(3, &["nowhere"]);
}

#[test]
fn losses_are_compared_on_held_out_patients_and_an_experiment_goes_on() {
    let folder = folder_with_scan();
    let path = folder.path();
    std::fs::create_dir(path.join("data")).unwrap();
    // Patients 0 and 1 of LiTS are in different ones of two folds.
    for volume in 0..2 {
        for (from, to) in [("a_ct", "volume"), ("a_label", "segmentation")] {
            std::fs::copy(path.join(format!("{from}.nii.gz")), path.join(format!("data/{to}-{volume}.nii.gz")))
                .unwrap();
        }
    }
    let config = "widths = [4, 4, 4, 4, 4, 4]\nbatch = 2\nphantoms = 0\nphantom_share = 0.0\nrecalibrate = 0\n\
                  patch = [32, 64, 64]\ngrid = { kind = \"spacing\", mm = [6.0, 5.0, 5.0] }\n\
                  stage = \"liver\"\nsteps = 1\nfolds = 2\n";
    std::fs::write(path.join("config.toml"), config).unwrap();
    let arguments = ["experiment", "losses", "--data", "data", "--config", "config.toml", "-o", "losses", "-q"];
    hepar(path, &[&arguments[..], &["--stage", "tumour"]].concat())
        .fails(2, &["train the tumour network with the configuration of the liver network"]);
    let run = || hepar(path, &arguments).expect(0).out;
    let table = run();
    for loss in ["dice", "cross-entropy", "dice-cross-entropy", "tversky", "focal-tversky"] {
        assert!(table.contains(&format!("| {loss} | 1 | 0.")), "{table}");
        assert!(path.join("losses").join(loss).join("best/score.json").exists());
        assert!(path.join("losses").join(loss).join("training.html").exists());
    }
    assert!(table.contains("1 steps of 2 samples") && table.contains("fold 0 of 2"), "{table}");
    assert_eq!(std::fs::read_to_string(path.join("losses/losses.md")).unwrap(), table);
    assert_eq!(run(), table, "nothing is trained again");
}
