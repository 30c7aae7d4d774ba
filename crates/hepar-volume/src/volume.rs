use ndarray::{Array3, ArrayView3};

use crate::geometry::Geometry;

/// Voxels on a grid in patient space.
///
/// The array is indexed `[k, j, i]` and always has the shape of its geometry.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume<T> {
    data: Array3<T>,
    geometry: Geometry,
}

/// The array and the geometry of a volume have different shapes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the array has shape {array:?}, the geometry {geometry:?} (k, j, i)")]
pub struct ShapeMismatch {
    array: [usize; 3],
    geometry: [usize; 3],
}

impl<T> Volume<T> {
    /// A volume of `data`, `[k, j, i]`, on the grid of `geometry`.
    ///
    /// # Errors
    /// When the two shapes differ.
    pub fn new(data: Array3<T>, geometry: Geometry) -> Result<Self, ShapeMismatch> {
        let (k, j, i) = data.dim();
        if [k, j, i] != geometry.shape() {
            return Err(ShapeMismatch { array: [k, j, i], geometry: geometry.shape() });
        }
        Ok(Self { data, geometry })
    }

    /// A volume of an array that was made with the shape of `geometry`.
    pub(crate) fn on_grid(data: Array3<T>, geometry: Geometry) -> Self {
        debug_assert_eq!(data.shape(), geometry.shape());
        Self { data, geometry }
    }

    /// A volume whose voxels are computed from their index `[k, j, i]`.
    pub fn from_fn(geometry: Geometry, mut voxel: impl FnMut([usize; 3]) -> T) -> Self {
        let data = Array3::from_shape_fn(geometry.shape(), |(k, j, i)| voxel([k, j, i]));
        Self { data, geometry }
    }

    /// A volume that holds `value` everywhere.
    pub fn filled(geometry: Geometry, value: T) -> Self
    where
        T: Clone,
    {
        let data = Array3::from_elem(geometry.shape(), value);
        Self { data, geometry }
    }

    /// The voxels, `[k, j, i]`.
    pub fn data(&self) -> ArrayView3<'_, T> {
        self.data.view()
    }

    /// The voxels, `[k, j, i]`, to be changed in place; the shape stays.
    pub fn data_mut(&mut self) -> ndarray::ArrayViewMut3<'_, T> {
        self.data.view_mut()
    }

    /// Where the voxels lie.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Number of voxels along `[k, j, i]`.
    pub fn shape(&self) -> [usize; 3] {
        self.geometry.shape()
    }

    /// Takes the volume apart.
    pub fn into_parts(self) -> (Array3<T>, Geometry) {
        (self.data, self.geometry)
    }

    /// The same grid with every voxel's value replaced.
    pub fn map<U>(&self, value: impl FnMut(&T) -> U) -> Volume<U> {
        Volume { data: self.data.map(value), geometry: self.geometry.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_of_another_shape_is_refused() {
        let geometry = Geometry::axis_aligned([2, 3, 4], [1.0; 3]).unwrap();
        assert!(Volume::new(Array3::<u8>::zeros((4, 3, 2)), geometry.clone()).is_err());
        assert!(Volume::new(Array3::<u8>::zeros((2, 3, 4)), geometry).is_ok());
    }
}
