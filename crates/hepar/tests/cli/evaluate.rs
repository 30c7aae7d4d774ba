//! `hepar evaluate`.

use std::path::Path;

use hepar_formats::{GridHeader, write_labels};
use hepar_volume::{Geometry, Reorientation, Volume};

use crate::program::{folder_with_scan, hepar, json, phantom, segment};

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
    assert_eq!(scores["cases"][0]["case"], "a");
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
    assert_eq!(table.lines().nth(1).unwrap(), "p,ok,0.727273,0.666667,5.000,6.000,-1.000,2.000,1.000,1.000,false");
    hepar(folder.path(), &["evaluate", "p.nii", "r.nii", "--csv", "s.csv"]).fails(5, &["s.csv"]);
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
    assert_eq!(run.out.matches("1.000").count(), 2, "{}", run.out);
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
    assert_eq!((&scores["mean"]["liver_dice"], &scores["mean"]["tumour_dice"]), (&0.5.into(), &0.5.into()));
    assert_eq!(scores["problems"].as_array().unwrap().len(), 3);
}
