use super::*;
use crate::dataset::discover;
use hepar_formats::{GridHeader, Warning, write_labels, write_scan};
use hepar_pipeline::{GridMismatch, Side};
use hepar_volume::{Reorientation, Volume};

/// Cubes of 125 mm³.
fn grid() -> Geometry {
    Geometry::axis_aligned([30; 3], [5.0; 3]).unwrap()
}

/// Intensities from air to bone, each in a few voxels.
fn hu([k, j, i]: [usize; 3]) -> i16 {
    ((k * 7919 + j * 104_729 + i * 1_299_709) % 2601) as i16 - 1000
}

/// A liver of 8000 voxels, of which 8 are a tumour.
fn label(index: [usize; 3]) -> u8 {
    let is_within = |range: std::ops::Range<usize>| index.iter().all(|at| range.contains(at));
    if is_within(10..12) { 2 } else { u8::from(is_within(5..25)) }
}

fn scan() -> Volume<i16> {
    Volume::from_fn(grid(), hu)
}

fn labels() -> Volume<u8> {
    Volume::from_fn(grid(), label)
}

fn write_case(folder: &Path, name: &str, scan: &Volume<i16>, labels: &Volume<u8>) {
    let file = |what: &str| folder.join(format!("{name}_{what}.nii.gz"));
    write_scan(&file("ct"), scan, &GridHeader::from_geometry(scan.geometry())).unwrap();
    write_labels(&file("label"), labels, &GridHeader::from_geometry(labels.geometry())).unwrap();
}

/// The reports of cases that lie in one folder, in order of their names.
fn reports(cases: &[(&str, &Volume<i16>, &Volume<u8>)]) -> Vec<CaseReport> {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    std::fs::create_dir(&data).unwrap();
    cases.iter().for_each(|(name, scan, labels)| write_case(&data, name, scan, labels));
    check(&discover(&[data]).unwrap(), 5, &mut |_: &CaseReport| {})
}

fn findings(scan: &Volume<i16>, labels: &Volume<u8>) -> Vec<Finding> {
    reports(&[("a", scan, labels)]).remove(0).findings
}

#[test]
fn a_case_in_which_nothing_is_wrong_has_no_findings() {
    let report = reports(&[("a", &scan(), &labels())]).remove(0);
    assert_eq!(report.findings, []);
    assert!(report.is_readable() && !report.is_suspicious() && !report.is_kept_for_tests());
    assert_eq!((report.case.name.as_str(), report.fold), ("data/a", fold_of(&PatientId::of("data/a"), 5)));
    let facts = report.scan.unwrap();
    assert_eq!((facts.shape, facts.spacing, facts.orientation.as_str()), ([30; 3], [5.0; 3], "RAS"));
    assert_eq!(facts.range[0], -1000);
    let voxels = BTreeMap::from([(0, 19_000), (1, 7992), (2, 8)]);
    assert_eq!(report.labels, Some(LabelFacts { voxels, liver_ml: 1000.0, tumour_ml: 1.0, lesions: 1 }));
}

#[test]
fn warnings_of_the_readers_are_findings() {
    let found = findings(&scan().map(|&hu| hu + 1000), &labels());
    let is_expected = matches!(
        found[..],
        [Finding::OfScan(Warning::NotHounsfield { min: 0, .. }), Finding::ClippedBelow { hu: 0, .. }]
    );
    assert!(is_expected, "{found:?}");
}

#[test]
fn a_header_that_nobody_filled_in_is_found() {
    let unit = Geometry::axis_aligned([30; 3], [1.0; 3]).unwrap();
    let on = |grid: Geometry| findings(&Volume::from_fn(grid.clone(), hu), &Volume::from_fn(grid, label));
    let found = on(unit.clone());
    assert!(matches!(found[..], [Finding::OfScan(Warning::UnitGrid), Finding::LiverVolume { .. }]), "{found:?}");
    let found = on(unit.window([1, 0, 0], [30; 3]).unwrap());
    assert!(matches!(found[..], [Finding::LiverVolume { .. }]), "{found:?}");
}

#[test]
fn clipped_intensities_are_found_at_both_ends() {
    let found = findings(&scan().map(|&hu| hu.clamp(-160, 240)), &labels());
    let is_expected =
        matches!(found[..], [Finding::ClippedBelow { hu: -160, .. }, Finding::ClippedAbove { hu: 240, .. }]);
    assert!(is_expected, "{found:?}");
}

#[test]
fn coarse_steps_are_a_note() {
    let report = reports(&[("a", &scan().map(|&hu| hu / 40 * 40), &labels())]).remove(0);
    let found = &report.findings;
    assert!(matches!(found[..], [Finding::CoarseSteps { values: 65 | 66, .. }]), "{found:?}");
    assert!(!report.is_suspicious());
}

#[test]
fn labels_on_another_grid_are_found() {
    let smaller = Geometry::axis_aligned([30, 30, 29], [5.0; 3]).unwrap();
    let found = findings(&scan(), &Volume::from_fn(smaller, label));
    assert!(matches!(found[..], [Finding::OtherGrid(GridMismatch::Shape { .. })]), "{found:?}");
    let elsewhere = grid().window([4, 0, 0], [30; 3]).unwrap();
    let found = findings(&scan(), &Volume::from_fn(elsewhere, label));
    assert!(matches!(found[..], [Finding::OtherGrid(GridMismatch::Place { .. })]), "{found:?}");
}

#[test]
fn unknown_labels_are_counted_and_are_no_liver() {
    let labels = Volume::from_fn(grid(), |index| if index == [0; 3] { 7 } else { label(index) });
    let found = findings(&scan(), &labels);
    assert_eq!(found, [Finding::UnknownLabels(BTreeMap::from([(7, 1)]))]);
    assert!(found[0].to_string().ends_with("2 tumour: 1 of label 7"), "{}", found[0]);
}

#[test]
fn a_lesion_that_only_shares_a_corner_with_the_liver_lies_apart() {
    let labels = Volume::from_fn(grid(), |index| if index == [25; 3] { 2 } else { label(index) });
    assert_eq!(findings(&scan(), &labels), [Finding::LesionsApart { lesions: 1, of: 2, ml: 0.125 }]);
}

#[test]
fn labels_without_a_liver_are_found() {
    assert_eq!(findings(&scan(), &Volume::filled(grid(), 0)), [Finding::NoLiver]);
}

#[test]
fn a_liver_that_reaches_the_first_or_the_last_slice_is_cut_off() {
    let first = Volume::from_fn(grid(), |[k, j, i]| label([k + 5, j, i]));
    assert_eq!(findings(&scan(), &first), [Finding::LiverCut(Side::Inferior)]);
    let last = Volume::from_fn(grid(), |[k, j, i]| label([k.wrapping_sub(5), j, i]));
    assert_eq!(findings(&scan(), &last), [Finding::LiverCut(Side::Superior)]);
    let turned = Reorientation::to_canonical(&grid());
    assert_eq!(findings(&turned.apply(&scan()), &turned.apply(&last)), [Finding::LiverCut(Side::Superior)]);
    let beside = Volume::from_fn(grid(), |[k, j, i]| label([k, j + 5, i]));
    assert_eq!(findings(&scan(), &beside), []);
}

#[test]
fn a_liver_of_a_volume_that_no_liver_has_is_found() {
    let small = Geometry::axis_aligned([30; 3], [2.0; 3]).unwrap();
    let found = findings(&Volume::from_fn(small.clone(), hu), &Volume::from_fn(small, label));
    assert!(matches!(found[..], [Finding::LiverVolume { ml }] if (ml - 64.0).abs() < 1e-9), "{found:?}");
}

#[test]
fn the_same_scan_is_found_in_another_orientation_and_under_another_name() {
    let turned = Reorientation::to_canonical(&grid());
    let (other_scan, other_labels) = (turned.apply(&scan()), turned.apply(&labels()));
    let reports = reports(&[("a", &scan(), &labels()), ("b", &other_scan, &other_labels)]);
    assert_eq!(reports[0].findings, []);
    assert_eq!(reports[1].findings, [Finding::SameScan { name: "data/a".into(), same_patient: false }]);
    assert_eq!(reports[1].scan.as_ref().unwrap().orientation, "LPS");
}

#[test]
fn other_scans_of_a_patient_are_a_note_and_the_patient_for_tests_is_known() {
    let other = scan().map(|&hu| hu + 1);
    let reports = reports(&[("lits006", &scan(), &labels()), ("lits008", &other, &labels())]);
    assert_eq!(reports[0].findings, [Finding::SamePatient(vec!["data/lits008".into()])]);
    assert_eq!(reports[1].findings, [Finding::SamePatient(vec!["data/lits006".into()])]);
    assert_eq!(reports[0].fold, reports[1].fold);
    assert!(!reports[0].is_suspicious());
    let source = Source::Slices { file: "s.npz".into(), indices: vec![0, 3] };
    let slices = Case { name: "s/lits046".into(), patient: PatientId::of("lits046"), source, is_cropped: false };
    let report = check(&[slices], 5, &mut |_: &CaseReport| {}).remove(0);
    assert!(report.is_kept_for_tests() && report.scan.is_none() && report.findings.is_empty());
}

#[test]
fn scans_that_count_as_several_patients_though_their_folder_may_be_that_of_one_are_a_note() {
    let root = tempfile::tempdir().unwrap();
    for (number, (folder, name)) in (1_i16..).zip([("P001", "arterial"), ("P001", "portal"), ("P002", "portal")]) {
        std::fs::create_dir_all(root.path().join(folder)).unwrap();
        write_case(&root.path().join(folder), name, &scan().map(|&hu| hu + number), &labels());
    }
    let of = |folder: &Path| check(&discover(&[folder.to_owned()]).unwrap(), 5, &mut |_: &CaseReport| {});
    let reports = of(root.path());
    let other = |name: &str| [Finding::OtherPatient(vec![name.to_owned()])];
    assert_eq!(reports[0].findings, other("P001/portal"));
    assert_eq!(reports[1].findings, other("P001/arterial"));
    assert_eq!(reports[2].findings, []);
    assert!(!reports[0].is_suspicious());
    // Alone, the folder is a data set of two patients.
    assert_eq!(of(&root.path().join("P001"))[0].findings, []);
}

#[test]
fn a_case_that_cannot_be_read_does_not_keep_the_others_from_being_looked_at() {
    let root = tempfile::tempdir().unwrap();
    write_case(root.path(), "a", &scan(), &labels());
    write_case(root.path(), "b", &scan(), &labels());
    std::fs::write(root.path().join("a_ct.nii.gz"), "").unwrap();
    let mut seen = Vec::new();
    let cases = discover(&[root.path().to_owned()]).unwrap();
    let reports = check(&cases, 5, &mut |report: &CaseReport| seen.push(report.case.name.clone()));
    assert_eq!(seen, [cases[0].name.as_str(), cases[1].name.as_str()]);
    let [broken, sound] = &reports[..] else { panic!("{reports:?}") };
    assert!(!broken.is_readable() && broken.scan.is_none() && broken.labels.is_some());
    let sentence = broken.findings[0].to_string();
    assert!(sentence.starts_with("failed to read ") && sentence.contains("a_ct.nii.gz: it is no image"), "{sentence}");
    assert!(sound.is_readable() && sound.findings.is_empty());
}
