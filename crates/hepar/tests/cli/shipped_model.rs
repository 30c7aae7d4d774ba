//! What the model in the program must not be misled by: arms and metal, parts of the body without a liver, a field of view
//! that cuts the liver. On phantoms, coarse enough for a test; how good it is on patients is for benches to say.

use hepar::Volume;
use hepar_formats::read_labels;
use hepar_phantom::{BodyPart, Phantom, PhantomSpec};
use tempfile::TempDir;

use crate::program::{hepar, write_phantom};

fn spec(seed: u64) -> PhantomSpec {
    PhantomSpec { seed, shape: [60, 160, 160], spacing: [4.0, 2.4, 2.4], ..Default::default() }
}

/// What the program says of a phantom, on its grid.
fn segmented(phantom: &Phantom) -> Volume<u8> {
    let folder = TempDir::new().unwrap();
    write_phantom(folder.path(), "scan", phantom);
    hepar(folder.path(), &["segment", "scan_ct.nii.gz", "-o", "labels.nii.gz", "-q"]).expect(0);
    read_labels(&folder.path().join("labels.nii.gz")).unwrap().volume
}

/// Dice of the liver with its tumours.
fn liver_dice(found: &Volume<u8>, truth: &Volume<u8>) -> f64 {
    let pairs = found.data().into_iter().zip(truth.data());
    let (mut both, mut sum) = (0, 0);
    for (found, truth) in pairs {
        let (found, truth) = (usize::from(*found > 0), usize::from(*truth > 0));
        (both, sum) = (both + found * truth, sum + found + truth);
    }
    2.0 * both as f64 / sum as f64
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
