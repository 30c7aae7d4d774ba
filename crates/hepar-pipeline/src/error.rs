use hepar_model::bundle::BundleError;
use hepar_model::engine::EngineError;
use hepar_model::stage::StageName;
use hepar_volume::{Geometry, Millimetres};

/// Why a case was not segmented.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The model's weights cannot be used.
    #[error("the weights of the {stage} network cannot be used")]
    Model {
        /// The stage whose weights they are.
        stage: StageName,
        /// What is wrong with them.
        source: BundleError,
    },
    /// The engine does not run a network.
    #[error("the {stage} network did not run")]
    Engine {
        /// The stage whose network it is.
        stage: StageName,
        /// The engine's reason.
        source: EngineError,
    },
    /// The part of the scan that a stage is to look at has more voxels on its grid than fit the memory.
    #[error(
        "the {stage} network would have to look at {} slices of {} × {} voxels, for which there is not enough memory. \
        Is the scan's voxel spacing right?", grid[0], grid[2], grid[1]
    )]
    TooLarge {
        /// The stage.
        stage: StageName,
        /// Voxels of its grid, `[k, j, i]`.
        grid: [usize; 3],
    },
    /// The watch called the case off.
    #[error("the case was cancelled")]
    Cancelled,
    /// The given liver is not on the scan's grid.
    #[error("the given liver does not fit the scan")]
    GivenLiver(#[source] GridMismatch),
}

/// How two volumes that should share a grid differ.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GridMismatch {
    /// They have other numbers of voxels.
    #[error("it has {found:?} voxels, the scan {expected:?} (k, j, i)")]
    Shape {
        /// Shape of the volume.
        found: [usize; 3],
        /// Shape of the scan.
        expected: [usize; 3],
    },
    /// Their voxels lie elsewhere in the patient.
    #[error("its voxels lie up to {distance:.2} mm from the scan's, more than half a voxel ({tolerance:.2} mm)")]
    Place {
        /// The greatest distance of corresponding corner voxels, in millimetres.
        distance: f64,
        /// The greatest distance that counts as the same place, in millimetres.
        tolerance: f64,
    },
}

/// Checks that a volume's grid is the scan's: same shape, and voxels no further apart than half the scan's smallest
/// spacing.
///
/// # Errors
/// When it is not; the error says how they differ.
pub fn check_same_grid(scan: &Geometry, other: &Geometry) -> Result<(), GridMismatch> {
    if scan.shape() != other.shape() {
        return Err(GridMismatch::Shape { found: other.shape(), expected: scan.shape() });
    }
    let tolerance = 0.5 * scan.spacing().into_iter().fold(f64::INFINITY, f64::min);
    if scan.matches(other, tolerance) {
        return Ok(());
    }
    let corner = |bits: usize| {
        let index: [f64; 3] = std::array::from_fn(|axis| ((scan.shape()[axis] - 1) * (bits >> axis & 1)) as f64);
        distance(scan.to_world(index), other.to_world(index))
    };
    Err(GridMismatch::Place { distance: (0..8).map(corner).fold(0.0, f64::max), tolerance })
}

fn distance(a: Millimetres, b: Millimetres) -> f64 {
    (0..3).map(|axis| (a.0[axis] - b.0[axis]).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_up_to_half_a_voxel_apart_are_the_same() {
        let scan = Geometry::axis_aligned([4, 5, 6], [5.0, 1.0, 1.0]).unwrap();
        let shifted = |mm: f64| {
            let mut affine = *scan.affine();
            affine[2][3] += mm;
            Geometry::new(affine, scan.shape()).unwrap()
        };
        assert_eq!(check_same_grid(&scan, &shifted(0.49)), Ok(()));
        let error = check_same_grid(&scan, &shifted(2.0)).unwrap_err();
        assert_eq!(error.to_string(), "its voxels lie up to 2.00 mm from the scan's, more than half a voxel (0.50 mm)");
        let other = Geometry::axis_aligned([6, 5, 4], [5.0, 1.0, 1.0]).unwrap();
        assert!(check_same_grid(&scan, &other).unwrap_err().to_string().contains("[6, 5, 4] voxels"));
    }
}
