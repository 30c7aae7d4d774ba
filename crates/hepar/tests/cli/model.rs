//! `hepar model`.

use hepar_engine::CpuEngine;
use hepar_model::bundle::{Bundle, sha256};
use hepar_model::ensemble::load_all;
use hepar_model::generated::uniform;
use hepar_model::stage::{StageName, WeightsFile};
use ndarray::{Array4, Array5, ArrayD, Axis};
use ndarray_npy::{read_npy, write_npy};

use crate::program::{Run, command, hepar, model, names};
use crate::tiny_model;

fn run(folder: &std::path::Path, stage: &str) -> Run {
    let mut command =
        command(folder, &["model", "run", "--stage", stage, "--input", "x.npy", "--output", "y.npy", "--model"]);
    command.arg(model()).output().unwrap().into()
}

fn values(shape: &[usize]) -> ArrayD<f32> {
    let len = shape.iter().product();
    ArrayD::from_shape_vec(shape, uniform("input", len).map(|v| v as f32).collect()).unwrap()
}

#[test]
fn a_network_alone_gives_what_the_engine_gives() {
    let folder = tempfile::tempdir().unwrap();
    let input: Array5<f32> = values(&[1, 1, 32, 32, 64]).into_dimensionality().unwrap();
    write_npy(folder.path().join("x.npy"), &input).unwrap();
    run(folder.path(), "liver").expect(0);
    let output: Array5<f32> = read_npy(folder.path().join("y.npy")).unwrap();
    let weights = Bundle::open(model()).unwrap().weights(StageName::Liver).unwrap();
    let expected = load_all(&CpuEngine, &weights).unwrap().forward(input.view()).unwrap();
    assert_eq!(output, expected);
    assert!(output.iter().any(|&p| p > 0.5) && output.iter().any(|&p| p < 0.5));
}

#[test]
fn planar_networks_take_and_give_four_dimensions() {
    let folder = tempfile::tempdir().unwrap();
    let input: Array4<f32> = values(&[2, 1, 32, 64]).into_dimensionality().unwrap();
    write_npy(folder.path().join("x.npy"), &input).unwrap();
    run(folder.path(), "localizer").expect(0);
    let output: Array4<f32> = read_npy(folder.path().join("y.npy")).unwrap();
    let weights = Bundle::open(model()).unwrap().weights(StageName::Localizer).unwrap();
    let expected = load_all(&CpuEngine, &weights).unwrap().forward(input.insert_axis(Axis(2)).view()).unwrap();
    assert_eq!(output, expected.remove_axis(Axis(2)));
}

#[test]
fn arrays_that_the_network_does_not_take_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    run(folder.path(), "liver").fails(3, &["failed to read x.npy"]);
    write_npy(&path, &values(&[32, 32, 32])).unwrap();
    run(folder.path(), "liver").fails(3, &["it has 3 dimensions"]);
    write_npy(&path, &values(&[1, 1, 32, 32, 33])).unwrap();
    run(folder.path(), "liver").fails(3, &["[1, 1, 32, 32, 33]"]);
    write_npy(&path, &values(&[1, 1, 32, 32, 32]).mapv(f64::from)).unwrap();
    run(folder.path(), "liver").fails(3, &["failed to read x.npy"]);
    std::fs::write(folder.path().join("y.npy"), "mine").unwrap();
    run(folder.path(), "liver").fails(5, &["y.npy"]);
    assert_eq!(names(folder.path()), ["x.npy", "y.npy"]);
}

#[test]
fn an_array_that_claims_more_than_the_file_holds_takes_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    for shape in ["(1, 1, 1000000, 1000, 1000)", "(4294967296, 4294967296, 4294967296, 1, 1)"] {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        bytes.extend(format!("{header:<117}\n").bytes());
        assert_eq!(bytes.len(), 128);
        std::fs::write(folder.path().join("x.npy"), bytes).unwrap();
        run(folder.path(), "liver")
            .fails(3, &["failed to read x.npy", "the header claims", "the file holds 128 bytes"]);
    }
}

#[test]
fn a_header_that_no_parser_comes_to_the_end_of_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = b"\x93NUMPY\x01\x00\x3c\x00".to_vec();
    bytes.extend([b'['; 59]);
    bytes.push(b'\n');
    std::fs::write(folder.path().join("x.npy"), bytes).unwrap();
    run(folder.path(), "liver").fails(3, &["failed to read x.npy", "array of plain numbers"]);
}

#[test]
fn a_network_is_exported_with_what_must_be_known_to_use_it() {
    let folder = tempfile::tempdir().unwrap();
    let export = |stage: &str, model: &str| {
        hepar(folder.path(), &["model", "export", "--stage", stage, "-o", "sub/net.onnx", "--model", model])
    };
    let model = model().to_str().unwrap();
    assert_eq!(export("tumour", model).expect(0).out, "");
    let bytes = std::fs::read(folder.path().join("sub/net.onnx")).unwrap();
    for part in ["hepar.stage", "tumour", "RA-UNet-II", "atten4.mask.skip3.conv2.weight", "\"threshold\":0.5"] {
        assert!(bytes.windows(part.len()).any(|window| window == part.as_bytes()), "no {part:?}");
    }
    export("tumour", model).fails(5, &["sub/net.onnx", "it exists"]);
    assert_eq!(std::fs::read(folder.path().join("sub/net.onnx")).unwrap(), bytes);
    std::fs::remove_dir_all(folder.path().join("sub")).unwrap();
    export("tumour", "nowhere").fails(4, &["failed to open the model nowhere"]);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn an_exported_network_of_an_ensemble_says_which_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let ensemble = folder.path().join("ensemble");
    tiny_model::write_with(&ensemble, |stage| {
        if stage.weights == "tumour.safetensors" {
            let weights = "liver.safetensors";
            let sha256 = sha256(&std::fs::read(ensemble.join(weights)).unwrap());
            stage.ensemble = vec![WeightsFile { weights: weights.into(), sha256 }];
        }
    });
    let files = Bundle::open(&ensemble).unwrap().card().tumour.files();
    assert_ne!(files[0].sha256, files[1].sha256);
    for (number, file) in ["1", "2"].into_iter().zip(files) {
        let arguments =
            ["model", "export", "--model", "ensemble", "--stage", "tumour", "--network", number, "-o", number];
        hepar(folder.path(), &arguments).expect(0);
        let bytes = std::fs::read(folder.path().join(number)).unwrap();
        // Between the name of a property and its value there are a tag and the value's length.
        for part in [format!("hepar.network\x12\x01{number}"), format!("hepar.network_sha256\x12\x40{}", file.sha256)] {
            assert!(bytes.windows(part.len()).any(|window| window == part.as_bytes()), "no {part:?}");
        }
    }
}

#[test]
fn a_model_is_described() {
    let folder = tempfile::tempdir().unwrap();
    let run = hepar(folder.path(), &["model", "info", model().to_str().unwrap()]).expect(0);
    for part in
        ["placeholder 0", "RA-UNet-I (slices)", "RA-UNet-II (volumes)", "-100 to 200 HU", "slices of 64 × 64 pixels"]
    {
        assert!(run.out.contains(part), "no {part:?} in: {}", run.out);
    }
    hepar(folder.path(), &["model", "info", "nowhere"]).fails(4, &["failed to open the model nowhere"]);
}

#[cfg(feature = "embedded-model")]
#[test]
fn the_model_in_the_program_is_described() {
    let folder = tempfile::tempdir().unwrap();
    let out = hepar(folder.path(), &["model", "info"]).expect(0).out;
    let model = hepar::embedded_model().unwrap();
    let card = model.card();
    assert!(out.contains("licence") && out.contains("limits") && card.limits.is_some(), "{out}");
    assert!(card.scores.iter().any(|score| score.interval.is_some()));
    for score in &card.scores {
        assert!(out.contains(&score.figure()), "no {} in: {out}", score.figure());
    }
}

#[cfg(not(feature = "embedded-model"))]
#[test]
fn a_program_without_a_model_says_how_to_give_one() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["model", "info"][..], &["demo", "-o", "out"]] {
        hepar(folder.path(), arguments).fails(4, &["this program was built without one; name the folder of one"]);
    }
}

#[test]
fn a_profile_names_every_step_and_sums_them_up() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["model", "profile", "--stage", "localizer", "--runs", "1", "--batch", "2", "--model"];
    let run: Run = command(folder.path(), &arguments).arg(model()).output().unwrap().into();
    let run = run.expect(0);
    for part in
        ["conv1 (first layer and pool)", "atten4.mask.last (residual block)", "conv9 (conv9 to the output)", "GFLOP/s"]
    {
        assert!(run.out.contains(part), "no {part:?} in: {}", run.out);
    }
    let blocks = run.out.lines().filter(|line| line.contains("(residual block)")).count();
    assert_eq!(blocks, 52);
}
