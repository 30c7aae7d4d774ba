//! `--engine`.

use crate::program::hepar;

#[test]
fn layer_by_layer_the_labels_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    // A slab, for the networks of the shipped model take long layer by layer.
    hepar(folder.path(), &["phantom", "-o", "a", "--shape", "12,96,96", "--spacing", "5,3,3"]).expect(0);
    for engine in ["hepar", "burn"] {
        hepar(folder.path(), &["segment", "a_ct.nii.gz", "--engine", engine, "-o", engine, "-q"]).expect(0);
    }
    hepar(folder.path(), &["evaluate", "hepar/labels.nii.gz", "burn/labels.nii.gz"]).expect(0);
    let [ours, theirs] = ["hepar", "burn"]
        .map(|engine| hepar_formats::read_labels(&folder.path().join(engine).join("labels.nii.gz")).unwrap().volume);
    let differing = ours.data().iter().zip(theirs.data()).filter(|(a, b)| a != b).count();
    assert!(differing * 10_000 <= ours.data().len(), "{differing} voxels");
    assert!([1, 2].iter().all(|label| ours.data().iter().any(|is| is == label)), "there is something to compare");
}

#[test]
fn an_engine_that_the_program_does_not_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = hepar(folder.path(), &["segment", "ct.nii.gz", "--engine", "abacus"]).expect(2);
    assert!(run.err.contains("possible values: hepar"), "{}", run.err);
    let run = hepar(folder.path(), &["segment", "ct.nii.gz", "--engine", "onnxruntime"]);
    if cfg!(feature = "onnxruntime") {
        assert!(!run.err.contains("possible values"), "{}", run.err);
    } else {
        assert!(run.expect(2).err.contains("possible values: hepar"));
    }
}

#[cfg(feature = "onnxruntime")]
mod onnxruntime {
    use std::path::Path;

    use hepar_interchange::runtime::LIBRARY_VARIABLE;
    use hepar_model::generated::uniform;
    use ndarray::ArrayD;
    use ndarray_npy::{read_npy, write_npy};

    use crate::program::{Run, command, folder_with_scan, json, model};

    /// Whether there is a library to test with.
    fn is_here() -> bool {
        let named = std::env::var_os(LIBRARY_VARIABLE).is_some();
        if !named {
            eprintln!("skipped: {LIBRARY_VARIABLE} names no ONNX Runtime");
        }
        named
    }

    fn run(folder: &Path, stage: &str, engine: &str) -> ArrayD<f32> {
        let output = format!("{engine}.npy");
        let arguments = ["model", "run", "--stage", stage, "--input", "x.npy", "--engine", engine, "--output", &output];
        Run::from(command(folder, &arguments).arg("--model").arg(model()).output().unwrap()).expect(0);
        let array = read_npy(folder.join(&output)).unwrap();
        std::fs::remove_file(folder.join(output)).unwrap();
        array
    }

    #[test]
    fn a_library_that_is_not_there_is_told_in_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("text.so"), "no library").unwrap();
        for library in ["/nowhere/libonnxruntime.so", "text.so"] {
            let mut command = command(folder.path(), &["segment", "ct.nii.gz", "--engine", "onnxruntime"]);
            let run: Run = command.env(LIBRARY_VARIABLE, library).output().unwrap().into();
            run.fails(2, &["failed to load ONNX Runtime", library, LIBRARY_VARIABLE]);
        }
    }

    #[test]
    fn a_network_gives_what_hepars_own_engine_gives() {
        if !is_here() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        for (stage, shape) in [("localizer", vec![2, 1, 32, 64]), ("liver", vec![2, 1, 32, 64, 96])] {
            let values = uniform("input", shape.iter().product()).map(|v| v as f32).collect();
            write_npy(folder.path().join("x.npy"), &ArrayD::from_shape_vec(shape, values).unwrap()).unwrap();
            let [ours, theirs] = ["hepar", "onnxruntime"].map(|engine| run(folder.path(), stage, engine));
            assert!(ours.iter().any(|&p| p > 0.5) && ours.iter().any(|&p| p < 0.5));
            assert_eq!(ours.shape(), theirs.shape());
            assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() <= 1e-5), "{stage}: {ours} {theirs}");
        }
    }

    #[test]
    fn a_library_for_the_processor_alone_is_not_used_for_a_gpu() {
        if !is_here() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["segment", "ct.nii.gz", "--engine", "onnxruntime", "--device", "gpu"];
        let run: Run = command(folder.path(), &arguments).output().unwrap().into();
        // A library with a provider comes as far as the scan, which is not there.
        if !run.err.contains("ct.nii.gz") {
            run.fails(2, &["failed to run ONNX Runtime on a GPU", "built without CUDA", LIBRARY_VARIABLE]);
        }
    }

    #[test]
    fn a_scan_is_segmented_and_the_manifest_says_by_what() {
        if !is_here() {
            return;
        }
        let folder = folder_with_scan();
        let mut volumes = Vec::new();
        for engine in ["hepar", "onnxruntime"] {
            let arguments = ["segment", "a_ct.nii.gz", "--engine", engine, "-o", engine, "-q"];
            Run::from(command(folder.path(), &arguments).arg("--model").arg(model()).output().unwrap()).expect(0);
            let result = json(&folder.path().join(engine).join("result.json"));
            volumes.push(result["liver_ml"].as_f64().unwrap());
        }
        assert!(volumes[0] > 500.0 && (volumes[0] - volumes[1]).abs() < 1e-3 * volumes[0], "{volumes:?}");
        let manifest = json(&folder.path().join("onnxruntime/manifest.json"));
        assert_eq!(manifest["engine"], "ONNX Runtime (CPU)");
    }
}

#[cfg(feature = "wgpu")]
mod gpu {
    use hepar_model::generated::uniform;
    use hepar_nets::device::Place;
    use ndarray::ArrayD;
    use ndarray_npy::{read_npy, write_npy};

    use crate::program::{folder_with_scan, hepar, json, model};

    /// Whether there is a GPU, or software that acts as one, to test with.
    fn is_here() -> bool {
        let device = Place::Gpu.device();
        if let Err(error) = &device {
            eprintln!("skipped: failed to {error}");
        }
        device.is_ok()
    }

    #[test]
    fn on_a_gpu_a_scan_gets_the_labels_that_it_gets_on_the_cpu() {
        if !is_here() {
            return;
        }
        let scan = folder_with_scan();
        let path = scan.path();
        for device in ["cpu", "gpu"] {
            let model = model().to_str().unwrap();
            hepar(path, &["segment", "a_ct.nii.gz", "--model", model, "--device", device, "-o", device, "-q"])
                .expect(0);
        }
        let [cpu, gpu] = ["cpu", "gpu"]
            .map(|device| hepar_formats::read_labels(&path.join(device).join("labels.nii.gz")).unwrap().volume);
        let differing = cpu.data().iter().zip(gpu.data()).filter(|(a, b)| a != b).count();
        assert!(differing * 10_000 <= cpu.data().len(), "{differing} voxels");
        assert!([1, 2].iter().all(|label| cpu.data().iter().any(|is| is == label)), "there is something to compare");
        assert_eq!(json(&path.join("gpu/manifest.json"))["engine"], "burn wgpu (GPU)");
    }

    #[test]
    fn on_a_gpu_a_network_gives_what_it_gives_on_the_cpu() {
        if !is_here() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let values = uniform("input", 32 * 64 * 64).map(|value| value as f32).collect();
        write_npy(path.join("x.npy"), &ArrayD::from_shape_vec(vec![1, 1, 32, 64, 64], values).unwrap()).unwrap();
        let [cpu, gpu]: [ArrayD<f32>; 2] = ["cpu", "gpu"].map(|device| {
            let (model, output) = (model().to_str().unwrap(), format!("{device}.npy"));
            let what = ["model", "run", "--model", model, "--stage", "liver", "--device", device];
            hepar(path, &[&what[..], &["--input", "x.npy", "--output", &output]].concat()).expect(0);
            read_npy(path.join(output)).unwrap()
        });
        assert_eq!(cpu.shape(), gpu.shape());
        assert!(cpu.iter().zip(&gpu).all(|(a, b)| (a - b).abs() <= 1e-4), "{cpu} {gpu}");
        assert!(cpu.iter().any(|&p| p > 0.5) && cpu.iter().any(|&p| p < 0.5), "there is something to compare");
    }

    #[test]
    fn a_network_is_trained_on_a_gpu_and_goes_on_on_the_cpu() {
        if !is_here() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let train = |more: &[&str]| {
            let arguments = ["train", "liver", "--preset", "smoke", "--run", "run"];
            hepar(folder.path(), &[&arguments, more].concat()).expect(0).out
        };
        assert!(train(&["--steps", "2", "--device", "gpu"]).contains("2 of 2 steps"));
        assert!(train(&["--steps", "3"]).contains("3 of 3 steps"));
    }
}
