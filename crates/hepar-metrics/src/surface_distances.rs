//! How far two surfaces are apart.

use hepar_volume::squared_distances_at;
use ndarray::{Array3, ArrayView3};

use crate::surface::surface;

/// The distance of every surface voxel of each of two masks to the nearest surface voxel of the other, between centres,
/// in millimetres.
#[derive(Debug, Clone, PartialEq)]
pub struct SurfaceDistances {
    /// From the prediction's surface to the reference's, in array order; at least one.
    pub to_reference: Vec<f64>,
    /// From the reference's surface to the prediction's, in array order; at least one.
    pub to_prediction: Vec<f64>,
}

impl SurfaceDistances {
    /// Between two masks of one shape, `[k, j, i]`; `None` when one of them has no voxel and so no surface.
    ///
    /// The surfaces are those of [`surface`]; `spacing` is in millimetres along `[k, j, i]`.
    pub fn between(
        prediction: ArrayView3<'_, bool>,
        reference: ArrayView3<'_, bool>,
        spacing: [f64; 3],
    ) -> Option<Self> {
        let (predicted, referred) = (surface(prediction), surface(reference));
        let gather = |from: &Array3<bool>, to: &Array3<bool>| {
            let squared = squared_distances_at(from.view(), to.view(), spacing);
            squared.into_iter().map(f64::sqrt).collect::<Vec<f64>>()
        };
        if !predicted.iter().any(|&v| v) || !referred.iter().any(|&v| v) {
            return None;
        }
        Some(Self { to_reference: gather(&predicted, &referred), to_prediction: gather(&referred, &predicted) })
    }

    /// Distances of both directions together.
    fn all(&self) -> impl Iterator<Item = f64> + '_ {
        self.to_reference.iter().chain(&self.to_prediction).copied()
    }

    fn count(&self) -> f64 {
        (self.to_reference.len() + self.to_prediction.len()) as f64
    }

    /// Average symmetric surface distance, in millimetres: the mean over both directions together.
    pub fn assd(&self) -> f64 {
        self.all().sum::<f64>() / self.count()
    }

    /// Root mean square symmetric surface distance, in millimetres, over both directions together.
    pub fn rmsd(&self) -> f64 {
        (self.all().map(|distance| distance * distance).sum::<f64>() / self.count()).sqrt()
    }

    /// Maximum symmetric surface distance (Hausdorff distance), in millimetres.
    pub fn msd(&self) -> f64 {
        self.all().fold(0.0, f64::max)
    }

    /// The distance, in millimetres, that 95 % of both directions together do not exceed, linear between the two
    /// nearest.
    pub fn hd95(&self) -> f64 {
        let mut all: Vec<f64> = self.all().collect();
        let position = 0.95 * (all.len() - 1) as f64;
        // The cast cuts off the fraction of a number that is not negative.
        let below = position as usize;
        let (_, low, above) = all.select_nth_unstable_by(below, f64::total_cmp);
        let low = *low;
        let high = above.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
        low + (high - low) * (position - below as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(at: &[usize]) -> Array3<bool> {
        Array3::from_shape_fn((1, 1, 12), |(_, _, i)| at.contains(&i))
    }

    #[test]
    fn both_directions_count_together() {
        let distances =
            SurfaceDistances::between(points(&[0, 1]).view(), points(&[1, 4, 5]).view(), [1.0, 1.0, 2.0]).unwrap();
        assert_eq!(distances.to_reference, [2.0, 0.0]);
        assert_eq!(distances.to_prediction, [0.0, 6.0, 8.0]);
        assert_eq!((distances.assd(), distances.msd()), (16.0 / 5.0, 8.0));
        assert_eq!(distances.rmsd(), (104.0f64 / 5.0).sqrt());
        // Position 3.8 of 0, 0, 2, 6, 8.
        assert!((distances.hd95() - 7.6).abs() < 1e-12);
    }

    #[test]
    fn without_a_surface_there_is_no_distance() {
        assert_eq!(SurfaceDistances::between(points(&[]).view(), points(&[1]).view(), [1.0; 3]), None);
        assert_eq!(SurfaceDistances::between(points(&[]).view(), points(&[]).view(), [1.0; 3]), None);
    }
}
