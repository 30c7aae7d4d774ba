//! What a phantom promises to whoever tests or trains on it.

use hepar_phantom::{BodyPart, Phantom, PhantomSpec, Phase, SpecError};
use hepar_volume::{Connectivity, components};
use ndarray::Axis;

/// The whole upper abdomen in large voxels.
fn coarse(seed: u64) -> PhantomSpec {
    PhantomSpec { seed, shape: [60, 96, 96], spacing: [4.0, 4.0, 4.0], ..Default::default() }
}

fn build(spec: &PhantomSpec) -> Phantom {
    spec.build().unwrap()
}

fn millilitres(phantom: &Phantom, least_label: u8) -> f64 {
    let voxels = phantom.labels.data().iter().filter(|&&label| label >= least_label).count();
    voxels as f64 * phantom.labels.geometry().voxel_volume() / 1000.0
}

fn with_threads(threads: usize, spec: &PhantomSpec) -> Phantom {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| build(spec))
}

#[test]
fn the_same_spec_gives_the_same_voxels_for_any_number_of_threads() {
    let spec = coarse(3);
    let one = with_threads(1, &spec);
    assert!(one == with_threads(2, &spec));
    assert!(one == with_threads(3, &spec));
}

#[test]
fn another_seed_is_another_patient() {
    let (a, b) = (build(&coarse(3)), build(&coarse(4)));
    assert!(a.ct != b.ct && a.labels != b.labels);
}

#[test]
fn every_tumour_asked_for_is_one_component_apart_from_the_others() {
    for (seed, tumours, diameters) in
        [(1, 1, (20.0, 20.0)), (2, 5, (10.0, 30.0)), (3, 12, (4.0, 60.0)), (4, 9, (3.0, 5.0))]
    {
        let spec = PhantomSpec { tumours, tumour_diameter_mm: diameters, ..coarse(seed) };
        let phantom = build(&spec);
        assert_eq!(phantom.tumours.len(), tumours);
        let mask = phantom.labels.data().mapv(|label| label == 2);
        assert_eq!(components(mask.view(), Connectivity::Corners26).count(), tumours, "seed {seed}");
        let listed: f64 = phantom.tumours.iter().map(|tumour| tumour.volume_ml).sum();
        assert!((listed - millilitres(&phantom, 2)).abs() < 1e-6);
    }
}

#[test]
fn tumours_have_about_the_diameter_asked_for() {
    let spec = PhantomSpec {
        tumours: 3,
        tumour_diameter_mm: (20.0, 24.0),
        shape: [110, 200, 200],
        spacing: [2.0; 3],
        ..coarse(6)
    };
    for tumour in build(&spec).tumours {
        assert!((15.0..28.0).contains(&tumour.diameter_mm), "{tumour:?}");
    }
}

#[test]
fn a_tumour_lies_where_the_table_says_and_is_as_bright_as_it_says() {
    let phantom = build(&PhantomSpec { tumours: 1, tumour_diameter_mm: (30.0, 30.0), ..coarse(5) });
    let (mut hu, mut voxels, mut centre) = (0.0, 0.0, [0.0; 3]);
    for ((index, label), ct) in phantom.labels.data().indexed_iter().zip(phantom.ct.data().iter()) {
        if *label == 2 {
            let at = phantom.labels.geometry().to_world([index.0 as f64, index.1 as f64, index.2 as f64]).0;
            centre.iter_mut().zip(at).for_each(|(sum, coordinate)| *sum += coordinate);
            hu += f64::from(*ct);
            voxels += 1.0;
        }
    }
    let tumour = &phantom.tumours[0];
    assert!((tumour.mean_hu - hu / voxels).abs() < 1e-9);
    assert!((0..3).all(|axis| (tumour.centre.0[axis] - centre[axis] / voxels).abs() < 1e-3));
}

#[test]
fn tumours_differ_from_the_liver_by_more_than_the_texture() {
    for seed in 0..6 {
        let phantom = build(&PhantomSpec { tumour_diameter_mm: (20.0, 40.0), ..coarse(seed) });
        let healthy: Vec<f64> = phantom
            .ct
            .data()
            .iter()
            .zip(phantom.labels.data())
            .filter(|(_, label)| **label == 1)
            .map(|(ct, _)| f64::from(*ct))
            .collect();
        let liver = healthy.iter().sum::<f64>() / healthy.len() as f64;
        for tumour in &phantom.tumours {
            assert!(liver - tumour.mean_hu > 8.0, "seed {seed}: liver {liver}, {tumour:?}");
        }
    }
}

#[test]
fn a_whole_liver_has_the_volume_of_an_adult_s_and_lies_on_the_right() {
    for seed in 0..10 {
        let phantom = build(&PhantomSpec { tumours: 0, ..coarse(seed) });
        let volume = millilitres(&phantom, 1);
        assert!((700.0..3000.0).contains(&volume), "seed {seed}: {volume} ml");
        let grid = phantom.labels.geometry();
        let (mut x, mut voxels) = (0.0, 0.0);
        for (index, label) in phantom.labels.data().indexed_iter() {
            if *label > 0 {
                x += grid.to_world([index.0 as f64, index.1 as f64, index.2 as f64]).0[0];
                voxels += 1.0;
            }
        }
        assert!(x / voxels > 20.0, "seed {seed}: mean x {}", x / voxels);
    }
}

#[test]
fn the_spine_is_posterior_and_the_lungs_are_above_the_liver() {
    let phantom = build(&PhantomSpec { orientation: "RAS".to_owned(), noise_hu: 0.0, ..coarse(0) });
    let (ct, labels, grid) = (phantom.ct.data(), phantom.labels.data(), phantom.ct.geometry());
    let mean = |axis: usize, chosen: &dyn Fn(i16, u8, [f64; 3]) -> bool| {
        let (mut sum, mut count) = (0.0, 0.0);
        for ((index, ct), label) in ct.indexed_iter().zip(labels) {
            let at = grid.to_world([index.0 as f64, index.1 as f64, index.2 as f64]).0;
            if chosen(*ct, *label, at) {
                sum += at[axis];
                count += 1.0;
            }
        }
        sum / count
    };
    assert!(mean(1, &|ct, _, at| ct > 350 && at[0].abs() < 30.0 && at[2] < -30.0) < -60.0);
    let liver = mean(2, &|_, label, _| label > 0);
    assert!(mean(2, &|ct, _, _| (-890..-800).contains(&ct)) > liver + 40.0);
}

#[test]
fn the_order_in_which_the_axes_are_stored_changes_no_voxel() {
    let spec = PhantomSpec { shape: [40, 80, 72], spacing: [6.0, 4.0, 4.5], ..coarse(8) };
    let reference = build(&spec.stored_as("RAS"));
    for orientation in ["LPS", "PIR", "SLA"] {
        let other = build(&spec.stored_as(orientation));
        let (geometry, data) = (other.ct.geometry(), other.ct.data());
        let mut same = true;
        for (index, ct) in data.indexed_iter() {
            let at = geometry.to_world([index.0 as f64, index.1 as f64, index.2 as f64]);
            let [k, j, i] = reference.ct.geometry().to_index(at).map(|v| v.round() as usize);
            same &= reference.ct.data()[[k, j, i]] == *ct
                && reference.labels.data()[[k, j, i]] == other.labels.data()[index];
        }
        assert!(same, "{orientation}");
        assert_eq!(reference.tumours.len(), other.tumours.len());
    }
}

#[test]
fn the_phase_changes_the_values_but_not_the_liver() {
    let in_phase = |phase| build(&PhantomSpec { phase, tumours: 0, noise_hu: 0.0, ..coarse(9) });
    let phantoms = [Phase::NonContrast, Phase::Arterial, Phase::Portal].map(in_phase);
    let liver = phantoms.each_ref().map(|phantom| {
        let values: Vec<f64> = phantom
            .ct
            .data()
            .iter()
            .zip(phantom.labels.data())
            .filter(|(_, label)| **label == 1)
            .map(|(ct, _)| f64::from(*ct))
            .collect();
        values.iter().sum::<f64>() / values.len() as f64
    });
    assert!(phantoms[0].labels == phantoms[1].labels && phantoms[1].labels == phantoms[2].labels);
    assert!(liver[0] < liver[1] && liver[1] + 15.0 < liver[2], "{liver:?}");
}

#[test]
fn parts_of_the_body_without_liver_have_no_liver() {
    for body_part in [BodyPart::Chest, BodyPart::Pelvis, BodyPart::Head, BodyPart::Legs] {
        for seed in 0..4 {
            let body_size = 0.85 + 0.1 * seed as f64;
            let phantom = build(&PhantomSpec { body_part, body_size, ..coarse(seed) });
            assert!(phantom.labels.data().iter().all(|label| *label == 0), "{body_part:?}, seed {seed}");
            assert!(phantom.tumours.is_empty());
            let tissue = phantom.ct.data().iter().filter(|ct| (0..100).contains(*ct)).count();
            assert!(tissue > 10_000, "{body_part:?}: {tissue} voxels of soft tissue");
        }
    }
}

#[test]
fn a_shifted_field_of_view_cuts_the_liver() {
    let phantom = build(&PhantomSpec { offset: [0.0, 0.0, 130.0], tumours: 0, ..coarse(1) });
    let lowest = phantom.labels.data().index_axis_move(Axis(0), 0).to_owned();
    assert!(lowest.iter().any(|label| *label == 1));
    assert!(millilitres(&phantom, 1) < millilitres(&build(&PhantomSpec { tumours: 0, ..coarse(1) }), 1));
}

/// Standard deviation of a noise of 25 HU in the voxels that are chosen by their HU without noise and their label.
fn deviation_of_25_hu(spec: &PhantomSpec, chosen: impl Fn(i16, u8) -> bool) -> f64 {
    let [noisy, clean] = [25.0, 0.0].map(|noise_hu| build(&PhantomSpec { noise_hu, ..spec.clone() }));
    assert!(noisy.labels == clean.labels);
    let differences: Vec<f64> = noisy
        .ct
        .data()
        .iter()
        .zip(clean.ct.data())
        .zip(clean.labels.data())
        .filter(|((_, clean), label)| chosen(**clean, **label))
        .map(|((noisy, clean), _)| f64::from(noisy - clean))
        .collect();
    (differences.iter().map(|d| d * d).sum::<f64>() / differences.len() as f64).sqrt()
}

#[test]
fn the_noise_is_a_tenth_more_than_asked_for_in_the_liver_and_two_fifths_less_in_the_head() {
    // The liver's margin lies at the wall, where the noise is as asked for.
    let liver = deviation_of_25_hu(&coarse(2), |_, label| label > 0);
    assert!((26.5..28.0).contains(&liver), "{liver}");
    let head = PhantomSpec { body_part: BodyPart::Head, tumours: 0, ..coarse(2) };
    let head = deviation_of_25_hu(&head, |hu, _| hu > -200);
    assert!((14.5..15.5).contains(&head), "{head}");
}

#[test]
fn impossible_specs_are_refused_with_what_is_wrong() {
    let good = coarse(0);
    assert_eq!(PhantomSpec { shape: [0, 4, 4], ..good.clone() }.build(), Err(SpecError::Empty([0, 4, 4])));
    let huge = PhantomSpec { shape: [1 << 20, 1 << 12, 1 << 12], ..good.clone() };
    assert!(matches!(huge.build(), Err(SpecError::TooLarge(_))));
    for spacing in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let spec = PhantomSpec { spacing: [1.0, spacing, 1.0], ..good.clone() };
        assert!(matches!(spec.build(), Err(SpecError::Spacing(_))), "{spacing}");
    }
    for orientation in ["", "LP", "LPSA", "LRS", "lps", "XYZ"] {
        let spec = PhantomSpec { orientation: orientation.to_owned(), ..good.clone() };
        assert_eq!(spec.build(), Err(SpecError::Orientation(orientation.to_owned())));
    }
    assert!(matches!(PhantomSpec { noise_hu: -1.0, ..good.clone() }.build(), Err(SpecError::Noise(_))));
    assert!(matches!(PhantomSpec { body_size: 3.0, ..good.clone() }.build(), Err(SpecError::BodySize(_))));
    assert!(matches!(PhantomSpec { offset: [f64::NAN; 3], ..good.clone() }.build(), Err(SpecError::Offset(_))));
    let reversed = PhantomSpec { tumour_diameter_mm: (9.0, 3.0), ..good.clone() };
    assert_eq!(reversed.build(), Err(SpecError::Diameters(9.0, 3.0)));
    let elsewhere = PhantomSpec { offset: [0.0, 0.0, 400.0], ..good };
    assert_eq!(elsewhere.build(), Err(SpecError::NoRoom { asked: 3, placed: 0 }));
}

#[test]
fn arms_lie_beside_the_body_and_change_nothing_in_it() {
    // They need a wide field of view.
    let wide = PhantomSpec { shape: [60, 128, 128], noise_hu: 0.0, ..coarse(3) };
    let without = build(&wide);
    let with = build(&PhantomSpec { arms: true, ..wide });
    assert!(with.labels == without.labels);
    // Where there was nothing but air there is an arm now, with a bone in it.
    let (before, after) = (without.ct.data(), with.ct.data());
    let pairs = before.iter().zip(&after);
    let new: Vec<i16> = pairs.filter(|(was, is)| **was < -800 && **is > -200).map(|(_, is)| *is).collect();
    let millilitres = new.len() as f64 * 0.064;
    assert!((1000.0..8000.0).contains(&millilitres), "{millilitres} ml");
    assert!(new.iter().any(|hu| *hu > 700));
}

#[test]
fn metal_in_the_spine_is_bright_and_streaks_its_slices_alone() {
    let without = build(&PhantomSpec { noise_hu: 0.0, ..coarse(4) });
    let with = build(&PhantomSpec { noise_hu: 0.0, metal: true, ..coarse(4) });
    assert!(with.labels == without.labels);
    assert!(with.ct.data().iter().filter(|hu| **hu > 2500).count() > 10);
    let (before, after) = (without.ct.data(), with.ct.data());
    let pairs = before.outer_iter().zip(after.outer_iter());
    let changed: Vec<usize> = pairs.map(|(was, is)| was.iter().zip(is).filter(|(a, b)| a != b).count()).collect();
    let streaked = changed.iter().filter(|voxels| **voxels > 500).count();
    assert!((3..30).contains(&streaked), "{changed:?}");
    assert!(changed.iter().filter(|voxels| **voxels == 0).count() > 20, "{changed:?}");
}
