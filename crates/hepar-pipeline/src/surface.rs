//! The surfaces of tumours, and how much of them borders on what is not liver.

use hepar_volume::{Components, Geometry};

use crate::cut::index_in;
use crate::object::ObjectMask;

/// The surface of a tumour in mm².
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Surface {
    pub whole: f64,
    /// Of it, what borders on what is not liver.
    pub exposed: f64,
}

impl Surface {
    /// Whether a share of more than `greatest` of the surface is exposed.
    pub(crate) fn is_exposed_by_more_than(&self, greatest: f64) -> bool {
        self.exposed > greatest * self.whole
    }
}

/// The surface of every component, the first voxel of which array lies at `start` of the scan.
pub(crate) fn surfaces(
    tumours: &Components,
    start: [usize; 3],
    liver: &ObjectMask,
    geometry: &Geometry,
) -> Vec<Surface> {
    let spacing = geometry.spacing();
    let face: [f64; 3] = std::array::from_fn(|axis| spacing.iter().product::<f64>() / spacing[axis]);
    let mut surfaces = vec![Surface::default(); tumours.count()];
    for ((k, j, i), &tumour) in tumours.labels.indexed_iter().filter(|(_, tumour)| **tumour > 0) {
        let surface = &mut surfaces[tumour as usize - 1];
        for axis in 0..3 {
            for step in [-1, 1] {
                let mut voxel: [usize; 3] = std::array::from_fn(|axis| start[axis] + [k, j, i][axis]);
                let Some(moved) = voxel[axis].checked_add_signed(step) else { continue };
                voxel[axis] = moved;
                if moved >= geometry.shape()[axis] || tumours.labels.get(index_in(start, voxel)) == Some(&tumour) {
                    continue;
                }
                surface.whole += face[axis];
                surface.exposed += if liver.contains(voxel) { 0.0 } else { face[axis] };
            }
        }
    }
    surfaces
}
