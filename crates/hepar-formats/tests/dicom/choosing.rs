use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use hepar_formats::{ScanOptions, SeriesInfo, Verdict, Warning, inspect, list_series, read_scan, read_scan_with};

use crate::series::{Series, positions, put, sentence};

/// A study with a scout, two phases, a projection, a lung kernel and a report.
fn study() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let long = |count| positions(count, 5.0);
    let series = [
        Series {
            uid: "1.1",
            number: 1,
            description: "Topogram",
            image_type: "ORIGINAL\\PRIMARY\\LOCALIZER",
            positions: positions(1, 1.0),
            ..Series::default()
        },
        Series { uid: "1.2", number: 2, description: "Abd arteriell", positions: long(40), ..Series::default() },
        Series { uid: "1.3", number: 3, description: "Abd portalvenös", positions: long(25), ..Series::default() },
        Series {
            uid: "1.4",
            number: 4,
            description: "Thorax",
            kernel: "B70f",
            positions: long(60),
            ..Series::default()
        },
        Series {
            uid: "1.5",
            number: 5,
            description: "Abd pv MIP",
            image_type: "DERIVED\\SECONDARY\\MIP",
            positions: long(30),
            ..Series::default()
        },
        Series { uid: "1.6", number: 6, modality: "SR", sop_class: uids::BASIC_TEXT_SR_STORAGE, ..Series::default() },
        Series {
            uid: "1.7",
            number: 7,
            description: "Abd pv cor",
            orientation: [1.0, 0.0, 0.0, 0.0, 0.0, -1.0],
            positions: (0..30).map(|n| [0.0, 4.0 * f64::from(n), 0.0]).collect(),
            ..Series::default()
        },
    ];
    for one in &series {
        one.write(&folder.path().join(one.uid));
    }
    folder
}

fn verdict<'a>(infos: &'a [SeriesInfo], uid: &str) -> &'a Verdict {
    &infos.iter().find(|info| info.uid == uid).unwrap().verdict
}

#[test]
fn the_portal_venous_axial_ct_is_chosen_and_every_verdict_has_its_reason() {
    let study = study();
    let infos = list_series(study.path(), &ScanOptions::default()).unwrap().unwrap();
    let chosen = |reason: &str| Verdict::Chosen(reason.to_owned());
    let not = |reason: &str| Verdict::NotChosen(reason.to_owned());
    let unusable = |reason: &str| Verdict::Unusable(reason.to_owned());
    assert_eq!(verdict(&infos, "1.1"), &unusable("a scout, a projection or a report (localizer)"));
    assert_eq!(verdict(&infos, "1.2"), &not("another phase by its description"));
    assert_eq!(verdict(&infos, "1.3"), &chosen("portal venous by its description"));
    assert_eq!(verdict(&infos, "1.4"), &not("a kernel for lungs or bones"));
    assert_eq!(verdict(&infos, "1.5"), &unusable("a scout, a projection or a report (mip)"));
    assert_eq!(verdict(&infos, "1.6"), &unusable("no CT (SR)"));
    assert_eq!(verdict(&infos, "1.7"), &not("not axial"));
    let scan = read_scan(study.path()).unwrap();
    assert_eq!(scan.volume.shape()[0], 25);
    assert!(matches!(&scan.warnings[0], Warning::SeriesChosen { of: 4, series, .. } if series.contains("portalvenös")));
}

#[test]
fn series_of_several_patients_are_refused_unless_one_is_asked_for() {
    let study = study();
    let other = Series { uid: "1.9", number: 9, patient: "43", positions: positions(30, 5.0), ..Series::default() };
    other.write(&study.path().join("other"));
    let error = sentence(&read_scan(study.path()).unwrap_err());
    assert!(error.contains("series of 2 patients") && error.contains("--series"), "{error}");
    assert!(sentence(&inspect(study.path()).unwrap_err()).contains("series of 2 patients"));
    let listed = list_series(study.path(), &ScanOptions::default()).unwrap().unwrap();
    assert!(!listed.iter().any(|info| matches!(info.verdict, Verdict::Chosen(_))), "none is said to be segmented");
    let options = ScanOptions { series: Some("9".to_owned()), ..ScanOptions::default() };
    assert_eq!(read_scan_with(study.path(), &options).unwrap().volume.shape()[0], 30);
    // Numbers repeat from patient to patient.
    let same_number = Series { number: 3, uid: "1.8", ..other.clone() };
    same_number.write(&study.path().join("same"));
    let by = |wanted: &str| {
        read_scan_with(study.path(), &ScanOptions { series: Some(wanted.to_owned()), ..ScanOptions::default() })
    };
    assert!(sentence(&by("3").unwrap_err()).contains("series of 2 patients"));
    assert_eq!(by("1.3").unwrap().volume.shape()[0], 25);
    std::fs::remove_dir_all(study.path().join("same")).unwrap();
    // A scout of somebody else is not what is segmented.
    let scout = Series { image_type: "ORIGINAL\\PRIMARY\\LOCALIZER", ..other };
    std::fs::remove_dir_all(study.path().join("other")).unwrap();
    scout.write(&study.path().join("other"));
    assert!(read_scan(study.path()).is_ok());
}

#[test]
fn a_series_can_be_asked_for_by_uid_or_number() {
    let study = study();
    let slices = |wanted: &str| {
        let options = ScanOptions { series: Some(wanted.to_owned()), ..ScanOptions::default() };
        read_scan_with(study.path(), &options).map(|scan| scan.volume.shape()[0])
    };
    assert_eq!(slices("1.2").unwrap(), 40);
    assert_eq!(slices("4").unwrap(), 60);
    let said = sentence(&slices("99").unwrap_err());
    assert!(said.starts_with("it has no series 99; it has 1.1, 1.2"), "{said}");
    let said = sentence(&slices("1.6").unwrap_err());
    assert!(said.ends_with("series 1.6 is no CT (SR)"), "{said}");
}

#[test]
fn a_series_whose_uid_was_taken_out_is_found_again_by_the_uid_that_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    for (number, count) in [(2, 4), (3, 7)] {
        let series = Series { number, positions: positions(count, 2.5), ..Series::default() };
        series.write_with(&folder.path().join(number.to_string()), |n, data| {
            data.remove_element(tags::SERIES_INSTANCE_UID);
            put(data, tags::SOP_INSTANCE_UID, VR::UI, &format!("1.9.{number}.{n}"));
        });
    }
    let read = |wanted: Option<&str>| {
        let options = ScanOptions { series: wanted.map(str::to_owned), ..ScanOptions::default() };
        read_scan_with(folder.path(), &options)
    };
    for number in ["2", "3"] {
        let scan = read(Some(number)).unwrap();
        let recorded = scan.dicom.unwrap().series();
        assert!(recorded.starts_with("2.25."), "{recorded}");
        assert_eq!(read(Some(&recorded)).unwrap().volume, scan.volume);
    }
    let said = sentence(&read(Some("99")).unwrap_err());
    let expected = "it has no series 99; it has 2 (its UID was taken out), 3 (its UID was taken out)";
    assert_eq!(said, expected);
}

#[test]
fn a_study_without_ct_is_refused_with_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let mr = Series { modality: "MR", sop_class: uids::MR_IMAGE_STORAGE, ..Series::default() };
    mr.write(folder.path());
    let said = sentence(&read_scan(folder.path()).unwrap_err());
    assert_eq!(said, "it holds no CT series that can be segmented: series 2 is no CT (MR)");
    let empty = tempfile::tempdir().unwrap();
    std::fs::write(empty.path().join("notes.txt"), "nothing").unwrap();
    let said = sentence(&read_scan(empty.path()).unwrap_err());
    assert_eq!(said, "it holds no DICOM files, but a file of another kind: name that one");
}
