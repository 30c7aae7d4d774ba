//! Which cases are trained on and which are held out.

use std::collections::BTreeMap;

use hepar_formats::has_unit_grid;
use hepar_model::bundle::sha256;
use hepar_model::stage::StageName;

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
    /// Names of the cases that are neither, by the reason.
    pub left_out: BTreeMap<LeftOut, Vec<String>>,
}

/// Why a case is neither trained on nor held out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// It shows the patient who is kept for tests.
    TestPatient,
    /// It shows a patient that the configuration excludes.
    Excluded,
    /// It is single slices, which only the localizer can use.
    Slices,
    /// It is cropped in plane, and the localizer sees whole slices.
    Cropped,
    /// Its labels do not know tumours, and the stage is the tumour stage.
    LiverOnly,
    /// Nobody filled in its header: voxels of exactly 1 mm, the first at the origin.
    UnitGrid,
}

impl std::fmt::Display for LeftOut {
    /// What follows the number of cases, as in `3 of the patient who is kept for tests`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TestPatient => "of the patient who is kept for tests",
            Self::Excluded => "of excluded patients",
            Self::Slices => "of single slices",
            Self::Cropped => "cropped in plane",
            Self::LiverOnly => "without labels of tumours",
            Self::UnitGrid => {
                "whose header states no size of voxels (1 mm, at the origin; unit_grids = true takes them)"
            }
        })
    }
}

impl Split {
    /// Divides cases by patient.
    ///
    /// The patient who is kept for tests and those that the configuration excludes are left out, and so are cases that
    /// its stage cannot use. The folds depend neither on the stage nor on the other cases, so that a patient is held
    /// out from all three networks of a fold, even when each is trained on folders of its own; only for single slices of
    /// a patient without a folder must the scans be among the cases.
    ///
    /// # Errors
    /// When there is nothing to train on, or the held-out fold is empty.
    pub fn new(cases: &[Case], config: &TrainConfig) -> Result<Self, DataError> {
        let (mut training, mut validation, mut left_out) = (Vec::new(), Vec::new(), BTreeMap::<_, Vec<_>>::new());
        for case in cases {
            if let Some(reason) = reason_against(case, config) {
                left_out.entry(reason).or_default().push(case.name.clone());
            } else if config.fold == Some(fold_of(&case.patient, config.folds)) {
                validation.push(case.clone());
            } else {
                training.push(case.clone());
            }
        }
        Self { training, validation, left_out }.checked(config)
    }

    /// Leaves out the scans whose header nobody filled in, unless the configuration wants them: LiTS has twenty, whose
    /// voxels are not of the 1 mm that they state. Reads the header of every scan.
    ///
    /// # Errors
    /// When one cannot be read, or nothing is left to train on or held out.
    pub fn without_unit_grids(mut self, config: &TrainConfig) -> Result<Self, DataError> {
        if config.unit_grids {
            return Ok(self);
        }
        for cases in [&mut self.training, &mut self.validation] {
            for case in std::mem::take(cases) {
                match &case.source {
                    Source::Volume { image, .. } if has_unit_grid(image)? => {
                        self.left_out.entry(LeftOut::UnitGrid).or_default().push(case.name);
                    }
                    _ => cases.push(case),
                }
            }
        }
        self.checked(config)
    }

    /// The split, if there is something to train on, and something held out where that is wanted.
    fn checked(self, config: &TrainConfig) -> Result<Self, DataError> {
        // Who wants phantoms alone says so by their share; else a scan that is missing would not be missed.
        if self.training.is_empty() && (config.phantoms == 0 || config.phantom_share < 1.0) {
            let left_out = self.left_out_text().map(|text| format!(" ({text})")).unwrap_or_default();
            let why = format!("the cases are excluded, held out, or not usable for this stage{left_out}");
            return Err(DataError::NothingToTrainOn(config.stage.as_str(), why));
        }
        match config.fold {
            Some(fold) if self.validation.is_empty() => Err(DataError::EmptyFold { fold, folds: config.folds }),
            _ => Ok(self),
        }
    }

    /// How many cases were left out and why, as in `2 of the patient who is kept for tests, 9 cropped in plane`; `None`
    /// when none was.
    pub fn left_out_text(&self) -> Option<String> {
        let texts: Vec<String> =
            self.left_out.iter().map(|(reason, names)| format!("{} {reason}", names.len())).collect();
        if texts.is_empty() { None } else { Some(texts.join(", ")) }
    }

    /// A text that is the same when the names of the cases are.
    pub fn fingerprint(&self) -> String {
        let lines = |kind: &str, cases: &[Case]| -> String {
            cases.iter().map(|case| format!("{kind} {}\n", case.name)).collect()
        };
        sha256((lines("training", &self.training) + &lines("validation", &self.validation)).as_bytes())
    }
}

/// Why a case may not be used, or is of no use for the stage; `None` when it is.
fn reason_against(case: &Case, config: &TrainConfig) -> Option<LeftOut> {
    if case.patient == PatientId::kept_for_tests() {
        return Some(LeftOut::TestPatient);
    }
    if config.exclude.iter().any(|entry| case.patient.is_named(entry)) {
        return Some(LeftOut::Excluded);
    }
    match (&case.source, config.stage) {
        (Source::Slices { .. }, stage) => (stage != StageName::Localizer).then_some(LeftOut::Slices),
        (Source::Volume { .. }, StageName::Localizer) => {
            (case.is_cropped || lists(&config.cropped, &case.name)).then_some(LeftOut::Cropped)
        }
        (Source::Volume { .. }, StageName::Liver) => None,
        (Source::Volume { .. }, StageName::Tumour) => {
            lists(&config.liver_only, &case.name).then_some(LeftOut::LiverOnly)
        }
    }
}

/// The entries of a configuration that match none of the cases, each behind its key: mistyped ones, mostly.
pub(crate) fn unmatched<'a>(cases: &[Case], config: &'a TrainConfig) -> Vec<(&'static str, &'a str)> {
    let is_patient = |entry: &String| cases.iter().any(|case| case.patient.is_named(entry));
    let is_case = |entry: &String| cases.iter().any(|case| lists(std::slice::from_ref(entry), &case.name));
    let exclude = config.exclude.iter().filter(|&entry| !is_patient(entry)).map(|entry| ("exclude", entry));
    let liver_only = config.liver_only.iter().filter(|&entry| !is_case(entry)).map(|entry| ("liver_only", entry));
    let cropped = config.cropped.iter().filter(|&entry| !is_case(entry)).map(|entry| ("cropped", entry));
    exclude.chain(liver_only).chain(cropped).map(|(key, entry)| (key, entry.as_str())).collect()
}

/// The fold of a patient, below `folds`: a function of these two alone.
///
/// Patients of LiTS are dealt to the folds in turn, by the number of their first volume: any run of numbers is spread
/// evenly, and so are the data sets that LiTS put together one after the other. Other patients go by a hash of their
/// names.
pub fn fold_of(patient: &PatientId, folds: usize) -> usize {
    // A configuration with 0 folds does not pass its check.
    let folds = folds.max(1);
    match patient.lits_volume() {
        Some(volume) => volume as usize % folds,
        // The hash, a number of 64 hexadecimal digits, modulo the folds.
        None => {
            let digits = sha256(patient.as_str().as_bytes());
            digits.chars().filter_map(|digit| digit.to_digit(16)).fold(0, |rest, d| (rest * 16 + d as usize) % folds)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use hepar_formats::{GridHeader, write_scan};
    use hepar_volume::{Geometry, Volume};

    fn volume(name: &str) -> Case {
        let source = Source::Volume { image: name.into(), labels: name.into() };
        Case { name: name.to_owned(), patient: PatientId::of(name), source, is_cropped: false }
    }

    fn slices(name: &str) -> Case {
        let source = Source::Slices { file: name.into(), indices: vec![0] };
        Case { name: name.to_owned(), patient: PatientId::of(name), source, is_cropped: false }
    }

    fn everything() -> Vec<Case> {
        let mut cases: Vec<Case> = (0..7).map(|n| volume(&format!("lits/lits{n:03}"))).collect();
        cases.extend(["lits/lits011", "lits/lits013", "lits-sparse/lits011", "lits-sparse/lits014"].map(volume));
        cases.extend(["lits-sparse/lits015", "ircad/ircad07", "ircad/ircad19", "volume-46", "liver_46"].map(volume));
        cases.extend((0..101).map(|n| slices(&format!("slices2d/s/lits{n:03}"))));
        cases
    }

    /// The configuration that fits `everything`.
    fn of_everything(stage: StageName) -> TrainConfig {
        let liver_only = ["lits/lits011", "lits/lits013"].map(str::to_owned).to_vec();
        TrainConfig { liver_only, cropped: vec!["lits-sparse".to_owned()], ..TrainConfig::preset(stage) }
    }

    fn config(stage: StageName, fold: usize) -> TrainConfig {
        TrainConfig { fold: Some(fold), ..of_everything(stage) }
    }

    fn below(folders: &[&str]) -> Vec<Case> {
        let is_below = |case: &Case| folders.iter().any(|folder| case.name.starts_with(folder));
        everything().into_iter().filter(is_below).collect()
    }

    fn patients(cases: &[Case]) -> BTreeSet<PatientId> {
        cases.iter().map(|case| case.patient.clone()).collect()
    }

    #[test]
    fn the_test_patient_is_in_no_fold_under_any_name() {
        for stage in StageName::ALL {
            for fold in 0..5 {
                let config = TrainConfig { exclude: vec!["lits000".to_owned()], ..config(stage, fold) };
                let split = Split::new(&everything(), &config).unwrap();
                let mut used = patients(&split.training);
                used.append(&mut patients(&split.validation));
                assert!(!used.contains(&PatientId::of("ircad19")) && !used.contains(&PatientId::of("volume-0")));
            }
        }
    }

    #[test]
    fn what_is_left_out_is_counted_by_its_reason() {
        let text = |stage, exclude: &str| {
            let config = TrainConfig { exclude: vec![exclude.to_owned()], ..of_everything(stage) };
            Split::new(&everything(), &config).unwrap().left_out_text().unwrap()
        };
        // Volume 46 is among the single slices, too.
        let tests = "4 of the patient who is kept for tests";
        assert_eq!(text(StageName::Localizer, "none"), format!("{tests}, 3 cropped in plane"));
        assert_eq!(
            text(StageName::Tumour, "lits013"),
            format!("{tests}, 2 of excluded patients, 99 of single slices, 1 without labels of tumours")
        );
        let split = Split::new(&below(&["lits/lits000"]), &TrainConfig::preset(StageName::Liver)).unwrap();
        assert_eq!(split.left_out_text(), None);
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
    fn a_held_out_patient_is_so_in_every_stage_whatever_folders_each_is_given() {
        let folders: [&[&str]; 3] = [&["lits/", "slices2d", "ircad"], &["lits", "ircad"], &["lits-sparse", "lits/"]];
        for fold in 0..5 {
            let splits: Vec<Split> = StageName::ALL
                .iter()
                .zip(folders)
                .filter_map(|(&stage, folders)| Split::new(&below(folders), &config(stage, fold)).ok())
                .collect();
            assert!(splits.len() >= 2);
            for held_out in &splits {
                for trained in &splits {
                    assert!(patients(&held_out.validation).is_disjoint(&patients(&trained.training)), "fold {fold}");
                }
            }
        }
    }

    #[test]
    fn a_scan_whose_header_nobody_filled_in_is_left_out_unless_it_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let scan = |name: &str, spacing: f64| {
            let scan = Volume::from_fn(Geometry::axis_aligned([3, 4, 5], [spacing; 3]).unwrap(), |_| 50_i16);
            let image = folder.path().join(format!("{name}_ct.nii.gz"));
            write_scan(&image, &scan, &GridHeader::from_geometry(scan.geometry())).unwrap();
            Case { source: Source::Volume { labels: image.clone(), image }, ..volume(name) }
        };
        let cases = [scan("volume-28", 1.0), scan("volume-1", 0.75), slices("lits050")];
        let of = |unit_grids| TrainConfig { unit_grids, ..TrainConfig::preset(StageName::Localizer) };
        let split =
            |unit_grids| Split::new(&cases, &of(unit_grids)).unwrap().without_unit_grids(&of(unit_grids)).unwrap();
        assert_eq!(split(true).training.len(), 3);
        let without = split(false);
        assert_eq!(without.training.iter().map(|case| case.name.as_str()).collect::<Vec<_>>(), ["volume-1", "lits050"]);
        assert_eq!(without.left_out[&LeftOut::UnitGrid], ["volume-28"]);
        let nothing = TrainConfig { phantoms: 0, phantom_share: 0.0, ..of(false) };
        let only = Split::new(&cases[..1], &nothing).unwrap().without_unit_grids(&nothing);
        assert!(matches!(only, Err(DataError::NothingToTrainOn(..))));
    }

    #[test]
    fn of_two_scans_of_one_name_only_the_excluded_one_is_left_out() {
        let cases = ["P001/portal", "P002/portal"].map(volume);
        let training = |exclude: &[&str]| -> Vec<String> {
            let exclude = exclude.iter().map(|&entry| entry.to_owned()).collect();
            let config = TrainConfig { exclude, phantom_share: 1.0, ..TrainConfig::preset(StageName::Liver) };
            Split::new(&cases, &config).unwrap().training.into_iter().map(|case| case.name).collect()
        };
        assert_eq!(training(&["P001/portal"]), ["P002/portal"]);
        assert!(training(&["portal"]).is_empty());
    }

    #[test]
    fn entries_of_a_configuration_that_match_no_case_are_told() {
        let entries = |entries: &[&str]| entries.iter().map(|&entry| entry.to_owned()).collect();
        let config = TrainConfig {
            exclude: entries(&["lits000", "ana"]),
            liver_only: entries(&["lits/lits011", "lits/11"]),
            cropped: entries(&["lits-sparse"]),
            ..TrainConfig::preset(StageName::Liver)
        };
        assert_eq!(unmatched(&everything(), &config), [("exclude", "ana"), ("liver_only", "lits/11")]);
    }

    #[test]
    fn without_a_usable_scan_phantoms_are_trained_on_only_where_they_are_all_that_is_wanted() {
        let config = |phantom_share| TrainConfig {
            phantoms: 2,
            phantom_share,
            exclude: vec!["volume-1".to_owned()],
            ..TrainConfig::preset(StageName::Liver)
        };
        let cases = ["volume-1", "volume-46"].map(volume);
        assert!(matches!(Split::new(&cases, &config(0.35)), Err(DataError::NothingToTrainOn(..))));
        assert!(Split::new(&[], &config(1.0)).unwrap().training.is_empty());
        assert!(Split::new(&[], &TrainConfig::smoke(StageName::Tumour)).is_ok());
    }

    #[test]
    fn every_patient_is_held_out_once_and_folds_are_balanced() {
        let folds: Vec<_> = (0..5)
            .map(|fold| Split::new(&everything(), &config(StageName::Localizer, fold)).unwrap().validation)
            .collect();
        let sizes: Vec<usize> = folds.iter().map(|cases| patients(cases).len()).collect();
        // Volumes 0 to 100 without 7 to 10 and 15, which show patients again, and without 46.
        assert_eq!(sizes.iter().sum::<usize>(), 95);
        assert!(sizes.iter().all(|size| (17..=21).contains(size)), "{sizes:?}");
    }

    #[test]
    fn folds_do_not_change_from_version_to_version() {
        let folds = |name: &str| [2, 3, 5].map(|folds| fold_of(&PatientId::of(name), folds));
        assert_eq!(folds("volume-13"), [1, 1, 3]);
        assert_eq!(folds("lits/lits009"), folds("volume-6"));
        assert_eq!(folds("case1"), [0, 1, 4]);
        let mut sizes = [0; 5];
        (0..200).for_each(|n| sizes[fold_of(&PatientId::of(&format!("patient {n}")), 5)] += 1);
        assert!(sizes.iter().all(|size| (25..=55).contains(size)), "{sizes:?}");
    }

    #[test]
    fn cases_without_tumour_labels_and_cropped_ones_are_left_out_where_they_would_mislead() {
        let names = |stage| -> Vec<String> {
            Split::new(&everything(), &of_everything(stage))
                .unwrap()
                .training
                .into_iter()
                .map(|case| case.name)
                .collect()
        };
        let tumour = names(StageName::Tumour);
        assert!(!tumour.contains(&"lits/lits011".to_owned()) && tumour.contains(&"lits-sparse/lits011".to_owned()));
        assert!(names(StageName::Liver).contains(&"lits/lits011".to_owned()));
        let localizer = names(StageName::Localizer);
        assert!(!localizer.iter().any(|name| name.starts_with("lits-sparse")));
        assert!(localizer.contains(&"slices2d/s/lits050".to_owned()));
    }
}
