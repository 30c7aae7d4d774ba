//! The oddities of the challenge's scorer, each by a case that shows it.

use hepar_metrics::protocol::lits2017::{Detection, LARGE, Lits2017, Lits2017Error, Seven};
use hepar_metrics::{Figure, totals};
use ndarray::Array3;

/// Labels along one axis: liver everywhere, lesions where they are said to be.
fn labels(length: usize, lesions: &[(usize, usize)]) -> Array3<u8> {
    Array3::from_shape_fn(
        (1, 1, length),
        |(_, _, i)| if lesions.iter().any(|l| (l.0..l.1).contains(&i)) { 2 } else { 1 },
    )
}

fn score(prediction: &Array3<u8>, reference: &Array3<u8>) -> Lits2017 {
    Lits2017::of(prediction.view(), reference.view(), [1.0; 3]).unwrap()
}

fn found(tp: i64, fp: i64, fn_: i64) -> Detection {
    Detection { tp, fp, fn_ }
}

/// Lesions of two voxels from `start` on, four apart.
fn row(start: usize, count: usize) -> Vec<(usize, usize)> {
    (0..count).map(|n| (start + 4 * n, start + 4 * n + 2)).collect()
}

#[test]
fn one_prediction_over_three_references_takes_away_more_than_it_gave() {
    let (reference, prediction) = (labels(30, &[(1, 2), (3, 4), (5, 6)]), labels(30, &[(0, 20)]));
    let scores = score(&prediction, &reference);
    assert_eq!(scores.detection, [found(1, 0, 2), found(-2, 3, 5)]);
    assert!(scores.lesions.is_empty());
}

#[test]
fn one_prediction_that_covers_three_references_well_is_one() {
    let scores = score(&labels(30, &[(1, 6)]), &labels(30, &[(1, 2), (3, 4), (5, 6)]));
    assert_eq!(scores.detection, [found(1, 0, 2), found(1, 0, 2)]);
    assert_eq!(scores.lesions.len(), 1);
    assert_eq!(scores.lesions[0].dice, 6.0 / 8.0);
    assert_eq!(scores.lesions[0].rvd, 2.0 / 3.0);
}

#[test]
fn two_predictions_in_one_reference_are_one_found_and_one_false() {
    let scores = score(&labels(30, &[(1, 4), (5, 8)]), &labels(30, &[(1, 8)]));
    assert_eq!(scores.detection, [found(1, 1, 0), found(1, 1, 0)]);
    assert_eq!(scores.lesions[0].dice, 12.0 / 13.0);
}

#[test]
fn lesions_that_are_well_found_can_vanish_behind_a_bad_group() {
    let with = |wells: usize| {
        let (mut reference, mut prediction) = (row(0, wells), row(0, wells));
        reference.extend([(31, 32), (33, 34), (35, 36)]);
        prediction.push((30, 50));
        score(&labels(60, &prediction), &labels(60, &reference))
    };
    let two = with(2);
    assert_eq!(two.detection[1], found(0, 3, 5));
    assert!(two.lesions.is_empty(), "the two perfect ones do not count");
    let four = with(4);
    assert_eq!(four.detection[1], found(2, 3, 5));
    assert_eq!(four.lesions.len(), 4);
    assert!(four.lesions.iter().all(|lesion| lesion.dice == 1.0));
}

#[test]
fn an_unrelated_false_positive_early_in_the_array_changes_what_is_found() {
    let (reference, without) = (labels(40, &row(10, 2)), labels(40, &row(10, 2)));
    assert_eq!(score(&without, &reference).detection[1], found(2, 0, 0));
    let with = labels(40, &[vec![(0, 1)], row(10, 2)].concat());
    // Each prediction is now measured with the voxels of the group of its own number, which is another's.
    assert_eq!(score(&with, &reference).detection, [found(2, 1, 0), found(1, 2, 1)]);
}

#[test]
fn components_are_numbered_along_the_third_stored_axis_first() {
    // i, j, k of the file; k runs fastest. Both volumes have the same lesions; the false positive is first in one order
    // and last in the other.
    let lesion = |shape: (usize, usize, usize), at: &[[usize; 3]]| {
        Array3::from_shape_fn(shape, |(k, j, i)| if at.contains(&[k, j, i]) { 2 } else { 1u8 })
    };
    let pairs = [[8, 0, 2], [8, 0, 4]];
    let reference = lesion((9, 1, 9), &pairs);
    let early_in_i = lesion((9, 1, 9), &[&pairs[..], &[[8, 0, 0]]].concat());
    let late_in_i = lesion((9, 1, 9), &[&pairs[..], &[[0, 0, 6]]].concat());
    assert_eq!(score(&early_in_i, &reference).detection[1].tp, 1);
    // First in memory order, which the scorer does not follow.
    assert_eq!(score(&late_in_i, &reference).detection[1].tp, 2);
}

#[test]
fn lesions_that_share_an_edge_are_two() {
    let mut reference = Array3::from_elem((1, 4, 4), 1u8);
    reference[[0, 1, 1]] = 2;
    reference[[0, 2, 2]] = 2;
    assert_eq!(score(&reference, &reference).detection[1], found(2, 0, 0));
}

#[test]
fn a_prediction_without_a_voxel_of_liver_alone_is_missing() {
    let reference = labels(10, &[(2, 4)]);
    let mut prediction = Array3::zeros((1, 1, 10));
    prediction[[0, 0, 2]] = 2;
    for prediction in [prediction, Array3::zeros((1, 1, 10))] {
        let scores = score(&prediction, &reference);
        assert_eq!(scores.liver, Seven::MISSING);
        assert_eq!((scores.predicted_burden, scores.reference_burden), (LARGE, 0.2));
        let all = totals(&[scores.figures(), score(&reference, &reference).figures()]);
        let value = |path: &str| all.iter().find(|figure| figure.path == path).and_then(Figure::value).unwrap();
        assert_eq!((value("liver/assd"), value("liver/dice_per_case")), (LARGE / 2.0, 0.5));
        // Nothing of the prediction counts: 2 · 10 of 30 voxels.
        assert_eq!(value("liver/dice_global"), 20.0 / 30.0);
        assert_eq!(value("burden/max"), 0.0);
        assert!((value("burden/rmse") - ((LARGE - 0.2).powi(2) / 2.0).sqrt()).abs() < 1e-9);
    }
}

#[test]
fn without_lesions_anywhere_there_are_defaults() {
    let healthy = labels(10, &[]);
    let scores = score(&healthy, &healthy);
    assert_eq!(scores.detection, [found(0, 0, 0); 2]);
    let value =
        |path: &str| totals(&[scores.figures()]).iter().find(|f| f.path == path).and_then(Figure::value).unwrap();
    assert_eq!((value("lesion/dice_per_case"), value("lesion/dice_global"), value("lesion/dice")), (1.0, 0.0, 0.0));
    assert_eq!((value("lesion/voe"), value("lesion/rvd"), value("lesion/msd")), (1.0, LARGE, LARGE));
    assert_eq!((value("detection/0/precision"), value("detection/0.5/recall")), (0.0, 0.0));
}

#[test]
fn a_reference_without_lesions_makes_every_prediction_false() {
    let scores = score(&labels(20, &row(1, 3)), &labels(20, &[]));
    assert_eq!(scores.detection, [found(0, 3, 0); 2]);
    assert_eq!((scores.lesions.len(), scores.lesion_voxels.dice()), (0, 0.0));
}

#[test]
fn lesions_count_outside_the_liver_too() {
    let mut prediction = Array3::zeros((1, 1, 9));
    (prediction[[0, 0, 0]], prediction[[0, 0, 5]]) = (1, 2);
    let scores = score(&prediction, &prediction);
    assert_eq!((scores.detection[1], scores.lesions.len()), (found(1, 0, 0), 1));
}

#[test]
fn where_the_scorer_stops_is_said() {
    let (liver, empty) = (labels(10, &[]), Array3::zeros((1, 1, 10)));
    let of = |p: &Array3<u8>, r: &Array3<u8>| Lits2017::of(p.view(), r.view(), [1.0; 3]);
    assert_eq!(of(&liver, &empty), Err(Lits2017Error::NoLiver));
    let other = of(&labels(9, &[]), &liver).unwrap_err().to_string();
    assert!(other.contains("[1, 1, 9]") && other.contains("scorer stops here"), "{other}");
}
