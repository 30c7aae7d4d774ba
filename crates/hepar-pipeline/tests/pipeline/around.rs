//! What lies beside the liver, and what it encloses.

use crate::fakes::*;
use hepar_model::engine::Network;
use hepar_model::stage::{BoxMargin, Sheet, Stage};
use hepar_pipeline::{Caution, LastStage, Outcome, Pipeline, Request, Unwatched};
use hepar_volume::Volume;
use ndarray::{Array5, ArrayView5};

const ALL: Request<'_> = Request { last: LastStage::Tumour, liver: None, probabilities: false };

#[test]
fn a_mass_beside_the_liver_is_labelled_neither_liver_nor_tumour_and_is_named() {
    let (mut scan, truth) = phantom();
    // It hangs on the last voxel of the liver's first row.
    let (row, _) = truth.data().indexed_iter().find(|(_, label)| **label == 1).unwrap();
    let last = (0..truth.shape()[2]).rev().find(|&i| truth.data()[[row.0, row.1, i]] >= 1).unwrap();
    let mass = [[row.0, row.1, last + 1], [row.0, row.1, last + 2]];
    mass.iter().for_each(|&voxel| scan.data_mut()[voxel] = TUMOUR);
    let segment = |greatest_exposure: Option<f64>, request: &Request<'_>| {
        let stages = [localizer(), liver(), Stage { greatest_exposure, ..tumour() }];
        pipeline_of(stages, pointwise).segment(&scan, request, &Unwatched).unwrap()
    };
    let at_mass = |labels: &Volume<u8>| mass.map(|voxel| labels.data()[voxel]);
    let all = segment(None, &ALL);
    assert_eq!(at_mass(&all.labels), [2, 2]);
    let apart = segment(Some(0.7), &ALL);
    assert_eq!(at_mass(&apart.labels), [0, 0]);
    let ml = 2.0 * scan.geometry().voxel_volume() / 1000.0;
    let beside = Caution::MassesBeside { masses: 1, ml, hanging_ml: 0.0, hanging_lesions: 0 };
    assert_eq!(apart.findings.cautions.last(), Some(&beside));
    let differing = all.labels.data().iter().zip(apart.labels.data()).filter(|(a, b)| a != b).count();
    assert_eq!(differing, 2, "all else stays");
    let given = all.labels.map(|&label| u8::from(label >= 1));
    let asked = Request { liver: Some(&given), ..ALL };
    assert_eq!(at_mass(&segment(Some(0.7), &asked).labels), [2, 2], "what is given as liver is liver");
}

#[test]
fn the_volume_of_masses_beside_is_theirs_alone() {
    let (mut scan, truth) = phantom();
    // The mass hangs on the leftmost voxel of the liver, and on the mass a cube of liver with a tumour in it.
    let mass = (46..50).map(|i| [11, 28, i]);
    let cube = (10..13).flat_map(|k| (27..30).flat_map(move |j| (50..53).map(move |i| [k, j, i])));
    assert_eq!(truth.data()[[11, 28, 45]], 1);
    cube.for_each(|voxel| scan.data_mut()[voxel] = LIVER);
    mass.chain([[11, 28, 51]]).for_each(|voxel| scan.data_mut()[voxel] = TUMOUR);
    let margin = BoxMargin { in_plane_voxels: 12, through_plane_mm: 6.0 };
    let stages = |greatest_exposure: Option<f64>| {
        [localizer(), Stage { margin, ..liver() }, Stage { greatest_exposure, ..tumour() }]
    };
    let segment = |stages: [Stage; 3]| pipeline_of(stages, pointwise).segment(&scan, &ALL, &Unwatched).unwrap();
    let all = scan.map(|&hu| match hu {
        LIVER => 1,
        TUMOUR => 2,
        _ => 0,
    });
    assert_eq!(segment(stages(None)).labels, all);
    let apart = segment(stages(Some(0.7)));
    assert_eq!(apart.labels, truth);
    let ml = |voxels: f64| voxels * scan.geometry().voxel_volume() / 1000.0;
    let beside = Caution::MassesBeside { masses: 1, ml: ml(4.0), hanging_ml: ml(27.0), hanging_lesions: 1 };
    assert_eq!(apart.findings.cautions.last(), Some(&beside));
}

#[test]
fn a_liver_that_is_all_tumour_is_still_a_liver() {
    let (_, truth) = phantom();
    let labels = truth.map(|&label| if label > 0 { 2u8 } else { 0 });
    let scan = labels.map(|&label| if label > 0 { TUMOUR } else { OUTSIDE });
    let stages = [localizer(), liver(), Stage { greatest_exposure: Some(0.6), ..tumour() }];
    let result = pipeline_of(stages, pointwise).segment(&scan, &ALL, &Unwatched).unwrap();
    assert_eq!((result.labels, result.findings.outcome), (labels, Outcome::Tumours));
    let is_beside = |caution: &Caution| matches!(caution, Caution::MassesBeside { .. });
    assert!(!result.findings.cautions.iter().any(is_beside));
}

#[test]
fn masses_without_which_the_liver_would_be_too_small_stay() {
    let (mut scan, _) = phantom();
    let mass = [[11, 28, 46], [11, 28, 47]];
    mass.iter().for_each(|&voxel| scan.data_mut()[voxel] = TUMOUR);
    let margin = BoxMargin { in_plane_voxels: 12, through_plane_mm: 6.0 };
    let segment = |greatest_exposure: Option<f64>, least_volume_ml: f64| {
        let liver = Stage { least_volume_ml, margin, ..liver() };
        let stages = [localizer(), liver, Stage { greatest_exposure, ..tumour() }];
        pipeline_of(stages, pointwise).segment(&scan, &ALL, &Unwatched).unwrap()
    };
    let all = segment(None, 0.0);
    assert_ne!(segment(Some(0.7), 0.0).labels, all.labels);
    assert_eq!(segment(Some(0.7), all.findings.liver_ml).labels, all.labels);
}

#[test]
fn a_thin_sheet_along_the_border_is_labelled_liver_and_a_lump_there_tumour() {
    let truth = Volume::from_fn(canonical([24, 60, 70], [2.5, 1.0, 1.0]), |[k, j, i]| {
        match (4..20).contains(&k) && (10..50).contains(&j) && (10..50).contains(&i) {
            false => 0,
            true if k < 8 && j < 20 && i < 20 => 2,
            true => 1,
        }
    });
    let is_sheet = |[k, j, i]: [usize; 3]| (6..18).contains(&k) && (15..45).contains(&j) && i == 49;
    let scan = Volume::from_fn(truth.geometry().clone(), |voxel| match truth.data()[voxel] {
        0 => OUTSIDE,
        1 if !is_sheet(voxel) => LIVER,
        _ => TUMOUR,
    });
    let segment = |sheet: Option<Sheet>, request: &Request<'_>| {
        let stages = [localizer(), liver(), Stage { sheet, ..tumour() }];
        pipeline_of(stages, pointwise).segment(&scan, request, &Unwatched).unwrap()
    };
    let all = segment(None, &ALL);
    assert_eq!(all.findings.lesions.len(), 2);
    // Half of the surface of either is exposed.
    let sheet = Some(Sheet { exposure: 0.3, compactness: 0.2, thickness_mm: 6.0 });
    let apart = segment(sheet, &ALL);
    assert_eq!(apart.labels, truth);
    let ml = 12.0 * 30.0 * scan.geometry().voxel_volume() / 1000.0;
    assert_eq!(apart.findings.cautions.last(), Some(&Caution::Sheets { sheets: 1, ml }));
    let given = truth.map(|&label| u8::from(label >= 1));
    assert_eq!(segment(sheet, &Request { liver: Some(&given), ..ALL }).labels, truth, "in a liver that was given, too");
}

/// A stage that takes for liver what is neither outside nor as bright as a tumour.
fn liver_without_tumours(input: ArrayView5<'_, f32>) -> Array5<f32> {
    input.mapv(|value| if (0.5..0.8).contains(&value) { 1.0 } else { 0.0 })
}

#[test]
fn tumours_that_the_liver_encloses_in_a_slice_are_found_and_belong_to_it() {
    let geometry = canonical([24, 60, 70], [2.5, 1.0, 1.0]);
    let truth = Volume::from_fn(geometry, |index| {
        let [k, j, i] = index;
        match ellipsoid(index, [11.0, 28.0, 26.0], [8.0, 17.0, 19.0]) {
            false => 0,
            // From the middle of the liver through its lowest slice, so that there is a way out of it.
            true if k < 12 && (25..31).contains(&j) && (22..30).contains(&i) => 2,
            true => 1,
        }
    });
    let scan = Volume::from_fn(truth.geometry().clone(), |index| match (truth.data()[index], index) {
        (1, _) => LIVER,
        // The way goes on beside the liver, where nothing encloses it.
        (2, _) | (0, [0..3, 25..31, 22..30]) => TUMOUR,
        _ => OUTSIDE,
    });
    let segment = |enclosed: bool, request: &Request<'_>| {
        let with = |stage: Stage, answer: Answer| -> (Stage, Box<dyn Network>) {
            let network = Fake::new(stage.network, answer);
            (stage, Box::new(network))
        };
        let stage = Stage { enclosed, ..tumour() };
        Pipeline::new(with(localizer(), pointwise), with(liver(), liver_without_tumours), with(stage, pointwise))
            .segment(&scan, request, &Unwatched)
            .unwrap()
    };
    let without = segment(false, &ALL);
    assert_eq!(without.labels, truth.map(|&label| u8::from(label == 1)));
    let wanted = Request { probabilities: true, ..ALL };
    let result = segment(true, &wanted);
    // In its lowest slice the liver is a ring no more, or none at all.
    for ((voxel, &label), &truth) in result.labels.data().indexed_iter().zip(truth.data()) {
        assert!(label == truth || (voxel.0 < 4 && label == 0), "{label} for {truth} at {voxel:?}");
    }
    assert!(result.labels.data().iter().filter(|&&label| label == 2).count() > 300);
    let probability = result.probabilities.tumour.unwrap();
    assert!(probability.data().iter().zip(result.labels.data()).all(|(&p, &label)| p == 0 || label > 0));
    let given = without.labels;
    let asked = Request { liver: Some(&given), ..ALL };
    assert_eq!(segment(true, &asked).labels, given, "what is not given as liver is none");
}

#[test]
fn a_thin_sheet_in_what_the_liver_encloses_does_not_become_liver() {
    let inside = |[k, j, i]: [usize; 3], from: [usize; 3], to: [usize; 3]| {
        [k, j, i].into_iter().zip(from).zip(to).all(|((at, from), to)| (from..to).contains(&at))
    };
    // A cleft that is open below, with a layer along one of its walls.
    let truth = Volume::from_fn(canonical([24, 60, 70], [2.5, 1.0, 1.0]), |voxel| {
        u8::from(inside(voxel, [4, 10, 10], [20, 50, 50]) && !inside(voxel, [4, 20, 25], [14, 40, 35]))
    });
    let is_layer = |voxel| inside(voxel, [4, 20, 25], [14, 40, 26]);
    let scan = Volume::from_fn(truth.geometry().clone(), |voxel| match truth.data()[voxel] {
        1 => LIVER,
        _ if is_layer(voxel) => TUMOUR,
        _ => OUTSIDE,
    });
    let segment = |sheet: Option<Sheet>| {
        let with = |stage: Stage, answer: Answer| -> (Stage, Box<dyn Network>) {
            let network = Fake::new(stage.network, answer);
            (stage, Box::new(network))
        };
        let tumour = Stage { enclosed: true, sheet, ..tumour() };
        let stages = [with(localizer(), pointwise), with(liver(), liver_without_tumours), with(tumour, pointwise)];
        let [localizer, liver, tumour] = stages;
        Pipeline::new(localizer, liver, tumour).segment(&scan, &ALL, &Unwatched).unwrap().labels
    };
    let found = segment(None);
    assert!(found.data().indexed_iter().all(|((k, j, i), &label)| (label == 2) == is_layer([k, j, i])));
    assert_eq!(segment(Some(Sheet { exposure: 0.3, compactness: 0.2, thickness_mm: 6.0 })), truth);
}
