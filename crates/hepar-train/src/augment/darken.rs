//! A case's own lesions made darker.
//!
//! Real lesions have shapes, borders and neighbours that painted ones have not, but only the contrast that their few
//! patients happened to have. With another contrast each is one more lesion, above all at the liver's edge, where the
//! liver's network takes what is dark for something beside the liver.

use rand::Rng;

use super::intensity::blurred;
use super::spatial::Extract;

/// Hounsfield units that the mean of lesions is darker than the liver at most: as dark as water in a liver of 105 HU.
const DARKEST_HU: f32 = 110.0;

/// Makes the lesions of a sample (label 2) darker, all by the same number of Hounsfield units, drawn evenly from none to
/// what makes their mean [`DARKEST_HU`] darker than that of the liver (label 1). Shapes, textures and noise stay.
///
/// A sample without lesions, or with nothing of the liver beside them, stays as it is.
pub(crate) fn darken_lesions(rng: &mut impl Rng, sample: &mut Extract) {
    let (Some(liver), Some(lesions)) = (mean_of(sample, 1), mean_of(sample, 2)) else { return };
    let drop = rng.random::<f32>() * (DARKEST_HU - (liver - lesions)).max(0.0);
    // The edge of a lesion is between it and what is beside it, and stays so; half of a voxel at the edge is lesion.
    let share = blurred(sample.labels.mapv(|label| if label == 2 { 1.0 } else { 0.0 }), &sample.inside);
    for ((hu, label), share) in sample.hu.iter_mut().zip(&sample.labels).zip(share) {
        *hu -= drop * if *label == 2 { share.max(0.5) } else { share };
    }
}

/// Mean of the voxels with a label, in Hounsfield units; `None` when there are none.
fn mean_of(sample: &Extract, wanted: u8) -> Option<f32> {
    let voxels = sample.hu.iter().zip(&sample.labels).filter(|(_, label)| **label == wanted);
    let (sum, count) = voxels.fold((0.0, 0usize), |(sum, count), (hu, _)| (sum + f64::from(*hu), count + 1));
    (count > 0).then(|| (sum / count as f64) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// A liver of 100 HU in fat, with a lesion of 70 HU that has a brighter column within.
    fn sample() -> Extract {
        let labels = Array3::from_shape_fn((16, 24, 24), |(k, j, i)| match (k, j, i) {
            (4..12, 8..16, 4..12) => 2,
            (_, _, 0..16) => 1,
            _ => 0,
        });
        let mut hu = labels.mapv(|label| [-90.0, 100.0, 70.0][usize::from(label)]);
        (6..10).for_each(|k| hu[[k, 12, 8]] = 85.0);
        Extract { hu, inside: Array3::from_elem(labels.raw_dim(), true), labels }
    }

    fn darkened(seed: u64) -> Extract {
        let mut sample = sample();
        darken_lesions(&mut ChaCha8Rng::seed_from_u64(seed), &mut sample);
        sample
    }

    #[test]
    fn lesions_become_as_dark_as_water_at_most_and_keep_their_texture() {
        let before = sample();
        let mut means = Vec::new();
        for seed in 0..40 {
            let after = darkened(seed);
            assert_eq!(after.labels, before.labels);
            let texture = after.hu[[7, 12, 8]] - after.hu[[7, 11, 8]];
            assert!((texture - 15.0).abs() < 1e-3, "{texture}");
            let drop = before.hu[[7, 11, 8]] - after.hu[[7, 11, 8]];
            assert!((0.0..80.5).contains(&drop), "{drop}");
            let edge = before.hu[[7, 12, 4]] - after.hu[[7, 12, 4]];
            assert!(edge > 0.45 * drop && edge < 0.8 * drop + 1e-3, "{edge} of {drop}");
            means.push(after.hu[[7, 11, 8]]);
        }
        assert!(means.iter().any(|hu| *hu < 10.0) && means.iter().any(|hu| *hu > 50.0), "{means:?}");
    }

    #[test]
    fn what_is_farther_than_a_voxel_from_a_lesion_stays() {
        let (before, after) = (sample(), darkened(3));
        let is_near =
            |(k, j, i): (usize, usize, usize)| (3..13).contains(&k) && (7..17).contains(&j) && (3..13).contains(&i);
        assert!(after.hu.indexed_iter().all(|(voxel, hu)| is_near(voxel) || *hu == before.hu[voxel]));
        assert!(after.hu.iter().zip(&before.hu).all(|(after, before)| after <= before));
    }

    #[test]
    fn without_lesions_or_without_liver_a_sample_stays_as_it_is() {
        for (from, to) in [(2, 1), (1, 0)] {
            let mut sample = sample();
            sample.labels.mapv_inplace(|label| if label == from { to } else { label });
            let before = sample.hu.clone();
            darken_lesions(&mut ChaCha8Rng::seed_from_u64(1), &mut sample);
            assert_eq!(sample.hu, before);
        }
    }
}
