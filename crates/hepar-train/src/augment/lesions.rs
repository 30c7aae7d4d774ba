//! Synthetic lesions in real livers.
//!
//! Few patients have few lesions, and hardly two of a kind. A lesion of random size, shape, contrast and edge that is
//! painted into real tissue keeps the scan's noise, and is another one in every sample. Sizes reach from small ones by
//! the dozen to one that fills a whole patch, of which a network sees nothing but that it is dark: each size that no
//! sample shows is one that the network does not find.
//!
//! Some may bulge out of the liver, or else the liver's network leaves out what lies at its edge. Some may be as dark as
//! fluid, or else it takes them for a gall bladder.

use ndarray::{Array3, Zip};
use rand::Rng;

use super::intensity::blurred;
use super::spatial::Extract;
use crate::config::Augmentation;

/// Least and greatest radius in millimetres of small, middling and large lesions; drawn evenly in its logarithm.
const SMALL_MM: [f64; 2] = [2.0, 7.0];
const MIDDLING_MM: [f64; 2] = [2.5, 15.0];
const LARGE_MM: [f64; 2] = [15.0, 50.0];

/// Hounsfield units that the lesions that are like fluid are darker than the liver. At 105 HU, which `liver_hu` of the
/// shipped model brings livers to, water is 105 HU darker.
const FLUID_HU: [f64; 2] = [70.0, 115.0];

/// Lesions smaller than this have no necrosis, in millimetres of radius.
const NECROSIS_FROM_MM: f64 = 8.0;

/// Waves that dent a surface.
const WAVES: usize = 5;

/// Waves that make a lesion uneven inside.
const SPOTS: usize = 2;

/// Hounsfield units of tissue outside of the liver that a bulging lesion may take the place of: neither lung nor bone, in
/// scans that are clipped to −160 to 240 HU, as those of public copies of LiTS are, too.
const YIELDING_HU: [f32; 2] = [-150.0, 230.0];

/// How often a voxel of the liver is looked for before a lesion is given up.
const TRIES: usize = 60;

/// A lesion in voxels of a sample.
struct Lesion {
    centre: [f64; 3],
    /// Half axes in voxels, `[k, j, i]`.
    axes: [f64; 3],
    radius_mm: f64,
    waves: [Wave; WAVES],
    /// Hounsfield units that its core differs from the liver.
    core: f32,
    /// The same of its rim; 0 for lesions without one.
    rim: f32,
    /// Width of its edge in millimetres.
    edge_mm: f64,
    /// Share of the tissue's own structure, vessels above all, that is left inside; its noise stays whole, or else
    /// the network learns that lesions are smooth.
    kept: f32,
    /// Hounsfield units that its middle is darker than its core; 0 without necrosis.
    necrosis: f32,
    spots: [Wave; SPOTS],
    /// Whether it goes on where the liver ends.
    is_bulging: bool,
}

/// What is settled about a lesion before the rest of it is drawn.
#[derive(Clone, Copy)]
struct Kind {
    /// Whether it goes on where the liver ends.
    is_bulging: bool,
    /// Whether it is nearly as dark as water.
    is_fluid: bool,
}

/// The tissue that lesions are painted into, as it was before the first.
struct Tissue {
    hu: Array3<f32>,
    /// The same without most of its noise; nothing is mixed across the liver's border, or else the step to what lies beside it
    /// would be taken for noise.
    smooth: Array3<f32>,
    labels: Array3<u8>,
    /// Mean of the liver.
    liver: f32,
}

/// A wave through space: a dent over the directions from a centre, or brighter and darker millimetres.
struct Wave {
    direction: [f64; 3],
    phase: f64,
    height: f64,
}

/// Paints a few lesions into the liver of a sample with voxels of `spacing` millimetres, of which the share `bulging`
/// goes on where the liver ends, and the share `fluid` is nearly as dark as water and does not: changes
/// Hounsfield units, and labels
/// from 1, or from 0 where a lesion bulges out of the liver, to 2. A sample without liver stays as it is.
pub(crate) fn paint_lesions(
    rng: &mut impl Rng,
    sample: &mut Extract,
    spacing: [f64; 3],
    Augmentation { bulging, fluid, .. }: &Augmentation,
) {
    let (mut sum, mut count) = (0.0f64, 0usize);
    for (hu, _) in sample.hu.iter().zip(&sample.labels).filter(|(_, label)| **label == 1) {
        (sum, count) = (sum + f64::from(*hu), count + 1);
    }
    if count == 0 {
        return;
    }
    let liver = (sum / count as f64) as f32;
    let tissue = Tissue::of(sample, liver);
    for radii in sizes(rng) {
        if let Some(centre) = liver_voxel(rng, sample) {
            let (is_bulging, is_fluid) = (rng.random_bool(*bulging), rng.random_bool(*fluid));
            // As dark as fluid and beside the liver is a gall bladder or a cyst, seldom a lesion.
            let kind = Kind { is_bulging: is_bulging && !is_fluid, is_fluid };
            Lesion::draw(rng, kind, centre, spacing, radii).paint(sample, spacing, &tissue);
        }
    }
}

/// From which radii each lesion of a sample is drawn: few of middling size, a dozen small ones, or a large one, mostly
/// with small ones beside it.
fn sizes(rng: &mut impl Rng) -> Vec<[f64; 2]> {
    match rng.random_range(0..20) {
        0..9 => vec![MIDDLING_MM; rng.random_range(1..=3)],
        9..15 => vec![SMALL_MM; rng.random_range(4..=14)],
        _ => {
            let mut sizes = vec![SMALL_MM; rng.random_range(0..=4)];
            sizes.push(LARGE_MM);
            sizes
        }
    }
}

/// A voxel with label 1.
fn liver_voxel(rng: &mut impl Rng, sample: &Extract) -> Option<[usize; 3]> {
    let (depth, height, width) = sample.labels.dim();
    (0..TRIES)
        .map(|_| [rng.random_range(0..depth), rng.random_range(0..height), rng.random_range(0..width)])
        .find(|&voxel| sample.labels[voxel] == 1)
}

/// A number between two, evenly.
fn between(rng: &mut impl Rng, [low, high]: [f64; 2]) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

impl Tissue {
    /// What a sample shows, whose liver has `liver` Hounsfield units on average.
    fn of(sample: &Extract, liver: f32) -> Self {
        let sides = Zip::from(&sample.labels).and(&sample.inside).map_collect(|label, inside| (*label != 0, *inside));
        let (hu, smooth) = (sample.hu.clone(), blurred(sample.hu.clone(), &sides));
        Self { hu, smooth, labels: sample.labels.clone(), liver }
    }
}

impl Lesion {
    fn draw(rng: &mut impl Rng, kind: Kind, centre: [usize; 3], spacing: [f64; 3], radii_mm: [f64; 2]) -> Self {
        let radius_mm = between(rng, radii_mm.map(f64::ln)).exp();
        let axes = std::array::from_fn(|axis| radius_mm * between(rng, [0.75, 1.3]) / spacing[axis]);
        let waves = std::array::from_fn(|_| Wave {
            direction: std::array::from_fn(|_| between(rng, [-3.0, 3.0])),
            phase: between(rng, [0.0, std::f64::consts::TAU]),
            height: between(rng, [0.0, 0.12]),
        });
        let spots = std::array::from_fn(|_| Wave {
            direction: std::array::from_fn(|axis| spacing[axis] * between(rng, [-0.4, 0.4])),
            phase: between(rng, [0.0, std::f64::consts::TAU]),
            height: between(rng, [0.0, 8.0]),
        });
        let is_necrotic = !kind.is_fluid && radius_mm > NECROSIS_FROM_MM && rng.random_bool(0.3);
        let necrosis = if is_necrotic { between(rng, [8.0, 30.0]) } else { 0.0 };
        // Most metastases are darker than portal-venous liver; some are brighter, or have a bright rim.
        let (core, rim) = match rng.random_range(0..20) {
            _ if kind.is_fluid => (-between(rng, FLUID_HU), 0.0),
            0..2 => (between(rng, [20.0, 60.0]), 0.0),
            2..5 => (-between(rng, [15.0, 60.0]), between(rng, [10.0, 40.0])),
            _ => (-between(rng, [12.0, 75.0]), 0.0),
        };
        Self {
            centre: centre.map(|at| at as f64),
            axes,
            radius_mm,
            waves,
            core: core as f32,
            rim: rim as f32,
            edge_mm: between(rng, [0.6, 2.5]),
            kept: between(rng, [0.2, 1.0]) as f32,
            necrosis: necrosis as f32,
            spots,
            is_bulging: kind.is_bulging,
        }
    }

    /// Millimetres from a voxel to the surface, about, positive inside; negative infinity far outside.
    fn depth_mm(&self, voxel: [usize; 3]) -> f64 {
        let offset: [f64; 3] = std::array::from_fn(|axis| (voxel[axis] as f64 - self.centre[axis]) / self.axes[axis]);
        let distance = offset.iter().map(|part| part * part).sum::<f64>().sqrt();
        if distance > 2.0 {
            return f64::NEG_INFINITY;
        }
        let direction = offset.map(|part| part / distance.max(1e-6));
        let dents: f64 = self.waves.iter().map(|wave| wave.at(direction)).sum();
        (1.0 + dents - distance) * self.radius_mm
    }

    /// Whether the lesion may take the place of what is in a voxel.
    fn takes(&self, label: u8, hu: f32) -> bool {
        label != 0 || (self.is_bulging && (YIELDING_HU[0]..=YIELDING_HU[1]).contains(&hu))
    }

    /// Hounsfield units of a voxel inside, `depth` millimetres below the surface; none of the structure of what lay
    /// outside of the liver stays.
    fn hu(&self, voxel: [usize; 3], depth: f64, is_liver: bool, tissue: &Tissue) -> f32 {
        let Tissue { hu, smooth, liver, .. } = tissue;
        let structure = if is_liver { (smooth[voxel] - liver) * self.kept } else { 0.0 };
        let noise = hu[voxel] - smooth[voxel];
        let spots: f64 = self.spots.iter().map(|wave| wave.at(voxel.map(|at| at as f64))).sum();
        let middle = 1.0 / (1.0 + (-8.0 * (depth / self.radius_mm - 0.4)).exp());
        liver + structure + noise + self.core + spots as f32 - self.necrosis * middle as f32
    }

    fn paint(&self, sample: &mut Extract, spacing: [f64; 3], tissue: &Tissue) {
        let dim: [usize; 3] = sample.labels.dim().into();
        let reach: [f64; 3] = std::array::from_fn(|axis| self.axes[axis] * 1.6 + 3.0 * self.edge_mm / spacing[axis]);
        let range = |axis: usize| {
            let (low, high) = (self.centre[axis] - reach[axis], self.centre[axis] + reach[axis] + 1.0);
            low.max(0.0) as usize..(high as usize + 1).min(dim[axis])
        };
        for k in range(0) {
            for j in range(1) {
                for i in range(2) {
                    let voxel = [k, j, i];
                    // Not the sample's: what an earlier lesion took outside of the liver has not become liver.
                    let label = tissue.labels[voxel];
                    if !sample.inside[voxel] || !self.takes(label, tissue.smooth[voxel]) {
                        continue;
                    }
                    let depth = self.depth_mm(voxel);
                    if depth < -3.0 * self.edge_mm {
                        continue;
                    }
                    let inside = (1.0 / (1.0 + (-2.0 * depth / self.edge_mm).exp())) as f32;
                    let near = (-(depth / (1.0 + self.edge_mm)).powi(2)).exp() as f32;
                    let hu = &mut sample.hu[voxel];
                    *hu += inside * (self.hu(voxel, depth, label != 0, tissue) - *hu) + near * self.rim;
                    if depth > 0.0 {
                        sample.labels[voxel] = 2;
                    }
                }
            }
        }
    }
}

impl Wave {
    fn at(&self, direction: [f64; 3]) -> f64 {
        let along: f64 = (0..3).map(|axis| direction[axis] * self.direction[axis]).sum();
        self.height * (along + self.phase).sin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn sample() -> Extract {
        let labels = Array3::from_shape_fn((32, 64, 64), |(k, _, i)| u8::from(k >= 4 && i < 40));
        let hu = labels.mapv(|label| if label == 1 { 110.0 } else { 20.0 });
        Extract { hu, inside: Array3::from_elem(labels.raw_dim(), true), labels }
    }

    /// Lesions of which a share bulges.
    fn bulging(share: f64) -> Augmentation {
        Augmentation { bulging: share, ..Augmentation::NONE }
    }

    fn painted(seed: u64) -> Extract {
        let mut sample = sample();
        paint_lesions(&mut ChaCha8Rng::seed_from_u64(seed), &mut sample, [2.5, 1.0, 1.0], &bulging(0.0));
        sample
    }

    #[test]
    fn lesions_like_fluid_are_nearly_as_dark_as_water() {
        let fluid = Augmentation { fluid: 1.0, ..Augmentation::NONE };
        let mut darkest = Vec::new();
        for seed in 0..30 {
            let mut after = sample();
            paint_lesions(&mut ChaCha8Rng::seed_from_u64(seed), &mut after, [2.5, 1.0, 1.0], &fluid);
            let inside = after.labels.iter().zip(&after.hu).filter(|(label, _)| **label == 2);
            darkest.push(inside.map(|(_, hu)| *hu).fold(f32::INFINITY, f32::min));
        }
        // The sample's liver has 110 HU; the waves inside make up to 16 HU.
        assert!(darkest.iter().all(|hu| (-25.0..65.0).contains(hu)), "{darkest:?}");
    }

    /// Voxels that were not liver before and are lesions now, and those that became something else.
    fn bulged(before: &Extract, after: &Extract) -> (usize, usize) {
        let changed = after.labels.iter().zip(&before.labels).filter(|(is, was)| **was == 0 && **is != 0);
        let (lesions, others): (Vec<_>, Vec<_>) = changed.partition(|(is, _)| **is == 2);
        (lesions.len(), others.len())
    }

    #[test]
    fn some_lesions_bulge_out_of_the_liver() {
        let before = sample();
        let counts: Vec<_> = (0..30)
            .map(|seed| {
                let mut after = sample();
                paint_lesions(&mut ChaCha8Rng::seed_from_u64(seed), &mut after, [2.5, 1.0, 1.0], &bulging(0.3));
                bulged(&before, &after)
            })
            .collect();
        assert!(counts.iter().all(|(_, others)| *others == 0), "nothing becomes liver");
        let bulging = counts.iter().filter(|(lesions, _)| *lesions > 0).count();
        assert!((3..20).contains(&bulging), "{bulging}");
    }

    #[test]
    fn what_a_bulging_lesion_took_is_no_liver_to_the_next_one() {
        let mut sample = sample();
        sample.hu.zip_mut_with(&sample.labels, |hu, label| *hu = if *label == 0 { -100.0 } else { *hu });
        let (before, tissue) = (sample.labels.clone(), Tissue::of(&sample, 110.0));
        let mut paint = |is_bulging, seed| {
            let kind = Kind { is_bulging, is_fluid: false };
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let lesion = Lesion::draw(&mut rng, kind, [16, 32, 38], [2.5, 1.0, 1.0], [14.0; 2]);
            lesion.paint(&mut sample, [2.5, 1.0, 1.0], &tissue);
            (sample.hu.clone(), sample.labels.clone())
        };
        let ((first, labels), (second, _), (third, _)) = (paint(true, 1), paint(false, 2), paint(true, 3));
        let outside = || labels.indexed_iter().filter(|(voxel, label)| **label == 2 && before[*voxel] == 0);
        assert!(outside().count() > 100);
        assert!(outside().all(|(voxel, _)| second[voxel] == first[voxel]), "the second does not bulge");
        // Well inside of the third one nothing is left of fat.
        let inside = |(_, j, i): (usize, usize, usize)| (43..45).contains(&i) && (28..36).contains(&j);
        assert!(outside().all(|(voxel, _)| voxel.0.abs_diff(16) > 1 || !inside(voxel) || third[voxel] > -30.0));
    }

    #[test]
    fn lung_and_bone_do_not_yield_to_a_lesion() {
        for (seed, hard) in (0..30).flat_map(|seed| [-800.0, -160.0, 240.0, 700.0].map(|hu| (seed, hu))) {
            let mut after = sample();
            after.hu.zip_mut_with(&after.labels, |hu, label| *hu = if *label == 0 { hard } else { *hu });
            let before = after.hu.clone();
            paint_lesions(&mut ChaCha8Rng::seed_from_u64(seed), &mut after, [2.5, 1.0, 1.0], &bulging(1.0));
            let beside = after.labels.indexed_iter().filter(|((k, _, i), _)| *i >= 40 || *k < 4);
            assert!(beside.into_iter().all(|(voxel, label)| *label == 0 && after.hu[voxel] == before[voxel]));
        }
    }

    #[test]
    fn at_the_face_of_the_liver_a_lesion_is_as_bright_as_deeper_in_it() {
        let mut lung = sample();
        lung.hu.zip_mut_with(&lung.labels, |hu, label| *hu = if *label == 0 { -800.0 } else { *hu });
        let tissue = Tissue::of(&lung, 110.0);
        let mut pairs = 0;
        for seed in 0..30 {
            let (mut after, mut rng) = (sample(), ChaCha8Rng::seed_from_u64(seed));
            after.hu.assign(&lung.hu);
            let kind = Kind { is_bulging: false, is_fluid: false };
            let drawn = Lesion::draw(&mut rng, kind, [16, 32, 36], [2.5, 1.0, 1.0], [14.0; 2]);
            let lesion = Lesion { rim: 0.0, necrosis: 0.0, ..drawn };
            lesion.paint(&mut after, [2.5, 1.0, 1.0], &tissue);
            for (k, j) in (11..22).flat_map(|k| (18..46).map(move |j| (k, j))) {
                // Well below the surface of the lesion, so that its own edge makes no difference.
                let [face, deeper] = [[k, j, 39], [k, j, 37]];
                if lesion.depth_mm(face) < 4.0 || lesion.depth_mm(deeper) < 4.0 {
                    continue;
                }
                let step = after.hu[face] - after.hu[deeper];
                assert!(step.abs() < 35.0, "seed {seed}, {face:?}: {step}");
                pairs += 1;
            }
        }
        assert!(pairs > 500, "{pairs}");
    }

    #[test]
    fn lesions_lie_in_the_liver_and_differ_from_it() {
        let before = sample();
        let (mut lesions, mut darker) = (0, 0);
        for seed in 0..30 {
            let after = painted(seed);
            for ((voxel, label), was) in after.labels.indexed_iter().zip(&before.labels) {
                assert!(*label == *was || (*was == 1 && *label == 2));
                if *was == 0 {
                    assert_eq!(after.hu[voxel], before.hu[voxel], "tissue around the liver stays");
                }
            }
            let inside = after.labels.iter().zip(&after.hu).filter(|(label, _)| **label == 2);
            let values: Vec<f32> = inside.map(|(_, hu)| *hu).collect();
            assert!(values.iter().all(|hu| (-50.0..250.0).contains(hu)));
            lesions += usize::from(!values.is_empty());
            darker += usize::from(values.iter().sum::<f32>() / (values.len().max(1) as f32) < 105.0);
        }
        assert_eq!(lesions, 30);
        assert!(darker > 20, "most are darker: {darker}");
    }

    #[test]
    fn no_lesion_bulges_beyond_the_case() {
        for seed in 0..30 {
            let mut cut = sample();
            cut.inside.indexed_iter_mut().for_each(|((_, _, i), inside)| *inside = i < 44);
            paint_lesions(&mut ChaCha8Rng::seed_from_u64(seed), &mut cut, [2.5, 1.0, 1.0], &bulging(1.0));
            assert!(cut.labels.iter().zip(&cut.inside).all(|(label, inside)| *inside || *label == 0));
        }
    }

    #[test]
    fn sizes_reach_from_dozens_of_small_ones_to_one_that_fills_the_sample() {
        let shares: Vec<f64> = (0..60)
            .map(|seed| {
                let labels = painted(seed).labels;
                let [liver, lesions] =
                    [1, 2].map(|value| labels.iter().filter(|label| **label == value).count() as f64);
                lesions / (liver + lesions)
            })
            .collect();
        assert!(shares.iter().any(|share| *share > 0.7), "{shares:?}");
        assert!(shares.iter().filter(|share| **share < 0.05).count() > 15, "{shares:?}");
        let numbers: Vec<usize> = (0..60).map(|seed| sizes(&mut ChaCha8Rng::seed_from_u64(seed)).len()).collect();
        assert!(numbers.contains(&1) && numbers.iter().any(|number| *number >= 12), "{numbers:?}");
    }

    #[test]
    fn lesions_are_as_noisy_as_the_liver() {
        let mut noisy = sample();
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        noisy.hu.mapv_inplace(|hu| hu + 30.0 * (rng.random::<f32>() - 0.5));
        let before = noisy.hu.clone();
        paint_lesions(&mut rng, &mut noisy, [2.5, 1.0, 1.0], &bulging(0.0));
        // Neighbours differ by noise alone where the lesion is even.
        let roughness = |hu: &Array3<f32>, wanted: u8| {
            let differences: Vec<f32> = noisy
                .labels
                .indexed_iter()
                .filter(|((k, j, i), label)| *i > 0 && **label == wanted && noisy.labels[[*k, *j, *i - 1]] == wanted)
                .map(|((k, j, i), _)| (hu[[k, j, i]] - hu[[k, j, i - 1]]).abs())
                .collect();
            differences.iter().sum::<f32>() / differences.len() as f32
        };
        let (was, is) = (roughness(&before, 2), roughness(&noisy.hu, 2));
        assert!((is / was - 1.0).abs() < 0.25, "{was} {is}");
    }

    #[test]
    fn the_same_draws_paint_the_same_lesions_and_others_others() {
        assert_eq!(painted(1).labels, painted(1).labels);
        assert_ne!(painted(1).labels, painted(2).labels);
    }

    #[test]
    fn a_sample_without_liver_stays_as_it_is() {
        let mut empty = sample();
        empty.labels.fill(0);
        let before = empty.hu.clone();
        paint_lesions(&mut ChaCha8Rng::seed_from_u64(1), &mut empty, [1.0; 3], &bulging(0.3));
        assert_eq!(empty.hu, before);
    }
}
