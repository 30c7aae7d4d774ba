//! `hepar train` and `hepar model assemble`.

use std::path::Path;

use crate::program::{Run, command, folder_with_scan, hepar, names};

/// The least that can be trained.
const CONFIG: &str = "\
widths = [4, 4, 4, 4, 4, 4]
batch = 2
steps = 1
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

#[test]
fn three_runs_become_a_model_that_segments() {
    let scan = folder_with_scan();
    let folder = tempfile::tempdir().unwrap();
    std::fs::rename(scan.path(), folder.path().join("data")).unwrap();
    let path = folder.path();
    train(path, "localizer", "patch = [1, 64, 64]\ngrid = { kind = \"resized-in-plane\", size = [64, 64] }\n")
        .expect(0);
    for stage in ["liver", "tumour"] {
        train(path, stage, "patch = [32, 64, 64]\ngrid = { kind = \"spacing\", mm = [5.0, 5.0, 5.0] }\n").expect(0);
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
    again.fails(5, &["not written by hepar"]);
}

#[test]
fn a_run_without_data_or_with_a_wrong_configuration_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    train(folder.path(), "liver", "").fails(3, &["failed to train the liver network", "no cases in data"]);
    train(folder.path(), "liver", "stepps = 3\n").fails(2, &["failed to use config.toml", "stepps"]);
    train(folder.path(), "liver", "stage = \"tumour\"\n").fails(2, &["configuration of the tumour network"]);
}
