//! Whole cases through fake networks.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::fakes::*;
use hepar_model::bundle::{Bundle, sha256};
use hepar_model::engine::{Engine, EngineError, Network};
use hepar_model::generated::generated;
use hepar_model::stage::{Grid, Stage, StageName};
use hepar_model::topology::{Dimensions, NetworkConfig};
use hepar_model::weights::{Precision, Weights};
use hepar_pipeline::{Caution, LastStage, Outcome, Pipeline, PipelineError, Request, Side, Unwatched, Watch, describe};
use hepar_volume::{Geometry, Volume};
use ndarray::{Axis, Slice};
use proptest::prelude::*;

const ALL: Request<'_> = Request { last: LastStage::Tumour, liver: None, probabilities: false };

#[test]
fn liver_and_tumours_come_out_as_they_are() {
    let (scan, truth) = phantom();
    let result = pipeline(pointwise).segment(&scan, &ALL, &Unwatched).unwrap();
    assert_eq!(result.labels, truth);
    let findings = &result.findings;
    assert_eq!((findings.outcome, findings.lesions.len()), (Outcome::Tumours, 2));
    let mut described = describe(&truth, &scan, LastStage::Tumour).unwrap();
    let confidences: Vec<_> = findings.lesions.iter().map(|lesion| lesion.confidence).collect();
    assert!(confidences.iter().all(Option::is_some) && described.lesions.iter().all(|l| l.confidence.is_none()));
    described.set_confidences(&confidences);
    assert_eq!(findings, &described);
    assert_eq!((result.probabilities.liver, result.probabilities.tumour), (None, None), "nobody asked for them");
    assert_eq!(result.seconds.iter().map(|(stage, _)| *stage).collect::<Vec<_>>(), StageName::ALL);
}

/// A volume stored with its axes in another order and direction, at the same place in the patient.
fn stored<T: Copy>(volume: &Volume<T>, source: [usize; 3], flipped: [bool; 3]) -> Volume<T> {
    let shape = volume.shape();
    // Index in the canonical volume of a stored voxel, which is linear.
    let back = |index: [f64; 3]| {
        let mut canonical = [0.0; 3];
        for axis in 0..3 {
            let last = (shape[source[axis]] - 1) as f64;
            canonical[source[axis]] = if flipped[axis] { last - index[axis] } else { index[axis] };
        }
        canonical
    };
    let origin = volume.geometry().to_world(back([0.0; 3])).0;
    let mut affine =
        [[0.0, 0.0, 0.0, origin[0]], [0.0, 0.0, 0.0, origin[1]], [0.0, 0.0, 0.0, origin[2]], [0.0, 0.0, 0.0, 1.0]];
    for axis in 0..3 {
        for row in 0..3 {
            let step = volume.geometry().affine()[row][2 - source[axis]];
            affine[row][2 - axis] = if flipped[axis] { -step } else { step };
        }
    }
    let geometry = Geometry::new(affine, source.map(|axis| shape[axis])).unwrap();
    Volume::from_fn(geometry, |index| volume.data()[back(index.map(|v| v as f64)).map(|v| v as usize)])
}

#[test]
fn a_scan_stored_in_any_of_the_48_orders_gives_identical_labels() {
    let (scan, _) = phantom();
    let grids = [Grid::Native, Grid::Spacing { mm: [2.0, 1.3, 1.1] }];
    for grid in grids {
        let stages = || [localizer(), Stage { grid, ..liver() }, Stage { grid, threshold: 0.7, ..tumour() }];
        let expected = pipeline_of(stages(), asymmetric).segment(&scan, &ALL, &Unwatched).unwrap();
        assert_eq!(expected.findings.outcome, Outcome::Tumours);
        for source in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            for bits in 0..8 {
                let flipped = [0, 1, 2].map(|axis| bits >> axis & 1 == 1);
                let other = stored(&scan, source, flipped);
                let result = pipeline_of(stages(), asymmetric).segment(&other, &ALL, &Unwatched).unwrap();
                assert_eq!(
                    result.labels.data(),
                    stored(&expected.labels, source, flipped).data(),
                    "{source:?} {flipped:?}"
                );
                assert_eq!(result.labels.geometry(), other.geometry());
                let volumes = |f: &hepar_pipeline::Findings| f.lesions.iter().map(|l| l.voxels).collect::<Vec<_>>();
                assert_eq!(volumes(&result.findings), volumes(&expected.findings));
            }
        }
    }
}

#[test]
fn an_oblique_scan_keeps_its_grid() {
    let (scan, truth) = phantom();
    let affine = [[-0.9, 0.2, 0.3, 5.0], [0.1, -0.8, 0.5, 6.0], [-0.2, 0.2, 2.2, 7.0], [0.0, 0.0, 0.0, 1.0]];
    let geometry = Geometry::new(affine, scan.shape()).unwrap();
    let scan = Volume::new(scan.into_parts().0, geometry.clone()).unwrap();
    let result = pipeline(pointwise).segment(&scan, &ALL, &Unwatched).unwrap();
    assert_eq!((result.labels.geometry(), result.labels.data()), (&geometry, truth.data()));
}

#[test]
fn fewer_than_32_slices_are_padded_not_skipped() {
    for depth in [1, 2, 5] {
        let truth = Volume::from_fn(canonical([depth, 40, 40], [5.0, 1.0, 1.0]), |index| {
            u8::from(ellipsoid(index, [0.0, 20.0, 20.0], [99.0, 15.0, 15.0]))
        });
        let scan = truth.map(|&label| [OUTSIDE, LIVER][usize::from(label)]);
        let result = pipeline(pointwise).segment(&scan, &ALL, &Unwatched).unwrap();
        assert_eq!(result.labels, truth);
    }
}

#[test]
fn a_scan_without_a_liver_has_zero_labels() {
    let scan = Volume::filled(canonical([20, 40, 40], [2.0, 1.0, 1.0]), -1000i16);
    let result = pipeline(pointwise).segment(&scan, &ALL, &Unwatched).unwrap();
    assert_eq!(result.findings.outcome, Outcome::NoLiver);
    assert!(result.labels.data().iter().all(|&label| label == 0));
    assert_eq!(result.seconds.len(), 1, "only the localizer ran");
}

#[test]
fn a_liver_below_the_least_volume_is_none_after_either_stage() {
    let (scan, truth) = phantom();
    let ml = describe(&truth, &scan, LastStage::Liver).unwrap().liver_ml;
    let outcome = |localizer_ml: f64, liver_ml: f64| {
        let stages = [
            Stage { least_volume_ml: localizer_ml, ..localizer() },
            Stage { least_volume_ml: liver_ml, ..liver() },
            tumour(),
        ];
        let result = pipeline_of(stages, pointwise).segment(&scan, &ALL, &Unwatched).unwrap();
        (result.findings.outcome, result.seconds.len())
    };
    assert_eq!(outcome(ml * 0.8, ml), (Outcome::Tumours, 3));
    assert_eq!(outcome(ml * 1.2, 0.0), (Outcome::NoLiver, 1));
    assert_eq!(outcome(0.0, ml * 1.001), (Outcome::NoLiver, 2));
}

#[test]
fn a_liver_at_the_border_is_found_and_said_to_be_cut() {
    let truth = Volume::from_fn(canonical([10, 50, 50], [7.0, 1.0, 1.0]), |index| {
        u8::from(ellipsoid(index, [9.0, 20.0, 0.0], [6.0, 12.0, 14.0]))
    });
    let scan = truth.map(|&label| [OUTSIDE, LIVER][usize::from(label)]);
    let result = pipeline(pointwise).segment(&scan, &ALL, &Unwatched).unwrap();
    assert_eq!(result.labels, truth);
    let expected =
        [Caution::LiverCut(Side::Superior), Caution::LiverCut(Side::Right), Caution::ThickSlices { mm: 7.0 }];
    assert_eq!(result.findings.cautions, expected);
}

#[test]
fn slices_of_5_mm_on_a_finer_grid_keep_the_livers_volume() {
    let truth = Volume::from_fn(canonical([20, 80, 80], [5.0, 0.8, 0.8]), |index| {
        u8::from(ellipsoid(index, [10.0, 40.0, 38.0], [7.0, 25.0, 30.0]))
    });
    let scan = truth.map(|&label| [OUTSIDE, LIVER + 70][usize::from(label)]);
    let grid = Grid::Spacing { mm: [2.0, 1.5, 1.5] };
    let stages = [localizer(), Stage { grid, threshold: 0.42, ..liver() }, tumour()];
    let result = pipeline_of(stages, pointwise).segment(&scan, &ALL, &Unwatched).unwrap();
    let differ = result.labels.data().iter().zip(truth.data()).filter(|(a, b)| (**a > 0) != (**b > 0)).count();
    let liver = truth.data().iter().filter(|&&label| label > 0).count();
    assert!(differ * 20 < liver, "{differ} of {liver}");
}

#[test]
fn small_windows_and_one_large_window_give_the_same_labels() {
    let (scan, truth) = phantom();
    for patch in [[32, 32, 32], [32, 64, 32], [64, 96, 96]] {
        let stages = [localizer(), Stage { patch, ..liver() }, Stage { patch, ..tumour() }];
        assert_eq!(pipeline_of(stages, pointwise).segment(&scan, &ALL, &Unwatched).unwrap().labels, truth);
    }
}

#[test]
fn only_the_largest_component_is_liver_and_its_holes_are_filled() {
    let geometry = canonical([24, 60, 70], [2.5, 1.0, 1.0]);
    let truth = Volume::from_fn(geometry, |index| u8::from(ellipsoid(index, [11.0, 28.0, 26.0], [8.0, 17.0, 19.0])));
    let scan = Volume::from_fn(truth.geometry().clone(), |index| {
        let hole = ellipsoid(index, [11.0, 28.0, 26.0], [2.0, 3.0, 4.0]);
        let other = ellipsoid(index, [12.0, 50.0, 60.0], [3.0, 5.0, 5.0]);
        if (truth.data()[index] == 1 && !hole) || other { LIVER } else { OUTSIDE }
    });
    assert_eq!(pipeline(pointwise).segment(&scan, &ALL, &Unwatched).unwrap().labels, truth);
}

#[test]
fn tumours_lie_in_the_liver_only() {
    let (scan, truth) = phantom();
    // Something bright that leans on the liver but is given as outside of it.
    let mut given = truth.map(|&label| u8::from(label > 0));
    given.data_mut().slice_axis_mut(Axis(2), Slice::from(..18)).fill(0);
    let request = Request { last: LastStage::Tumour, liver: Some(&given), probabilities: false };
    let labels = pipeline(pointwise).segment(&scan, &request, &Unwatched).unwrap().labels;
    for ((index, &label), (&given, &truth)) in labels.data().indexed_iter().zip(given.data().iter().zip(truth.data())) {
        assert_eq!(label, if given == 0 { 0 } else { truth }, "{index:?}");
    }
    assert!(labels.data().iter().any(|&label| label == 2));
}

#[test]
fn tumours_below_the_least_volume_are_left_out() {
    let (scan, truth) = phantom();
    let lesions = describe(&truth, &scan, LastStage::Tumour).unwrap().lesions;
    let least_volume_ml = (lesions[0].volume_ml + lesions[1].volume_ml) / 2.0;
    let stages = [localizer(), liver(), Stage { least_volume_ml, ..tumour() }];
    let mut found = pipeline_of(stages, pointwise).segment(&scan, &ALL, &Unwatched).unwrap().findings.lesions;
    found[0].confidence = None;
    assert_eq!(found, lesions[..1]);
}

/// Remembers what it is told; cancels after some steps.
#[derive(Default)]
struct Recorder {
    stages: Mutex<Vec<(StageName, usize)>>,
    steps: AtomicUsize,
    ends: AtomicUsize,
    cancel_after: Option<usize>,
}

impl Watch for Recorder {
    fn begin(&self, stage: StageName, steps: usize) {
        self.stages.lock().unwrap().push((stage, steps));
    }
    fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }
    fn end(&self) {
        self.ends.fetch_add(1, Ordering::Relaxed);
    }
    fn is_cancelled(&self) -> bool {
        self.cancel_after.is_some_and(|steps| self.steps.load(Ordering::Relaxed) >= steps)
    }
}

#[test]
fn the_watch_hears_of_every_stage_and_step() {
    let watch = Recorder::default();
    pipeline(pointwise).segment(&phantom().0, &ALL, &watch).unwrap();
    let stages = watch.stages.into_inner().unwrap();
    assert_eq!(stages.iter().map(|(stage, _)| *stage).collect::<Vec<_>>(), StageName::ALL);
    assert_eq!(stages[0].1, 24, "a step a slice");
    assert_eq!(watch.steps.into_inner(), stages.iter().map(|(_, steps)| steps).sum::<usize>());
    assert_eq!(watch.ends.into_inner(), 3);
}

#[test]
fn a_cancelled_case_ends_before_the_next_window() {
    for steps in [0, 8, 24, 25] {
        let watch = Recorder { cancel_after: Some(steps), ..Recorder::default() };
        let result = pipeline(pointwise).segment(&phantom().0, &ALL, &watch);
        assert!(matches!(result, Err(PipelineError::Cancelled)));
        assert_eq!(watch.steps.into_inner(), steps);
        assert_eq!(watch.ends.into_inner(), watch.stages.into_inner().unwrap().len());
    }
}

#[test]
fn a_given_liver_takes_the_place_of_the_first_two_stages() {
    let (scan, truth) = phantom();
    // Two parts, of which one would be too small to be a liver.
    let mut given = truth.map(|&label| label * 3);
    given.data_mut()[[0, 0, 0]] = 1;
    let watch = Recorder::default();
    let request = Request { last: LastStage::Tumour, liver: Some(&given), probabilities: false };
    let result = pipeline(pointwise).segment(&scan, &request, &watch).unwrap();
    assert_eq!(watch.stages.into_inner().unwrap().iter().map(|s| s.0).collect::<Vec<_>>(), [StageName::Tumour]);
    let mut expected = truth.clone();
    expected.data_mut()[[0, 0, 0]] = 1;
    assert_eq!(result.labels, expected);

    let request = Request { last: LastStage::Liver, liver: Some(&given), probabilities: false };
    let result = pipeline(pointwise).segment(&scan, &request, &Unwatched).unwrap();
    assert_eq!((result.findings.outcome, result.seconds.len()), (Outcome::LiverOnly, 0));
}

#[test]
fn a_given_liver_of_a_stored_order_is_understood() {
    let (scan, truth) = phantom();
    let (source, flipped) = ([2, 0, 1], [true, false, true]);
    let (scan, truth) = (stored(&scan, source, flipped), stored(&truth, source, flipped));
    let request = Request { last: LastStage::Tumour, liver: Some(&truth), probabilities: false };
    assert_eq!(pipeline(pointwise).segment(&scan, &request, &Unwatched).unwrap().labels, truth);
}

#[test]
fn probabilities_and_confidences_are_those_of_the_network_in_any_stored_order() {
    let (scan, truth) = phantom();
    let (source, flipped) = ([2, 0, 1], [true, false, true]);
    let turned = stored(&scan, source, flipped);
    let request = Request { probabilities: true, ..ALL };
    let run = |scan: &Volume<i16>| pipeline(pointwise).segment(scan, &request, &Unwatched).unwrap();
    let (here, there) = (run(&scan), run(&turned));
    let (liver, tumour) = (here.probabilities.liver.unwrap(), here.probabilities.tumour.unwrap());
    assert_eq!(there.probabilities.liver, Some(stored(&liver, source, flipped)));
    assert_eq!(there.probabilities.tumour, Some(stored(&tumour, source, flipped)));
    let confidence = |found: &hepar_pipeline::Findings| found.lesions.iter().map(|l| l.confidence).collect::<Vec<_>>();
    assert_eq!(confidence(&there.findings), confidence(&here.findings));
    for (index, &label) in truth.data().indexed_iter() {
        let (liver, tumour) = (liver.data()[index], tumour.data()[index]);
        let thresholds = [crate::fakes::liver().threshold, crate::fakes::tumour().threshold].map(|t| (255.0 * t) as u8);
        assert_eq!((liver > thresholds[0], tumour > thresholds[1]), (label >= 1, label == 2), "{index:?}");
        assert!(label > 0 || tumour == 0, "outside of the liver there is no tumour");
    }
    let (truth, tumour) = (truth.data(), tumour.data());
    let within = || truth.iter().zip(tumour).filter(|(label, _)| **label == 2);
    let (sum, count) = (within().map(|(_, &p)| f64::from(p) / 255.0).sum::<f64>(), within().count() as f64);
    let weighted: f64 = here.findings.lesions.iter().map(|l| l.confidence.unwrap() * l.voxels as f64).sum();
    // Confidences have three decimals.
    assert!((weighted / count - sum / count).abs() < 5.1e-4);
}

#[test]
fn a_stage_that_is_relative_to_the_liver_finds_the_same_in_a_brighter_scan() {
    let (scan, truth) = phantom();
    let brighter = scan.map(|&hu| hu + 70);
    let plain = || [localizer(), liver(), tumour()];
    let relative = || plain().map(|stage| Stage { liver_hu: Some(f32::from(LIVER)), ..stage });
    let labels = |stages: [Stage; 3], scan: &Volume<i16>| {
        pipeline_of(stages, pointwise).segment(scan, &ALL, &Unwatched).unwrap().labels
    };
    assert_eq!(labels(relative(), &scan), truth);
    assert_eq!(labels(relative(), &brighter), truth);
    assert_ne!(labels(plain(), &brighter), truth, "what is brighter passes as a tumour");
    let given = Request { liver: Some(&truth), ..ALL };
    let found = pipeline_of(relative(), pointwise).segment(&brighter, &given, &Unwatched).unwrap();
    assert_eq!(found.labels, truth);
}

#[test]
fn what_was_not_looked_for_has_no_probability_and_what_is_nowhere_has_0() {
    let (scan, truth) = phantom();
    let request = Request { last: LastStage::Liver, liver: None, probabilities: true };
    let found = pipeline(pointwise).segment(&scan, &request, &Unwatched).unwrap().probabilities;
    assert!(found.liver.is_some() && found.tumour.is_none());
    let request = Request { last: LastStage::Tumour, liver: Some(&truth), probabilities: true };
    let found = pipeline(pointwise).segment(&scan, &request, &Unwatched).unwrap().probabilities;
    assert!(found.liver.is_none() && found.tumour.is_some());
    let nothing = scan.map(|_| -1000);
    let found = pipeline(pointwise).segment(&nothing, &Request { probabilities: true, ..ALL }, &Unwatched).unwrap();
    assert_eq!(found.findings.outcome, Outcome::NoLiver);
    let empty = Some(Volume::filled(scan.geometry().clone(), 0));
    assert_eq!((found.probabilities.liver, found.probabilities.tumour), (empty.clone(), empty));
}

#[test]
fn an_empty_given_liver_is_no_liver() {
    let (scan, truth) = phantom();
    let given = truth.map(|_| 0);
    let request = Request { last: LastStage::Tumour, liver: Some(&given), probabilities: false };
    let result = pipeline(pointwise).segment(&scan, &request, &Unwatched).unwrap();
    assert_eq!(result.findings.outcome, Outcome::NoLiver);
}

#[test]
fn a_given_liver_of_another_grid_is_refused_with_the_difference() {
    let (scan, truth) = phantom();
    let refusal = |geometry: Geometry| {
        let given = Volume::filled(geometry, 1);
        let request = Request { last: LastStage::Tumour, liver: Some(&given), probabilities: false };
        let error = pipeline(pointwise).segment(&scan, &request, &Unwatched).unwrap_err();
        std::error::Error::source(&error).unwrap().to_string()
    };
    assert!(refusal(canonical([3, 4, 5], [1.0; 3])).contains("[3, 4, 5]"));
    let mut affine = *truth.geometry().affine();
    affine[1][3] += 4.0;
    assert!(refusal(Geometry::new(affine, truth.shape()).unwrap()).contains("up to 4.00 mm"));
}

#[test]
fn an_engine_that_fails_names_its_stage() {
    let short = |input: ndarray::ArrayView5<'_, f32>| ndarray::Array5::zeros((input.dim().0, 1, 1, 1, 1));
    let error = pipeline(short).segment(&phantom().0, &ALL, &Unwatched).unwrap_err();
    assert_eq!(error.to_string(), "the localizer network did not run");
    let nan = |input: ndarray::ArrayView5<'_, f32>| input.map(|_| f32::NAN);
    let error = pipeline(nan).segment(&phantom().0, &ALL, &Unwatched).unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("no numbers"), "{error}");
}

#[test]
fn a_scan_of_kilometres_is_refused_before_memory_runs_out() {
    let geometry = canonical([4, 40, 40], [3.0, 20_000.0, 20_000.0]);
    let (scan, liver) = (Volume::filled(geometry.clone(), 100), Volume::filled(geometry, 1));
    let stages =
        [localizer(), crate::fakes::liver(), Stage { grid: Grid::Spacing { mm: [2.0, 1.0, 1.0] }, ..tumour() }];
    let request = Request { last: LastStage::Tumour, liver: Some(&liver), probabilities: false };
    let error = pipeline_of(stages, pointwise).segment(&scan, &request, &Unwatched).unwrap_err();
    assert!(error.to_string().contains("voxel spacing right?"), "{error}");
}

#[test]
fn a_scan_of_kilometres_is_refused_by_the_localizer_too() {
    for spacing in [[3.0, 20_000.0, 20_000.0], [20_000_000.0, 1.0, 1.0]] {
        let scan = Volume::filled(canonical([4, 40, 40], spacing), 100i16);
        let stages = [Stage { grid: Grid::Spacing { mm: [2.0, 1.0, 1.0] }, ..localizer() }, liver(), tumour()];
        let error = pipeline_of(stages, pointwise).segment(&scan, &ALL, &Unwatched).unwrap_err();
        assert!(error.to_string().starts_with("the localizer network would have to look at"), "{error}");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let (scan, _) = phantom();
    let stages = || [localizer(), Stage { grid: Grid::Spacing { mm: [2.0, 1.3, 1.1] }, ..liver() }, tumour()];
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| pipeline_of(stages(), asymmetric).segment(&scan, &ALL, &Unwatched).unwrap().labels)
    };
    assert_eq!(with(1), with(3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_shape_spacing_or_grid_makes_it_panic(
        shape in prop::array::uniform3(1..40usize),
        spacing in prop::array::uniform3(0.3..12.0f64),
        kind in 0..3,
        size in prop::array::uniform2(1..50usize),
        mm in prop::array::uniform3(0.7..6.0f64),
        seed in 1..1000usize,
    ) {
        let grid = match kind {
            0 => Grid::Native,
            1 => Grid::ResizedInPlane { size },
            _ => Grid::Spacing { mm },
        };
        let value = |[k, j, i]: [usize; 3]| ((k * 7 + j * 3 + i * seed) % 401) as i16 - 150;
        let scan = Volume::from_fn(canonical(shape, spacing), value);
        let stages = [localizer(), liver(), tumour()].map(|stage| Stage { grid, ..stage });
        let result = pipeline_of(stages, asymmetric).segment(&scan, &ALL, &Unwatched).unwrap();
        prop_assert_eq!(result.labels.geometry(), scan.geometry());
        prop_assert!(result.labels.data().iter().all(|&label| label <= 2));
    }
}

/// Makes pointwise networks of any weights.
#[derive(Debug)]
struct FakeEngine;

impl Engine for FakeEngine {
    fn name(&self) -> String {
        "fake".into()
    }
    fn load(&self, weights: &Weights) -> Result<Box<dyn Network>, EngineError> {
        Ok(Box::new(Fake::new(weights.config().dimensions, pointwise)))
    }
}

#[test]
fn a_pipeline_is_loaded_from_a_bundle() {
    let bytes = |dimensions| {
        let config = NetworkConfig::new(dimensions, [4; 6]).unwrap();
        generated(config).to_safetensors(Precision::Full).unwrap()
    };
    let (planar, spatial) = (bytes(Dimensions::Planar), bytes(Dimensions::Spatial));
    let stage = |name: &str, network: &str, bytes: &[u8], grid: &str, patch: &str, threshold: f32| {
        format!(
            "[{name}]\nnetwork = '{network}'\nwidths = [4, 4, 4, 4, 4, 4]\nweights = '{network}'\nsha256 = '{}'\n\
             window = [-100.0, 200.0]\ngrid = {grid}\npatch = {patch}\noverlap = [0.0, 0.0, 0.0]\n\
             threshold = {threshold:?}\nleast_volume_ml = 0.0\n\
             margin = {{ in_plane_voxels = 10, through_plane_mm = 20.0 }}\n",
            sha256(bytes)
        )
    };
    let card = [
        "schema = 1\nname = 'test'\nversion = '1'\ndescription = ''\nlicence = ''\n\
         [training]\ndata = ''\nmethod = ''\n"
            .to_owned(),
        stage("localizer", "ra-unet-i", &planar, "{ kind = 'resized-in-plane', size = [64, 64] }", "[1, 64, 64]", 0.4),
        stage("liver", "ra-unet-ii", &spatial, "{ kind = 'native' }", "[32, 32, 32]", 0.5),
        stage("tumour", "ra-unet-ii", &spatial, "{ kind = 'native' }", "[32, 32, 32]", 0.8),
    ];
    let bundle = Bundle::from_memory(&card.concat(), &[("ra-unet-i", &planar), ("ra-unet-ii", &spatial)]).unwrap();
    let (scan, truth) = phantom();
    let result = Pipeline::load(&bundle, &FakeEngine).unwrap().segment(&scan, &ALL, &Unwatched).unwrap();
    assert_eq!(result.labels, truth);
}
