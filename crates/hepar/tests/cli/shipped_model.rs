//! What the model in the program must not be misled by: arms and metal, parts of the body without a liver, a field of view
//! that cuts the liver. On phantoms, coarse enough for a test, and on two real scans where these lie beside the project; how good
//! it is on patients is for benches to say.

use std::path::Path;

use hepar::Volume;
use hepar_formats::read_labels;
use hepar_phantom::{BodyPart, Phantom, PhantomSpec};
use tempfile::TempDir;

use crate::program::{hepar, real, write_phantom};

fn spec(seed: u64) -> PhantomSpec {
    PhantomSpec { seed, shape: [60, 160, 160], spacing: [4.0, 2.4, 2.4], ..Default::default() }
}

/// What the program says of a scan, on its grid.
fn labels_of(scan: &Path) -> Volume<u8> {
    let folder = TempDir::new().unwrap();
    let scan = std::path::absolute(scan).unwrap();
    hepar(folder.path(), &["segment", scan.to_str().unwrap(), "-o", "labels.nii.gz", "-q"]).expect(0);
    read_labels(&folder.path().join("labels.nii.gz")).unwrap().volume
}

/// What the program says of a phantom.
fn segmented(phantom: &Phantom) -> Volume<u8> {
    let folder = TempDir::new().unwrap();
    labels_of(&write_phantom(folder.path(), "scan", phantom))
}

/// Dice of two sets; each pair says whether a voxel lies in the one and in the other.
fn dice(pairs: impl Iterator<Item = (bool, bool)>) -> f64 {
    let (mut both, mut sum) = (0, 0);
    for (found, truth) in pairs {
        (both, sum) = (both + usize::from(found && truth), sum + usize::from(found) + usize::from(truth));
    }
    2.0 * both as f64 / sum as f64
}

/// Dice of the liver with its tumours.
fn liver_dice(found: &Volume<u8>, truth: &Volume<u8>) -> f64 {
    dice(found.data().iter().zip(truth.data()).map(|(&found, &truth)| (found > 0, truth > 0)))
}

#[test]
fn arms_and_metal_are_no_liver_and_hide_none() {
    let phantom = PhantomSpec { spacing: [4.0, 3.2, 3.2], arms: true, metal: true, ..spec(21) }.build().unwrap();
    let dice = liver_dice(&segmented(&phantom), &phantom.labels);
    assert!(dice > 0.9, "{dice}");
}

#[test]
fn chest_pelvis_head_and_legs_have_no_liver() {
    let parts = [(22, BodyPart::Chest), (23, BodyPart::Pelvis), (24, BodyPart::Head), (26, BodyPart::Legs)];
    for (seed, body_part) in parts {
        let phantom = PhantomSpec { body_part, tumours: 0, ..spec(seed) }.build().unwrap();
        let found = segmented(&phantom).data().iter().filter(|label| **label > 0).count();
        assert_eq!(found, 0, "{body_part:?}");
    }
}

#[test]
fn the_part_of_a_cut_liver_that_is_in_the_scan_is_found() {
    for shift in [-110.0, 110.0] {
        let phantom = PhantomSpec { offset: [0.0, 0.0, shift], tumours: 0, ..spec(25) }.build().unwrap();
        let dice = liver_dice(&segmented(&phantom), &phantom.labels);
        assert!(dice > 0.9, "{shift} mm: {dice}");
    }
}

#[test]
fn in_a_real_scan_of_a_healthy_liver_the_liver_is_found_and_hardly_any_tumour() {
    // 3D-IRCADb 7, whom the model was trained on.
    let Some([ct, truth]) = real(["ircad/ircad07_ct.nii.gz", "ircad/ircad07_label.nii.gz"]) else { return };
    let (found, truth) = (labels_of(&ct), read_labels(&truth).unwrap().volume);
    let dice = liver_dice(&found, &truth);
    let tumour_ml =
        found.data().iter().filter(|label| **label == 2).count() as f64 * found.geometry().voxel_volume() / 1e3;
    assert!(dice > 0.93 && tumour_ml < 2.0, "{dice}, {tumour_ml} ml");
}

#[test]
fn in_a_real_scan_without_contrast_that_cuts_the_liver_its_part_is_found_and_nothing_below() {
    // Never trained on; the labels are another model's, of slices 82 to 111 alone, and 5 is the liver.
    let names = ["fixtures/totalseg/example_ct.nii.gz", "fixtures/totalseg/example_seg.nii.gz"];
    let Some([ct, truth]) = real(names) else { return };
    let (found, truth) = (labels_of(&ct), read_labels(&truth).unwrap().volume);
    let slices = found.data();
    assert_eq!((found.shape()[0], truth.shape()[0]), (112, 30));
    let below = slices.outer_iter().take(61).flatten().filter(|label| **label > 0).count();
    let upper = slices.outer_iter().skip(82).flatten();
    let dice = dice(upper.zip(truth.data()).map(|(&found, &truth)| (found > 0, truth == 5)));
    assert!(below == 0 && dice > 0.85, "{below} voxels below, {dice}");
}
