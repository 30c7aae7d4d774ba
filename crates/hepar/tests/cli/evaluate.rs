//! `hepar evaluate`.

use std::path::Path;

use hepar_formats::{GridHeader, write_labels};
use hepar_volume::{Geometry, Reorientation, Volume};

use crate::program::{folder_with_scan, hepar, json, names, phantom, segment};

fn write(path: &Path, labels: &Volume<u8>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    write_labels(path, labels, &GridHeader::from_geometry(labels.geometry())).unwrap();
}

/// Eight columns of four voxels, 1 ml each.
fn row(labels: [u8; 8]) -> Volume<u8> {
    Volume::from_fn(Geometry::axis_aligned([2, 2, 8], [5.0, 5.0, 10.0]).unwrap(), |[_, _, i]| labels[i])
}

#[test]
fn a_result_is_compared_with_the_truth() {
    let folder = folder_with_scan();
    segment(folder.path(), &["a_ct.nii.gz"]).expect(0);
    let run = hepar(folder.path(), &["evaluate", "a_ct-hepar", "a_label.nii.gz", "--json", "s.json"]).expect(0);
    assert!(run.out.contains("liver Dice"), "{}", run.out);
    let scores = json(&folder.path().join("s.json"));
    let dice = scores["cases"][0]["liver"]["dice"].as_f64().unwrap();
    assert!((0.4..1.0).contains(&dice), "what is bright is found: {dice}");
    assert_eq!(scores["cases"][0]["name"], "a");
    assert!(scores["cases"][0]["liver"]["assd"].as_f64().unwrap() > 0.0);
}

#[test]
fn figures_are_those_counted_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    write(&path("p.nii"), &row([0, 1, 1, 2, 2, 1, 0, 0]));
    write(&path("r.nii"), &row([0, 0, 1, 2, 1, 1, 1, 1]));
    let run = hepar(folder.path(), &["evaluate", "p.nii", "r.nii", "--csv", "s.csv"]).expect(0);
    assert!(run.out.contains("0.727") && run.out.contains("0.667") && run.out.contains("-1.0"), "{}", run.out);
    let table = std::fs::read_to_string(path("s.csv")).unwrap();
    let (header, row) = (table.lines().next().unwrap(), table.lines().nth(1).unwrap());
    let cell = |name: &str| {
        let column = header.split(',').position(|title| title == name).unwrap_or_else(|| panic!("no {name}: {header}"));
        row.split(',').nth(column).unwrap().to_owned()
    };
    assert_eq!((cell("name"), cell("status"), cell("liver_dice")), ("p".into(), "ok".into(), "0.727273".into()));
    assert_eq!((cell("tumour_dice"), cell("liver_difference_ml")), ("0.666667".into(), "-1.000000".into()));
    assert_eq!((cell("detection_0_tp"), cell("detection_0.5_tp")), ("1".into(), "0".into()));
    hepar(folder.path(), &["evaluate", "p.nii", "r.nii", "--csv", "s.csv"]).fails(5, &["s.csv"]);
    let twice = ["evaluate", "p.nii", "r.nii", "--csv", "t", "--json", "t"];
    hepar(folder.path(), &twice).fails(2, &["t: it is named twice"]);
    let spelt_otherwise = ["evaluate", "p.nii", "r.nii", "--json", "t", "--csv", "./t"];
    hepar(folder.path(), &spelt_otherwise).fails(2, &["./t: it is named twice"]);
}

#[test]
fn a_file_cannot_be_the_folder_of_another() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["p.nii", "r.nii"] {
        write(&folder.path().join(name), &row([0, 1, 1, 2, 2, 1, 0, 0]));
    }
    for (json, csv) in [("out", "out/s.csv"), ("out/a/s.json", "./out/a")] {
        let said = format!("write {csv} and {json}: one would be a folder");
        hepar(folder.path(), &["evaluate", "p.nii", "r.nii", "--json", json, "--csv", csv]).fails(2, &[said.as_str()]);
    }
    assert_eq!(names(folder.path()), ["p.nii", "r.nii"]);
    hepar(folder.path(), &["evaluate", "p.nii", "r.nii", "--json", "out/s", "--csv", "out/s.csv"]).expect(0);
}

#[test]
fn scores_that_cannot_be_written_are_shown_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["p.nii", "r.nii"] {
        write(&folder.path().join(name), &row([0, 1, 1, 2, 2, 1, 0, 0]));
    }
    // The system refuses names so long, but not before the file is made.
    let json = "s".repeat(300);
    let run = hepar(folder.path(), &["evaluate", "p.nii", "r.nii", "--json", json.as_str()]).expect(5);
    assert!(run.out.contains("liver Dice"), "{}", run.out);
}

#[test]
fn nothing_found_where_nothing_is_agrees() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("p.nii"), &row([1, 1, 1, 0, 0, 0, 0, 0]));
    write(&folder.path().join("r.nii"), &row([1, 1, 1, 0, 0, 0, 0, 0]));
    let run = hepar(folder.path(), &["evaluate", "p.nii", "r.nii"]).expect(0);
    assert!(run.out.contains("1.000 ∅"), "{}", run.out);
}

#[test]
fn volumes_in_other_axis_orders_are_compared_at_the_same_place() {
    let folder = tempfile::tempdir().unwrap();
    let canonical = &phantom().labels;
    let ras = Geometry::axis_aligned([1; 3], [1.0; 3]).unwrap();
    let stored = Reorientation::to_canonical(&ras).inverse().apply(canonical);
    write(&folder.path().join("p.nii.gz"), &stored);
    write(&folder.path().join("r.nii.gz"), canonical);
    let run = hepar(folder.path(), &["evaluate", "p.nii.gz", "r.nii.gz"]).expect(0);
    assert!(run.out.lines().any(|line| line.contains(" p ") && line.matches("1.000").count() == 2), "{}", run.out);
}

#[test]
fn volumes_of_other_grids_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    write(&path("p.nii"), &row([1; 8]));
    write(&path("r.nii"), &phantom().labels);
    hepar(folder.path(), &["evaluate", "p.nii", "r.nii"])
        .fails(3, &["failed to compare p.nii with r.nii: the prediction has"]);
    let mut affine = *row([1; 8]).geometry().affine();
    affine[2][3] = 6.0;
    write(&path("s.nii"), &Volume::filled(Geometry::new(affine, [2, 2, 8]).unwrap(), 1));
    hepar(folder.path(), &["evaluate", "p.nii", "s.nii"]).fails(3, &["6.00 mm apart"]);
    hepar(folder.path(), &["evaluate", "p.nii", "."]).fails(3, &["one is a file, the other a folder"]);
    hepar(folder.path(), &["evaluate", "gone", "."]).fails(3, &["failed to read gone: No such file"]);
}

#[test]
fn folders_are_compared_case_by_case_and_what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (good, bad) = (row([0, 1, 1, 2, 2, 1, 0, 0]), row([0; 8]));
    write(&path("p/a_ct/labels.nii.gz"), &good);
    write(&path("p/b_pred.nii"), &bad);
    write(&path("p/extra.nii"), &good);
    write(&path("p/c.nii"), &phantom().labels);
    for name in ["a_label.nii.gz", "b_seg.nii", "c.nii", "d.nii"] {
        write(&path("r").join(name), &good);
    }
    let run = hepar(folder.path(), &["evaluate", "p", "r", "--json", "s.json"]).expect(6);
    assert!(
        run.err.contains("extra.nii has no reference") && run.err.contains("d.nii has no prediction"),
        "{}",
        run.err
    );
    assert!(run.err.contains("failed to compare p/c.nii"), "{}", run.err);
    let scores = json(&path("s.json"));
    assert_eq!(scores["cases"].as_array().unwrap().len(), 2);
    let totals = &scores["totals"];
    assert_eq!((&totals["liver"]["dice"], &totals["lesion"]["dice_per_case"]), (&0.5.into(), &0.5.into()));
    assert_eq!((&totals["cases"], &totals["detection"]["0.5"]["fn"]), (&2.into(), &1.into()));
    let interval = &scores["confidence"]["liver"]["dice"];
    assert_eq!((interval[0].as_f64(), interval[1].as_f64()), (Some(0.0), Some(1.0)));
    assert!(run.err.contains("b: the prediction has no voxel of the liver"), "{}", run.err);
    assert_eq!(scores["problems"].as_array().unwrap().len(), 3);
}

#[test]
fn labels_that_are_unknown_are_named_and_can_be_mapped() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    write(&path("p.nii"), &row([0, 5, 5, 7, 1, 1, 0, 0]));
    write(&path("r.nii"), &row([0, 1, 1, 2, 1, 1, 0, 0]));
    hepar(folder.path(), &["evaluate", "p.nii", "r.nii"]).fails(3, &["p.nii", "the label 5 (8 voxels)", "--map 5="]);
    let run = hepar(folder.path(), &["evaluate", "p.nii", "r.nii", "--map", "5=1,7=2", "--json", "s.json"]).expect(0);
    assert_eq!(json(&path("s.json"))["cases"][0]["tumour"]["dice"], 1.0, "{}", run.out);
    hepar(folder.path(), &["evaluate", "p.nii", "r.nii", "--map", "5=9"]).expect(2);
}

#[test]
fn a_list_names_the_pairs_and_a_bad_one_does_not_stop_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    write(&path("x/p.nii"), &row([0, 1, 1, 2, 2, 1, 0, 0]));
    write(&path("r.nii"), &row([0, 1, 1, 2, 2, 1, 0, 0]));
    std::fs::write(path("pairs.csv"), "name,reference,prediction\na,r.nii,x/p.nii\nb,r.nii,gone.nii\n").unwrap();
    let run = hepar(folder.path(), &["evaluate", "--pairs", "pairs.csv", "--json", "s.json", "--lesions", "l.csv"]);
    let run = run.expect(6);
    assert!(run.err.contains("gone.nii"), "{}", run.err);
    assert_eq!(json(&path("s.json"))["cases"][0]["name"], "a");
    let lesions = std::fs::read_to_string(path("l.csv")).unwrap();
    assert!(lesions.lines().nth(1).unwrap().starts_with("a,matched,1,1,2.000,2.000,"), "{lesions}");
    hepar(folder.path(), &["evaluate", "--pairs", "r.nii"]).fails(3, &["r.nii"]);
    hepar(folder.path(), &["evaluate", "x/p.nii"]).expect(2);
}

#[test]
fn the_challenge_looks_at_arrays_alone_and_stops_where_its_scorer_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let labels = row([0, 1, 1, 2, 2, 1, 0, 0]);
    let mut affine = *labels.geometry().affine();
    affine[2][3] = 100.0;
    affine[0][0] = -10.0;
    let elsewhere = Volume::new(labels.data().to_owned(), Geometry::new(affine, [2, 2, 8]).unwrap()).unwrap();
    write(&path("p/a.nii"), &elsewhere);
    write(&path("r/a.nii"), &labels);
    write(&path("p/b.nii"), &labels);
    write(&path("r/b.nii"), &row([0; 8]));
    write(&path("p/c.nii"), &labels);
    let arguments = ["evaluate", "p", "r", "--protocol", "lits-2017", "--json", "s.json"];
    let run = hepar(folder.path(), &arguments).expect(6);
    assert!(run.err.contains("division by zero") && run.err.contains("scorer stops here"), "{}", run.err);
    assert!(!run.err.contains("c.nii"), "a prediction without a reference is passed over: {}", run.err);
    let scores = json(&path("s.json"));
    assert_eq!((&scores["protocol"], &scores["cases"][0]["liver"]["dice"]), (&"lits-2017".into(), &1.0.into()));
    assert_eq!(
        (&scores["cases"][0]["detection"]["0.5"]["tp"], &scores["totals"]["burden"]["max"]),
        (&1.into(), &0.0.into())
    );
    hepar(folder.path(), &["evaluate", "p/a.nii", "r/a.nii"]).fails(3, &["mm apart"]);
}

#[test]
fn two_predictions_are_compared_case_by_case() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["a.nii", "b.nii", "c.nii", "d.nii", "e.nii", "f.nii"] {
        write(&path("good").join(name), &row([0, 1, 1, 2, 2, 1, 0, 0]));
        write(&path("bad").join(name), &row([1, 1, 1, 1, 2, 1, 0, 0]));
        write(&path("r").join(name), &row([0, 1, 1, 2, 2, 1, 0, 0]));
    }
    let arguments = ["evaluate", "good", "r", "--compare", "bad", "--json", "s.json", "--html", "page.html"];
    let run = hepar(folder.path(), &arguments).expect(0);
    assert!(run.out.contains("better") && run.out.contains("0.0312"), "2 of 64 signs: {}", run.out);
    let figures = json(&path("s.json"))["comparison"]["figures"].as_array().unwrap().clone();
    let dice = figures.iter().find(|figure| figure["figure"] == "liver/dice").unwrap();
    assert_eq!((&dice["better"], &dice["p"], &dice["cases"]), (&"prediction".into(), &0.03125.into(), &6.into()));
    let page = std::fs::read_to_string(path("page.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<svg") && page.contains("default-src 'none'"));
    assert!(!page.contains("http:") && !page.contains("https:"), "self-contained");
}

#[test]
fn an_evaluation_is_not_lost_when_the_other_prediction_cannot_be_compared() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let labels = row([0, 1, 1, 2, 2, 1, 0, 0]);
    for name in ["p/a.nii", "r/a.nii"] {
        write(&path(name), &labels);
    }
    write(&path("other/a.nii"), &row([0, 5, 5, 5, 5, 5, 0, 0]));
    let why = "other: failed to read other/a.nii: it holds the label 5";
    let arguments = ["evaluate", "p", "r", "--compare", "other", "--json", "s.json", "--html", "page.html"];
    let run = hepar(folder.path(), &arguments).expect(6);
    assert!(run.out.contains("liver Dice") && run.err.contains(why), "{}", run.err);
    let scores = json(&path("s.json"));
    assert_eq!((&scores["totals"]["liver"]["dice"], scores["problems"].as_array().unwrap().len()), (&1.0.into(), 0));
    assert_eq!(scores["comparison"]["figures"].as_array().unwrap().len(), 0);
    assert!(scores["comparison"]["problems"][0].as_str().unwrap().starts_with("failed to read other/a.nii"));
    assert!(std::fs::read_to_string(path("page.html")).unwrap().contains(why));
    let files = ["evaluate", "p/a.nii", "r/a.nii", "--compare", "other/a.nii"];
    let run = hepar(folder.path(), &files).expect(6);
    assert!(run.err.contains("other/a.nii: failed to read other/a.nii: it holds the label 5"), "{}", run.err);
}

#[test]
fn what_cannot_be_compared_is_told_before_anything_is_scored() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    write(&path("r/a.nii"), &row([0, 1, 1, 2, 2, 1, 0, 0]));
    write(&path("r/b.nii"), &row([0, 1, 1, 2, 2, 1, 0, 0]));
    std::fs::create_dir(path("p")).unwrap();
    // Scoring it would fail, with another exit code.
    std::fs::write(path("p/a.nii"), "no image").unwrap();
    write(&path("other/b.nii"), &row([0, 1, 1, 2, 2, 1, 0, 0]));
    let list = |name: &str, line: &str| {
        std::fs::write(path(name), format!("name,prediction,reference\n{line}\n")).unwrap();
    };
    list("ours.csv", "a,p/a.nii,r/a.nii");
    list("theirs.csv", "b,other/b.nii,r/b.nii");
    list("others.csv", "a,other/b.nii,r/b.nii");
    let folders = |other| ["evaluate", "p", "r", "--json", "s.json", "--compare", other];
    hepar(folder.path(), &folders("gone")).fails(3, &["failed to read gone: No such file"]);
    hepar(folder.path(), &folders("other")).fails(3, &["find a case that is in both other and p"]);
    let lists = |other| ["evaluate", "--pairs", "ours.csv", "--json", "s.json", "--compare", other];
    hepar(folder.path(), &lists("theirs.csv")).fails(3, &["find a case that is in both theirs.csv and ours.csv"]);
    hepar(folder.path(), &lists("others.csv")).fails(3, &["case a", "r/a.nii", "r/b.nii"]);
    assert!(!path("s.json").exists());
}

#[test]
fn a_case_of_a_list_without_a_partner_in_the_other_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["p.nii", "r.nii"] {
        write(&path(name), &row([0, 1, 1, 2, 2, 1, 0, 0]));
    }
    let list = |name: &str, cases: [&str; 2]| {
        let lines = cases.map(|case| format!("{case},p.nii,r.nii\n"));
        std::fs::write(path(name), format!("name,prediction,reference\n{}", lines.concat())).unwrap();
    };
    list("ours.csv", ["a", "b"]);
    list("theirs.csv", ["a", "c"]);
    let arguments = ["evaluate", "--pairs", "ours.csv", "--compare", "theirs.csv", "--json", "s.json"];
    let run = hepar(folder.path(), &arguments).expect(6);
    let said = ["theirs.csv: it has no case b", "theirs.csv: its case c has no partner"];
    assert!(said.iter().all(|said| run.err.contains(*said)), "{}", run.err);
    assert_eq!(json(&path("s.json"))["comparison"]["figures"][0]["cases"], 1);
}
