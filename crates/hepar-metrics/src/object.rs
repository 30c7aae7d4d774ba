//! The scores of one object.

use crate::masks::Masks;
use crate::overlap::Overlap;

/// Tolerances of surface Dice, in millimetres.
pub const TOLERANCES_MM: [f64; 3] = [1.0, 2.0, 3.0];

/// How one object of a prediction agrees with the same object of a reference.
///
/// | | both empty | reference empty | prediction empty |
/// |---|---|---|---|
/// | Dice, Jaccard | 1 | 0 | 0 |
/// | VOE | 0 | 1 | 1 |
/// | RVD | undefined | undefined | −1 |
/// | distances | undefined | undefined | undefined |
/// | surface Dice | undefined | 0 | 0 |
///
/// Distances and surface Dice are undefined on a sheared grid too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ObjectScores {
    /// How many voxels the two have and share.
    pub overlap: Overlap,
    /// Volume of a voxel in millilitres.
    pub voxel_ml: f64,
    /// Distances of the surfaces; undefined when one is missing, or the grid is sheared.
    pub distances: Option<DistanceScores>,
    /// Surface Dice at [`TOLERANCES_MM`], 0..1; undefined when both surfaces are missing, or the grid is sheared.
    pub surface_dice: Option<[f64; 3]>,
}

/// Distances of two surfaces, in millimetres; see [`SurfaceDistances`](crate::SurfaceDistances).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DistanceScores {
    /// The mean.
    pub assd: f64,
    /// The root mean square.
    pub rmsd: f64,
    /// The maximum.
    pub msd: f64,
    /// The 95th percentile.
    pub hd95: f64,
}

impl ObjectScores {
    /// The scores of two masks, of voxels of `voxel_ml` millilitres.
    pub fn of(masks: &Masks, voxel_ml: f64) -> Self {
        let distances = masks.surface_distances().map(|distances| DistanceScores {
            assd: distances.assd(),
            rmsd: distances.rmsd(),
            msd: distances.msd(),
            hd95: distances.hd95(),
        });
        Self { overlap: masks.overlap(), voxel_ml, distances, surface_dice: masks.surface_dice(TOLERANCES_MM) }
    }

    /// The scores of two masks on a sheared grid, whose spacings do not tell distances; else as [`ObjectScores::of`].
    pub(crate) fn without_surfaces(masks: &Masks, voxel_ml: f64) -> Self {
        Self { overlap: masks.overlap(), voxel_ml, distances: None, surface_dice: None }
    }

    /// Volume in the prediction, in millilitres.
    pub fn predicted_ml(&self) -> f64 {
        self.overlap.predicted as f64 * self.voxel_ml
    }

    /// Volume in the reference, in millilitres.
    pub fn reference_ml(&self) -> f64 {
        self.overlap.reference as f64 * self.voxel_ml
    }

    /// Prediction less reference, in millilitres.
    pub fn difference_ml(&self) -> f64 {
        self.predicted_ml() - self.reference_ml()
    }
}
