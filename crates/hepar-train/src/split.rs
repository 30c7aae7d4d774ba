//! Which cases are trained on and which are held out.

use std::collections::{BTreeMap, BTreeSet};

use hepar_model::stage::StageName;
use sha2::{Digest, Sha256};

use crate::config::TrainConfig;
use crate::dataset::{Case, PatientId, Source, lists};
use crate::error::DataError;

/// The cases of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Cases to train on.
    pub training: Vec<Case>,
    /// Cases of the held-out fold; empty when the configuration holds out none.
    pub validation: Vec<Case>,
}

impl Split {
    /// Divides cases by patient.
    ///
    /// Patients that the configuration excludes are left out, and so are cases that its stage cannot use. The folds do
    /// not depend on the stage, so that a patient is held out from all three networks of a fold.
    ///
    /// # Errors
    /// When there is nothing to train on, or the held-out fold is empty.
    pub fn new(cases: &[Case], config: &TrainConfig) -> Result<Self, DataError> {
        let excluded: BTreeSet<PatientId> = config.exclude.iter().map(|name| PatientId::of(name)).collect();
        let allowed: Vec<&Case> = cases.iter().filter(|case| !excluded.contains(&case.patient)).collect();
        let folds = assign(&allowed, config.folds.max(1));
        let is_held_out = |case: &Case| config.fold.is_some() && folds.get(&case.patient).copied() == config.fold;
        let usable = allowed.into_iter().filter(|case| is_usable(case, config)).cloned();
        let (validation, training): (Vec<Case>, Vec<Case>) = usable.partition(is_held_out);
        if training.is_empty() && config.phantoms == 0 {
            let why = "the cases are excluded, held out, or not usable for this stage";
            return Err(DataError::NothingToTrainOn(config.stage.as_str(), why));
        }
        match config.fold {
            Some(fold) if validation.is_empty() => Err(DataError::EmptyFold { fold, folds: config.folds }),
            _ => Ok(Self { training, validation }),
        }
    }

    /// A text that is the same when the names of the cases are.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for (kind, cases) in [("training", &self.training), ("validation", &self.validation)] {
            for case in cases {
                hash.update(format!("{kind} {}\n", case.name));
            }
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Whether the stage can learn from the case.
fn is_usable(case: &Case, config: &TrainConfig) -> bool {
    match (&case.source, config.stage) {
        (Source::Slices { .. }, stage) => stage == StageName::Localizer,
        (Source::Volume { .. }, StageName::Localizer) => !lists(&config.cropped, &case.name),
        (Source::Volume { .. }, StageName::Liver) => true,
        (Source::Volume { .. }, StageName::Tumour) => !lists(&config.liver_only, &case.name),
    }
}

/// The fold of each patient.
///
/// Patients in the order of a hash of their names are dealt to the folds in turn; those with a scan first, so that the
/// many who have only single slices do not decide how the scans are spread.
fn assign(cases: &[&Case], folds: usize) -> BTreeMap<PatientId, usize> {
    let with_scan: BTreeSet<&PatientId> =
        cases.iter().filter(|case| matches!(case.source, Source::Volume { .. })).map(|case| &case.patient).collect();
    let all: BTreeSet<&PatientId> = cases.iter().map(|case| &case.patient).collect();
    let slices_only = all.difference(&with_scan).copied().collect();
    let mut assigned = BTreeMap::new();
    for group in [with_scan, slices_only] {
        let mut patients: Vec<&PatientId> = group.into_iter().collect();
        patients.sort_by_key(|patient| <[u8; 32]>::from(Sha256::digest(patient.as_str())));
        assigned.extend(patients.into_iter().enumerate().map(|(rank, patient)| (patient.clone(), rank % folds)));
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(name: &str) -> Case {
        let source = Source::Volume { image: name.into(), labels: name.into() };
        Case { name: name.to_owned(), patient: PatientId::of(name), source }
    }

    fn slices(name: &str) -> Case {
        let source = Source::Slices { file: name.into(), indices: vec![0] };
        Case { name: name.to_owned(), patient: PatientId::of(name), source }
    }

    fn everything() -> Vec<Case> {
        let mut cases: Vec<Case> = (0..7).map(|n| volume(&format!("lits/lits{n:03}"))).collect();
        cases.extend(["lits/lits011", "lits/lits013", "lits-sparse/lits011", "lits-sparse/lits014"].map(volume));
        cases.extend(["lits-sparse/lits015", "ircad/ircad07", "ircad/ircad19", "volume-46", "liver_46"].map(volume));
        cases.extend((0..101).map(|n| slices(&format!("slices2d/s/lits{n:03}"))));
        cases
    }

    fn config(stage: StageName, fold: usize) -> TrainConfig {
        TrainConfig { fold: Some(fold), ..TrainConfig::preset(stage) }
    }

    fn patients(cases: &[Case]) -> BTreeSet<PatientId> {
        cases.iter().map(|case| case.patient.clone()).collect()
    }

    #[test]
    fn the_test_patient_is_in_no_fold_under_any_name() {
        for stage in StageName::ALL {
            for fold in 0..5 {
                let split = Split::new(&everything(), &config(stage, fold)).unwrap();
                let all = [patients(&split.training), patients(&split.validation)].concat_sets();
                assert!(!all.contains(&PatientId::of("ircad19")));
            }
        }
    }

    #[test]
    fn no_patient_is_both_trained_on_and_held_out_in_any_stage() {
        for fold in 0..5 {
            let splits = StageName::ALL.map(|stage| Split::new(&everything(), &config(stage, fold)).unwrap());
            for held_out in &splits {
                for trained in &splits {
                    assert!(patients(&held_out.validation).is_disjoint(&patients(&trained.training)));
                }
            }
        }
    }

    #[test]
    fn every_patient_is_held_out_once_and_folds_are_balanced() {
        let folds: Vec<_> =
            (0..5).map(|fold| Split::new(&everything(), &config(StageName::Liver, fold)).unwrap().validation).collect();
        let sizes: Vec<usize> = folds.iter().map(|cases| patients(cases).len()).collect();
        // 0..=6, 11, 13, 14 with 15, and patient 7 of 3D-IRCADb.
        assert_eq!(sizes.iter().sum::<usize>(), 11);
        assert!(sizes.iter().all(|size| (2..=3).contains(size)), "{sizes:?}");
    }

    #[test]
    fn cases_without_tumour_labels_and_cropped_ones_are_left_out_where_they_would_mislead() {
        let names = |stage| -> Vec<String> {
            let config = TrainConfig::preset(stage);
            Split::new(&everything(), &config).unwrap().training.into_iter().map(|case| case.name).collect()
        };
        let tumour = names(StageName::Tumour);
        assert!(!tumour.contains(&"lits/lits011".to_owned()) && tumour.contains(&"lits-sparse/lits011".to_owned()));
        assert!(names(StageName::Liver).contains(&"lits/lits011".to_owned()));
        let localizer = names(StageName::Localizer);
        assert!(!localizer.iter().any(|name| name.starts_with("lits-sparse")));
        assert!(localizer.contains(&"slices2d/s/lits050".to_owned()));
    }

    trait ConcatSets {
        fn concat_sets(self) -> BTreeSet<PatientId>;
    }

    impl ConcatSets for [BTreeSet<PatientId>; 2] {
        fn concat_sets(self) -> BTreeSet<PatientId> {
            self.into_iter().flatten().collect()
        }
    }
}
