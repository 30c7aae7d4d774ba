//! Dice and volumes alone, for whoever wants no more.

use hepar_metrics::Overlap;
use hepar_volume::Volume;

use crate::evaluate::GridDifference;
use crate::evaluate::grid::on_one_grid;

/// How one kind of object of a prediction agrees with the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ObjectScore {
    /// Dice, 0..1; 1 when neither has a voxel of the object.
    pub dice: f64,
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

impl ObjectScore {
    fn new(overlap: Overlap, voxel_ml: f64) -> Self {
        let (predicted_ml, reference_ml) = (overlap.predicted as f64 * voxel_ml, overlap.reference as f64 * voxel_ml);
        Self { dice: overlap.dice(), predicted_ml, reference_ml }
    }
}

impl Score {
    /// How `prediction` agrees with `reference`; both in any orientation.
    ///
    /// # Errors
    /// When the grids, brought into one orientation, differ in shape or by more than half the smallest spacing of the
    /// reference.
    pub fn of(prediction: Volume<u8>, reference: Volume<u8>) -> Result<Self, GridDifference> {
        let (prediction, reference) = on_one_grid(prediction, reference)?;
        let voxel_ml = reference.geometry().voxel_volume() / 1000.0;
        let different = |error: hepar_metrics::ShapeMismatch| GridDifference::Other(error.to_string());
        let liver = Overlap::liver(prediction.data(), reference.data()).map_err(different)?;
        let tumour = Overlap::tumour(prediction.data(), reference.data()).map_err(different)?;
        Ok(Self { liver: ObjectScore::new(liver, voxel_ml), tumour: ObjectScore::new(tumour, voxel_ml) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_volume::Geometry;

    #[test]
    fn tumours_are_part_of_the_liver() {
        let geometry = Geometry::axis_aligned([1, 1, 4], [10.0; 3]).unwrap();
        let volume = |labels: [u8; 4]| Volume::from_fn(geometry.clone(), |[_, _, i]| labels[i]);
        let score = Score::of(volume([0, 1, 2, 2]), volume([1, 1, 2, 0])).unwrap();
        assert_eq!((score.liver.dice, score.tumour.dice), (4.0 / 6.0, 2.0 / 3.0));
        assert!((score.liver.predicted_ml - 3.0).abs() < 1e-9 && (score.tumour.reference_ml - 1.0).abs() < 1e-9);
    }
}
