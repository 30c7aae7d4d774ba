//! Which part of which case a sample shows.

use std::collections::BTreeMap;

use hepar_model::stage::{Grid, StageName};
use hepar_volume::VoxelBox;
use ndarray::Array3;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::augment::{Intensity, Placement, darken_lesions, extract, paint_lesions};
use crate::config::{LesionDraw, TrainConfig};
use crate::dataset::PatientId;
use crate::error::DataError;
use crate::position::{around, centred, liver_start, liver_voxel, one_of, one_of_all, within};
use crate::prepare::{LiverFacts, Material, Part, Prepared};

/// Tumour samples around a lesion, of all of them: the article's 300 of 350.
const LESION_SHARE: (u32, u32) = (6, 7);

/// Draws samples from cases.
///
/// A sample is a function of the configuration's seed and the sample's index alone, so that a run can go on from any
/// step without knowing what came before.
pub struct Sampler<'a> {
    config: &'a TrainConfig,
    real: Pool<'a>,
    phantoms: Pool<'a>,
}

/// What the network learns from once.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Name of the case.
    pub case: String,
    /// What the network sees, 0..=1, `[d, h, w]`.
    pub input: Array3<f32>,
    /// What it should answer, 0 or 1, `[d, h, w]`.
    pub target: Array3<f32>,
    /// How much each voxel counts, 0..=1, `[d, h, w]`.
    pub weight: Array3<f32>,
}

/// What a sample lies around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// A voxel of a lesion.
    Lesion,
    /// A voxel of what a network took for a lesion.
    FalseLesion,
    /// Whatever else the stage looks at.
    Liver,
}

/// Cases by origin and patient, and the same of those that have lesions, and false ones.
struct Pool<'a> {
    all: Vec<Vec<Vec<&'a Prepared>>>,
    with_lesions: Vec<Vec<Vec<&'a Prepared>>>,
    with_false_lesions: Vec<Vec<Vec<&'a Prepared>>>,
}

impl<'a> Pool<'a> {
    fn new(cases: &'a [Prepared]) -> Self {
        let with = |has: fn(&LiverFacts) -> bool| grouped(cases.iter().filter(|c| c.liver.as_ref().is_some_and(has)));
        Self {
            all: grouped(cases.iter()),
            with_lesions: with(|liver| !liver.lesions.is_empty()),
            with_false_lesions: with(|liver| !liver.false_lesions.is_empty()),
        }
    }

    fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

/// Cases by origin, then by patient.
fn grouped<'a>(cases: impl Iterator<Item = &'a Prepared>) -> Vec<Vec<Vec<&'a Prepared>>> {
    let mut origins: BTreeMap<&str, BTreeMap<PatientId, Vec<&Prepared>>> = BTreeMap::new();
    for case in cases {
        let patient = case.patient.drawn_as(&case.name);
        origins.entry(&case.origin).or_default().entry(patient).or_default().push(case);
    }
    origins.into_values().map(|patients| patients.into_values().collect()).collect()
}

impl<'a> Sampler<'a> {
    /// A sampler over prepared cases.
    ///
    /// # Errors
    /// When there is no case, or none with a lesion for the tumour stage.
    pub fn new(config: &'a TrainConfig, material: &'a Material) -> Result<Self, DataError> {
        let (real, phantoms) = (Pool::new(&material.real), Pool::new(&material.phantoms));
        let nothing = |why: &str| Err(DataError::NothingToTrainOn(config.stage.as_str(), why.to_owned()));
        if real.is_empty() && phantoms.is_empty() {
            return nothing("no case could be prepared");
        }
        if config.stage == StageName::Tumour && real.with_lesions.is_empty() && phantoms.with_lesions.is_empty() {
            return nothing("none has a tumour");
        }
        Ok(Self { config, real, phantoms })
    }

    /// Sample number `index`.
    ///
    /// # Errors
    /// When the case's voxels lie in a file that cannot be read.
    pub fn sample(&self, index: u64) -> Result<Sample, DataError> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.config.seed);
        rng.set_stream(index);
        let rng = &mut rng;
        let aim = self.aim(rng);
        let case = self.case(rng, aim);
        let patch = self.config.patch;
        match &case.liver {
            Some(liver) => {
                let start = within(self.start(rng, case, liver, aim)?, case.voxels.shape(), patch);
                let centre = std::array::from_fn(|axis| start[axis] as f64 + (patch[axis] - 1) as f64 / 2.0);
                let placement = Placement::draw(rng, &self.config.augmentation, centre, case.spacing);
                let part = case.voxels.part(&placement.reach(patch, case.voxels.shape()))?;
                Ok(self.finish(rng, case, &part, &placement))
            }
            None => {
                let [depth, height, width] = case.voxels.shape();
                let slice = rng.random_range(0..depth);
                let limit = self.config.augmentation.translation;
                let mut middle =
                    |len: usize| (len - 1) as f64 / 2.0 + (rng.random::<f64>() * 2.0 - 1.0) * limit * len as f64;
                let centre = [0.0, middle(height), middle(width)];
                let placement = Placement::draw(rng, &self.config.augmentation, centre, case.spacing);
                let only = VoxelBox::new([slice, 0, 0], [slice + 1, height, width]);
                let only = only.unwrap_or_else(|| unreachable!("a slice has pixels"));
                Ok(self.finish(rng, case, &case.voxels.part(&only)?.alone(), &placement))
            }
        }
    }

    /// First voxel of a sample, `[k, j, i]`; may lie before the case's first.
    fn start(
        &self,
        rng: &mut ChaCha8Rng,
        case: &Prepared,
        liver: &LiverFacts,
        aim: Aim,
    ) -> Result<[i64; 3], DataError> {
        let patch = self.config.patch;
        let start = match self.config.stage {
            StageName::Tumour => {
                let voxel = self.tumour_voxel(rng, case, liver, aim)?;
                around(rng, voxel, patch)
            }
            StageName::Localizer | StageName::Liver => liver_start(rng, case, liver, patch),
        };
        Ok(match self.config.grid {
            // The stage's box is the patch in plane, and the stage never sees it shifted.
            Grid::ResizedInPlane { .. } => {
                let [_, j, i] = centred(&liver.region, patch);
                [start[0], j, i]
            }
            Grid::Native | Grid::Spacing { .. } => start,
        })
    }

    /// A voxel that a tumour sample lies around: of a lesion, true or false, or of the liver.
    fn tumour_voxel(
        &self,
        rng: &mut ChaCha8Rng,
        case: &Prepared,
        liver: &LiverFacts,
        aim: Aim,
    ) -> Result<[usize; 3], DataError> {
        let lesions = match aim {
            Aim::Lesion => &liver.lesions[..],
            Aim::FalseLesion => &liver.false_lesions[..],
            Aim::Liver => return liver_voxel(rng, case, liver),
        };
        let position = match self.config.lesion_draw {
            LesionDraw::Evenly => {
                let lesion: &Vec<u32> = one_of(rng, lesions);
                *one_of(rng, lesion)
            }
            LesionDraw::BySize => one_of_all(rng, lesions),
        };
        Ok(case.index(position))
    }

    /// What the next sample lies around.
    fn aim(&self, rng: &mut ChaCha8Rng) -> Aim {
        let TrainConfig { stage, hard_negatives, .. } = *self.config;
        let is_mined = stage == StageName::Tumour && !self.real.with_false_lesions.is_empty();
        if is_mined && rng.random::<f64>() < hard_negatives {
            Aim::FalseLesion
        } else if stage == StageName::Tumour && rng.random_ratio(LESION_SHARE.0, LESION_SHARE.1) {
            Aim::Lesion
        } else {
            Aim::Liver
        }
    }

    /// A case, evenly over patients; phantoms as often as the configuration says.
    fn case(&self, rng: &mut ChaCha8Rng, aim: Aim) -> &'a Prepared {
        if aim == Aim::FalseLesion {
            let patients = one_of(rng, &self.real.with_false_lesions);
            let cases = one_of(rng, patients);
            let case: &&Prepared = one_of(rng, cases);
            return case;
        }
        let phantom = rng.random::<f64>() < self.config.phantom_share;
        let (first, second) = if phantom { (&self.phantoms, &self.real) } else { (&self.real, &self.phantoms) };
        let [first, second] =
            [first, second].map(|pool| if aim == Aim::Lesion { &pool.with_lesions } else { &pool.all });
        // One of the two holds a case, with a lesion where one is wanted: `new` has made sure.
        let patients = one_of(rng, if first.is_empty() { second } else { first });
        let cases = one_of(rng, patients);
        let case: &&Prepared = one_of(rng, cases);
        case
    }

    /// Takes the sample from a part of the case and varies it.
    fn finish(&self, rng: &mut ChaCha8Rng, case: &Prepared, part: &Part<'_>, placement: &Placement) -> Sample {
        let (config, augmentation) = (self.config, &self.config.augmentation);
        let intensity = Intensity::draw(rng, augmentation);
        let window = case.liver.as_ref().map_or(config.window, |liver| config.window_for(liver.brightness_hu));
        let low = window.0[0];
        let mut taken = extract(part, placement, config.patch, low);
        // No draw without the setting: samples of a seed are then what they were before there was one.
        if augmentation.darkened > 0.0 && rng.random::<f64>() < augmentation.darkened {
            darken_lesions(rng, &mut taken);
        }
        if rng.random::<f64>() < augmentation.lesions {
            paint_lesions(rng, &mut taken, case.spacing, augmentation);
        }
        let mut input = intensity.apply(taken.hu, &taken.inside, window, rng);
        // Beyond the case is what inference pads with, whatever was done to the brightness.
        input.zip_mut_with(&taken.inside, |value, inside| {
            if !inside {
                *value = 0.0;
            }
        });
        let target = taken.labels.mapv(|label| f32::from(u8::from(config.is_target(label))));
        let weight = taken.labels.mapv(|label| if label >= 1 { 1.0 } else { config.outside_liver });
        Sample { case: case.name.clone(), input, target, weight }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Augmentation;
    use crate::prepare::{Storage, prepare_spatial};
    use hepar_volume::{Geometry, Volume};
    use std::collections::BTreeSet;

    /// A liver with a tumour of 8000 voxels and one of a single voxel (400 HU).
    fn material(name: &str) -> Prepared {
        let grid = Geometry::axis_aligned([60, 120, 120], [1.0; 3]).unwrap();
        let labels = Volume::from_fn(grid, |[k, j, i]| match (k, j, i) {
            (20..40, 30..50, 30..50) => 2,
            (45, 90, 90) => 2,
            (10..50, 20..100, 20..100) => 1,
            _ => 0,
        });
        let mut ct = labels.map(|&label| i16::from(label) * 50);
        ct.data_mut()[[45, 90, 90]] = 400;
        let config = TrainConfig { grid: Grid::Native, ..TrainConfig::preset(StageName::Tumour) };
        prepare_spatial(name, &PatientId::of(name), &ct, &labels, &config).unwrap()
    }

    fn config(stage: StageName) -> TrainConfig {
        let patch = [32, 64, 64];
        TrainConfig { patch, phantoms: 0, phantom_share: 0.0, grid: Grid::Native, ..TrainConfig::preset(stage) }
    }

    #[test]
    fn a_sample_depends_on_seed_and_index_alone() {
        let material = Material { real: vec![material("a"), material("b")], phantoms: vec![material("p")] };
        let config = TrainConfig { phantom_share: 0.5, phantoms: 1, ..config(StageName::Tumour) };
        let other = TrainConfig { seed: 2, ..config.clone() };
        let sampler = Sampler::new(&config, &material).unwrap();
        let seventh = sampler.sample(7).unwrap();
        let _ = sampler.sample(3).unwrap();
        assert_eq!(sampler.sample(7).unwrap(), seventh);
        assert_ne!(sampler.sample(8).unwrap().input, seventh.input);
        assert_ne!(Sampler::new(&other, &material).unwrap().sample(7).unwrap().input, seventh.input);
    }

    #[test]
    fn a_sample_is_the_same_whether_its_case_lies_in_memory_or_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let cases = || [material("a"), material("b")].to_vec();
        let material = |memory| {
            let storage = Storage::new(memory, folder.path());
            let kept = cases().into_iter().map(|case| storage.keep(case).unwrap()).collect();
            Material { real: kept, phantoms: Vec::new() }
        };
        let (memory, file) = (material(u64::MAX), material(0));
        assert!(file.bytes() < memory.bytes() / 10);
        for stage in [StageName::Liver, StageName::Tumour] {
            let bent = Augmentation { elastic_mm: 5.0, flip: true, ..TrainConfig::preset(stage).augmentation };
            let config = TrainConfig { augmentation: bent, ..config(stage) };
            let [memory, file] = [&memory, &file].map(|material| Sampler::new(&config, material).unwrap());
            assert!((0..20).all(|index| memory.sample(index).unwrap() == file.sample(index).unwrap()), "{stage}");
        }
    }

    #[test]
    fn hard_negatives_lie_around_what_was_taken_for_a_tumour_as_often_as_was_asked_for() {
        // A voxel of the liver that is brighter than all others.
        let mut case = material("a").changed(|hu, _| hu[[20, 80, 30]] = 300);
        let index = (20 * 120 + 80) * 120 + 30;
        case.liver.as_mut().unwrap().false_lesions = vec![vec![index]];
        let material = Material { real: vec![case], phantoms: Vec::new() };
        let share = |hard_negatives: f64| {
            let config = TrainConfig { augmentation: Augmentation::NONE, hard_negatives, ..config(StageName::Tumour) };
            let sampler = Sampler::new(&config, &material).unwrap();
            let shows = |index: &u64| {
                let sample = sampler.sample(*index).unwrap();
                sample.input.iter().zip(&sample.target).any(|(value, target)| *value == 1.0 && *target == 0.0)
            };
            (0..100).filter(shows).count()
        };
        assert_eq!(share(1.0), 100);
        assert!(share(0.5) > share(0.0) + 25, "{} {}", share(0.5), share(0.0));
    }

    #[test]
    fn relative_to_the_liver_a_brighter_scan_gives_the_same_sample() {
        let dark = material("a");
        let brighter = dark.changed(|hu, _| *hu += 40);
        let facts = dark.liver.clone().map(|liver| LiverFacts { brightness_hu: liver.brightness_hu + 40.0, ..liver });
        let [dark, bright] = [dark, Prepared { liver: facts, ..brighter }]
            .map(|case| Material { real: vec![case], phantoms: Vec::new() });
        let fixed = TrainConfig { augmentation: Augmentation::NONE, ..config(StageName::Tumour) };
        let relative = TrainConfig { liver_hu: Some(80.0), ..fixed.clone() };
        let sample = |config, material| Sampler::new(config, material).unwrap().sample(3).unwrap();
        assert_eq!(sample(&relative, &dark), sample(&relative, &bright));
        assert_ne!(sample(&fixed, &dark), sample(&fixed, &bright));
        assert_eq!(relative.stage_table("", "").liver_hu, Some(80.0));
    }

    /// How many of 200 samples show the lesion of a single voxel.
    fn with_the_small_lesion(lesion_draw: LesionDraw) -> usize {
        let material = Material { real: vec![material("a")], phantoms: Vec::new() };
        let config = TrainConfig { augmentation: Augmentation::NONE, lesion_draw, ..config(StageName::Tumour) };
        let sampler = Sampler::new(&config, &material).unwrap();
        let bright = |(voxel, value): (&f32, &f32)| *voxel == 1.0 && *value == 1.0;
        let shows = |sample: Sample| sample.target.iter().zip(&sample.input).any(bright);
        (0..200).filter(|&index| shows(sampler.sample(index).unwrap())).count()
    }

    #[test]
    fn a_small_lesion_is_seen_as_often_as_a_large_one_unless_lesions_are_drawn_by_size() {
        // Aimed at in 3 of 7; by chance rarely else, since the two are far apart.
        let evenly = with_the_small_lesion(LesionDraw::Evenly);
        assert!((60..150).contains(&evenly), "{evenly} of 200");
        let by_size = with_the_small_lesion(LesionDraw::BySize);
        assert!(by_size < 30, "{by_size} of 200");
    }

    #[test]
    fn voxels_of_the_liver_count_wholly_and_others_as_the_configuration_says() {
        let material = Material { real: vec![material("a")], phantoms: Vec::new() };
        let plain = TrainConfig { augmentation: Augmentation::NONE, ..config(StageName::Tumour) };
        let light = TrainConfig { outside_liver: 0.25, ..plain.clone() };
        let (plain, light) = (Sampler::new(&plain, &material).unwrap(), Sampler::new(&light, &material).unwrap());
        for index in 0..10 {
            let (plain, light) = (plain.sample(index).unwrap(), light.sample(index).unwrap());
            assert!(plain.weight.iter().all(|&weight| weight == 1.0) && plain.input == light.input);
            // In this scan everything but the liver has 0 HU, a third of the window.
            let is_outside = |value: f32| (value - 1.0 / 3.0).abs() < 1e-6 || value == 0.0;
            let expected = light.input.mapv(|value| if is_outside(value) { 0.25 } else { 1.0 });
            assert_eq!(light.weight, expected);
            assert!(light.target.iter().zip(&light.weight).all(|(&target, &weight)| target == 0.0 || weight == 1.0));
        }
    }

    #[test]
    fn six_in_seven_tumour_samples_show_a_tumour_even_when_turned() {
        let material = Material { real: vec![material("a")], phantoms: Vec::new() };
        let config = config(StageName::Tumour);
        let sampler = Sampler::new(&config, &material).unwrap();
        let shown = (0..140).filter(|&index| sampler.sample(index).unwrap().target.iter().any(|&t| t == 1.0)).count();
        assert!(shown >= 110, "{shown} of 140");
    }

    #[test]
    fn liver_samples_hold_much_of_the_liver_and_its_surroundings() {
        let material = Material { real: vec![material("a")], phantoms: Vec::new() };
        let config = config(StageName::Liver);
        let sampler = Sampler::new(&config, &material).unwrap();
        let shares: Vec<f32> = (0..60).map(|index| sampler.sample(index).unwrap().target.mean().unwrap()).collect();
        let mean = shares.iter().sum::<f32>() / shares.len() as f32;
        assert!((0.2..0.9).contains(&mean), "{mean}");
        assert!(shares.iter().any(|&share| share < 0.4) && shares.iter().any(|&share| share > 0.6));
    }

    #[test]
    fn slices_resized_to_the_patch_are_not_shifted_in_plane() {
        let material = Material { real: vec![material("a")], phantoms: Vec::new() };
        for stage in [StageName::Liver, StageName::Tumour] {
            let config = TrainConfig { grid: Grid::ResizedInPlane { size: [64, 64] }, ..config(stage) };
            let sampler = Sampler::new(&config, &material).unwrap();
            let case = &material.real[0];
            let liver = case.liver.as_ref().unwrap();
            let starts: BTreeSet<[i64; 3]> = (0..100)
                .map(|seed| {
                    let aim = if seed % 2 == 0 { Aim::Lesion } else { Aim::Liver };
                    sampler.start(&mut ChaCha8Rng::seed_from_u64(seed), case, liver, aim).unwrap()
                })
                .collect();
            let [_, j, i] = centred(&liver.region, config.patch);
            assert!(starts.iter().all(|start| start[1..] == [j, i]) && starts.len() > 10, "{starts:?}");
        }
    }

    #[test]
    fn each_of_the_volumes_that_may_show_one_patient_is_drawn_as_often_as_any_other() {
        let material =
            Material { real: ["lits000", "lits120", "lits121"].map(material).to_vec(), phantoms: Vec::new() };
        let config = config(StageName::Liver);
        let sampler = Sampler::new(&config, &material).unwrap();
        let drawn = (0..150).filter(|&index| sampler.sample(index).unwrap().case == "lits000").count();
        assert!((33..67).contains(&drawn), "{drawn} of 150");
    }

    #[test]
    fn without_any_tumour_there_is_nothing_to_train_the_tumour_stage_on() {
        let mut healthy = material("a").changed(|_, labels| labels.mapv_inplace(|label| label.min(1)));
        healthy.liver.as_mut().unwrap().lesions.clear();
        let material = Material { real: vec![healthy], phantoms: Vec::new() };
        assert!(Sampler::new(&config(StageName::Tumour), &material).is_err());
        assert!(Sampler::new(&config(StageName::Liver), &material).is_ok());
    }
}
