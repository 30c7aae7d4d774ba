//! The figures of hepar's protocol by their places in the JSON layout.

use crate::figure::{Figure, Fold, Scope};
use crate::object::{DistanceScores, ObjectScores};

use super::{Detection, Hepar, LesionPair, SIZE_CLASSES, THRESHOLDS};

/// Paths of the figures of one object, in the order of [`object`].
type ObjectPaths = [&'static str; 14];

macro_rules! object_paths {
    ($name:literal) => {
        [
            concat!($name, "/dice"),
            concat!($name, "/jaccard"),
            concat!($name, "/voe"),
            concat!($name, "/rvd"),
            concat!($name, "/assd"),
            concat!($name, "/rmsd"),
            concat!($name, "/msd"),
            concat!($name, "/hd95"),
            concat!($name, "/nsd_1mm"),
            concat!($name, "/nsd_2mm"),
            concat!($name, "/nsd_3mm"),
            concat!($name, "/predicted_ml"),
            concat!($name, "/reference_ml"),
            concat!($name, "/difference_ml"),
        ]
    };
}

macro_rules! size_paths {
    ($name:literal) => {
        [
            concat!("by_size/", $name, "/reference"),
            concat!("by_size/", $name, "/predicted"),
            concat!("by_size/", $name, "/found"),
            concat!("by_size/", $name, "/found_at_half"),
            concat!("by_size/", $name, "/false_positives"),
            concat!("by_size/", $name, "/recall"),
            concat!("by_size/", $name, "/recall_at_half"),
        ]
    };
}

macro_rules! detection_paths {
    ($name:literal) => {
        [
            concat!("detection/", $name, "/tp"),
            concat!("detection/", $name, "/fp"),
            concat!("detection/", $name, "/fn"),
            concat!("detection/", $name, "/precision"),
            concat!("detection/", $name, "/recall"),
            concat!("detection/", $name, "/f1"),
        ]
    };
}

/// Paths of the classes by size, as [`SIZE_CLASSES`].
const SIZES: [[&str; 7]; 6] = [
    size_paths!("below_1_ml"),
    size_paths!("1_to_5_ml"),
    size_paths!("above_5_ml"),
    size_paths!("below_10_mm"),
    size_paths!("10_to_20_mm"),
    size_paths!("above_20_mm"),
];

/// All figures of a case.
pub(super) fn of(scores: &Hepar) -> Vec<Figure> {
    let mut figures = object(object_paths!("liver"), &scores.liver);
    figures.push(Figure::per_case("liver/dice_per_case", scores.liver.overlap.dice()).shown(Scope::Total));
    figures.push(global("liver/dice_global", &scores.liver));
    figures.push(Figure::per_case("lesion/dice_per_case", scores.tumour.overlap.dice()));
    figures.push(global("lesion/dice_global", &scores.tumour));
    figures.extend(lesions(scores));
    figures.extend(object(object_paths!("tumour"), &scores.tumour));
    figures.extend(detection(detection_paths!("0"), &scores.detection[0]));
    figures.extend(detection(detection_paths!("0.5"), &scores.detection[1]));
    figures.extend(by_size(scores));
    figures.extend(burden(scores));
    figures
}

fn object(paths: ObjectPaths, scores: &ObjectScores) -> Vec<Figure> {
    let distance = |value: fn(&DistanceScores) -> f64| scores.distances.as_ref().map(value);
    let share = |n: usize| scores.surface_dice.map(|shares| shares[n]);
    let values = [
        Some(scores.overlap.dice()),
        Some(scores.overlap.jaccard()),
        Some(scores.overlap.voe()),
        scores.overlap.rvd(),
        distance(|d| d.assd),
        distance(|d| d.rmsd),
        distance(|d| d.msd),
        distance(|d| d.hd95),
        share(0),
        share(1),
        share(2),
        Some(scores.predicted_ml()),
        Some(scores.reference_ml()),
        Some(scores.difference_ml()),
    ];
    paths.into_iter().zip(values).map(|(path, value)| Figure::per_case(path, value)).collect()
}

fn global(path: &'static str, scores: &ObjectScores) -> Figure {
    let overlap = scores.overlap;
    let sum = (overlap.predicted + overlap.reference) as f64;
    Figure::ratio(path, 2.0 * overlap.shared as f64, sum).shown(Scope::Total)
}

/// Means over the pairs that are found at 0.5.
fn lesions(scores: &Hepar) -> Vec<Figure> {
    let found = || scores.pairs.iter().filter(|pair| pair.is_found(THRESHOLDS[1]));
    let pooled = |path, value: fn(&LesionPair) -> Option<f64>| Figure::pooled(path, found().filter_map(value));
    vec![
        pooled("lesion/dice", |pair| Some(pair.scores.overlap.dice())),
        pooled("lesion/jaccard", |pair| Some(pair.iou())),
        pooled("lesion/voe", |pair| Some(pair.scores.overlap.voe())),
        pooled("lesion/rvd", |pair| pair.scores.overlap.rvd()),
        pooled("lesion/assd", |pair| pair.scores.distances.map(|d| d.assd)),
        pooled("lesion/rmsd", |pair| pair.scores.distances.map(|d| d.rmsd)),
        pooled("lesion/msd", |pair| pair.scores.distances.map(|d| d.msd)),
        pooled("lesion/hd95", |pair| pair.scores.distances.map(|d| d.hd95)),
        pooled("lesion/nsd_1mm", |pair| pair.scores.surface_dice.map(|shares| shares[0])),
        pooled("lesion/nsd_2mm", |pair| pair.scores.surface_dice.map(|shares| shares[1])),
        pooled("lesion/nsd_3mm", |pair| pair.scores.surface_dice.map(|shares| shares[2])),
        Figure::count("lesion/objects", found().count() as f64),
        Figure::count("lesion/predicted", scores.predicted.len() as f64),
        Figure::count("lesion/reference", scores.reference.len() as f64),
    ]
}

fn detection(paths: [&'static str; 6], found: &Detection) -> [Figure; 6] {
    let (tp, fp, fn_) = (found.tp as f64, found.fp as f64, found.fn_ as f64);
    [
        Figure::count(paths[0], tp),
        Figure::count(paths[1], fp),
        Figure::count(paths[2], fn_),
        Figure::ratio(paths[3], tp, tp + fp),
        Figure::ratio(paths[4], tp, tp + fn_),
        Figure::ratio(paths[5], 2.0 * tp, 2.0 * tp + fp + fn_),
    ]
}

/// Detection of the reference's lesions of each class, and the predicted ones of it that are matched with none.
fn by_size(scores: &Hepar) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (class, paths) in SIZE_CLASSES.into_iter().zip(SIZES) {
        let reference = scores.reference.iter().filter(|lesion| class.holds(lesion)).count() as f64;
        let predicted = scores.predicted.iter().filter(|lesion| class.holds(lesion)).count() as f64;
        let found = |threshold: f64| {
            let pairs = scores.pairs.iter().filter(|pair| pair.is_found(threshold));
            pairs.filter(|pair| class.holds(&scores.reference[pair.reference])).count() as f64
        };
        let matched = scores.pairs.iter().filter(|pair| class.holds(&scores.predicted[pair.predicted])).count() as f64;
        let (any, half) = (found(THRESHOLDS[0]), found(THRESHOLDS[1]));
        figures.extend([
            Figure::count(paths[0], reference),
            Figure::count(paths[1], predicted),
            Figure::count(paths[2], any),
            Figure::count(paths[3], half),
            Figure::count(paths[4], predicted - matched),
            Figure::ratio(paths[5], any, reference).shown(Scope::Total),
            Figure::ratio(paths[6], half, reference).shown(Scope::Total),
        ]);
    }
    figures
}

/// The tumour burden and its unsigned error.
fn burden(scores: &Hepar) -> Vec<Figure> {
    let (predicted, reference) = (scores.predicted_burden(), scores.reference_burden());
    let error = predicted.zip(reference).map(|(predicted, reference)| (predicted - reference).abs());
    let squared = error.map(|error| error * error);
    vec![
        Figure::per_case("burden/prediction", predicted).shown(Scope::Case),
        Figure::per_case("burden/reference", reference).shown(Scope::Case),
        Figure::per_case("burden/error", error),
        Figure::per_case("burden/rmse", squared).folded(Fold::RootMean).shown(Scope::Total),
        Figure::per_case("burden/max", error).folded(Fold::Greatest).shown(Scope::Total),
    ]
}
