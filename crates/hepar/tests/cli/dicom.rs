//! DICOM in, DICOM out.

use std::path::Path;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject, open_file};
use hepar_formats::{Datatype, GridHeader, inspect, read_labels, read_labels_like, read_scan, write_labels};
use hepar_phantom::Phantom;
use hepar_volume::{Geometry, Volume};

use crate::program::{command, folder_with_scan, hepar, json, names, phantom, segment};

/// Writes a scan as a series of CT images, one for each slice along k.
fn write_series(folder: &Path, scan: &Volume<i16>, description: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let geometry = scan.geometry();
    let lps = |[x, y, z]: [f64; 3]| [-x, -y, z];
    let [_, dj, di] = geometry.directions().map(lps);
    let [_, sj, si] = geometry.spacing();
    let join = |numbers: &[f64]| numbers.iter().map(f64::to_string).collect::<Vec<_>>().join("\\");
    for (k, slice) in scan.data().outer_iter().enumerate() {
        let uid = format!("1.2.3.4.{}", k + 1);
        let mut data = InMemDicomObject::new_empty();
        let mut text = |tag: Tag, vr: VR, value: &str| {
            data.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
        };
        text(tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE);
        text(tags::SOP_INSTANCE_UID, VR::UI, &uid);
        text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3");
        text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.4");
        text(tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.3.5");
        text(tags::MODALITY, VR::CS, "CT");
        text(tags::SERIES_NUMBER, VR::IS, "7");
        text(tags::SERIES_DESCRIPTION, VR::LO, description);
        text(tags::PATIENT_NAME, VR::PN, "Muster^Anna");
        text(tags::PATIENT_ID, VR::LO, "42");
        text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, &join(&[di, dj].concat()));
        text(tags::IMAGE_POSITION_PATIENT, VR::DS, &join(&lps(geometry.to_world([k as f64, 0.0, 0.0]).0)));
        text(tags::PIXEL_SPACING, VR::DS, &join(&[sj, si]));
        text(tags::SLICE_THICKNESS, VR::DS, "5");
        text(tags::RESCALE_SLOPE, VR::DS, "1");
        text(tags::RESCALE_INTERCEPT, VR::DS, "0");
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
        for (tag, value) in [
            (tags::ROWS, slice.nrows() as u16),
            (tags::COLUMNS, slice.ncols() as u16),
            (tags::SAMPLES_PER_PIXEL, 1),
            (tags::BITS_ALLOCATED, 16),
            (tags::BITS_STORED, 16),
            (tags::HIGH_BIT, 15),
            (tags::PIXEL_REPRESENTATION, 1),
        ] {
            data.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
        }
        let pixels: Vec<u16> = slice.iter().map(|v| *v as u16).collect();
        data.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
        let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
        let path = folder.join(file_of_slice(k, scan));
        data.with_meta(meta).unwrap().write_to_file(path).unwrap();
    }
}

/// The file in which [`write_series`] puts slice k: their order is not that of the slices.
fn file_of_slice(k: usize, scan: &Volume<i16>) -> String {
    format!("IM{:03}", (k * 7) % scan.shape()[0])
}

fn folder_with_study() -> tempfile::TempDir {
    let folder = folder_with_scan();
    write_series(&folder.path().join("study/S1"), &phantom().ct, "Abdomen portal venous");
    folder
}

#[test]
fn a_study_gives_the_labels_of_the_same_scan_as_nifti_and_a_segmentation() {
    let folder = folder_with_study();
    segment(folder.path(), &["a_ct.nii.gz", "-o", "nifti", "-q"]).expect(0);
    segment(folder.path(), &["study", "-o", "dicom", "-q"]).expect(0);
    let result = folder.path().join("dicom");
    let all = ["labels.nii.gz", "lesions.csv", "manifest.json", "preview.png", "report.html", "result.json", "seg.dcm"];
    assert_eq!(names(&result), all);
    let labels = read_labels(&result.join("labels.nii.gz")).unwrap().volume;
    let truth = read_labels(&folder.path().join("nifti/labels.nii.gz")).unwrap().volume;
    assert_eq!(labels.data(), truth.data());
    let segmentation = read_labels_like(&result.join("seg.dcm"), labels.geometry()).unwrap();
    assert_eq!(segmentation.volume.data(), labels.data());
    let manifest = json(&result.join("manifest.json"));
    assert_eq!(manifest["series"], "1.2.3.4");
    assert!(manifest["files"]["seg.dcm"].is_string() && manifest["input"]["sha256"].as_str().unwrap().len() == 64);
    // Scores need no grid beside it.
    let run = hepar(folder.path(), &["evaluate", "dicom/seg.dcm", "nifti/labels.nii.gz"]).expect(0);
    assert!(run.out.contains("1.000"), "{}", run.out);
    let challenge = ["evaluate", "dicom/seg.dcm", "nifti/labels.nii.gz", "--protocol", "lits-2017"];
    let run = hepar(folder.path(), &challenge).expect(0);
    assert!(run.out.contains("1.000"), "{}", run.out);
}

#[test]
fn what_is_written_can_be_chosen_and_what_is_not_written_again_goes() {
    let folder = folder_with_study();
    let arguments = ["study", "-o", "out", "-q", "--write", "labels,seg,rtstruct,sr,nrrd", "--split-lesions"];
    segment(folder.path(), &arguments).expect(0);
    let out = folder.path().join("out");
    for file in ["seg.dcm", "rtstruct.dcm", "sr.dcm", "labels.seg.nrrd", "labels.nii.gz"] {
        assert!(out.join(file).is_file(), "{file}");
    }
    let lesions = json(&out.join("result.json"))["lesions"].as_array().unwrap().len();
    let segments = open_file(out.join("seg.dcm")).unwrap();
    assert_eq!(segments.element(tags::SEGMENT_SEQUENCE).unwrap().items().unwrap().len(), 1 + lesions);
    let labels = read_labels(&out.join("labels.nii.gz")).unwrap().volume;
    for file in ["rtstruct.dcm", "labels.seg.nrrd"] {
        assert_eq!(
            read_labels_like(&out.join(file), labels.geometry()).unwrap().volume.data(),
            labels.data(),
            "{file}"
        );
    }
    hepar(folder.path(), &["report", "out"]).expect(0);
    let again = open_file(out.join("seg.dcm")).unwrap();
    let segments = again.element(tags::SEGMENT_SEQUENCE).unwrap().items().unwrap().len();
    assert_eq!(segments, 1 + lesions, "a report made again keeps a segment for each lesion");
    segment(folder.path(), &["study", "-o", "out", "-q", "--force", "--write", "labels"]).expect(0);
    assert_eq!(
        names(&out),
        ["labels.nii.gz", "lesions.csv", "manifest.json", "preview.png", "report.html", "result.json"]
    );
    segment(folder.path(), &["a_ct.nii.gz", "-o", "x", "--write", "seg"]).fails(2, &["seg.dcm", "it is no DICOM"]);
    segment(folder.path(), &["study", "-o", "x", "--series", "99"]).fails(3, &["no series 99", "1.2.3.4"]);
}

#[test]
fn probabilities_are_written_when_they_are_asked_for_and_stay_when_a_result_is_made_again() {
    let folder = folder_with_study();
    let arguments = ["study", "-o", "out", "-q", "--write", "labels,probabilities,fractional-seg"];
    segment(folder.path(), &arguments).expect(0);
    let out = folder.path().join("out");
    let files = ["liver-probability.nii.gz", "tumour-probability.nii.gz", "probability.dcm"];
    let bytes = || files.map(|file| std::fs::read(out.join(file)).unwrap());
    let before = bytes();
    let before_of_tumours = before[1].clone();
    let labels = read_labels(&out.join("labels.nii.gz")).unwrap().volume;
    let fractional = read_labels_like(&out.join("probability.dcm"), labels.geometry()).unwrap().volume;
    let object = open_file(out.join("probability.dcm")).unwrap();
    assert_eq!(object.element(tags::SEGMENT_SEQUENCE).unwrap().items().unwrap().len(), 2);
    // Rounded, a probability says whether it is more than a half.
    let probable = |file: &str| read_scan(&out.join(file)).unwrap().volume.map(|&p| p >= 1);
    let (liver, tumour) = (probable(files[0]), probable(files[1]));
    let expected = Volume::from_fn(labels.geometry().clone(), |index| {
        if tumour.data()[index] { 2 } else { u8::from(liver.data()[index]) }
    });
    assert!(fractional.data() == expected.data() && expected.data().iter().any(|&label| label == 2));
    let lesions = |path: &Path| json(path)["lesions"].clone();
    let known = lesions(&out.join("result.json"));
    assert!((0.01..=1.0).contains(&known[0]["confidence"].as_f64().unwrap()), "{known}");
    hepar(folder.path(), &["report", "out"]).expect(0);
    assert_eq!((bytes(), lesions(&out.join("result.json"))), (before, known));
    segment(folder.path(), &["a_ct.nii.gz", "-o", "liver", "-q", "--stages", "liver", "--write", "probabilities"])
        .expect(0);
    let liver = names(&folder.path().join("liver"));
    assert!(liver.contains(&files[0].to_owned()) && !liver.contains(&files[1].to_owned()), "{liver:?}");
    segment(folder.path(), &["a_ct.nii.gz", "-o", "mirrored", "-q", "--mirror", "--write", "probabilities"]).expect(0);
    let mirrored = folder.path().join("mirrored");
    assert!(json(&mirrored.join("manifest.json"))["engine"].as_str().unwrap().contains("mirrored windows"));
    assert_ne!(std::fs::read(mirrored.join(files[1])).unwrap(), before_of_tumours);
    segment(folder.path(), &["a_ct.nii.gz", "-o", "x", "--write", "fractional-seg"])
        .fails(2, &["probability.dcm", "it is no DICOM"]);
}

#[test]
fn a_segmentation_of_a_study_gets_a_report_of_its_own() {
    let folder = folder_with_study();
    hepar(folder.path(), &["convert", "a_label.nii.gz", "seg.dcm", "--like", "study"]).expect(0);
    let report = ["report", "--ct", "study", "--labels", "seg.dcm", "-o", "out", "-q"];
    hepar(folder.path(), &[&report[..], &["--series", "7"]].concat()).expect(0);
    let labels = read_labels(&folder.path().join("out/labels.nii.gz")).unwrap();
    assert_eq!(labels.volume.data(), phantom().labels.data());
    hepar(folder.path(), &[&report[..], &["--force", "--series", "99"]].concat()).fails(3, &["no series 99"]);
}

#[test]
fn labels_of_a_study_with_missing_slices_are_filled_in_where_its_scan_was() {
    let folder = folder_with_scan();
    let Phantom { ct, labels, .. } = phantom();
    let gap = folder.path().join("gap");
    write_series(&gap, ct, "Abdomen");
    let first = labels.data().outer_iter().position(|slice| slice.iter().any(|&label| label > 0)).unwrap();
    let missing = [first + 3, first + 6];
    for k in missing {
        std::fs::remove_file(gap.join(file_of_slice(k, ct))).unwrap();
    }
    let expected = Volume::from_fn(labels.geometry().clone(), |[k, j, i]| {
        labels.data()[[k - usize::from(missing.contains(&k)), j, i]]
    });
    for (file, object) in [("seg.dcm", "seg"), ("rt.dcm", "rtstruct")] {
        hepar(folder.path(), &["convert", "a_label.nii.gz", file, "--like", "gap", "--as", object]).expect(0);
        let back = format!("{file}.nii.gz");
        let run = hepar(folder.path(), &["convert", file, &back, "--like", "gap"]).expect(0);
        assert!(run.err.contains("2 slices of the volume") && run.err.lines().count() == 1, "{}", run.err);
        assert_eq!(read_labels(&folder.path().join(back)).unwrap().volume.data(), expected.data(), "{file}");
    }
}

#[test]
fn a_slice_of_a_study_is_not_segmented() {
    let folder = folder_with_study();
    let slice = "study/S1/IM000";
    let sentence = ["it is one slice of series 7", "Name the folder of the series"];
    segment(folder.path(), &[slice, "-o", "out"]).fails(3, &sentence);
    let run = hepar(folder.path(), &["info", slice]);
    assert!(run.out.contains("cannot be: a single slice"), "{}", run.out);
    run.fails(3, &sentence);
}

#[test]
fn a_report_names_the_patient_of_a_study_only_when_asked() {
    let folder = folder_with_study();
    segment(folder.path(), &["study", "-o", "out", "-q"]).expect(0);
    let page = || std::fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(!page().contains("Muster"));
    segment(folder.path(), &["study", "-o", "out", "-q", "--force", "--identify"]).expect(0);
    assert!(page().contains("Muster^Anna"));
}

#[test]
fn a_study_is_described_with_the_reason_of_the_choice() {
    let folder = folder_with_study();
    let run = hepar(folder.path(), &["info", "study"]).expect(0);
    assert!(run.out.contains("yes: the only CT series") && run.out.contains("1.2.3.4"), "{}", run.out);
    let run = hepar(folder.path(), &["info", "study", "--json"]).expect(0);
    let info: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((&info["series"][0]["segmented"], &info["format"]), (&"yes".into(), &"DICOM".into()));
    assert_eq!(info["voxels"]["looks_like_ct"], true);
}

#[test]
fn what_a_series_is_that_was_asked_for_is_not_told_of_the_labels_beside_it() {
    let folder = folder_with_study();
    write_series(&folder.path().join("mixed/S1"), &phantom().labels.map(|&label| i16::from(label)), "Masks");
    hepar(folder.path(), &["convert", "a_label.nii.gz", "mixed/seg.dcm", "--like", "study"]).expect(0);
    assert!(hepar(folder.path(), &["info", "mixed"]).expect(0).out.contains("a label volume"));
    let run = hepar(folder.path(), &["info", "mixed", "--series", "7"]);
    assert!(!run.out.contains("a label volume"), "{}", run.out);
    run.fails(3, &["is it a label volume?"]);
}

#[test]
fn what_is_odd_about_labels_is_told_with_them() {
    let folder = folder_with_study();
    hepar(folder.path(), &["convert", "a_label.nii.gz", "seg.dcm", "--like", "study"]).expect(0);
    let mut object = open_file(folder.path().join("seg.dcm")).unwrap();
    object.update_value(tags::SEGMENT_SEQUENCE, |value| {
        for item in value.items_mut().unwrap().iter_mut() {
            item.put(DataElement::new(tags::SEGMENT_LABEL, VR::LO, PrimitiveValue::from("Spleen")));
            item.remove_element(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE);
        }
    });
    object.write_to_file(folder.path().join("spleen.dcm")).unwrap();
    let run = hepar(folder.path(), &["info", "spleen.dcm"]).expect(0);
    assert!(run.out.contains("a label volume"), "{}", run.out);
    assert!(run.err.contains("hepar: warning: no segment says that it is liver or tumour"), "{}", run.err);
}

#[test]
fn labels_in_which_nothing_was_found_are_converted_as_labels() {
    let folder = folder_with_study();
    let empty = phantom().labels.map(|_| 0);
    let path = folder.path().join("empty.nii.gz");
    write_labels(&path, &empty, &GridHeader::from_geometry(empty.geometry())).unwrap();
    hepar(folder.path(), &["convert", "empty.nii.gz", "empty.seg.nrrd"]).expect(0);
    hepar(folder.path(), &["convert", "empty.nii.gz", "empty.mha"]).expect(0);
    assert_eq!(inspect(&folder.path().join("empty.mha")).unwrap().datatype, Datatype::U8);
}

#[test]
fn labels_that_are_neither_liver_nor_tumour_become_no_dicom_object() {
    let folder = folder_with_study();
    let labels = &phantom().labels;
    let write = |name: &str, labels: &Volume<u8>| {
        write_labels(&folder.path().join(name), labels, &GridHeader::from_geometry(labels.geometry())).unwrap();
        let greatest = labels.data().iter().copied().max().unwrap();
        let voxels = labels.data().iter().filter(|&&label| label == greatest).count();
        format!("it holds the label {greatest} ({voxels} voxels)")
    };
    let of_mask = write("mask.nii.gz", &labels.map(|&label| if label > 0 { 255 } else { 0 }));
    let of_organs = write("organs.nii.gz", &labels.map(|&label| if label > 1 { 5 } else { label }));
    let convert = |from: &str, to: &str, options: &[&str]| {
        hepar(folder.path(), &[&["convert", from, to, "--like", "study"][..], options].concat())
    };
    for (from, said) in [("mask.nii.gz", &of_mask), ("organs.nii.gz", &of_organs)] {
        for options in [&["--as", "seg"][..], &["--as", "rtstruct"], &["--labelmap"], &["--split-lesions"]] {
            convert(from, "x.dcm", options).fails(3, &[from, said, ".nii.gz, .nrrd or .mha"]);
        }
        convert(from, "x.seg.nrrd", &[]).fails(3, &[from, said]);
        assert!(!folder.path().join("x.dcm").exists() && !folder.path().join("x.seg.nrrd").exists());
        let other = format!("{from}.nrrd");
        convert(from, &other, &[]).expect(0);
        let read = |name: &str| read_labels(&folder.path().join(name)).unwrap().volume;
        assert_eq!(read(&other).data(), read(from).data());
    }
}

#[test]
fn labels_within_half_a_voxel_of_like_are_put_on_its_grid() {
    let folder = folder_with_study();
    let Phantom { ct, labels, .. } = phantom();
    // Of 5 mm.
    let mut affine = *labels.geometry().affine();
    (0..3).for_each(|axis| affine[axis][3] += 1.2);
    let beside = Geometry::new(affine, labels.shape()).unwrap();
    let path = folder.path().join("beside.nii.gz");
    let shifted = Volume::new(labels.data().to_owned(), beside.clone()).unwrap();
    write_labels(&path, &shifted, &GridHeader::from_geometry(&beside)).unwrap();
    for (file, like, object) in [
        ("seg.dcm", "study", "seg"),
        ("rt.dcm", "study", "rtstruct"),
        ("on.nii.gz", "study", "seg"),
        ("on.seg.nrrd", "a_ct.nii.gz", "seg"),
        ("on.mha", "a_ct.nii.gz", "seg"),
    ] {
        hepar(folder.path(), &["convert", "beside.nii.gz", file, "--like", like, "--as", object]).expect(0);
        let read = read_labels_like(&folder.path().join(file), ct.geometry()).unwrap().volume;
        assert!(read.geometry().matches(ct.geometry(), 1e-3), "{file}");
        assert_eq!(read.data(), labels.data(), "{file}");
    }
}

#[test]
fn files_become_files_of_other_formats() {
    let folder = folder_with_study();
    let convert = |arguments: &[&str]| {
        let mut command = command(folder.path(), &["convert"]);
        crate::program::Run::from(command.args(arguments).output().unwrap())
    };
    convert(&["study", "ct.mha"]).expect(0);
    convert(&["ct.mha", "ct.nrrd"]).expect(0);
    let scan = inspect(&folder.path().join("ct.nrrd")).unwrap();
    assert!(scan.geometry.matches(phantom().ct.geometry(), 1e-3));
    for (file, options) in [("seg.dcm", &["--labelmap"][..]), ("rt.dcm", &["--as", "rtstruct"][..])] {
        convert(&[&["a_label.nii.gz", file, "--like", "study"][..], options].concat()).expect(0);
        convert(&[file, &format!("{file}.nii.gz"), "--like", "study"]).expect(0);
        let labels = read_labels(&folder.path().join(format!("{file}.nii.gz"))).unwrap();
        assert_eq!(labels.volume.data(), phantom().labels.data(), "{file}");
    }
    convert(&["a_label.nii.gz", "x.dcm"]).fails(2, &["--like"]);
    // The series of --like is chosen, too.
    let other = ["a_label.nii.gz", "of-series.dcm", "--like", "study", "--series"];
    convert(&[&other[..], &["99"]].concat()).fails(3, &["no series 99"]);
    convert(&[&other[..], &["7"]].concat()).expect(0);
    convert(&["study", "x.dcm"]).fails(2, &["cannot become a DICOM series"]);
    convert(&["study", "x.png"]).fails(2, &["must end in"]);
    convert(&["study", "x.seg.nrrd"]).fails(2, &["cannot become a .seg.nrrd"]);
    convert(&["a_label.nii.gz", "x.dcm", "--like", "a_ct.nii.gz"]).fails(2, &["the DICOM series"]);
    convert(&["study", "new/folder/ct.nii.gz"]).expect(0);
    segment(folder.path(), &["a_ct.nii.gz", "-o", "p", "-q", "--write", "probabilities"]).expect(0);
    convert(&["p/liver-probability.nii.gz", "x.nrrd"]).fails(2, &["rounded to whole numbers"]);
    convert(&["a_label.nii.gz", "seg.dcm", "--like", "study"]).fails(5, &["seg.dcm: it exists. Take another name"]);
}
