//! The scores of the LiTS challenge of 2017, as its own scorer computes them, with its oddities.
//!
//! Everything happens on the arrays as they are stored. The liver is every label of 1 and above, a lesion label 2.
//! The scorer's arrays have the axes i, j, k with k fastest, which decides how components are numbered; the numbers
//! matter where predicted and reference lesions are brought together (`groups`).

mod groups;

use hepar_volume::Connectivity;
use ndarray::ArrayView3;

use crate::figure::{Figure, Fold, Scope};
use crate::lesions::{Lesions, masks_of, shared};
use crate::masks::{Masks, cut_background};
use crate::overlap::{Overlap, ShapeMismatch};

use groups::Matching;

/// What stands for infinity.
pub const LARGE: f64 = 9001.0;

/// Least IoU of a lesion that is found, at which detection is counted.
pub const THRESHOLDS: [f64; 2] = [0.0, 0.5];

/// Where the scorer stops with an error.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Lits2017Error {
    /// The arrays have different shapes.
    #[error("{0}; the challenge's scorer stops here, without results for any case")]
    Shape(#[from] ShapeMismatch),
    /// The reference has no liver.
    #[error(
        "the reference has no voxel of the liver, so that its tumour burden is a division by zero; the challenge's \
         scorer stops here, without results for any case"
    )]
    NoLiver,
}

/// The seven metrics of an object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seven {
    /// 2·|P∩R| / (|P| + |R|).
    pub dice: f64,
    /// D / (2 − D).
    pub jaccard: f64,
    /// 1 − Jaccard.
    pub voe: f64,
    /// (|P| − |R|) / |R|.
    pub rvd: f64,
    /// Mean distance of the surfaces, both directions together, in millimetres.
    pub assd: f64,
    /// Root mean square of the same.
    pub rmsd: f64,
    /// Maximum of the same.
    pub msd: f64,
}

/// Lesions found and not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detection {
    /// What the scorer takes for found lesions; may be negative.
    pub tp: i64,
    /// Predicted components less that.
    pub fp: i64,
    /// Reference components less that.
    pub fn_: i64,
}

/// The scores of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Lits2017 {
    /// The liver as one object.
    pub liver: Seven,
    /// Its voxels as they count in Dice global.
    pub liver_voxels: Overlap,
    /// The objects made of lesions; none when no lesion counts as found at 0.5.
    pub lesions: Vec<Seven>,
    /// The voxels of all lesions together.
    pub lesion_voxels: Overlap,
    /// Detection at [`THRESHOLDS`].
    pub detection: [Detection; 2],
    /// Tumour burden (voxels of label 2 over those of 1 and above) of the prediction; [`LARGE`] without a voxel of
    /// label 1.
    pub predicted_burden: f64,
    /// Tumour burden of the reference.
    pub reference_burden: f64,
}

impl Seven {
    /// The metrics of an object that is missing in the prediction or in the reference.
    pub const MISSING: Self =
        Self { dice: 0.0, jaccard: 0.0, voe: 1.0, rvd: LARGE, assd: LARGE, rmsd: LARGE, msd: LARGE };

    fn of(masks: &Masks) -> Self {
        let overlap = masks.overlap();
        let (Some(distances), Some(rvd)) = (masks.surface_distances(), overlap.rvd()) else { return Self::MISSING };
        let dice = overlap.dice();
        let jaccard = dice / (2.0 - dice);
        let (assd, rmsd, msd) = (distances.assd(), distances.rmsd(), distances.msd());
        Self { dice, jaccard, voe: 1.0 - jaccard, rvd, assd, rmsd, msd }
    }
}

impl Lits2017 {
    /// The scores of labels as they are stored, `[k, j, i]`; `spacing` in millimetres along these, from the reference's
    /// header (`pixdim`).
    ///
    /// # Errors
    /// Where the scorer stops with an error: the shapes differ, or the reference has no liver.
    pub fn of(
        prediction: ArrayView3<'_, u8>,
        reference: ArrayView3<'_, u8>,
        spacing: [f64; 3],
    ) -> Result<Self, Lits2017Error> {
        let [prediction, reference] = cut_background(prediction, reference)?;
        let mask = |belongs: fn(u8) -> bool| Masks::of(prediction, reference, spacing, belongs, belongs);
        let liver = mask(|label| label >= 1)?;
        let mut liver_voxels = liver.overlap();
        if liver_voxels.reference == 0 {
            return Err(Lits2017Error::NoLiver);
        }
        let lesion = mask(|label| label == 2)?;
        let lesion_voxels = lesion.overlap();
        let burden = |lesion: u64, liver: u64| lesion as f64 / liver as f64;
        let reference_burden = burden(lesion_voxels.reference, liver_voxels.reference);
        let mut predicted_burden = burden(lesion_voxels.predicted, liver_voxels.predicted);
        let has_liver = prediction.iter().any(|&label| label == 1);
        let liver = if has_liver {
            Seven::of(&liver)
        } else {
            predicted_burden = LARGE;
            liver_voxels = Overlap { predicted: 0, shared: 0, ..liver_voxels };
            Seven::MISSING
        };
        let (detection, lesions) = score_lesions(&lesion, spacing);
        Ok(Self { liver, liver_voxels, lesions, lesion_voxels, detection, predicted_burden, reference_burden })
    }

    /// Its figures, by their place in the JSON layout.
    pub fn figures(&self) -> Vec<Figure> {
        let burden = self.reference_burden - self.predicted_burden;
        let (liver, lesions) = (&self.liver, &self.lesions);
        let pooled = |path, value: fn(&Seven) -> f64| Figure::pooled(path, lesions.iter().map(value));
        let global = |path, voxels: &Overlap| {
            let sum = (voxels.predicted + voxels.reference) as f64;
            Figure::ratio(path, 2.0 * voxels.shared as f64, sum).or(0.0).shown(Scope::Total)
        };
        let mut figures = vec![
            Figure::per_case("liver/dice", liver.dice),
            Figure::per_case("liver/jaccard", liver.jaccard),
            Figure::per_case("liver/voe", liver.voe),
            Figure::per_case("liver/rvd", liver.rvd),
            Figure::per_case("liver/assd", liver.assd),
            Figure::per_case("liver/rmsd", liver.rmsd),
            Figure::per_case("liver/msd", liver.msd),
            Figure::per_case("liver/dice_per_case", liver.dice),
            global("liver/dice_global", &self.liver_voxels),
            Figure::per_case("lesion/dice_per_case", self.lesion_voxels.dice()),
            global("lesion/dice_global", &self.lesion_voxels),
            pooled("lesion/dice", |o| o.dice).or(0.0),
            pooled("lesion/jaccard", |o| o.jaccard).or(0.0),
            pooled("lesion/voe", |o| o.voe).or(1.0),
            pooled("lesion/rvd", |o| o.rvd).or(LARGE),
            pooled("lesion/assd", |o| o.assd).or(LARGE),
            pooled("lesion/rmsd", |o| o.rmsd).or(LARGE),
            pooled("lesion/msd", |o| o.msd).or(LARGE),
            Figure::count("lesion/objects", lesions.len() as f64),
        ];
        figures.extend(detection("detection/0", &self.detection[0]));
        figures.extend(detection("detection/0.5", &self.detection[1]));
        figures.extend([
            Figure::per_case("burden/prediction", self.predicted_burden).shown(Scope::Case),
            Figure::per_case("burden/reference", self.reference_burden).shown(Scope::Case),
            Figure::per_case("burden/difference", burden).shown(Scope::Case),
            Figure::per_case("burden/rmse", burden * burden).folded(Fold::RootMean).shown(Scope::Total),
            Figure::per_case("burden/max", burden).folded(Fold::Greatest).shown(Scope::Total),
        ]);
        figures
    }
}

/// Detection at both thresholds, and the objects that are left at the second.
fn score_lesions(masks: &Masks, spacing: [f64; 3]) -> ([Detection; 2], Vec<Seven>) {
    let (prediction, reference) = masks.views();
    // Numbered as the scorer has the arrays: i, j, k with k fastest.
    let predicted = Lesions::of(prediction.reversed_axes(), Connectivity::Faces6);
    let reference = Lesions::of(reference.reversed_axes(), Connectivity::Faces6);
    let spacing = [spacing[2], spacing[1], spacing[0]];
    let shared = shared(&predicted, &reference);
    let matchings = THRESHOLDS.map(|threshold| Matching::at(threshold, &shared, &predicted.sizes, &reference.sizes));
    let detection = [0, 1].map(|n: usize| {
        let tp = matchings[n].true_positives;
        Detection { tp, fp: predicted.count() as i64 - tp, fn_: reference.count() as i64 - tp }
    });
    let objects = matchings[1].objects().into_iter();
    let seven = |(p, r): (Vec<usize>, Vec<usize>)| Seven::of(&masks_of((&predicted, &p), (&reference, &r), spacing));
    (detection, objects.map(seven).collect())
}

/// The figures of detection, whose paths begin with `detection/0` or `detection/0.5`.
fn detection(at: &'static str, found: &Detection) -> [Figure; 5] {
    let paths = match at {
        "detection/0" => {
            ["detection/0/tp", "detection/0/fp", "detection/0/fn", "detection/0/precision", "detection/0/recall"]
        }
        _ => [
            "detection/0.5/tp",
            "detection/0.5/fp",
            "detection/0.5/fn",
            "detection/0.5/precision",
            "detection/0.5/recall",
        ],
    };
    let (tp, fp, fn_) = (found.tp as f64, found.fp as f64, found.fn_ as f64);
    [
        Figure::count(paths[0], tp),
        Figure::count(paths[1], fp),
        Figure::count(paths[2], fn_),
        Figure::ratio(paths[3], tp, tp + fp).or(0.0),
        Figure::ratio(paths[4], tp, tp + fn_).or(0.0),
    ]
}
