//! What a training run needs to know, as `config.toml` states it.

mod augmentation;

use std::path::PathBuf;

use hepar_model::stage::{BoxMargin, Grid, Sheet, Stage, StageName, Window};
use hepar_model::topology::{Dimensions, NetworkConfig};
use serde::{Deserialize, Serialize};

#[cfg(doc)]
use crate::dataset::{Case, PatientId};

pub use augmentation::Augmentation;

/// More steps than any training has, and few enough to count samples in 64 bits.
const MOST_STEPS: u64 = 1_000_000_000;

/// The greatest number that TOML has.
const MOST_IN_TOML: u64 = i64::MAX.unsigned_abs();

/// Everything that decides a training run, apart from the data itself.
///
/// The same configuration and data give the same network on the same machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Which network is trained.
    pub stage: StageName,
    /// Channels of conv1, res1, res2, res3, res4 and res5.
    pub widths: [usize; 6],
    /// Hounsfield units that the network sees.
    pub window: Window,
    /// Hounsfield units that the liver's own tissue has once all intensities of a scan were shifted, in training, validation
    /// and the exported stage; none: intensities are as they are, the article's, and the localizer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liver_hu: Option<f32>,
    /// Voxels of one sample, `[d, h, w]`; multiples of 32 (d = 1 for the localizer).
    pub patch: [usize; 3],
    /// Voxels of a patch in validation and in the exported stage, `[d, h, w]`; none: those of a sample, which
    /// is what the network has learnt from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exported_patch: Option<[usize; 3]>,
    /// Samples that go through the network together.
    pub batch: usize,
    /// Batches whose gradients make one step, at least 1: more samples a step than fit into memory at once.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// Steps in all.
    pub steps: u64,
    /// What the network is punished for.
    #[serde(default)]
    pub loss: Loss,
    /// How much a voxel outside the liver counts in the tumour stage's loss, 0..=1.
    ///
    /// The pipeline drops what the stage finds there, so it need not be right there; but the liver that it is given is
    /// never exact, so it should not be free to say anything either. The other stages know only 1, the article's.
    #[serde(default = "whole")]
    pub outside_liver: f32,
    /// Share of the tumour stage's samples that lie around what the network with the weights `start` takes for a tumour
    /// and the labels do not, 0..=1; it is asked about all patients that are trained on before the first step.
    #[serde(default)]
    pub hard_negatives: f64,
    /// Which lesion of a case, true or false, the tumour stage's samples lie around.
    #[serde(default)]
    pub lesion_draw: LesionDraw,
    /// Safetensors file with weights of the same network to start from, relative to the working directory; none: random
    /// ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<PathBuf>,
    /// Batches from which the running statistics of the normalisations are computed anew after the last step; 0: they stay
    /// as they ran along, the article's, which a short training leaves far behind the weights.
    #[serde(default)]
    pub recalibrate: u64,
    /// Adam's learning rate at its highest.
    pub learning_rate: f64,
    /// Share of every kernel that a step takes away, times the learning rate (AdamW); 0: none, the article's.
    #[serde(default)]
    pub weight_decay: f64,
    /// Greatest norm of all gradients together, beyond which they are scaled down; none: they are as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// How much of the running mean of the weights each step keeps, 0..1; the mean is what is validated and handed out.
    /// 0: there is none, and the weights themselves are.
    #[serde(default)]
    pub average: f64,
    /// Validations in a row without a better Dice after which the run ends; 0: it never does before its last step.
    ///
    /// What is handed out then is the best that was validated, with the statistics that ran along.
    #[serde(default)]
    pub early_stop: u32,
    /// Steps between two validations.
    pub validate_every: u64,
    /// Steps between two checkpoints.
    pub checkpoint_every: u64,
    /// From which everything random is drawn.
    pub seed: u64,
    /// Into how many folds patients are divided, 1..=1000; a patient's fold depends on this number and the patient
    /// alone.
    pub folds: usize,
    /// The fold that is held out for validation, 0..folds; none: all patients are trained on and nothing is validated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold: Option<usize>,
    /// Synthetic cases that join the real ones.
    pub phantoms: usize,
    /// Share of the samples that is drawn from synthetic cases, 0..=1, of those that are no hard negatives.
    pub phantom_share: f64,
    /// Cases whose labels do not know tumours, and folders of such cases: not used for the tumour stage.
    #[serde(default)]
    pub liver_only: Vec<String>,
    /// Cases, and folders of cases, that were cropped in plane: not used for the localizer, which sees whole slices. Packed
    /// copies are known to be ([`Case::is_cropped`]).
    #[serde(default)]
    pub cropped: Vec<String>,
    /// Whether scans are used whose header nobody filled in: voxels of exactly 1 mm, the first at the origin. Sizes,
    /// margins and directions of such a scan are wrong unless its voxels really are so.
    #[serde(default)]
    pub unit_grids: bool,
    /// Patients that are neither trained on nor held out, by the name of any of their cases.
    ///
    /// The patient who is kept for tests, [`PatientId::kept_for_tests`], need not be named: no run uses this one.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Share of a window that its neighbour covers too, `[d, h, w]`, in validation and in the exported stage.
    pub overlap: [f64; 3],
    /// A voxel belongs to the object when its probability is greater, in validation and in the exported stage.
    pub threshold: f32,
    /// An object smaller than this, in millilitres, is none, in validation and in the exported stage; the localizer's
    /// validation does without, since its slices are no volume.
    pub least_volume_ml: f64,
    /// Share of a tumour's surface that may border on what is not liver, in the exported tumour stage
    /// ([`Stage::greatest_exposure`]).
    #[serde(default)]
    pub greatest_exposure: Option<f64>,
    /// Which tumours are thin sheets along the liver's border, in the exported tumour stage ([`Stage::sheet`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheet: Option<Sheet>,
    /// Whether votes count less towards the sides of a window, in validation and in the exported stage
    /// ([`Stage::centred_votes`]).
    #[serde(default)]
    pub centred_votes: bool,
    /// Whether tumours are looked for in what the liver encloses, too, in the exported tumour stage ([`Stage::enclosed`]).
    #[serde(default)]
    pub enclosed: bool,
    /// How the learning rate falls.
    pub schedule: Schedule,
    /// Grid on which the network looks.
    pub grid: Grid,
    /// How the liver's box is grown before the network looks at it.
    pub margin: BoxMargin,
    /// How samples are varied.
    pub augmentation: Augmentation,
}

/// A step for each batch.
fn one() -> usize {
    1
}

/// The weight of a voxel that counts like any other.
fn whole() -> f32 {
    1.0
}

/// What the network is punished for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Soft Dice loss over the batch; the article's.
    #[default]
    Dice,
    /// Soft Dice loss plus the mean cross entropy of the voxels, which also teaches where a batch has no target.
    DiceCrossEntropy,
    /// The mean cross entropy alone.
    CrossEntropy,
    /// Tversky loss: what is missed costs more than what is found wrongly.
    Tversky,
    /// Tversky loss to the power of 3/4, so that small objects count more.
    FocalTversky,
}

impl Loss {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Dice, Self::CrossEntropy, Self::DiceCrossEntropy, Self::Tversky, Self::FocalTversky];

    /// Its name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dice => "dice",
            Self::DiceCrossEntropy => "dice-cross-entropy",
            Self::CrossEntropy => "cross-entropy",
            Self::Tversky => "tversky",
            Self::FocalTversky => "focal-tversky",
        }
    }
}

/// Which lesion of a case, true or false, the tumour stage's samples lie around.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LesionDraw {
    /// Any of them as often as any other, so that small ones are not drowned by a large one.
    #[default]
    Evenly,
    /// Each as often as it has voxels; the article's, which draws voxels of tumours.
    BySize,
}

/// How the learning rate falls.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// It does not.
    Constant,
    /// By `factor` whenever `patience` validations in a row have brought no better Dice; the article's.
    Plateau {
        /// What the rate is multiplied with, within 0..1.
        factor: f64,
        /// Validations without improvement that are waited for, at least 1.
        patience: u32,
    },
    /// Along half a cosine down to `end` times the highest rate at the last step, after a linear rise.
    Cosine {
        /// Steps of the rise.
        warmup: u64,
        /// Share of the highest rate that is left at the end, 0..=1.
        end: f64,
    },
}

/// A value of the configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is not TOML, or has a field that is unknown, missing or of the wrong type.
    #[error("the configuration cannot be read: {0}")]
    Toml(String),
    /// A value contradicts another one or the network's limits.
    #[error("{0}")]
    Value(String),
}

impl TrainConfig {
    /// A configuration that states only what differs from the preset of its stage.
    ///
    /// `stage` decides when the text does not name one. The tables `grid` and `schedule` replace those of the preset,
    /// `augmentation` and `margin` are merged into them.
    ///
    /// # Errors
    /// When the text is not TOML or names an unknown field; see [`TrainConfig::check`] for the values.
    pub fn from_toml(stage: StageName, text: &str) -> Result<Self, ConfigError> {
        let unreadable = |error: &dyn std::fmt::Display| ConfigError::Toml(error.to_string());
        let given: toml::Table = text.parse().map_err(|e: toml::de::Error| unreadable(&e))?;
        let stage = match given.get("stage") {
            Some(value) => value.clone().try_into().map_err(|e: toml::de::Error| unreadable(&e))?,
            None => stage,
        };
        let mut table = toml::Table::try_from(Self::preset(stage)).map_err(|e| unreadable(&e))?;
        for (key, value) in given {
            match (table.get_mut(&key), value) {
                (Some(toml::Value::Table(into)), toml::Value::Table(from)) if !from.contains_key("kind") => {
                    into.extend(from);
                }
                (_, value) => {
                    table.insert(key, value);
                }
            }
        }
        table.try_into().map_err(|e: toml::de::Error| unreadable(&e))
    }

    /// The whole configuration as the text of a `config.toml`.
    ///
    /// # Errors
    /// When it cannot be written as TOML. A number of 2⁶³ or more is written, but cannot be read back: [`TrainConfig::check`]
    /// refuses it.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|e| ConfigError::Toml(e.to_string()))
    }

    /// Planar for the localizer, spatial for the others.
    pub fn dimensions(&self) -> Dimensions {
        match self.stage {
            StageName::Localizer => Dimensions::Planar,
            StageName::Liver | StageName::Tumour => Dimensions::Spatial,
        }
    }

    /// The network that is trained.
    ///
    /// # Errors
    /// When a width is no positive multiple of 4.
    pub fn network(&self) -> Result<NetworkConfig, ConfigError> {
        NetworkConfig::new(self.dimensions(), self.widths).map_err(|e| ConfigError::Value(e.to_string()))
    }

    /// The stage as `model.toml` describes it, for weights in `file` whose SHA-256 is `sha256`.
    pub fn stage_table(&self, file: &str, sha256: &str) -> Stage {
        Stage {
            network: self.dimensions(),
            widths: self.widths,
            weights: file.to_owned(),
            sha256: sha256.to_owned(),
            window: self.window,
            grid: self.grid,
            patch: self.exported_patch.unwrap_or(self.patch),
            overlap: self.overlap,
            threshold: self.threshold,
            least_volume_ml: self.least_volume_ml,
            margin: self.margin,
            mirror: false,
            liver_hu: self.liver_hu,
            greatest_exposure: self.greatest_exposure,
            sheet: self.sheet,
            centred_votes: self.centred_votes,
            enclosed: self.enclosed,
            ensemble: Vec::new(),
        }
    }

    /// Hounsfield units that the network sees of a scan whose liver is as bright as `brightness`, in Hounsfield units.
    pub fn window_for(&self, brightness: f32) -> Window {
        self.stage_table("", "").for_liver(brightness).window
    }

    /// Whether a label belongs to what this stage looks for.
    pub fn is_target(&self, label: u8) -> bool {
        match self.stage {
            StageName::Localizer | StageName::Liver => label >= 1,
            StageName::Tumour => label == 2,
        }
    }

    /// Checks all values against each other.
    ///
    /// # Errors
    /// When one makes no sense; the text says which and what would.
    pub fn check(&self) -> Result<(), ConfigError> {
        let stage = self.stage_table("", "");
        let in_training = Stage { patch: self.patch, ..stage.clone() };
        for stage in [in_training, stage] {
            stage.config().map_err(|e| ConfigError::Value(e.to_string()))?;
        }
        let problem =
            self.sampling_problem().or_else(|| self.running_problem()).or_else(|| self.augmentation_problem());
        problem.map_or(Ok(()), |text| Err(ConfigError::Value(text)))
    }

    fn sampling_problem(&self) -> Option<String> {
        let [d, h, w] = self.patch;
        let planar = self.dimensions() == Dimensions::Planar;
        if !planar && (d < 32 || h < 64 || w < 64) {
            return Some(format!(
                "the patch {:?} is too small to train on: the deepest level's batch normalisation needs [32, 64, 64]",
                self.patch
            ));
        }
        if self.batch < 2 {
            return Some(format!("a batch of {} is too small: batch normalisation needs at least 2", self.batch));
        }
        if let Some(steps) = [self.steps, self.recalibrate].into_iter().find(|steps| *steps > MOST_STEPS) {
            return Some(format!("{steps} steps are more than {MOST_STEPS}"));
        }
        if !(1..=1000).contains(&self.accumulate) {
            return Some(format!("accumulate = {} leaves 1..=1000", self.accumulate));
        }
        match self.grid {
            Grid::ResizedInPlane { size } if size != [h, w] => {
                Some(format!("slices resized to {size:?} and the patch {:?} disagree in plane", self.patch))
            }
            Grid::ResizedInPlane { .. } if self.exported_patch.is_some_and(|[_, j, i]| [j, i] != [h, w]) => {
                Some("slices resized in plane have one size: exported_patch disagrees with patch".into())
            }
            Grid::Native | Grid::Spacing { .. } if planar => {
                Some("the localizer looks at slices that are resized in plane: grid.kind = \"resized-in-plane\"".into())
            }
            _ if planar && self.liver_hu.is_some() => {
                Some("liver_hu has no meaning for the localizer, which comes before the liver is known".into())
            }
            _ if self.stage != StageName::Tumour && self.outside_liver != 1.0 => {
                Some(format!("outside_liver = {} has no meaning for the {} stage", self.outside_liver, self.stage))
            }
            _ if self.stage != StageName::Tumour && self.greatest_exposure.is_some() => {
                Some(format!("greatest_exposure has no meaning for the {} stage", self.stage))
            }
            _ if self.stage != StageName::Tumour && self.sheet.is_some() => {
                Some(format!("sheet has no meaning for the {} stage", self.stage))
            }
            _ if self.stage != StageName::Tumour && self.enclosed => {
                Some(format!("enclosed has no meaning for the {} stage", self.stage))
            }
            _ if self.greatest_exposure.is_some_and(|exposure| !(0.0..=1.0).contains(&exposure)) => {
                Some("greatest_exposure leaves 0..1".into())
            }
            _ if !(0.0..=1.0).contains(&self.outside_liver) => {
                Some(format!("outside_liver = {} leaves 0..1", self.outside_liver))
            }
            _ if !(0.0..=1.0).contains(&self.hard_negatives) => {
                Some(format!("hard_negatives = {} leaves 0..1", self.hard_negatives))
            }
            _ if self.hard_negatives > 0.0 && self.stage != StageName::Tumour => {
                Some(format!("hard_negatives have no meaning for the {} stage", self.stage))
            }
            _ if self.lesion_draw != LesionDraw::Evenly && self.stage != StageName::Tumour => {
                Some(format!("lesion_draw has no meaning for the {} stage", self.stage))
            }
            _ if self.hard_negatives > 0.0 && self.start.is_none() => {
                Some("hard_negatives need a network that is asked: set start".into())
            }
            _ if !(0.0..=1.0).contains(&self.phantom_share) => {
                Some(format!("phantom_share = {} leaves 0..1", self.phantom_share))
            }
            _ if self.phantom_share > 0.0 && self.phantoms == 0 => {
                Some(format!("phantom_share = {} needs phantoms, but phantoms = 0", self.phantom_share))
            }
            _ => None,
        }
    }

    fn running_problem(&self) -> Option<String> {
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return Some(format!("the learning rate {} is not positive", self.learning_rate));
        }
        if !(0.0..1.0).contains(&self.weight_decay) || !(0.0..1.0).contains(&self.average) {
            let (decay, average) = (self.weight_decay, self.average);
            return Some(format!("weight_decay = {decay} or average = {average} leaves 0..1"));
        }
        if let Some(norm) = self.clip_norm.filter(|norm| !(*norm > 0.0 && norm.is_finite())) {
            return Some(format!("clip_norm = {norm} is not positive"));
        }
        let numbers =
            [("seed", self.seed), ("validate_every", self.validate_every), ("checkpoint_every", self.checkpoint_every)];
        if let Some((name, number)) = numbers.into_iter().find(|(_, number)| *number > MOST_IN_TOML) {
            return Some(format!("{name} = {number} is more than config.toml can state: at most {MOST_IN_TOML}"));
        }
        if self.early_stop > 0 && self.fold.is_none() {
            return Some("early_stop watches a held-out fold: set fold".into());
        }
        if self.validate_every == 0 || self.checkpoint_every == 0 {
            return Some("validate_every and checkpoint_every must be at least 1".into());
        }
        if !(1..=1000).contains(&self.folds) {
            return Some(format!("folds = {} leaves 1..=1000", self.folds));
        }
        if self.fold.is_some() && self.folds < 2 {
            return Some("to hold out a fold there must be at least 2: set folds".into());
        }
        if self.fold.is_some_and(|fold| fold >= self.folds) {
            let (fold, folds) = (self.fold.unwrap_or_default(), self.folds);
            return Some(format!("fold {fold} does not exist: {folds} folds are numbered 0 to {}", folds - 1));
        }
        match self.schedule {
            Schedule::Plateau { .. } if self.fold.is_none() => {
                Some("the plateau schedule watches a held-out fold: set fold, or take another schedule".into())
            }
            Schedule::Plateau { factor, patience } if !(factor > 0.0 && factor < 1.0) || patience == 0 => {
                Some(format!("a plateau with factor {factor} and patience {patience} needs 0 < factor < 1 ≤ patience"))
            }
            Schedule::Cosine { end, .. } if !(0.0..=1.0).contains(&end) => {
                Some(format!("the cosine's end {end} leaves 0..1"))
            }
            _ => None,
        }
    }

    fn augmentation_problem(&self) -> Option<String> {
        let Augmentation { tilt_degrees, thick_slices, translation, lesions, darkened, elastic_mm, .. } =
            self.augmentation;
        let of_others = match self.stage {
            StageName::Localizer => {
                let of_volumes = [("tilt_degrees", tilt_degrees), ("thick_slices", thick_slices), ("lesions", lesions)];
                of_volumes.into_iter().chain([("darkened", darkened), ("elastic_mm", elastic_mm)]).collect()
            }
            StageName::Liver | StageName::Tumour => vec![("translation", translation)],
        };
        let idle = of_others.into_iter().find(|(_, value)| *value != 0.0);
        let idle = idle.map(|(name, value)| format!("{name} = {value} has no meaning for the {} stage", self.stage));
        idle.or_else(|| self.augmentation.problem())
    }
}
