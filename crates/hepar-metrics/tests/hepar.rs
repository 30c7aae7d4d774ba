//! hepar's own protocol.

use hepar_metrics::protocol::hepar::{Detection, Hepar};
use hepar_metrics::{Figure, Masks, totals};
use hepar_volume::Geometry;
use ndarray::Array3;
use proptest::prelude::*;

fn geometry(shape: (usize, usize, usize)) -> Geometry {
    Geometry::axis_aligned([shape.0, shape.1, shape.2], [10.0; 3]).unwrap()
}

/// Labels along one axis, voxels of 1 ml: liver everywhere, lesions where they are said to be.
fn labels(length: usize, lesions: &[(usize, usize)]) -> Array3<u8> {
    Array3::from_shape_fn(
        (1, 1, length),
        |(_, _, i)| if lesions.iter().any(|l| (l.0..l.1).contains(&i)) { 2 } else { 1 },
    )
}

fn score(prediction: &Array3<u8>, reference: &Array3<u8>) -> Hepar {
    Hepar::of(prediction.view(), reference.view(), &geometry(reference.dim())).unwrap()
}

fn value(figures: &[Figure], path: &str) -> Option<f64> {
    figures.iter().find(|figure| figure.path == path).unwrap_or_else(|| panic!("no {path}")).value()
}

fn found(tp: u64, fp: u64, fn_: u64) -> Detection {
    Detection { tp, fp, fn_ }
}

#[test]
fn a_prediction_is_matched_with_one_reference_alone() {
    let scores = score(&labels(30, &[(1, 6)]), &labels(30, &[(1, 2), (3, 4), (5, 6)]));
    assert_eq!(scores.detection, [found(1, 0, 2), found(0, 1, 3)]);
    assert_eq!(scores.pairs[0].iou(), 0.2);
}

#[test]
fn a_lower_single_overlap_is_taken_where_more_is_shared_in_all() {
    // The first prediction shares 5 with the first reference and 4 with the second, the second prediction 2 with the
    // first: 4 + 2 is more than 5.
    let reference = labels(40, &[(3, 10), (12, 20)]);
    let prediction = labels(40, &[(1, 5), (5, 16)]);
    // Side by side they are one component, so a gap is needed.
    let prediction = {
        let mut p = prediction;
        p[[0, 0, 5]] = 1;
        p
    };
    let scores = score(&prediction, &reference);
    let pairs: Vec<_> = scores.pairs.iter().map(|pair| (pair.predicted, pair.reference)).collect();
    assert_eq!(pairs, [(0, 0), (1, 1)]);
    assert_eq!(scores.detection[0], found(2, 0, 0));
}

#[test]
fn lesions_are_classed_by_volume_and_diameter() {
    // 1 ml and 10 mm long (its diagonal is longer), 4 ml, 7 ml.
    let scores = score(&labels(40, &[(0, 4), (20, 21)]), &labels(40, &[(0, 4), (10, 11), (30, 37)]));
    let figures = scores.figures();
    let of = |class: &str, name: &str| value(&figures, &format!("by_size/{class}/{name}")).unwrap();
    assert_eq!(
        (of("1_to_5_ml", "reference"), of("1_to_5_ml", "found"), of("1_to_5_ml", "false_positives")),
        (2.0, 1.0, 1.0)
    );
    assert_eq!((of("above_5_ml", "reference"), of("above_5_ml", "recall")), (1.0, 0.0));
    assert_eq!(scores.reference.iter().map(|lesion| lesion.voxels).collect::<Vec<_>>(), [7, 4, 1]);
    assert!((scores.reference[2].long_axis_mm - 200f64.sqrt()).abs() < 1e-9);
    assert!((value(&figures, "detection/0/f1").unwrap() - 0.4).abs() < 1e-12);
}

#[test]
fn what_is_empty_is_defined_or_called_undefined() {
    let (liver, none, lesion) = (labels(9, &[]), Array3::zeros((1, 1, 9)), labels(9, &[(3, 5)]));
    let both = score(&liver, &liver).figures();
    assert_eq!(
        (value(&both, "tumour/dice"), value(&both, "tumour/voe"), value(&both, "lesion/dice_per_case")),
        (Some(1.0), Some(0.0), Some(1.0))
    );
    for path in [
        "tumour/rvd",
        "tumour/assd",
        "tumour/hd95",
        "tumour/nsd_1mm",
        "lesion/dice",
        "detection/0/f1",
        "detection/0.5/recall",
    ] {
        assert_eq!(value(&both, path), None, "{path}");
    }
    let missed = score(&liver, &lesion).figures();
    assert_eq!(
        (value(&missed, "tumour/dice"), value(&missed, "tumour/rvd"), value(&missed, "tumour/nsd_1mm")),
        (Some(0.0), Some(-1.0), Some(0.0))
    );
    assert_eq!(
        (value(&missed, "tumour/assd"), value(&missed, "detection/0/recall"), value(&missed, "detection/0/precision")),
        (None, Some(0.0), None)
    );
    let invented = score(&lesion, &liver).figures();
    assert_eq!((value(&invented, "tumour/dice"), value(&invented, "tumour/rvd")), (Some(0.0), None));
    assert_eq!(
        (value(&invented, "detection/0/precision"), value(&invented, "burden/error")),
        (Some(0.0), Some(2.0 / 9.0))
    );
    let nothing = score(&none, &lesion).figures();
    assert_eq!(
        (value(&nothing, "liver/dice"), value(&nothing, "burden/prediction"), value(&nothing, "burden/error")),
        (Some(0.0), None, None)
    );
    let neither = score(&none, &none).figures();
    assert_eq!((value(&neither, "liver/dice"), value(&neither, "liver/msd")), (Some(1.0), None));
    // Undefined figures take no part in means.
    let all = totals(&[both, missed]);
    assert_eq!((value(&all, "tumour/dice"), value(&all, "tumour/rvd")), (Some(0.5), Some(-1.0)));
}

#[test]
fn distances_on_a_sheared_grid_are_undefined_not_wrong() {
    // Slices that slide over each other as those of a tilted gantry, and by less than can be seen.
    let figures = |slide: f64| {
        let affine = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, slide, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        let (prediction, reference) = (labels(12, &[(0, 4)]), labels(12, &[(0, 6)]));
        let geometry = Geometry::new(affine, [1, 1, 12]).unwrap();
        Hepar::of(prediction.view(), reference.view(), &geometry).unwrap().figures()
    };
    let (sheared, right) = (figures(0.3), figures(1e-4));
    for path in ["liver/assd", "tumour/hd95", "tumour/nsd_2mm", "lesion/msd", "lesion/nsd_1mm"] {
        assert_eq!(value(&sheared, path), None, "{path}");
        assert!(value(&right, path).is_some(), "{path}");
    }
    assert_eq!(value(&sheared, "tumour/dice"), value(&right, "tumour/dice"));
}

#[test]
fn the_error_of_the_burden_has_no_sign() {
    let (less, more) = (labels(10, &[(0, 1)]), labels(10, &[(0, 3)]));
    let all = totals(&[score(&less, &more).figures(), score(&more, &less).figures()]);
    assert!((value(&all, "burden/error").unwrap() - 0.2).abs() < 1e-12);
    assert!((value(&all, "burden/max").unwrap() - 0.2).abs() < 1e-12);
}

prop_compose! {
    fn volume()(
        voxels in prop::collection::vec(prop_oneof![3 => Just(0u8), 2 => Just(1), 2 => Just(2)], 5 * 6 * 7),
    ) -> Array3<u8> {
        Array3::from_shape_vec((5, 6, 7), voxels).unwrap()
    }
}

/// Figures that do not depend on which of two volumes is the reference.
const SYMMETRIC: [&str; 9] = [
    "liver/dice",
    "liver/voe",
    "liver/assd",
    "liver/rmsd",
    "liver/msd",
    "liver/hd95",
    "liver/nsd_1mm",
    "tumour/assd",
    "detection/0.5/tp",
];

proptest! {
    #[test]
    fn scores_are_symmetric_where_they_should_be(a in volume(), b in volume()) {
        let (ab, ba) = (score(&a, &b).figures(), score(&b, &a).figures());
        for path in SYMMETRIC {
            match (value(&ab, path), value(&ba, path)) {
                (Some(x), Some(y)) => prop_assert!((x - y).abs() < 1e-9, "{} {} {}", path, x, y),
                (x, y) => prop_assert_eq!(x, y),
            }
        }
    }

    #[test]
    fn a_volume_agrees_with_itself(a in volume()) {
        let figures = score(&a, &a).figures();
        for (path, best) in [("liver/dice", 1.0), ("liver/voe", 0.0), ("tumour/dice", 1.0)] {
            prop_assert_eq!(value(&figures, path), Some(best));
        }
        let perhaps = [("liver/msd", 0.0), ("liver/rvd", 0.0), ("tumour/nsd_1mm", 1.0), ("detection/0.5/f1", 1.0)];
        for (path, best) in perhaps {
            prop_assert!(value(&figures, path).is_none_or(|value| value == best), "{}", path);
        }
    }

    #[test]
    fn moving_both_changes_nothing(a in volume(), b in volume(), by in prop::array::uniform3(0..4usize)) {
        let moved = |labels: &Array3<u8>| {
            let mut moved = Array3::zeros((9, 10, 11));
            let corner = |axis: usize, length: usize| by[axis]..by[axis] + length;
            let part = [corner(0, 5), corner(1, 6), corner(2, 7)];
            let cut = |axis: ndarray::AxisDescription| ndarray::Slice::from(part[axis.axis.index()].clone());
            moved.slice_each_axis_mut(cut).assign(labels);
            moved
        };
        prop_assert_eq!(score(&moved(&a), &moved(&b)).figures(), score(&a, &b).figures());
    }

    #[test]
    fn distances_grow_with_the_spacing(a in volume(), b in volume(), factor in 0.1..9.0f64) {
        let masks = |spacing: f64| {
            let spacing = [2.0 * spacing, spacing, 0.5 * spacing];
            Masks::of(a.view(), b.view(), spacing, |l| l >= 1, |l| l >= 1).unwrap().surface_distances()
        };
        let (Some(one), Some(other)) = (masks(1.0), masks(factor)) else { return Ok(()) };
        let means = [(one.assd(), other.assd()), (one.rmsd(), other.rmsd())];
        let extremes = [(one.msd(), other.msd()), (one.hd95(), other.hd95())];
        for (one, other) in means.into_iter().chain(extremes) {
            prop_assert!((other - factor * one).abs() < 1e-9 * (1.0 + other));
        }
    }
}
