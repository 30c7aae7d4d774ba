//! Label volumes against references.

mod pairs;
mod tables;

use std::path::{Path, PathBuf};

use hepar_formats::{ReadError, read_labels};
use hepar_metrics::Overlap;
use hepar_pipeline::{GridMismatch, check_same_grid};
use hepar_volume::{Reorientation, Volume};

pub use pairs::{Pair, Pairing, Unpaired, pair};
pub use tables::{as_csv, as_json};

/// Why label volumes cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// A label volume cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The two do not show the same voxels.
    #[error("compare {} with {}: {difference}", prediction.display(), reference.display())]
    Grid {
        /// File of the prediction.
        prediction: PathBuf,
        /// File of the reference.
        reference: PathBuf,
        /// How the two differ.
        difference: GridDifference,
    },
    /// A file can be compared with a file, a folder with a folder.
    #[error(
        "compare {} with {}: one is a file, the other a folder of cases",
        prediction.display(),
        reference.display()
    )]
    FileAndFolder {
        /// The prediction.
        prediction: PathBuf,
        /// The reference.
        reference: PathBuf,
    },
    /// A folder cannot be listed.
    #[error("read the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Two files of a folder are of one case.
    #[error("tell the cases apart: {} and {} are both of case {case}", first.display(), second.display())]
    Ambiguous {
        /// The case.
        case: String,
        /// One file.
        first: PathBuf,
        /// Another.
        second: PathBuf,
    },
    /// No case is in both folders.
    #[error("find a case that is in both {} and {}", predictions.display(), references.display())]
    NoPairs {
        /// Folder of the predictions.
        predictions: PathBuf,
        /// Folder of the references.
        references: PathBuf,
    },
}

/// How the grids of a prediction and of a reference differ, after both were brought into one orientation.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GridDifference {
    /// They have other numbers of voxels.
    #[error(
        "the prediction has {prediction:?} voxels, the reference {reference:?} (from feet to head, front to back, right \
         to left)"
    )]
    Shape {
        /// Shape of the prediction.
        prediction: [usize; 3],
        /// Shape of the reference.
        reference: [usize; 3],
    },
    /// Their voxels lie elsewhere in the patient.
    #[error("their voxels lie up to {distance:.2} mm apart, more than half a voxel ({tolerance:.2} mm)")]
    Place {
        /// The greatest distance of corresponding corner voxels, in millimetres.
        distance: f64,
        /// The greatest distance that counts as the same place, in millimetres.
        tolerance: f64,
    },
    /// They differ in another way.
    #[error("{0}")]
    Other(String),
}

/// How one kind of object of a prediction agrees with the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ObjectScore {
    /// Dice, 0..1; 1 when neither has a voxel of the object.
    pub dice: f64,
    /// Whether neither has a voxel of the object: the Dice of 1 then says only that nothing was made up.
    pub both_empty: bool,
    /// Volume in the prediction, in millilitres.
    pub predicted_ml: f64,
    /// Volume in the reference, in millilitres.
    pub reference_ml: f64,
}

/// How the labels of a case agree with the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Labels 1 and above: tumours are part of the liver.
    pub liver: ObjectScore,
    /// Label 2.
    pub tumour: ObjectScore,
}

/// A case and its score, or why there is none.
#[derive(Debug)]
pub struct Evaluated {
    /// The case and its files.
    pub pair: Pair,
    /// How they agree.
    pub score: Result<Score, EvaluateError>,
}

/// What came of comparing two files or two folders.
#[derive(Debug)]
pub struct Evaluation {
    /// The cases that both have, by name.
    pub cases: Vec<Evaluated>,
    /// Files without a partner.
    pub unpaired: Vec<Unpaired>,
}

impl ObjectScore {
    fn new(overlap: Overlap, voxel_ml: f64) -> Self {
        Self {
            dice: overlap.dice(),
            both_empty: overlap.predicted + overlap.reference == 0,
            predicted_ml: overlap.predicted as f64 * voxel_ml,
            reference_ml: overlap.reference as f64 * voxel_ml,
        }
    }

    /// Prediction less reference, in millilitres.
    pub fn difference_ml(&self) -> f64 {
        self.predicted_ml - self.reference_ml
    }
}

impl Score {
    /// How `prediction` agrees with `reference`; both in any orientation.
    ///
    /// # Errors
    /// When the grids, brought into one orientation, differ in shape or by more than half the smallest spacing of the
    /// reference.
    pub fn of(prediction: Volume<u8>, reference: Volume<u8>) -> Result<Self, GridDifference> {
        let canonical = |volume: Volume<u8>| Reorientation::to_canonical(volume.geometry()).apply_into(volume);
        let (prediction, reference) = (canonical(prediction), canonical(reference));
        check_same_grid(reference.geometry(), prediction.geometry())?;
        let voxel_ml = reference.geometry().voxel_volume() / 1000.0;
        let different = |error: hepar_metrics::ShapeMismatch| GridDifference::Other(error.to_string());
        let liver = Overlap::liver(prediction.data(), reference.data()).map_err(different)?;
        let tumour = Overlap::tumour(prediction.data(), reference.data()).map_err(different)?;
        Ok(Self { liver: ObjectScore::new(liver, voxel_ml), tumour: ObjectScore::new(tumour, voxel_ml) })
    }
}

impl From<GridMismatch> for GridDifference {
    fn from(mismatch: GridMismatch) -> Self {
        match mismatch {
            GridMismatch::Shape { found, expected } => Self::Shape { prediction: found, reference: expected },
            GridMismatch::Place { distance, tolerance } => Self::Place { distance, tolerance },
            other => Self::Other(other.to_string()),
        }
    }
}

impl Evaluation {
    /// The scores of the cases that have one.
    pub fn scores(&self) -> impl Iterator<Item = &Score> {
        self.cases.iter().filter_map(|case| case.score.as_ref().ok())
    }

    /// The mean Dice of liver and of tumours over the scored cases; `None` without any.
    pub fn mean_dice(&self) -> Option<(f64, f64)> {
        let count = self.scores().count();
        let mean = |dice: fn(&Score) -> f64| self.scores().map(dice).sum::<f64>() / count as f64;
        (count > 0).then(|| (mean(|score| score.liver.dice), mean(|score| score.tumour.dice)))
    }

    /// Whether every file had a partner and every case was scored.
    pub fn is_complete(&self) -> bool {
        self.unpaired.is_empty() && self.cases.iter().all(|case| case.score.is_ok())
    }
}

/// Compares two label volumes, or the cases of two folders; a result's folder counts as its label volume.
///
/// A case that cannot be scored does not keep the others of a folder from it.
///
/// # Errors
/// When the two single files cannot be compared, or the folders cannot be listed or share no case.
pub fn evaluate(prediction: &Path, reference: &Path) -> Result<Evaluation, EvaluateError> {
    let Pairing { pairs, unpaired, single } = pair(prediction, reference)?;
    let mut cases = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let score = score_files(&pair);
        if single {
            cases.push(Evaluated { pair, score: Ok(score?) });
        } else {
            cases.push(Evaluated { pair, score });
        }
    }
    Ok(Evaluation { cases, unpaired })
}

fn score_files(pair: &Pair) -> Result<Score, EvaluateError> {
    let (prediction, reference) = (read_labels(&pair.prediction)?, read_labels(&pair.reference)?);
    Score::of(prediction.volume, reference.volume).map_err(|difference| EvaluateError::Grid {
        prediction: pair.prediction.clone(),
        reference: pair.reference.clone(),
        difference,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_volume::Geometry;

    fn grid(shift: f64) -> Geometry {
        let affine = [[0.0, 0.0, 2.0, shift], [0.0, -1.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        Geometry::new(affine, [3, 4, 5]).unwrap()
    }

    #[test]
    fn volumes_are_compared_at_the_same_place_of_the_patient() {
        let reference = Volume::from_fn(grid(0.0), |[k, j, i]| ((k + j * i) % 3) as u8);
        let stored_otherwise = Reorientation::to_canonical(reference.geometry()).apply(&reference);
        assert_ne!(stored_otherwise.shape(), reference.shape());
        let score = Score::of(stored_otherwise, reference.clone()).unwrap();
        assert_eq!((score.liver.dice, score.tumour.dice), (1.0, 1.0));
        let twos = reference.data().iter().filter(|&&label| label == 2).count();
        assert!((score.tumour.reference_ml - twos as f64 * 0.002).abs() < 1e-12);
        assert_eq!(score.tumour.difference_ml(), 0.0);
    }

    #[test]
    fn volumes_at_other_places_are_not_compared() {
        let volume = |geometry| Volume::<u8>::filled(geometry, 0);
        let near = Score::of(volume(grid(0.4)), volume(grid(0.0))).unwrap();
        assert!(near.liver.both_empty && near.liver.dice == 1.0);
        let far = Score::of(volume(grid(3.0)), volume(grid(0.0))).unwrap_err();
        assert!(far.to_string().contains("3.00 mm apart"), "{far}");
        let other = volume(Geometry::axis_aligned([2, 2, 2], [1.0; 3]).unwrap());
        assert!(Score::of(other, volume(grid(0.0))).unwrap_err().to_string().contains("the prediction has [2, 2, 2]"));
    }
}
