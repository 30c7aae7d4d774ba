//! Grids that a header states when nobody filled it in.

use hepar_volume::Geometry;

/// Whether the grid has voxels of exactly 1 mm along the patient's axes, in either direction, the first at the origin.
pub(crate) fn is_unit_grid(geometry: &Geometry) -> bool {
    let is_along_an_axis = |row: &[f64; 4]| row[3] == 0.0 && row[..3].iter().all(|v| *v == 0.0 || v.abs() == 1.0);
    geometry.spacing() == [1.0; 3] && geometry.affine()[..3].iter().all(is_along_an_axis)
}
