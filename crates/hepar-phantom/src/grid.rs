use hepar_volume::{Geometry, Volume};
use ndarray::{ArrayViewMut3, Axis};

use crate::shape::Bounds;

/// The grid of a phantom, seen along the axes of the patient: `[z, y, x]`, each growing towards superior, anterior
/// and right.
///
/// Drawing on this view makes the order in which the voxels are stored irrelevant.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    pub(crate) geometry: Geometry,
    /// The stored axis that runs along `[z, y, x]`.
    source: [usize; 3],
    /// Whether it runs against it.
    flipped: [bool; 3],
    /// Number of voxels along `[z, y, x]`.
    pub(crate) shape: [usize; 3],
    /// Millimetres between voxel centres along `[z, y, x]`.
    pub(crate) spacing: [f32; 3],
    /// World position `[z, y, x]` of the first voxel's centre.
    origin: [f64; 3],
}

impl Grid {
    /// `axes` names for each stored axis `[k, j, i]` the patient's axis (0 = x, 1 = y, 2 = z) and its sign.
    pub(crate) fn new(geometry: Geometry, axes: [(usize, f64); 3]) -> Self {
        let (mut source, mut flipped) = ([0; 3], [false; 3]);
        for (stored, (patient, sign)) in axes.into_iter().enumerate() {
            source[2 - patient] = stored;
            flipped[2 - patient] = sign < 0.0;
        }
        let shape = source.map(|axis| geometry.shape()[axis]);
        let spacing = source.map(|axis| geometry.spacing()[axis]);
        let first = geometry.to_world([0.0; 3]).0;
        let origin = std::array::from_fn(|axis| {
            let back = if flipped[axis] { (shape[axis] - 1) as f64 * spacing[axis] } else { 0.0 };
            first[2 - axis] - back
        });
        Self { geometry, source, flipped, shape, spacing: spacing.map(|s| s as f32), origin }
    }

    /// The voxels of a volume on this grid, seen along the axes of the patient.
    pub(crate) fn view<'a, T>(&self, volume: &'a mut Volume<T>) -> ArrayViewMut3<'a, T> {
        let mut view = volume.data_mut().permuted_axes(self.source);
        for axis in 0..3 {
            if self.flipped[axis] {
                view.invert_axis(Axis(axis));
            }
        }
        view
    }

    /// World position `[x, y, z]` of a voxel centre, or of a point between voxels, given as `[z, y, x]`.
    pub(crate) fn world(&self, index: [f32; 3]) -> [f32; 3] {
        std::array::from_fn(|axis| {
            (self.origin[2 - axis] + f64::from(index[2 - axis]) * f64::from(self.spacing[2 - axis])) as f32
        })
    }

    /// World box from the first to the last voxel centre.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { least: self.world([0.0; 3]), greatest: self.world(self.shape.map(|n| (n - 1) as f32)) }
    }

    /// Index `[z, y, x]`, fractional and possibly outside, of a world position `[x, y, z]`.
    pub(crate) fn index(&self, world: [f32; 3]) -> [f32; 3] {
        std::array::from_fn(|axis| {
            ((f64::from(world[2 - axis]) - self.origin[axis]) / f64::from(self.spacing[axis])) as f32
        })
    }

    /// The voxel `[z, y, x]` that holds a world position, if one does.
    pub(crate) fn voxel(&self, world: [f32; 3]) -> Option<[usize; 3]> {
        let index = self.index(world).map(f32::round);
        let inside = (0..3).all(|axis| index[axis] >= 0.0 && index[axis] < self.shape[axis] as f32);
        inside.then(|| index.map(|v| v as usize))
    }
}
