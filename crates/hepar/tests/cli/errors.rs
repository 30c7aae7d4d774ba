//! What can be wrong, and what the user is told.

use std::path::Path;

use hepar_formats::read_labels;

use crate::files::Nifti;
use crate::program::{command, folder_with_scan, hepar, model, names, phantom, segment, write_phantom};

/// Segments a file with the given bytes and expects exit code 3 and a sentence with all `parts`, and no new file.
#[track_caller]
fn refused(name: &str, bytes: &[u8], parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), bytes).unwrap();
    let mut all = vec!["failed to read ", name];
    all.extend(parts);
    segment(folder.path(), &[name]).fails(3, &all);
    assert_eq!(names(folder.path()), [name]);
}

#[track_caller]
fn refused_nifti(file: &Nifti, parts: &[&str]) {
    refused("x.nii.gz", &file.compressed(), parts);
}

#[test]
fn a_truncated_gzip_file_is_named_as_such() {
    let bytes = Nifti::scan([64, 64, 64], |n| (n * 7919 % 3000) as i16 - 1000).compressed();
    refused("x.nii.gz", &bytes[..bytes.len() / 2], &["the header claims 262144 voxels", "Is the copy complete?"]);
}

#[test]
fn text_and_nothing_are_no_images() {
    refused("x.nii.gz", b"patient,date\nanna,today\n", &["text"]);
    refused("x.nii.gz", b"", &["it is no image"]);
}

#[test]
fn images_that_are_no_volume_are_refused() {
    refused_nifti(&Nifti::ct().dims(&[6, 20]), &["6 × 20"]);
    refused_nifti(&Nifti::scan([6, 5, 8], |n| n as i16 - 100).dims(&[6, 5, 4, 2]), &["time"]);
}

#[test]
fn voxels_that_are_no_numbers_are_counted() {
    let values = (0..120).map(|n| if n == 7 { f32::NAN } else { n as f32 * 10.0 - 1000.0 });
    refused_nifti(&Nifti::ct().floats(values), &["1 voxels are NaN or infinite", "(1, 1, 0)"]);
}

#[test]
fn a_grid_that_is_none_is_refused() {
    refused_nifti(&Nifti::ct().qform_only().spacing([2.0, 0.0, 2.0]), &["spacing"]);
    refused_nifti(&Nifti::ct().qform_only().spacing([2.0, 2.0, -2.0]), &["spacing"]);
    let flat = [[2.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0]];
    refused_nifti(&Nifti::ct().sform(flat), &["cannot be inverted"]);
}

#[test]
fn a_header_that_claims_more_than_the_file_holds_is_refused_at_once() {
    // NIfTI-1 holds at most 32,767 voxels a side.
    refused_nifti(&Nifti::ct().dims(&[32_767, 32_767, 32_767]), &["more than the"]);
    refused("x.nii", &nifti_2_of(1_000_000_000), &["the header claims"]);
}

/// The header of a NIfTI-2 file with `side` voxels of one byte along each axis, and a few voxels.
fn nifti_2_of(side: i64) -> Vec<u8> {
    let mut bytes = vec![0u8; 544 + 100];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &540i32.to_le_bytes());
    put(4, b"n+2\0\r\n\x1a\n");
    put(12, &2i16.to_le_bytes());
    put(14, &8i16.to_le_bytes());
    put(168, &544i64.to_le_bytes());
    for (n, dim) in [3, side, side, side, 1, 1, 1, 1].into_iter().enumerate() {
        put(16 + 8 * n, &dim.to_le_bytes());
        put(104 + 8 * n, &1f64.to_le_bytes());
    }
    put(344, &1i32.to_le_bytes());
    put(500, &2i32.to_le_bytes());
    bytes
}

#[test]
fn labels_are_no_ct() {
    let folder = folder_with_scan();
    let run = segment(folder.path(), &["a_label.nii.gz"]);
    run.fails(3, &["a_label.nii.gz", "is it a label volume?"]);
}

#[test]
fn a_missing_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    segment(folder.path(), &["no.nii.gz"]).fails(3, &["failed to read no.nii.gz: No such file"]);
    hepar(folder.path(), &["info", "no.nii.gz"]).fails(3, &["no.nii.gz"]);
}

#[test]
fn what_is_doubtful_is_a_warning_and_the_work_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    Nifti::ct().qform([50.0, 0.0, 0.0]).write(&path("forms.nii"));
    let run = segment(folder.path(), &["forms.nii"]).expect(0);
    assert!(
        run.err.contains("hepar: warning: forms.nii: sform and qform of the header differ by 22.5 voxels"),
        "{}",
        run.err
    );
    Nifti::scan([40, 40, 40], |n| (n % 256) as i16).write(&path("picture.nii"));
    let run = segment(folder.path(), &["picture.nii"]).expect(0);
    assert!(run.err.contains("hepar: warning: picture.nii: the intensities run from 0 to 255"), "{}", run.err);
}

#[test]
fn an_output_that_cannot_be_written_is_known_before_the_work() {
    let folder = folder_with_scan();
    std::fs::write(folder.path().join("file"), "text").unwrap();
    for output in ["file", "file/out", "file/x.nii.gz", "file/a/b/c"] {
        segment(folder.path(), &["no.nii.gz", "-o", output]).fails(5, &["failed to write file"]);
    }
    hepar(folder.path(), &["phantom", "-o", "file/p"]).fails(5, &["failed to write file"]);
    hepar(folder.path(), &["demo", "-o", "file"]).fails(5, &["failed to write file"]);
    assert_eq!(names(folder.path()), ["a_ct.nii.gz", "a_label.nii.gz", "file"]);
}

#[test]
fn nothing_that_hepar_did_not_write_is_overwritten() {
    let folder = folder_with_scan();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("mine")).unwrap();
    std::fs::write(path("mine/lesions.csv"), "by hand").unwrap();
    std::fs::write(path("mine.nii"), "by hand").unwrap();
    for force in [&[][..], &["--force"]] {
        for output in ["mine", "mine.nii"] {
            let arguments = [&["a_ct.nii.gz", "-o", output][..], force].concat();
            segment(folder.path(), &arguments).fails(5, &["mine", "was not written by hepar"]);
        }
    }
    segment(folder.path(), &["a_ct.nii.gz", "-o", "a_ct.nii.gz", "--force"]).fails(5, &["it is an input"]);
    assert_eq!(std::fs::read(path("mine/lesions.csv")).unwrap(), b"by hand");
    assert_eq!(names(&path("mine")), ["lesions.csv"]);
}

#[test]
fn a_result_is_not_written_into_the_study_that_it_is_of() {
    let folder = folder_with_scan();
    std::fs::create_dir(folder.path().join("study")).unwrap();
    for output in ["study", "./study/", "study/labels.nii.gz"] {
        segment(folder.path(), &["study", "-o", output]).fails(2, &["study", "it is an input", "Name another folder"]);
    }
    let report = ["report", "--ct", "study", "--labels", "a_label.nii.gz", "-o", "study"];
    hepar(folder.path(), &report).fails(2, &["it is an input"]);
    assert!(names(&folder.path().join("study")).is_empty());
}

#[test]
fn a_command_line_that_makes_no_sense_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["segment"][..],
        &["segment", "a.nii", "--nonsense"],
        &["nonsense"],
        &["segment", "a.nii", "--threads", "0"],
        &["segment", "a.nii", "b.nii", "--liver", "c.nii"],
        &["segment", "a.nii", "--liver", "c.nii", "--stages", "liver"],
        &["segment", "a.nii", "a.nii"],
        &["phantom", "--shape", "3,4"],
        &["phantom", "--orientation", "XYZ"],
        &["demo", "--seeds", "0"],
        &["train", "liver"],
    ] {
        let run = hepar(folder.path(), arguments).expect(2);
        assert!(run.out.is_empty() && !run.err.is_empty(), "{arguments:?}");
    }
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_model_that_is_none_is_a_model_error() {
    let folder = folder_with_scan();
    let with = |model: &Path| {
        let mut command = command(folder.path(), &["segment", "a_ct.nii.gz", "--model"]);
        crate::program::Run::from(command.arg(model).output().unwrap())
    };
    with(Path::new("nowhere")).fails(4, &["failed to open the model nowhere", "model.toml cannot be read"]);
    let broken = folder.path().join("broken");
    crate::tiny_model::write(&broken);
    std::fs::write(broken.join("liver.safetensors"), "else").unwrap();
    with(&broken).fails(4, &["liver.safetensors has the SHA-256", "Is the copy complete?"]);
    std::fs::write(broken.join("model.toml"), "name = 3").unwrap();
    with(&broken).fails(4, &["model.toml is not understood"]);
}

#[test]
fn a_liver_on_another_grid_is_refused() {
    let folder = folder_with_scan();
    let spec = hepar_phantom::PhantomSpec { shape: [20, 40, 40], spacing: [10.0; 3], tumours: 0, ..Default::default() };
    write_phantom(folder.path(), "b", &spec.build().unwrap());
    let run = segment(folder.path(), &["a_ct.nii.gz", "--liver", "b_label.nii.gz"]);
    run.fails(3, &["failed to segment a_ct.nii.gz: the given liver does not fit the scan", "[20, 40, 40]"]);
    assert!(!folder.path().join("a_ct-hepar").exists());
}

#[test]
fn of_several_cases_the_broken_one_is_named_and_the_others_are_done() {
    let folder = folder_with_scan();
    std::fs::write(folder.path().join("broken.nii"), "no image").unwrap();
    let run = segment(folder.path(), &["broken.nii", "a_ct.nii.gz", "gone.nii", "-o", "out"]).expect(6);
    assert!(
        run.err.contains("hepar: failed to read broken.nii: ") && run.err.contains("hepar: failed to read gone.nii: ")
    );
    assert_eq!(names(&folder.path().join("out")), ["a_ct", "cohort.csv", "cohort.html"]);
    let table = std::fs::read_to_string(folder.path().join("out/cohort.csv")).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[1].starts_with("broken,") && lines[1].contains("failed to read broken.nii"), "{table}");
    assert!(lines[2].starts_with("a_ct,ok,tumours,"), "{table}");
    let labels = read_labels(&folder.path().join("out/a_ct/labels.nii.gz")).unwrap();
    assert_eq!(labels.volume.shape(), phantom().ct.shape());
    assert!(model().exists());
}

#[test]
fn options_of_dicom_are_refused_for_what_is_none() {
    let folder = folder_with_scan();
    let segment = |arguments: &[&str]| hepar(folder.path(), &[&["segment", "a_ct.nii.gz"], arguments].concat());
    segment(&["--series", "3"]).fails(2, &["use --series for a_ct.nii.gz", "no DICOM"]);
    for arguments in [
        &["info", "a_ct.nii.gz"][..],
        &["convert", "a_ct.nii.gz", "x.mha"],
        &["convert", "a_label.nii.gz", "x.mha", "--like", "a_ct.nii.gz"],
    ] {
        let run = hepar(folder.path(), &[arguments, &["--series", "3"]].concat());
        run.fails(2, &["use --series for a_ct.nii.gz", "no DICOM"]);
    }
    for name in ["x.mhd", "x.NHDR", "x.hdr"] {
        hepar(folder.path(), &["info", name, "--series", "3"]).fails(2, &["no DICOM"]);
    }
    hepar(folder.path(), &["info", "x.dcm", "--series", "3"]).fails(3, &["failed to read x.dcm"]);
    let report = ["report", "--ct", "a_ct.nii.gz", "--labels", "a_label.nii.gz", "--series", "3"];
    hepar(folder.path(), &report).fails(2, &["use --series for a_ct.nii.gz", "no DICOM"]);
    segment(&["-o", "x.dcm"]).fails(2, &["write x.dcm", "name a folder"]);
    assert_eq!(names(folder.path()), ["a_ct.nii.gz", "a_label.nii.gz"]);
}
