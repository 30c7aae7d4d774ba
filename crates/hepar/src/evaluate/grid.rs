//! Two label volumes on one grid.

use hepar_pipeline::check_same_grid;
use hepar_volume::{Geometry, Reorientation, Volume, VoxelBox};

use crate::evaluate::GridDifference;

/// Spacings that differ by more than this share are different spacings.
const SAME_SPACING: f64 = 1e-3;

/// Both volumes in the canonical orientation, once it is sure that their voxels are the same ones; slices and columns
/// that hold background in both may have been cut off.
///
/// # Errors
/// When the grids, brought into one orientation, differ in shape, or at a corner by more than half the smallest spacing
/// of the reference.
pub(super) fn on_one_grid(
    prediction: Volume<u8>,
    reference: Volume<u8>,
) -> Result<(Volume<u8>, Volume<u8>), GridDifference> {
    let to_canonical = |volume: &Volume<u8>| Reorientation::to_canonical(volume.geometry());
    let (turn_prediction, turn_reference) = (to_canonical(&prediction), to_canonical(&reference));
    let predicted = turn_prediction.geometry(prediction.geometry());
    let referred = turn_reference.geometry(reference.geometry());
    let same = |mismatch| difference(&predicted, &referred, mismatch);
    check_same_grid(&referred, &predicted).map_err(|mismatch| same(mismatch.into()))?;
    if turn_prediction != turn_reference {
        return Ok((turn_prediction.apply_into(prediction), turn_reference.apply_into(reference)));
    }
    // Stored alike, so that what both call background can go before anything is moved.
    let around = |volume: &Volume<u8>| VoxelBox::around(volume.data(), |&label| label > 0);
    let (predicted, referred) = rayon::join(|| around(&prediction), || around(&reference));
    let Some(bounds) = union(predicted, referred) else { return Ok((prediction, reference)) };
    Ok((turn_prediction.apply(&prediction.crop(&bounds)), turn_reference.apply(&reference.crop(&bounds))))
}

/// The box around two boxes.
fn union(a: Option<VoxelBox>, b: Option<VoxelBox>) -> Option<VoxelBox> {
    let (Some(a), Some(b)) = (a, b) else { return a.or(b) };
    let start = std::array::from_fn(|axis| a.start()[axis].min(b.start()[axis]));
    VoxelBox::new(start, std::array::from_fn(|axis| a.end()[axis].max(b.end()[axis])))
}

/// Says of volumes at different places that it is their spacing that differs, where it does.
fn difference(predicted: &Geometry, referred: &Geometry, found: GridDifference) -> GridDifference {
    let (prediction, reference) = (predicted.spacing(), referred.spacing());
    let differs = (0..3).any(|axis| (prediction[axis] / reference[axis] - 1.0).abs() > SAME_SPACING);
    match found {
        GridDifference::Place { .. } if differs => GridDifference::Spacing { prediction, reference },
        found => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(shift: f64, spacing: f64) -> Geometry {
        let affine = [[0.0, 0.0, spacing, shift], [0.0, -1.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        Geometry::new(affine, [3, 4, 5]).unwrap()
    }

    fn on_grid(geometry: Geometry) -> Volume<u8> {
        Volume::from_fn(geometry, |[k, j, i]| ((k + j * i) % 3) as u8)
    }

    #[test]
    fn volumes_are_compared_at_the_same_place_of_the_patient() {
        let reference = on_grid(grid(0.0, 2.0));
        let stored_otherwise = Reorientation::to_canonical(reference.geometry()).apply(&reference);
        assert_ne!(stored_otherwise.shape(), reference.shape());
        let (a, b) = on_one_grid(stored_otherwise, reference).unwrap();
        assert_eq!(a.data(), b.data());
    }

    #[test]
    fn volumes_at_other_places_are_not_compared() {
        let said = |other| on_one_grid(on_grid(other), on_grid(grid(0.0, 2.0))).unwrap_err().to_string();
        assert!(on_one_grid(on_grid(grid(0.4, 2.0)), on_grid(grid(0.0, 2.0))).is_ok());
        assert!(said(grid(3.0, 2.0)).contains("3.00 mm apart"));
        assert!(said(grid(0.0, 3.0)).contains("measure [1.000, 1.000, 3.000] mm"), "{}", said(grid(0.0, 3.0)));
        let other = Geometry::axis_aligned([2, 2, 2], [1.0; 3]).unwrap();
        assert!(said(other).contains("the prediction has [2, 2, 2]"));
    }
}
