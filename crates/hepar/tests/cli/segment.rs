//! `hepar segment`: what a result holds.

use hepar_formats::{inspect, read_labels};

use crate::files::Nifti;
use crate::program::{folder_with_scan, hepar, json, names, phantom, segment};

const RESULT: [&str; 6] =
    ["labels.nii.gz", "lesions.csv", "manifest.json", "preview.png", "report.html", "result.json"];

#[test]
fn a_scan_gets_a_folder_with_all_its_results() {
    let folder = folder_with_scan();
    let run = segment(folder.path(), &["a_ct.nii.gz", "--threads", "2"]).expect(0);
    assert!(run.out.starts_with("a_ct: liver ") && run.out.contains("in a_ct-hepar"), "{}", run.out);
    assert!(run.err.lines().all(|line| line.starts_with("hepar: warning: a_ct.nii.gz: ")), "{}", run.err);
    let result = folder.path().join("a_ct-hepar");
    assert_eq!(names(&result), RESULT);
    assert_eq!(names(folder.path()), ["a_ct-hepar", "a_ct.nii.gz", "a_label.nii.gz"]);

    let labels = read_labels(&result.join("labels.nii.gz")).unwrap();
    let scan = inspect(&folder.path().join("a_ct.nii.gz")).unwrap();
    assert_eq!(labels.volume.geometry(), &scan.geometry);
    let count = |label: u8| labels.volume.data().iter().filter(|&&l| l == label).count();
    assert!(count(1) > 0 && count(2) > 0 && count(0) + count(1) + count(2) == phantom().ct.data().len());

    let findings = json(&result.join("result.json"));
    assert_eq!((&findings["case"], &findings["outcome"]), (&"a_ct".into(), &"tumours".into()));
    let ml = findings["liver_ml"].as_f64().unwrap();
    assert!((ml - (count(1) + count(2)) as f64 * 0.125).abs() < 1e-6 * ml);
    let table = std::fs::read_to_string(result.join("lesions.csv")).unwrap();
    assert_eq!(table.lines().count() - 1, findings["lesions"].as_array().unwrap().len());
    assert!(std::fs::read(result.join("preview.png")).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn the_manifest_says_how_the_result_came_about() {
    let folder = folder_with_scan();
    segment(folder.path(), &["a_ct.nii.gz", "-o", "out", "-q", "--threads", "1"]).expect(0);
    let manifest = json(&folder.path().join("out/manifest.json"));
    assert_eq!((&manifest["program"], &manifest["state"]), (&"hepar".into(), &"done".into()));
    assert_eq!((&manifest["model"]["name"], &manifest["threads"]), (&"placeholder".into(), &1.into()));
    assert_eq!(manifest["grid"]["shape_ijk"], serde_json::json!([80, 80, 48]));
    let hash = |file: &str| hepar_model::bundle::sha256(&std::fs::read(folder.path().join(file)).unwrap());
    assert_eq!(manifest["input"]["sha256"], hash("a_ct.nii.gz"));
    assert_eq!(manifest["files"]["labels.nii.gz"], hash("out/labels.nii.gz"));
    let seconds = manifest["seconds"].as_object().unwrap();
    let stages: Vec<&str> = seconds.keys().map(String::as_str).collect();
    assert_eq!(stages, ["read", "localizer", "liver", "tumour", "write", "total"]);
    assert!(seconds["total"].as_f64() > seconds["liver"].as_f64());
    assert!(manifest["instruction_set"].is_string() && manifest["engine"].as_str().unwrap().contains("CPU"));
    assert_eq!(manifest["peak_memory_bytes"].is_u64(), cfg!(target_os = "linux"));
    assert!(manifest["finished"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn a_file_gets_the_labels_alone() {
    let folder = folder_with_scan();
    segment(folder.path(), &["a_ct.nii.gz", "-o", "new/l.nii.gz", "--stages", "liver"]).expect(0);
    assert_eq!(names(&folder.path().join("new")), ["l.nii.gz"]);
    let labels = read_labels(&folder.path().join("new/l.nii.gz")).unwrap();
    assert!(labels.volume.data().iter().all(|&label| label <= 1), "tumours were not looked for");
    let again = ["a_ct.nii.gz", "-o", "new/l.nii.gz", "--stages", "liver"];
    segment(folder.path(), &again).fails(5, &["new/l.nii.gz: it exists; --force replaces it"]);
    segment(folder.path(), &[&again[..], &["--force"]].concat()).expect(0);
    segment(folder.path(), &["a_ct.nii.gz", "a_ct.nii.gz", "-o", "x.nii.gz"]).fails(2, &["name a folder"]);
    std::fs::create_dir(folder.path().join("scans")).unwrap();
    std::fs::copy(folder.path().join("a_ct.nii.gz"), folder.path().join("scans/ct.nii.gz")).unwrap();
    segment(folder.path(), &["scans", "-o", "x.nii.gz"]).fails(2, &["name a folder"]);
    segment(folder.path(), &["a_ct.nii.gz", "-o", "x.mhd"]).fails(2, &["x.mhd", "labels alone are"]);
    for of_folders in [&["--write", "labels,nrrd"][..], &["--pictures", "all"], &["--mesh", "glb"], &["--identify"]] {
        let arguments = [&["a_ct.nii.gz", "-o", "x.nii.gz"], of_folders].concat();
        segment(folder.path(), &arguments).fails(2, &["x.nii.gz", "for a result's folder"]);
    }
}

#[test]
fn a_result_is_replaced_by_force_only() {
    let folder = folder_with_scan();
    let path = |name: &str| folder.path().join("out").join(name);
    std::fs::create_dir(folder.path().join("out")).unwrap();
    std::fs::write(path("notes.txt"), "mine").unwrap();
    segment(folder.path(), &["a_ct.nii.gz", "-o", "out", "--stages", "liver"]).expect(0);
    let before = std::fs::read(path("labels.nii.gz")).unwrap();
    segment(folder.path(), &["a_ct.nii.gz", "-o", "out"]).fails(5, &["out: it exists; --force replaces it"]);
    assert_eq!(std::fs::read(path("labels.nii.gz")).unwrap(), before);
    segment(folder.path(), &["a_ct.nii.gz", "-o", "out", "--force"]).expect(0);
    assert_ne!(std::fs::read(path("labels.nii.gz")).unwrap(), before);
    assert_eq!(json(&path("manifest.json"))["stages"], "all");
    assert_eq!(std::fs::read(path("notes.txt")).unwrap(), b"mine");
    std::fs::write(path("lesions.csv"), "corrected by hand").unwrap();
    segment(folder.path(), &["a_ct.nii.gz", "-o", "out", "--force"]).fails(5, &["lesions.csv", "was changed"]);
}

#[test]
fn a_given_liver_is_searched_for_tumours_in_whatever_order_it_is_stored() {
    let folder = folder_with_scan();
    let spec = crate::program::spec().stored_as("RAS");
    crate::program::write_phantom(folder.path(), "ras", &spec.build().unwrap());
    let labels = ["a_label.nii.gz", "ras_label.nii.gz"].map(|liver| {
        segment(folder.path(), &["a_ct.nii.gz", "--liver", liver, "-o", "out", "--force"]).expect(0);
        let manifest = json(&folder.path().join("out/manifest.json"));
        assert_eq!(manifest["liver"]["path"], liver);
        let seconds = manifest["seconds"].as_object().unwrap();
        assert!(seconds.contains_key("tumour") && !seconds.contains_key("liver"));
        read_labels(&folder.path().join("out/labels.nii.gz")).unwrap().volume
    });
    assert_eq!(labels[0].data(), labels[1].data());
    let is_liver = |label: &u8| *label >= 1;
    assert!(labels[0].data().iter().map(is_liver).eq(phantom().labels.data().iter().map(is_liver)));
}

#[test]
fn a_scan_without_a_liver_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    Nifti::ct().write(&folder.path().join("small.nii"));
    let run = segment(folder.path(), &["small.nii"]).expect(0);
    assert!(run.out.starts_with("small: no liver found"), "{}", run.out);
    let result = folder.path().join("small-hepar");
    assert_eq!(names(&result), RESULT);
    assert!(read_labels(&result.join("labels.nii.gz")).unwrap().volume.data().iter().all(|&label| label == 0));
    assert_eq!(std::fs::read_to_string(result.join("lesions.csv")).unwrap().lines().count(), 1);
    assert_eq!(json(&result.join("result.json"))["outcome"], "no-liver");
}

#[test]
fn several_scans_get_a_folder_each_and_a_table() {
    let folder = folder_with_scan();
    for name in ["x", "y"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::copy(folder.path().join("a_ct.nii.gz"), folder.path().join(name).join("ct.nii.gz")).unwrap();
    }
    let run = segment(folder.path(), &["x/ct.nii.gz", "y/ct.nii.gz", "--stages", "liver"]).expect(0);
    assert!(run.out.ends_with("All cases: cohort-hepar/cohort.html\n"), "{}", run.out);
    let out = folder.path().join("cohort-hepar");
    assert_eq!(names(&out), ["cohort.csv", "cohort.html", "x_ct", "y_ct"]);
    assert_eq!(json(&out.join("y_ct/result.json"))["case"], "y_ct");
    let table = std::fs::read_to_string(out.join("cohort.csv")).unwrap();
    assert!(table.lines().nth(1).unwrap().starts_with("x_ct,ok,liver-only,"), "{table}");
    let page = std::fs::read_to_string(out.join("cohort.html")).unwrap();
    assert!(page.contains("href=\"./y_ct/report.html\"") && out.join("y_ct/report.html").is_file());
    assert!(page.contains("<img src=\"data:image/jpeg;base64,") && page.contains("2 scans"));
}

#[test]
fn quiet_says_nothing_and_a_reader_that_goes_away_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    Nifti::ct().write(&folder.path().join("small.nii"));
    let run = segment(folder.path(), &["small.nii", "-q"]).expect(0);
    assert!(run.out.is_empty() && run.err.is_empty(), "{}{}", run.out, run.err);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = crate::program::command(folder.path(), &["info", "small.nii"]);
    assert_eq!(command.stdout(writer).status().unwrap().code(), Some(0));
}

#[test]
fn help_shows_examples_and_the_version_is_that_of_the_package() {
    let folder = tempfile::tempdir().unwrap();
    let help = hepar(folder.path(), &["--help"]).expect(0).out;
    assert!(help.contains("hepar demo") && help.contains("130 interrupted"), "{help}");
    assert!(hepar(folder.path(), &["segment", "--help"]).expect(0).out.contains("-o labels.nii.gz"));
    assert_eq!(
        hepar(folder.path(), &["--version"]).expect(0).out.trim(),
        format!("hepar {}", env!("CARGO_PKG_VERSION"))
    );
}
