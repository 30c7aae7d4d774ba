//! `hepar phantom`.

use hepar_formats::{inspect, read_labels};

use crate::program::{hepar, names};

const SMALL: [&str; 5] = ["phantom", "--shape", "24,48,40", "--spacing", "10,8,8"];

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for (output, seed) in [("a", "3"), ("b", "3"), ("c", "4")] {
        hepar(folder.path(), &[&SMALL[..], &["-o", output, "--seed", seed, "--threads", "1"]].concat()).expect(0);
    }
    let bytes = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    for file in ["_ct.nii.gz", "_label.nii.gz"] {
        assert!(bytes(&format!("a{file}")) == bytes(&format!("b{file}")));
        assert!(bytes(&format!("a{file}")) != bytes(&format!("c{file}")));
    }
}

#[test]
fn what_was_asked_for_is_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["-o", "new/", "--orientation", "SPL", "--tumours", "1", "--diameter", "30-40", "--noise", "0"];
    let run = hepar(folder.path(), &[&SMALL[..], &more].concat()).expect(0);
    assert!(run.out.contains("new/phantom-0_ct.nii.gz") && run.out.contains("tumours: 1"), "{}", run.out);
    let header = inspect(&folder.path().join("new/phantom-0_ct.nii.gz")).unwrap();
    assert_eq!((header.orientation.as_str(), header.dims), ("SPL", vec![24, 48, 40]));
    let labels = read_labels(&folder.path().join("new/phantom-0_label.nii.gz")).unwrap().volume;
    assert!(labels.data().iter().any(|&label| label == 2));
}

#[test]
fn only_the_abdomen_has_a_liver() {
    let folder = tempfile::tempdir().unwrap();
    hepar(folder.path(), &[&SMALL[..], &["--part", "chest", "--phase", "none"]].concat()).expect(0);
    let labels = read_labels(&folder.path().join("phantom-0_label.nii.gz")).unwrap().volume;
    assert!(labels.data().iter().all(|&label| label == 0));
    hepar(folder.path(), &[&SMALL[..], &["--part", "head", "--tumours", "2"]].concat()).fails(2, &["only the abdomen"]);
}

#[test]
fn more_tumours_than_memory_holds_are_refused_not_allocated() {
    let folder = tempfile::tempdir().unwrap();
    let most = u64::MAX.to_string();
    hepar(folder.path(), &[&SMALL[..], &["--tumours", &most]].concat()).fails(2, &["tumours are more than 1000"]);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn files_are_replaced_by_force_only_and_never_those_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let draw = |more: &[&str]| hepar(folder.path(), &[&SMALL[..], more].concat());
    draw(&[]).expect(0);
    draw(&[]).fails(5, &["phantom-0_ct.nii.gz: it exists; --force replaces it"]);
    draw(&["--force"]).expect(0);
    std::fs::write(folder.path().join("phantom-0_label.nii.gz"), "mine").unwrap();
    draw(&["--force"]).fails(5, &["phantom-0_label.nii.gz", "not written by hepar"]);
    draw(&["-o", "x", "--tumours", "500"]).fails(2, &["failed to draw the phantom: only "]);
    assert_eq!(names(folder.path()), ["phantom-0_ct.nii.gz", "phantom-0_label.nii.gz"]);
}
