//! `hepar train` and `hepar model assemble`.

use std::path::Path;

use crate::browser;
use crate::program::{Run, command, folder_with_scan, hepar, json, names};

/// The least that can be trained.
const CONFIG: &str = "\
widths = [4, 4, 4, 4, 4, 4]
batch = 2
phantoms = 0
phantom_share = 0.0
";

const CARD: &str = "\
name = \"mine\"
version = \"1\"
description = \"A test.\"
licence = \"none\"
[training]
data = \"a phantom\"
method = \"one step\"
[[score]]
on = \"nothing\"
metric = \"liver Dice\"
value = 0.25
";

fn train(folder: &Path, stage: &str, extra: &str) -> Run {
    std::fs::write(folder.join("config.toml"), format!("{CONFIG}{extra}")).unwrap();
    hepar(folder, &["train", stage, "--data", "data", "--run", stage, "--config", "config.toml", "-q"])
}

/// Asserts that a run of ten steps has a page, and events for TensorBoard.
#[track_caller]
fn check_what_was_written(run: &Path) {
    let page = std::fs::read_to_string(run.join("training.html")).unwrap();
    for text in ["10 of 10", "<svg", "loss: from ", "widths = [4, 4, 4, 4, 4, 4]"] {
        assert!(page.contains(text), "no {text} in {page}");
    }
    browser::open("page", &run.join("training.html"));
    let events = names(run).into_iter().find(|name| name.starts_with("events.out.tfevents.")).unwrap();
    let bytes = std::fs::read(run.join(events)).unwrap();
    for tag in ["brain.Event:2", "loss/smoothed", "learning_rate"] {
        assert!(bytes.windows(tag.len()).any(|part| part == tag.as_bytes()), "no {tag}");
    }
}

#[test]
fn three_runs_become_a_model_that_segments() {
    let scan = folder_with_scan();
    let folder = tempfile::tempdir().unwrap();
    std::fs::rename(scan.path(), folder.path().join("data")).unwrap();
    let path = folder.path();
    let slices = "steps = 10\npatch = [1, 64, 64]\ngrid = { kind = \"resized-in-plane\", size = [64, 64] }\n";
    train(path, "localizer", slices).expect(0);
    check_what_was_written(&path.join("localizer"));
    for stage in ["liver", "tumour"] {
        let parts = "steps = 1\npatch = [32, 64, 64]\ngrid = { kind = \"spacing\", mm = [5.0, 5.0, 5.0] }\n";
        train(path, stage, parts).expect(0);
    }
    std::fs::write(path.join("card.toml"), CARD).unwrap();
    let assemble = |liver: &str| {
        let runs = ["model", "assemble", "--localizer", "localizer", "--liver", liver, "--tumour", "tumour"];
        command(path, &runs).args(["--card", "card.toml", "-o", "mine"]).output().unwrap().into()
    };
    let none: Run = assemble("data");
    none.fails(3, &["failed to export the network of data"]);
    let wrong: Run = assemble("tumour");
    wrong.fails(2, &["failed to take the liver network from tumour"]);
    let done: Run = assemble("liver");
    assert!(done.expect(0).out.contains("mine 1"));
    assert_eq!(
        names(&path.join("mine")),
        ["liver.safetensors", "localizer.safetensors", "model.toml", "tumour.safetensors"]
    );
    hepar(path, &["segment", "data/a_ct.nii.gz", "--model", "mine", "-o", "out"]).expect(0);
    let again: Run = assemble("liver");
    again.fails(5, &["mine/localizer.safetensors: it exists. Take another name"]);
    an_ensemble_of_runs_answers_as_one(path);
}

/// In a folder with three runs and the model of them.
#[track_caller]
fn an_ensemble_of_runs_answers_as_one(path: &Path) {
    std::fs::create_dir_all(path.join("other/last")).unwrap();
    for name in ["config.toml", "last/state.json", "last/weights.safetensors", "last/optimizer.bpk"] {
        std::fs::copy(path.join("liver").join(name), path.join("other").join(name)).unwrap();
    }
    let assemble = |folder: &str| -> Run {
        let runs = ["--localizer", "localizer", "--liver", "liver", "--liver", "other", "--tumour", "tumour"];
        let arguments = [&["model", "assemble", "--card", "card.toml", "-o", folder], &runs[..]].concat();
        command(path, &arguments).output().unwrap().into()
    };
    let info = assemble("two").expect(0).out;
    assert_eq!(info.matches("RA-UNet-II (volumes); the mean of 2").count(), 1, "{info}");
    assert!(names(&path.join("two")).contains(&"liver-2.safetensors".to_owned()));
    for (model, out) in [("mine", "of-one"), ("two", "of-two")] {
        hepar(path, &["segment", "data/a_ct.nii.gz", "--model", model, "-o", out]).expect(0);
    }
    let labels = |out: &str| std::fs::read(path.join(out).join("labels.nii.gz")).unwrap();
    assert!(labels("of-one") == labels("of-two"), "the mean of twice the same is the same");
    let export = |number: &str, file: &str| {
        hepar(path, &["model", "export", "--model", "two", "--stage", "liver", "--network", number, "-o", file])
    };
    export("2", "second.onnx").expect(0);
    export("3", "third.onnx").fails(2, &["failed to export network 3 of the liver stage", "has 2"]);
    let config = std::fs::read_to_string(path.join("other/config.toml")).unwrap();
    std::fs::write(path.join("other/config.toml"), config.replace("threshold = 0.5", "threshold = 0.6")).unwrap();
    assemble("three").fails(2, &["failed to make an ensemble of liver and other", "differ"]);
}

#[test]
fn all_networks_are_trained_stopped_resumed_and_become_a_model_with_one_command() {
    let scan = folder_with_scan();
    let path = scan.path();
    // Without a cache every call would draw the phantoms again.
    let smoke = ["--preset", "smoke", "--cache", "cache"];
    let all = |more: &[&str]| hepar(path, &[&["train", "all", "--run", "smoke"], &smoke[..], more].concat());
    let stopped = all(&["--minutes", "1e-9"]).expect(0);
    assert!(stopped.out.contains("smoke/localizer: ") && stopped.out.contains("the same command goes on"));
    assert!(!path.join("smoke/model").exists());
    let one = ["train", "localizer", "--run", "smoke/localizer", "--steps", "1", "-q"];
    hepar(path, &[&one, &smoke[..]].concat()).expect(0);
    assert_eq!(json(&path.join("smoke/localizer/last/state.json"))["step"], 1);
    // A folder without a card is no other model; weights in it would be in the way of the new ones.
    std::fs::create_dir(path.join("smoke/model")).unwrap();
    std::fs::write(path.join("smoke/model/liver.safetensors"), "mine").unwrap();
    all(&[]).fails(5, &["smoke/model/liver.safetensors: it exists"]);
    assert_eq!(json(&path.join("smoke/localizer/last/state.json"))["step"], 1, "refused before it is trained");
    std::fs::remove_file(path.join("smoke/model/liver.safetensors")).unwrap();
    let done = all(&[]).expect(0);
    assert_eq!(json(&path.join("smoke/localizer/last/state.json"))["step"], 2);
    for stage in ["localizer", "liver", "tumour"] {
        assert!(done.out.contains(&format!("smoke/{stage}: 2 of 2 steps")), "{}", done.out);
    }
    assert!(done.out.contains("--model smoke/model"), "{}", done.out);
    hepar(path, &["segment", "a_ct.nii.gz", "--model", "smoke/model", "-o", "out", "-q"]).expect(0);
    assert!(all(&[]).expect(0).out.contains("--model smoke/model"), "nothing is left to do");
    all(&["--steps", "3"]).fails(5, &["make the model smoke/model", "remove it"]);
    assert_eq!(json(&path.join("smoke/localizer/last/state.json"))["step"], 2, "refused before it is trained");
    all(&["--fold", "9"]).fails(2, &["failed to train the localizer network", "fold"]);
    hepar(path, &["train", "liver", "--run", "x", "--preset", "standard"])
        .fails(2, &["name the folders of the scans with --data"]);
}

#[test]
fn a_run_without_data_or_with_a_wrong_configuration_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    train(folder.path(), "liver", "").fails(3, &["failed to train the liver network", "no cases in data"]);
    train(folder.path(), "liver", "stepps = 3\n").fails(2, &["failed to use config.toml", "stepps"]);
    train(folder.path(), "liver", "stage = \"tumour\"\n").fails(2, &["configuration of the tumour network"]);
    let seed = ["train", "liver", "--data", "data", "--run", "run", "--seed", "9223372036854775808"];
    hepar(folder.path(), &seed).fails(2, &["failed to train the liver network", "more than config.toml can state"]);
}

#[test]
fn each_fold_is_held_out_in_its_turn_and_all_of_them_become_an_ensemble() {
    let scan = folder_with_scan();
    let path = scan.path();
    std::fs::create_dir(path.join("data")).unwrap();
    // One for each of two folds.
    for name in ["b", "e"] {
        for what in ["ct", "label"] {
            let file = |name: &str| format!("{name}_{what}.nii.gz");
            std::fs::copy(path.join(file("a")), path.join("data").join(file(name))).unwrap();
        }
    }
    let all =
        ["train", "all", "--data", "data", "--run", "five", "--preset", "smoke", "--steps", "1", "--cache", "cache"];
    let done = hepar(path, &[&all[..], &["--fold", "all", "--folds", "2"]].concat()).expect(0);
    for fold in ["fold-0", "fold-1"] {
        assert!(done.out.contains(&format!("five/{fold}/tumour: 1 of 1 steps")), "{}", done.out);
        assert!(done.out.contains(&format!("--model five/{fold}/model")), "{}", done.out);
        let held_out = json(&path.join("five").join(fold).join("liver/validation/validation.json"));
        assert!(!held_out.as_array().unwrap().is_empty());
    }
    assert!(names(&path.join("five/model")).contains(&"liver-2.safetensors".to_owned()));
    // What has not begun would be trained by the preset, not as what has.
    std::fs::remove_dir_all(path.join("five/fold-1")).unwrap();
    let again = ["train", "all", "--data", "data", "--run", "five", "--fold", "all"];
    hepar(path, &again).fails(2, &["train the folds alike", "differ in more than the fold"]);
    std::fs::create_dir(path.join("configs")).unwrap();
    for stage in ["localizer", "liver", "tumour"] {
        let start = format!("start = \"five/fold-0/{stage}/last/weights.safetensors\"\nwidths = [4, 4, 4, 4, 4, 4]\n");
        std::fs::write(path.join("configs").join(format!("{stage}.toml")), start).unwrap();
    }
    let from =
        ["train", "all", "--data", "data", "--run", "more", "--config", "configs", "--fold", "all", "--folds", "2"];
    hepar(path, &from).fails(2, &["begin every fold from the same start"]);
    let wrong = hepar(path, &[&all[..], &["--fold", "some"]].concat()).expect(2);
    assert!(wrong.err.contains("the number of a fold, from 0, or all"), "{}", wrong.err);
}
