//! How bright, noisy and sharp a sample is.

use hepar_model::stage::Window;
use ndarray::{Array2, Array3, ArrayView3, Axis, Zip};
use rand::Rng;

use crate::config::Augmentation;

/// Ranges to which data sets clip Hounsfield units.
const CLIPS: [[f32; 2]; 3] = [[0.0, 255.0], [-160.0, 240.0], [-100.0, 200.0]];

/// One sample's variation of intensity.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Intensity {
    gain: f32,
    shift: f32,
    noise: f32,
    gamma: f32,
    blur: bool,
    /// Slices of the grid in one simulated slice.
    thickness: usize,
    clip: Option<[f32; 2]>,
}

impl Intensity {
    /// A random variation.
    pub fn draw(rng: &mut impl Rng, augmentation: &Augmentation) -> Self {
        let mut within = |limit: f32| (rng.random::<f32>() * 2.0 - 1.0) * limit;
        let (gain, shift) = (1.0 + within(augmentation.gain), within(augmentation.shift_hu));
        let (noise, gamma) = (within(augmentation.noise_hu).abs(), within(augmentation.gamma).exp());
        let blur = rng.random::<f64>() < augmentation.blur;
        let thickness = if rng.random::<f64>() < augmentation.thick_slices { rng.random_range(2..=3) } else { 1 };
        let clip = (rng.random::<f64>() < augmentation.clip).then(|| CLIPS[rng.random_range(0..CLIPS.len())]);
        Self { gain, shift, noise, gamma, blur, thickness, clip }
    }

    /// Varies Hounsfield units, `[d, h, w]`, and turns them into what the network sees, 0..=1; what lies in the case, as
    /// `inside` says, takes nothing from what lies beyond it.
    pub fn apply(&self, mut hu: Array3<f32>, inside: &Array3<bool>, window: Window, rng: &mut impl Rng) -> Array3<f32> {
        if self.thickness > 1 {
            hu = thickened(&hu, inside, self.thickness);
        }
        if self.blur {
            hu = blurred(hu, inside);
        }
        let [low, high] = self.clip.unwrap_or([f32::NEG_INFINITY, f32::INFINITY]);
        hu.mapv_inplace(|hu| hu.clamp(low, high) * self.gain + self.shift);
        if self.noise > 0.0 {
            hu.mapv_inplace(|hu| hu + self.noise * normal(rng));
        }
        let gamma = self.gamma;
        hu.mapv_into(|hu| {
            let value = window.apply(hu);
            if gamma == 1.0 { value } else { value.powf(gamma) }
        })
    }
}

/// A number from almost a normal distribution of mean 0 and variance 1: the sum of four even ones.
///
/// Its tails end at 3.5; what matters is that it takes one draw.
fn normal(rng: &mut impl Rng) -> f32 {
    let bits = rng.next_u64();
    let sum: u64 = (0..4).map(|part| bits >> (16 * part) & 0xffff).sum();
    // Four numbers of 0..=65535: mean 131070, variance 4 · (65536² − 1) / 12.
    (sum as f32 - 131_070.0) / 37_837.23
}

/// Every `thickness` slices averaged, as far as they lie inside, and the slices between the averages' centres mixed from them.
fn thickened(hu: &Array3<f32>, inside: &Array3<bool>, thickness: usize) -> Array3<f32> {
    let chunks = hu.axis_chunks_iter(Axis(0), thickness).zip(inside.axis_chunks_iter(Axis(0), thickness));
    let thick: Vec<Array2<Option<f32>>> = chunks.map(|(hu, inside)| mean_inside(hu, inside)).collect();
    let mut mixed = hu.clone();
    for (k, mut slice) in mixed.axis_iter_mut(Axis(0)).enumerate() {
        let position = ((k as f32 + 0.5) / thickness as f32 - 0.5).clamp(0.0, (thick.len() - 1) as f32);
        let lower = position as usize;
        let (upper, weight) = ((lower + 1).min(thick.len() - 1), position - lower as f32);
        Zip::from(&mut slice).and(&thick[lower]).and(&thick[upper]).for_each(|v, &a, &b| match (a, b) {
            (Some(a), Some(b)) => *v = a + (b - a) * weight,
            (Some(only), None) | (None, Some(only)) => *v = only,
            (None, None) => {}
        });
    }
    mixed
}

/// Means of slices, `[k, h, w]`, over the voxels that lie inside; `None` where none does.
fn mean_inside(hu: ArrayView3<'_, f32>, inside: ArrayView3<'_, bool>) -> Array2<Option<f32>> {
    let (_, height, width) = hu.dim();
    let mut sums = Array2::from_elem((height, width), (0.0_f32, 0.0_f32));
    for (slice, inside) in hu.outer_iter().zip(inside.outer_iter()) {
        Zip::from(&mut sums).and(slice).and(inside).for_each(|(sum, count), &hu, &inside| {
            if inside {
                *sum += hu;
                *count += 1.0;
            }
        });
    }
    sums.mapv(|(sum, count)| (count > 0.0).then(|| sum / count))
}

/// A quarter, a half, a quarter of neighbours along each axis; at the borders, and where a neighbour lies on another of the
/// `sides`, voxels are repeated.
pub(super) fn blurred<T: PartialEq>(hu: Array3<f32>, sides: &Array3<T>) -> Array3<f32> {
    (0..3).fold(hu, |hu, axis| {
        let axis = Axis(axis);
        let last = hu.len_of(axis) - 1;
        let mut soft = hu.clone();
        for (index, mut plane) in soft.axis_iter_mut(axis).enumerate() {
            let (before, after) = (index.saturating_sub(1), (index + 1).min(last));
            Zip::from(&mut plane)
                .and(hu.index_axis(axis, before))
                .and(hu.index_axis(axis, after))
                .and(sides.index_axis(axis, before))
                .and(sides.index_axis(axis, index))
                .and(sides.index_axis(axis, after))
                .for_each(|v, &a, &b, side_a, side, side_b| {
                    let a = if side_a == side { a } else { *v };
                    let b = if side_b == side { b } else { *v };
                    *v = 0.5 * *v + 0.25 * (a + b);
                });
        }
        soft
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    const WINDOW: Window = Window([-100.0, 200.0]);

    fn ramp() -> Array3<f32> {
        Array3::from_shape_fn((12, 6, 7), |(k, j, i)| (k * 20) as f32 + (j * i) as f32 - 150.0)
    }

    /// All voxels of the ramp lie in the case.
    fn everywhere() -> Array3<bool> {
        ramp().mapv(|_| true)
    }

    #[test]
    fn without_augmentation_only_the_window_is_applied() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let seen = Intensity::draw(&mut rng, &Augmentation::NONE).apply(ramp(), &everywhere(), WINDOW, &mut rng);
        assert_eq!(seen, ramp().mapv(|hu| WINDOW.apply(hu)));
    }

    #[test]
    fn whatever_is_varied_values_stay_within_0_and_1() {
        let strong = Augmentation {
            gain: 0.5,
            shift_hu: 200.0,
            noise_hu: 100.0,
            gamma: 1.0,
            blur: 0.5,
            thick_slices: 0.5,
            clip: 0.5,
            ..Augmentation::NONE
        };
        let mut seen_twice = Vec::new();
        for seed in 0..40 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let seen = Intensity::draw(&mut rng, &strong).apply(ramp(), &everywhere(), WINDOW, &mut rng);
            assert!(seen.iter().all(|value| (0.0..=1.0).contains(value)));
            seen_twice.push(seen);
        }
        assert!(seen_twice.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn blur_and_thick_slices_keep_what_is_even_and_soften_what_is_not() {
        let even = Array3::from_elem((7, 4, 5), 40.0_f32);
        let inside = even.mapv(|_| true);
        assert_eq!(blurred(even.clone(), &inside), even);
        assert_eq!(thickened(&even, &inside, 3), even);
        let edge = Array3::from_shape_fn((8, 1, 1), |(k, _, _)| if k < 4 { 0.0_f32 } else { 100.0 });
        let inside = edge.mapv(|_| true);
        let soft = blurred(edge.clone(), &inside).into_raw_vec_and_offset().0;
        assert_eq!(soft, [0.0, 0.0, 0.0, 25.0, 75.0, 100.0, 100.0, 100.0]);
        let thick = thickened(&edge, &inside, 2).into_raw_vec_and_offset().0;
        assert_eq!(thick, [0.0, 0.0, 0.0, 25.0, 75.0, 100.0, 100.0, 100.0]);
    }

    #[test]
    fn blur_and_thick_slices_take_nothing_from_beyond_the_case() {
        // A case of 110 HU with seven slices and six columns in a larger sample.
        let inside = Array3::from_shape_fn((12, 6, 9), |(k, _, i)| (2..9).contains(&k) && i < 6);
        let hu = inside.mapv(|inside| if inside { 110.0 } else { WINDOW.0[0] });
        for thickness in [2, 3] {
            let varied = blurred(thickened(&hu, &inside, thickness), &inside);
            assert!(varied.iter().zip(&inside).all(|(hu, inside)| !inside || *hu == 110.0), "{varied}");
        }
    }

    #[test]
    fn across_a_border_nothing_is_blurred() {
        let sides = Array3::from_shape_fn((4, 4, 8), |(_, _, i)| i < 4);
        let hu = sides.mapv(|side| if side { 110.0 } else { -800.0 });
        assert_eq!(blurred(hu.clone(), &sides), hu);
    }

    #[test]
    fn noise_has_mean_0_and_variance_1() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let values: Vec<f64> = (0..100_000).map(|_| f64::from(normal(&mut rng))).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }
}
