//! Configurations to start from.

use hepar_model::stage::{BoxMargin, Grid, Sheet, StageName, Window};

use crate::config::{Augmentation, LesionDraw, Loss, Schedule, TrainConfig};

/// The margins of every stage's box: 10 voxels in plane and 20 mm through plane.
const MARGIN: BoxMargin = BoxMargin { in_plane_voxels: 10, through_plane_mm: 20.0 };

/// Hounsfield units of the article.
const WINDOW: Window = Window([-100.0, 200.0]);

/// How samples are varied.
const VARIED: Augmentation = Augmentation {
    rotation_degrees: 15.0,
    tilt_degrees: 7.0,
    scale: [0.85, 1.2],
    translation: 0.0,
    flip: false,
    gain: 0.1,
    shift_hu: 25.0,
    noise_hu: 15.0,
    gamma: 0.2,
    blur: 0.15,
    thick_slices: 0.2,
    clip: 0.0,
    lesions: 0.0,
    bulging: 0.0,
    fluid: 0.0,
    darkened: 0.0,
    elastic_mm: 0.0,
};

impl TrainConfig {
    /// A configuration for narrow networks that a few processor cores can train.
    ///
    /// Widths are a quarter of the article's (half for the localizer), scans are brought to a common spacing, and
    /// samples are varied. It trains on all patients but the one who is kept for tests. It knows no data set: which
    /// cases are cropped or lack labels of tumours is left to `cropped` and `liver_only`.
    pub fn preset(stage: StageName) -> Self {
        let common = Self::narrow(stage);
        match stage {
            StageName::Localizer => Self {
                patch: [1, 256, 256],
                batch: 8,
                grid: Grid::ResizedInPlane { size: [256, 256] },
                overlap: [0.0; 3],
                augmentation: Augmentation {
                    tilt_degrees: 0.0,
                    translation: 0.1,
                    thick_slices: 0.0,
                    clip: 0.4,
                    ..common.augmentation
                },
                ..common
            },
            StageName::Liver => common,
            StageName::Tumour => Self {
                patch: [32, 128, 128],
                grid: Grid::Spacing { mm: [2.0, 1.0, 1.0] },
                least_volume_ml: 0.0,
                augmentation: Augmentation { flip: true, lesions: 0.3, ..common.augmentation },
                ..common
            },
        }
    }

    /// What the presets of the stages have in common, completed as the liver stage's.
    fn narrow(stage: StageName) -> Self {
        Self {
            stage,
            widths: [8, 8, 16, 32, 64, 128],
            window: WINDOW,
            liver_hu: None,
            greatest_exposure: None,
            sheet: None,
            centred_votes: false,
            enclosed: false,
            patch: [64, 96, 96],
            exported_patch: None,
            batch: 2,
            steps: 4000,
            loss: Loss::Dice,
            outside_liver: 1.0,
            hard_negatives: 0.0,
            lesion_draw: LesionDraw::Evenly,
            start: None,
            recalibrate: 60,
            accumulate: 1,
            learning_rate: 1e-3,
            weight_decay: 0.0,
            clip_norm: None,
            average: 0.0,
            early_stop: 0,
            validate_every: 500,
            checkpoint_every: 100,
            seed: 1,
            folds: 5,
            fold: None,
            phantoms: 24,
            phantom_share: 0.2,
            liver_only: Vec::new(),
            cropped: Vec::new(),
            unit_grids: false,
            exclude: Vec::new(),
            overlap: [0.25; 3],
            threshold: 0.5,
            least_volume_ml: 20.0,
            schedule: Schedule::Cosine { warmup: 50, end: 0.01 },
            grid: Grid::Spacing { mm: [3.0, 2.5, 2.5] },
            margin: MARGIN,
            augmentation: VARIED,
        }
    }

    /// A configuration that trains the smallest networks for two steps on two phantoms: it shows that everything works,
    /// and teaches nothing.
    pub fn smoke(stage: StageName) -> Self {
        let small = Self {
            widths: [4; 6],
            patch: [32, 64, 64],
            batch: 2,
            steps: 2,
            recalibrate: 1,
            checkpoint_every: 1,
            phantoms: 2,
            phantom_share: 1.0,
            ..Self::preset(stage)
        };
        match stage {
            StageName::Localizer => Self { patch: [1, 64, 64], grid: Grid::ResizedInPlane { size: [64, 64] }, ..small },
            StageName::Liver | StageName::Tumour => {
                Self { grid: Grid::Spacing { mm: [4.0, 3.0, 3.0] }, overlap: [0.0; 3], ..small }
            }
        }
    }

    /// The networks of the model in the program, each trained from the beginning in one run that is as long as all phases
    /// of the shipped one together.
    ///
    /// That one began on a GPU and went on in phases, whose configurations are in `models/raunet-lits/train`; these are
    /// its settings at the end.
    pub fn shipped(stage: StageName) -> Self {
        let common = Self {
            widths: [32, 32, 64, 128, 256, 512],
            patch: [32, 96, 96],
            exported_patch: Some([32, 128, 128]),
            loss: Loss::DiceCrossEntropy,
            liver_hu: Some(106.2),
            least_volume_ml: 50.0,
            learning_rate: 7e-4,
            phantoms: 12,
            phantom_share: 0.1,
            ..Self::preset(stage)
        };
        match stage {
            StageName::Localizer => Self {
                widths: [16, 16, 32, 64, 128, 256],
                window: Window([0.0, 200.0]),
                patch: [1, 256, 256],
                exported_patch: None,
                liver_hu: None,
                steps: 1600,
                learning_rate: 1e-3,
                phantoms: 48,
                phantom_share: 0.35,
                ..common
            },
            StageName::Liver => Self {
                steps: 7800,
                grid: Grid::Spacing { mm: [3.0, 2.0, 2.0] },
                margin: BoxMargin { in_plane_voxels: 40, through_plane_mm: 30.0 },
                augmentation: Augmentation {
                    lesions: 0.5,
                    bulging: 0.3,
                    fluid: 0.15,
                    darkened: 0.4,
                    shift_hu: 10.0,
                    gain: 0.15,
                    ..common.augmentation
                },
                ..common
            },
            StageName::Tumour => Self {
                exported_patch: None,
                steps: 17_300,
                grid: Grid::Spacing { mm: [2.5, 1.0, 1.0] },
                outside_liver: 0.1,
                least_volume_ml: 0.1,
                greatest_exposure: Some(0.6),
                sheet: Some(Sheet { exposure: 0.3, compactness: 0.2, thickness_mm: 6.0 }),
                overlap: [0.5; 3],
                threshold: 0.3,
                centred_votes: true,
                enclosed: true,
                augmentation: Augmentation { lesions: 0.5, fluid: 0.15, shift_hu: 10.0, ..common.augmentation },
                ..common
            },
        }
    }

    /// The configuration of the article: full widths, its grids, no augmentation, the plateau schedule, fold 0.
    ///
    /// Where the article is silent or unsound, [`TrainConfig::preset`] stays:
    ///
    /// - Hounsfield units become 0..1 by the fixed window, not by the minimum and maximum of each volume after
    ///   clipping: a single voxel would change the brightness of all, and slices of one scan would differ from those of
    ///   its parts;
    /// - patches have one size in training and inference, and scans that are shorter than a patch are padded;
    /// - folds are by patient;
    /// - epochs become steps for about 100 volumes.
    ///
    /// Source: Jin et al., arXiv 1811.01328.
    pub fn article(stage: StageName) -> Self {
        let common = Self {
            widths: [32, 32, 64, 128, 256, 512],
            fold: Some(0),
            recalibrate: 0,
            phantoms: 0,
            phantom_share: 0.0,
            schedule: Schedule::Plateau { factor: 0.1, patience: 15 },
            augmentation: Augmentation::NONE,
            ..Self::preset(stage)
        };
        match stage {
            StageName::Localizer => {
                Self { widths: [16, 16, 32, 64, 128, 256], batch: 90, steps: 40_000, validate_every: 500, ..common }
            }
            StageName::Liver => Self {
                patch: [32, 224, 224],
                grid: Grid::ResizedInPlane { size: [224, 224] },
                batch: 2,
                steps: 125_000,
                validate_every: 2500,
                overlap: [0.375, 0.0, 0.0],
                threshold: 0.6,
                ..common
            },
            StageName::Tumour => Self {
                patch: [32, 128, 128],
                grid: Grid::Native,
                batch: 6,
                steps: 350_000,
                validate_every: 5800,
                overlap: [0.5; 3],
                lesion_draw: LesionDraw::BySize,
                ..common
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_model::bundle::Card;

    #[test]
    fn every_preset_is_valid_and_survives_its_file() {
        for stage in StageName::ALL {
            for config in [TrainConfig::preset(stage), TrainConfig::shipped(stage), TrainConfig::article(stage)] {
                config.check().unwrap();
                assert_eq!(TrainConfig::from_toml(stage, &config.to_toml().unwrap()).unwrap(), config);
            }
        }
    }

    #[test]
    fn a_file_states_only_what_differs_from_the_preset() {
        let text = "stage = \"tumour\"\nsteps = 7\n[augmentation]\nflip = false\n[grid]\nkind = \"native\"\n";
        let config = TrainConfig::from_toml(StageName::Liver, text).unwrap();
        let preset = TrainConfig::preset(StageName::Tumour);
        let augmentation = Augmentation { flip: false, ..preset.augmentation };
        assert_eq!(config, TrainConfig { steps: 7, grid: Grid::Native, augmentation, ..preset });
    }

    #[test]
    fn unknown_fields_and_values_that_cannot_be_trained_with_are_refused() {
        assert!(TrainConfig::from_toml(StageName::Liver, "step = 7").is_err());
        let preset = TrainConfig::preset(StageName::Liver);
        let refused = |config: TrainConfig| config.check().unwrap_err().to_string();
        assert!(refused(TrainConfig { batch: 1, ..preset.clone() }).contains("batch"));
        assert!(refused(TrainConfig { patch: [32, 32, 32], ..preset.clone() }).contains("too small"));
        assert!(refused(TrainConfig { fold: Some(5), ..preset.clone() }).contains("fold"));
        assert!(refused(TrainConfig { folds: 0, ..preset.clone() }).contains("folds = 0"));
        assert!(refused(TrainConfig { outside_liver: 0.5, ..preset.clone() }).contains("liver stage"));
        let tumour = TrainConfig::preset(StageName::Tumour);
        assert!(refused(TrainConfig { outside_liver: 1.5, ..tumour.clone() }).contains("outside_liver = 1.5"));
        assert!(refused(TrainConfig { greatest_exposure: Some(0.5), ..preset.clone() }).contains("liver stage"));
        assert!(refused(TrainConfig { enclosed: true, ..preset.clone() }).contains("liver stage"));
        let by_size = TrainConfig { lesion_draw: LesionDraw::BySize, ..preset.clone() };
        assert!(refused(by_size).contains("lesion_draw"));
        assert!(refused(TrainConfig { greatest_exposure: Some(1.5), ..tumour.clone() }).contains("greatest_exposure"));
        let sheet = |exposure, compactness| Some(Sheet { exposure, compactness, thickness_mm: 6.0 });
        assert!(refused(TrainConfig { sheet: sheet(0.3, 0.2), ..preset.clone() }).contains("liver stage"));
        assert!(refused(TrainConfig { sheet: sheet(0.3, f64::NAN), ..tumour }).contains("sheet"));
        let schedule = Schedule::Plateau { factor: 0.1, patience: 3 };
        assert!(refused(TrainConfig { schedule, ..preset }).contains("held-out"));
    }

    #[test]
    fn augmentation_that_a_stage_does_not_know_is_refused() {
        let refused = |stage, change: fn(&mut Augmentation)| {
            let mut config = TrainConfig::preset(stage);
            change(&mut config.augmentation);
            config.check().unwrap_err().to_string()
        };
        assert!(refused(StageName::Localizer, |a| a.tilt_degrees = 5.0).contains("tilt_degrees = 5"));
        assert!(refused(StageName::Localizer, |a| a.thick_slices = 0.2).contains("thick_slices = 0.2"));
        assert!(refused(StageName::Liver, |a| a.translation = 0.1).contains("liver stage"));
    }

    /// The configurations of the shipped model, by their paths below its folder `train`.
    fn shipped_files() -> Vec<(String, TrainConfig)> {
        let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/raunet-lits/train"));
        let mut files = Vec::new();
        for folder in [
            "",
            "folds",
            "folds-last",
            "folds-anew",
            "folds-anew-last",
            "folds-anew-long",
            "folds-anew-fluid",
            "folds-dark",
            "cross-validation",
        ] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if name.ends_with(".toml") && name != "card.toml" {
                    let text = std::fs::read_to_string(&path).unwrap();
                    files.push((format!("{folder}/{name}"), TrainConfig::from_toml(StageName::Liver, &text).unwrap()));
                }
            }
        }
        files
    }

    #[test]
    fn the_shipped_models_configurations_are_valid_and_name_its_data() {
        let files = shipped_files();
        assert!(files.len() >= 12, "{}", files.len());
        for (name, config) in files {
            config.check().unwrap();
            assert!(name.split('/').next_back().unwrap().starts_with(config.stage.as_str()), "{name}");
            assert_eq!((config.liver_only.len(), config.cropped.len(), config.exclude.len()), (2, 1, 1), "{name}");
        }
    }

    /// The configuration of the last phase of each network of the shipped model.
    fn last_phases() -> [(StageName, TrainConfig); 3] {
        [
            (StageName::Localizer, "/localizer.toml"),
            (StageName::Liver, "/liver-dark.toml"),
            (StageName::Tumour, "/tumour-fluid.toml"),
        ]
        .map(|(stage, last)| (stage, shipped_files().into_iter().find(|(name, _)| name == last).unwrap().1))
    }

    #[test]
    fn the_shipped_model_has_what_its_configurations_say() {
        let card = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/raunet-lits/model.toml");
        let card: Card = toml::from_str(&std::fs::read_to_string(card).unwrap()).unwrap();
        for (name, last) in last_phases() {
            let stage = card.stage(name);
            assert_eq!(&last.stage_table(&stage.weights, &stage.sha256), stage);
        }
    }

    #[test]
    fn the_preset_shipped_has_what_the_last_phases_have_but_length_rate_start_and_data() {
        for (stage, last) in last_phases() {
            let shipped = TrainConfig::shipped(stage);
            let same = TrainConfig {
                steps: last.steps,
                learning_rate: last.learning_rate,
                start: last.start.clone(),
                // Another seed, so as not to begin with the samples of the phase before.
                seed: last.seed,
                liver_only: last.liver_only.clone(),
                cropped: last.cropped.clone(),
                exclude: last.exclude.clone(),
                ..shipped
            };
            assert_eq!(same, last, "{stage}");
        }
    }
}
