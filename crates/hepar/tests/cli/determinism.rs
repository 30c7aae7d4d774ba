//! The same scan gives the same result.

use std::path::Path;

use hepar_formats::read_labels;
use hepar_volume::{Reorientation, Volume};

use crate::program::{folder_with_scan, segment, spec, write_phantom};

#[test]
fn any_number_of_threads_gives_the_same_bytes_on_every_run() {
    let folder = folder_with_scan();
    let runs = [("one", "1"), ("two", "2"), ("again", "2")].map(|(output, threads)| {
        segment(folder.path(), &["a_ct.nii.gz", "-o", output, "--threads", threads]).expect(0);
        ["labels.nii.gz", "lesions.csv", "result.json", "preview.png"]
            .map(|file| std::fs::read(folder.path().join(output).join(file)).unwrap())
    });
    assert!(runs[0] == runs[1], "one thread and two");
    assert!(runs[1] == runs[2], "two runs");
}

#[test]
fn a_scan_stored_in_another_axis_order_gives_the_same_labels() {
    let folder = tempfile::tempdir().unwrap();
    let labels = ["LPS", "RAS", "PIR"].map(|orientation| {
        let phantom = spec().stored_as(orientation).build().unwrap();
        write_phantom(folder.path(), orientation, &phantom);
        let output = format!("{orientation}.nii.gz");
        segment(folder.path(), &[&format!("{orientation}_ct.nii.gz"), "-o", &output]).expect(0);
        canonical(&folder.path().join(output))
    });
    assert!(labels[0].data().iter().any(|&label| label == 2));
    for other in &labels[1..] {
        assert_eq!(other.data(), labels[0].data());
        assert!(other.geometry().matches(labels[0].geometry(), 1e-3));
    }
}

fn canonical(path: &Path) -> Volume<u8> {
    let labels = read_labels(path).unwrap().volume;
    Reorientation::to_canonical(labels.geometry()).apply_into(labels)
}
