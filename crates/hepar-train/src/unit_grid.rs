//! Grids that a header states when nobody filled it in.

use std::path::Path;

use hepar_formats::{ReadError, inspect};
use hepar_volume::Geometry;

/// Whether the grid has voxels of exactly 1 mm along the patient's axes, in either direction, the first at the origin.
pub(crate) fn is_unit_grid(geometry: &Geometry) -> bool {
    let is_along_an_axis = |row: &[f64; 4]| row[3] == 0.0 && row[..3].iter().all(|v| *v == 0.0 || v.abs() == 1.0);
    geometry.spacing() == [1.0; 3] && geometry.affine()[..3].iter().all(is_along_an_axis)
}

/// Whether the scan in `image` has such a grid; never a DICOM series, which always states the size of its voxels.
///
/// # Errors
/// When the header cannot be read.
pub fn has_unit_grid(image: &Path) -> Result<bool, ReadError> {
    Ok(image.is_file() && is_unit_grid(&inspect(image)?.geometry))
}
