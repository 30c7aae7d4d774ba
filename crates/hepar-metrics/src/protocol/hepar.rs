//! hepar's own protocol: lesions are matched one to one, and what is undefined is called so.
//!
//! The liver is every label of 1 and above, a lesion a 26-connected component of label 2. Predicted and reference
//! lesions are matched one to one so that the matched pairs share as many voxels in all as they can. A pair is found at
//! a threshold t when its IoU is greater than t.

mod figures;
mod lesion;

use hepar_volume::{Connectivity, Geometry};
use ndarray::ArrayView3;

use crate::assignment::best_assignment;
use crate::figure::Figure;
use crate::lesions::{Lesions, masks_of, shared};
use crate::masks::{Masks, cut_background};
use crate::object::ObjectScores;
use crate::overlap::ShapeMismatch;

pub use lesion::{Lesion, SIZE_CLASSES, SizeClass};

/// IoU that a matched pair must exceed to count as found.
pub const THRESHOLDS: [f64; 2] = [0.0, 0.5];

/// Cosine of the angle between two axes of a grid from which on they are not at right angles.
const SHEAR: f64 = 1e-3;

/// A predicted lesion and the reference lesion that it is matched with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LesionPair {
    /// Position in [`Hepar::predicted`].
    pub predicted: usize,
    /// Position in [`Hepar::reference`].
    pub reference: usize,
    /// How the two agree.
    pub scores: ObjectScores,
}

/// Lesions found and not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detection {
    /// Matched pairs whose IoU exceeds the threshold.
    pub tp: u64,
    /// Predicted lesions that are in none of these.
    pub fp: u64,
    /// Reference lesions that are in none of these.
    pub fn_: u64,
}

/// The scores of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Hepar {
    /// The liver with its tumours.
    pub liver: ObjectScores,
    /// All lesions together, as one object.
    pub tumour: ObjectScores,
    /// Lesions of the prediction, the largest first; of equal ones that which comes first in the array.
    pub predicted: Vec<Lesion>,
    /// Lesions of the reference, likewise.
    pub reference: Vec<Lesion>,
    /// The matched pairs, by the reference's number.
    pub pairs: Vec<LesionPair>,
    /// Detection at [`THRESHOLDS`].
    pub detection: [Detection; 2],
    /// Whether axes of the grid are not at right angles, so that distances and surface Dice are undefined.
    pub sheared: bool,
}

impl Hepar {
    /// The scores of labels, `[k, j, i]`, on the grid `geometry`, whose slices along k are the axial ones.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn of(
        prediction: ArrayView3<'_, u8>,
        reference: ArrayView3<'_, u8>,
        geometry: &Geometry,
    ) -> Result<Self, ShapeMismatch> {
        let [prediction, reference] = cut_background(prediction, reference)?;
        let (spacing, voxel_ml) = (geometry.spacing(), geometry.voxel_volume() / 1000.0);
        let mask = |belongs: fn(u8) -> bool| Masks::of(prediction, reference, spacing, belongs, belongs);
        let sheared = is_sheared(geometry);
        let of = if sheared { ObjectScores::without_surfaces } else { ObjectScores::of };
        let scores = |masks: &Masks| of(masks, voxel_ml);
        let liver = scores(&mask(|label| label >= 1)?);
        let masks = mask(|label| label == 2)?;
        let tumour = scores(&masks);
        let (predicted, reference) = masks.views();
        let components = [predicted, reference].map(|mask| Lesions::of(mask, Connectivity::Corners26));
        let [(p_numbers, predicted), (r_numbers, reference)] =
            components.each_ref().map(|c| lesion::ranked(c, geometry));
        let [p_components, r_components] = &components;
        let rank = |numbers: &[usize], number: usize| numbers.iter().position(|n| *n == number).unwrap_or_default();
        let matched = best_assignment(&shared(p_components, r_components));
        let mut pairs: Vec<LesionPair> = matched
            .into_iter()
            .map(|(p, r)| LesionPair {
                predicted: rank(&p_numbers, p),
                reference: rank(&r_numbers, r),
                scores: scores(&masks_of((p_components, &[p]), (r_components, &[r]), spacing)),
            })
            .collect();
        pairs.sort_by_key(|pair| pair.reference);
        let detection = THRESHOLDS.map(|threshold| {
            let tp = pairs.iter().filter(|pair| pair.is_found(threshold)).count() as u64;
            Detection { tp, fp: predicted.len() as u64 - tp, fn_: reference.len() as u64 - tp }
        });
        Ok(Self { liver, tumour, predicted, reference, pairs, detection, sheared })
    }

    /// Tumour burden of the prediction, the voxels of lesions over those of the liver; `None` without liver.
    pub fn predicted_burden(&self) -> Option<f64> {
        burden(self.tumour.overlap.predicted, self.liver.overlap.predicted)
    }

    /// Tumour burden of the reference; `None` without liver.
    pub fn reference_burden(&self) -> Option<f64> {
        burden(self.tumour.overlap.reference, self.liver.overlap.reference)
    }

    /// Its figures, by their place in the JSON layout.
    pub fn figures(&self) -> Vec<Figure> {
        figures::of(self)
    }
}

impl LesionPair {
    /// Intersection over union of the two, greater than 0 and at most 1.
    pub fn iou(&self) -> f64 {
        self.scores.overlap.jaccard()
    }

    /// Whether the IoU is greater than the threshold.
    pub fn is_found(&self, threshold: f64) -> bool {
        self.iou() > threshold
    }
}

/// Whether two axes of the grid are not at right angles.
fn is_sheared(geometry: &Geometry) -> bool {
    let [k, j, i] = geometry.directions();
    let cosine = |(a, b): ([f64; 3], [f64; 3])| (0..3).map(|axis| a[axis] * b[axis]).sum::<f64>();
    [(k, j), (j, i), (i, k)].into_iter().any(|pair| cosine(pair).abs() > SHEAR)
}

fn burden(lesion: u64, liver: u64) -> Option<f64> {
    (liver > 0).then(|| lesion as f64 / liver as f64)
}
