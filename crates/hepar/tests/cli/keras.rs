//! `hepar model import-keras`, on the files that `tests/oracles/keras_goldens.py` made with Keras.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use hepar_model::bundle::Bundle;
use hepar_model::generated::uniform;
use hepar_model::stage::StageName;
use ndarray::ArrayD;
use ndarray_npy::{read_npy, write_npy};
use serde_json::Value;

use crate::program::{Run, command, hepar, json, model, names};

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../hepar-interchange/tests/golden").join(file)
}

/// Unpacks a golden file into `folder`.
fn unpack(folder: &Path, file: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(std::fs::File::open(golden(&format!("{file}.gz"))).unwrap()).read_to_end(&mut bytes).unwrap();
    std::fs::write(folder.join(file), &bytes).unwrap();
    bytes
}

/// Imports what `arguments` say, the other stages from the test's model.
fn import(folder: &Path, arguments: &[&str]) -> Run {
    let mut command = command(folder, &["model", "import-keras", "-o", "bundle", "--model"]);
    command.arg(model()).args(arguments).output().unwrap().into()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn an_imported_network_gives_what_keras_gives() {
    for case in json(&golden("keras.json"))["cases"].as_array().unwrap() {
        let folder = tempfile::tempdir().unwrap();
        let file = case["file"].as_str().unwrap();
        let stage = if case["dims"] == 2 { "localizer" } else { "tumour" };
        unpack(folder.path(), file);
        import(folder.path(), &[&format!("--{stage}"), file]).expect(0);

        let shape: Vec<usize> = numbers(&case["shape"]).iter().map(|&side| side as usize).collect();
        let values = uniform(case["input"].as_str().unwrap(), shape.iter().product()).map(|v| v as f32).collect();
        write_npy(folder.path().join("x.npy"), &ArrayD::from_shape_vec(shape, values).unwrap()).unwrap();
        let arguments =
            ["model", "run", "--model", "bundle", "--stage", stage, "--input", "x.npy", "--output", "y.npy"];
        hepar(folder.path(), &arguments).expect(0);
        let output: ArrayD<f32> = read_npy(folder.path().join("y.npy")).unwrap();

        let expected = numbers(&case["values"]);
        let found = output.iter().step_by(case["stride"].as_u64().unwrap() as usize).map(|&v| f64::from(v));
        let differences: Vec<f64> = expected.iter().zip(found).map(|(a, b)| (a - b).abs()).collect();
        assert_eq!(differences.len(), expected.len());
        let worst = differences.iter().copied().fold(0.0, f64::max);
        assert!(worst <= 1e-5, "{file}: {worst:e}");
    }
}

#[test]
fn stages_without_a_file_are_those_of_the_other_model() {
    let folder = tempfile::tempdir().unwrap();
    unpack(folder.path(), "keras2_3d.h5");
    let run = import(folder.path(), &["--liver", "keras2_3d.h5"]).expect(0);
    for part in ["liver from keras2_3d.h5", "localizer, tumour (placeholder 0)", "slices of 224 × 224 pixels"] {
        assert!(run.out.contains(part), "no {part:?} in: {}", run.out);
    }
    let [old, new] = [model(), &folder.path().join("bundle")].map(|path| Bundle::open(path).unwrap());
    for stage in [StageName::Localizer, StageName::Tumour] {
        assert_eq!(old.card().stage(stage), new.card().stage(stage));
    }
    assert_eq!(new.card().liver.threshold, 0.6);
    assert_eq!(new.card().liver.widths, [4, 8, 4, 4, 8, 4]);
}

#[test]
fn files_that_hold_no_such_network_are_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = unpack(folder.path(), "keras2_3d.h5");
    unpack(folder.path(), "keras2_2d.h5");
    std::fs::write(folder.path().join("cut.h5"), &bytes[..bytes.len() / 3]).unwrap();
    std::fs::write(folder.path().join("text.h5"), "weights").unwrap();
    let before = names(folder.path());
    let fails = |arguments: &[&str], parts: &[&str]| import(folder.path(), arguments).fails(3, parts);
    fails(&["--liver", "gone.h5"], &["failed to read gone.h5"]);
    fails(&["--liver", "text.h5"], &["failed to import text.h5: it is no HDF5 file"]);
    fails(&["--tumour", "cut.h5"], &["failed to import cut.h5", "Is the copy complete?"]);
    fails(&["--localizer", "keras2_3d.h5"], &["it holds RA-UNet-II (volumes), RA-UNet-I (slices) is needed"]);
    fails(&["--liver", "keras2_3d.h5", "--tumour", "keras2_2d.h5"], &["import keras2_2d.h5 as the tumour network"]);
    assert_eq!(names(folder.path()), before);
    assert!(import(folder.path(), &[]).expect(2).err.contains("--localizer"));
    let all = ["--localizer", "keras2_2d.h5", "--liver", "keras2_3d.h5", "--tumour", "keras2_3d.h5"];
    import(folder.path(), &all).fails(2, &["failed to use --model: each stage has a file"]);
    std::fs::create_dir(folder.path().join("bundle")).unwrap();
    std::fs::write(folder.path().join("bundle/model.toml"), "mine").unwrap();
    import(folder.path(), &["--liver", "keras2_3d.h5"]).fails(5, &["model.toml", "it exists"]);
    assert_eq!(names(&folder.path().join("bundle")), ["model.toml"]);
}
