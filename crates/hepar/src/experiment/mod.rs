//! The article's experiments: a data set segmented and scored as a whole.
//!
//! [`Experiment::plan`] finds the cases and where the results go, [`Experiment::run`] segments and scores them by both
//! protocols, and [`tables`] puts the figures beside those of the article. [`losses`] trains with one loss after the other.

mod article;
pub mod losses;
mod tables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hepar_formats::has_unit_grid;
use hepar_metrics::statistics::Bootstrap;
use hepar_model::bundle::Bundle;
use hepar_train::{PatientId, Source, TrainError, discover, fold_of};
use serde_json::Value;

use crate::cohort::PlannedCase;
use crate::error::{Error, ErrorKind, sentence};
use crate::evaluate::{self, CaseScores, Evaluated, Evaluation, Pair, Protocol, as_json};
use crate::manifest::{Manifest, ModelIdentity};
use crate::output::{Destination, LABELS_FILE, OutputError, ResultFolder, check_replaceable, write_file};
use crate::segment::{Options, Segmenter};
use crate::watch::{Listener, go_on};

pub use tables::tables;

/// Name of the tables in the experiment's folder.
pub const TABLES_FILE: &str = "tables.md";

/// How the first line of the tables begins: by it they are known to be hepar's.
const TABLES_TITLE: &str = "# hepar experiment ";

/// Name of the folder of the cases' results in the experiment's folder.
const CASES_FOLDER: &str = "cases";

/// Cases that are named when another one was asked for.
const NAMED: usize = 12;

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// How a model does on another data set than it was trained on; the article: LiTS → 3D-IRCADb.
    Generalisation,
    /// How models do on the folds of the data set that they were not trained on; the article: LiTS.
    Lits {
        /// Number of folds, as in training.
        folds: usize,
    },
}

/// A case of an experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentCase {
    /// The scan and where its result goes.
    pub planned: PlannedCase,
    /// File of the reference.
    pub labels: PathBuf,
    /// Whom it shows.
    pub patient: PatientId,
    /// Its fold, below the number of folds; 0 without folds.
    pub fold: usize,
    /// Whether nobody filled in the scan's header: its voxels are not of the 1 mm that it states.
    pub has_unit_grid: bool,
}

/// An experiment whose results can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Experiment {
    /// What is shown.
    pub question: Question,
    /// The cases by fold, then by name.
    pub cases: Vec<ExperimentCase>,
    output: PathBuf,
}

/// What came of an experiment.
#[derive(Debug)]
pub struct Outcome {
    /// The scores by hepar's protocol and by that of the challenge.
    pub evaluations: [Evaluation; 2],
    /// The models: name, version, and what their cards say of their training.
    pub models: Vec<ModelNote>,
    /// Scans that were not segmented, by case, and why.
    pub failed: BTreeMap<String, String>,
}

/// What a model says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelNote {
    /// Name, version and one hash over settings and weights.
    pub identity: ModelIdentity,
    /// Patients and data sets that it was trained on.
    pub trained_on: String,
}

/// Told of each case as soon as it was segmented, or why it was not.
pub type Report<'a> = dyn FnMut(&ExperimentCase, Result<(), &Error>) + 'a;

impl Question {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generalisation => "generalisation",
            Self::Lits { .. } => "lits",
        }
    }

    fn folds(self) -> usize {
        match self {
            Self::Generalisation => 1,
            Self::Lits { folds } => folds,
        }
    }
}

impl Experiment {
    /// Finds the labelled scans in `data`, as training does, and checks that results can be written to `output`.
    ///
    /// Cases named in `exclude`, as `volume-11` or `lits/lits011`, are left out: those whose labels know no tumours, for
    /// instance. There must be one model, or one for each fold. `force` lets tables and scores of an earlier experiment be
    /// replaced; scores beside results but without tables need no force, and results that this program made of the same
    /// scans by the same model are kept in any case, so that an experiment can be gone on with.
    ///
    /// # Errors
    /// When there are no labelled scans, two of them have the same folder, none has a name that is to be left out, models and
    /// folds do not fit, or something must not be overwritten: labels that were corrected by hand are not the model's, and
    /// are not replaced by those either.
    pub fn plan(
        question: Question,
        data: &[PathBuf],
        exclude: &[String],
        models: usize,
        output: &Path,
        force: bool,
    ) -> Result<Self, Error> {
        let folds = question.folds();
        if folds == 0 || (models != 1 && models != folds) {
            let problem =
                format!("{models} models for {folds} folds; give one model, or one for each fold in their order");
            return Err(ErrorKind::Experiment(problem).into());
        }
        check_files(output, force)?;
        let failed =
            |source| ErrorKind::Train { doing: "read the data set".to_owned(), source: TrainError::Data(source) };
        let mut cases = Vec::new();
        let found = discover(data).map_err(failed)?;
        if let Some(name) = exclude.iter().find(|name| found.iter().all(|case| case.name != **name)) {
            let known: Vec<&str> = found.iter().take(NAMED).map(|case| case.name.as_str()).collect();
            let more = if found.len() > NAMED { ", …" } else { "" };
            let problem = format!("there is no case {name} to be left out; there are {}{more}", known.join(", "));
            return Err(ErrorKind::Experiment(problem).into());
        }
        for case in found.into_iter().filter(|case| !exclude.contains(&case.name)) {
            let Source::Volume { image, labels } = case.source else { continue };
            let name = case.name.replace('/', "-");
            let has_name = |other: &ExperimentCase| other.planned.name == name;
            if cases.iter().any(has_name) {
                let problem = format!("two cases would have the folder {name}; rename one of them");
                return Err(ErrorKind::Experiment(problem).into());
            }
            let destination = Destination::Folder(ResultFolder::plan(&output.join(CASES_FOLDER).join(&name), true)?);
            // What cannot be read fails when it is segmented.
            let has_unit_grid = has_unit_grid(&image).unwrap_or(false);
            let planned = PlannedCase { name, input: image, destination };
            let fold = fold_of(&case.patient, folds);
            cases.push(ExperimentCase { planned, labels, patient: case.patient, fold, has_unit_grid });
        }
        if cases.is_empty() {
            return Err(ErrorKind::Experiment("the data hold no scan with labels".to_owned()).into());
        }
        cases.sort_by(|a, b| (a.fold, &a.planned.name).cmp(&(b.fold, &b.planned.name)));
        Ok(Self { question, cases, output: output.to_owned() })
    }

    /// Segments every case by the model of its fold, scores all by both protocols, and writes tables and scores.
    ///
    /// A case that fails does not keep the others from being done.
    ///
    /// # Errors
    /// When a model cannot be run, the tables cannot be written, or the listener calls the work off.
    pub fn run(&self, models: &[Bundle], listener: &dyn Listener, report: &mut Report<'_>) -> Result<Outcome, Error> {
        if let Some(doubt) = self.doubt() {
            listener.warn(&doubt);
        }
        let failed = self.segment(models, listener, report)?;
        let evaluations =
            [self.score(Protocol::Hepar, &failed, listener)?, self.score(Protocol::Lits2017, &failed, listener)?];
        let models = models.iter().map(|bundle| ModelNote {
            identity: ModelIdentity::of(bundle),
            trained_on: bundle.card().training.data.clone(),
        });
        let outcome = Outcome { evaluations, models: models.collect(), failed };
        let bootstrap = Bootstrap::default();
        go_on(listener)?;
        for evaluation in &outcome.evaluations {
            let file = self.output.join(scores_file(evaluation.protocol));
            write_file(&file, format!("{:#}\n", as_json(evaluation, &bootstrap, None)).as_bytes())?;
        }
        write_file(&self.output.join(TABLES_FILE), tables(self, &outcome, &bootstrap).as_bytes())?;
        Ok(outcome)
    }

    /// Names the scans whose header nobody filled in, in a sentence; `None` when there are none.
    pub fn doubt(&self) -> Option<String> {
        let of_unit = self.cases.iter().filter(|case| case.has_unit_grid).map(|case| case.planned.name.as_str());
        let names: Vec<&str> = of_unit.collect();
        let why = "their headers state no size of voxels (1 mm, at the origin), so that what was found in them, \
                   distances and volumes are doubtful";
        (!names.is_empty()).then(|| format!("{}: {why}", names.join(", ")))
    }

    /// Where the tables are written.
    pub fn tables_file(&self) -> PathBuf {
        self.output.join(TABLES_FILE)
    }

    /// Segments what is not segmented yet, and says which cases could not be.
    fn segment(
        &self,
        models: &[Bundle],
        listener: &dyn Listener,
        report: &mut Report<'_>,
    ) -> Result<BTreeMap<String, String>, Error> {
        let mut failed = BTreeMap::new();
        let mut ready: Option<(usize, Segmenter)> = None;
        for case in &self.cases {
            go_on(listener)?;
            let number = if models.len() == 1 { 0 } else { case.fold };
            if is_done(case, &ModelIdentity::of(&models[number])) {
                report(case, Ok(()));
                continue;
            }
            let segmenter = match &mut ready {
                Some((loaded, segmenter)) if *loaded == number => segmenter,
                _ => {
                    // The networks of one fold at a time.
                    ready = None;
                    &mut ready.insert((number, Segmenter::new(&models[number])?)).1
                }
            };
            match case.planned.run(segmenter, &Options::default(), listener) {
                Ok(_) => report(case, Ok(())),
                Err(error) if error.is_interruption() => return Err(error),
                Err(error) => {
                    report(case, Err(&error));
                    failed.insert(case.planned.name.clone(), format!("failed to {}", sentence(&error)));
                }
            }
        }
        Ok(failed)
    }

    /// Scores the cases that are not among those that `failed`.
    fn score(
        &self,
        protocol: Protocol,
        failed: &BTreeMap<String, String>,
        listener: &dyn Listener,
    ) -> Result<Evaluation, Error> {
        listener.doing(&format!("scoring by {protocol}"));
        let options = evaluate::Options { protocol, ..evaluate::Options::default() };
        let mut cases = Vec::new();
        for case in self.cases.iter().filter(|case| !failed.contains_key(&case.planned.name)) {
            go_on(listener)?;
            let pair = Pair {
                case: case.planned.name.clone(),
                prediction: case.planned.destination.path().join(LABELS_FILE),
                reference: case.labels.clone(),
            };
            cases.push(Evaluated { scores: CaseScores::of(&pair, &options), pair });
        }
        Ok(Evaluation { protocol, cases, unpaired: Vec::new() })
    }
}

/// Whether the case's folder has this program's result of the scan by the model already; the manifest is written last.
fn is_done(case: &ExperimentCase, model: &ModelIdentity) -> bool {
    let folder = case.planned.destination.path();
    let is_of = |manifest: Manifest| manifest.is_of(model, &case.planned.input);
    folder.join(LABELS_FILE).is_file() && Manifest::read(folder).is_ok_and(is_of)
}

/// Name of the scores by a protocol in the experiment's folder.
fn scores_file(protocol: Protocol) -> String {
    format!("scores-{protocol}.json")
}

/// Checks that tables and scores may be written to the experiment's folder.
fn check_files(output: &Path, force: bool) -> Result<(), OutputError> {
    check_replaceable(&output.join(TABLES_FILE), force, |bytes| bytes.starts_with(TABLES_TITLE.as_bytes()))?;
    // Scores are written before the tables: beside results they may be left by an experiment that goes on.
    let goes_on = output.join(CASES_FOLDER).is_dir();
    for protocol in [Protocol::Hepar, Protocol::Lits2017] {
        check_replaceable(&output.join(scores_file(protocol)), force || goes_on, |bytes| is_scores(bytes, protocol))?;
    }
    Ok(())
}

/// Whether a file holds hepar's scores by a protocol.
fn is_scores(bytes: &[u8], protocol: Protocol) -> bool {
    let is_own = |value: Value| value["program"] == "hepar" && value["protocol"] == protocol.to_string();
    serde_json::from_slice(bytes).is_ok_and(is_own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::{Interrupt, Terminal};
    use hepar_formats::{GridHeader, write_scan};
    use hepar_volume::{Geometry, Volume};

    fn data(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|file| std::fs::write(folder.path().join(file), "").unwrap());
        folder
    }

    #[test]
    fn cases_are_dealt_to_the_folds_of_training() {
        let data = data(&["volume-3.nii", "segmentation-3.nii", "volume-11.nii", "segmentation-11.nii"]);
        let out = data.path().join("out");
        let plan =
            |models| Experiment::plan(Question::Lits { folds: 5 }, &[data.path().to_owned()], &[], models, &out, false);
        let cases: Vec<_> = plan(5).unwrap().cases.into_iter().map(|case| (case.fold, case.planned.name)).collect();
        assert_eq!(cases, [(1, "volume-11".to_owned()), (3, "volume-3".to_owned())]);
        assert!(plan(1).is_ok());
        assert!(plan(2).unwrap_err().to_string().contains("2 models for 5 folds"));
    }

    #[test]
    fn an_experiment_that_is_called_off_while_it_scores_writes_nothing() {
        let data = data(&["volume-3.nii", "segmentation-3.nii"]);
        let out = data.path().join("out");
        let plan = Experiment::plan(Question::Generalisation, &[data.path().to_owned()], &[], 1, &out, false).unwrap();
        let interrupt = Interrupt::default();
        let terminal = Terminal::new(interrupt.clone(), true);
        let score = || plan.score(Protocol::Hepar, &BTreeMap::new(), &terminal);
        assert!(score().unwrap().cases[0].scores.is_err(), "nothing is segmented");
        interrupt.set();
        assert!(score().unwrap_err().is_interruption());
        // Before a case is segmented, and when all are scored.
        for cases in [plan.cases.clone(), Vec::new()] {
            let called_off = Experiment { cases, ..plan.clone() };
            assert!(called_off.run(&[], &terminal, &mut |_, _| {}).unwrap_err().is_interruption());
        }
        assert!(!out.exists());
    }

    #[test]
    fn two_cases_cannot_have_one_folder() {
        let folder = tempfile::tempdir().unwrap();
        for (below, case) in [("a", "b-c"), ("a-b", "c")] {
            let below = folder.path().join(below);
            std::fs::create_dir(&below).unwrap();
            for what in ["ct", "label"] {
                std::fs::write(below.join(format!("{case}_{what}.nii.gz")), "").unwrap();
            }
        }
        let data = [folder.path().to_owned()];
        let error = Experiment::plan(Question::Generalisation, &data, &[], 1, &folder.path().join("out"), false);
        assert!(error.unwrap_err().to_string().contains("two cases would have the folder a-b-c"));
    }

    #[test]
    fn tables_of_others_are_never_overwritten() {
        let data = data(&["volume-3.nii", "segmentation-3.nii", TABLES_FILE]);
        let out = data.path();
        let plan = |force| Experiment::plan(Question::Generalisation, &[out.to_owned()], &[], 1, out, force);
        assert!(sentence(&plan(true).unwrap_err()).contains("not written by hepar"));
        std::fs::write(out.join(TABLES_FILE), format!("{TABLES_TITLE}lits\n")).unwrap();
        assert!(sentence(&plan(false).unwrap_err()).contains("--force"));
        assert!(plan(true).is_ok());
    }

    #[test]
    fn scores_of_others_are_never_overwritten_and_own_ones_by_force_or_going_on() {
        let data = data(&["volume-3.nii", "segmentation-3.nii"]);
        let out = data.path().join("out");
        let plan = |force| Experiment::plan(Question::Generalisation, &[data.path().to_owned()], &[], 1, &out, force);
        std::fs::create_dir(&out).unwrap();
        for protocol in [Protocol::Hepar, Protocol::Lits2017] {
            let file = out.join(scores_file(protocol));
            std::fs::write(&file, r#"{ "program": "mine" }"#).unwrap();
            assert!(sentence(&plan(true).unwrap_err()).contains("not written by hepar"));
            std::fs::write(&file, format!(r#"{{ "program": "hepar", "protocol": "{protocol}" }}"#)).unwrap();
            assert!(sentence(&plan(false).unwrap_err()).contains("--force"));
            assert!(plan(true).is_ok());
            std::fs::create_dir(out.join(CASES_FOLDER)).unwrap();
            assert!(plan(false).is_ok(), "an interrupted experiment goes on");
            std::fs::remove_dir(out.join(CASES_FOLDER)).unwrap();
            std::fs::remove_file(&file).unwrap();
        }
    }

    #[test]
    fn scans_whose_header_nobody_filled_in_are_not_scored_in_silence() {
        let folder = tempfile::tempdir().unwrap();
        for (name, spacing) in [("28", 1.0), ("3", 0.75)] {
            let scan = Volume::from_fn(Geometry::axis_aligned([3, 4, 5], [spacing; 3]).unwrap(), |_| 50_i16);
            let grid = GridHeader::from_geometry(scan.geometry());
            write_scan(&folder.path().join(format!("volume-{name}.nii")), &scan, &grid).unwrap();
            std::fs::write(folder.path().join(format!("segmentation-{name}.nii")), "").unwrap();
        }
        let data = [folder.path().to_owned()];
        let plan = |exclude: &[String]| {
            let out = folder.path().join("out");
            Experiment::plan(Question::Generalisation, &data, exclude, 1, &out, false).unwrap()
        };
        let experiment = plan(&[]);
        let doubt = experiment.doubt().unwrap();
        assert!(doubt.starts_with("volume-28: their headers state no size"), "{doubt}");
        let nothing = |protocol| Evaluation { protocol, cases: Vec::new(), unpaired: Vec::new() };
        let evaluations = [Protocol::Hepar, Protocol::Lits2017].map(nothing);
        let outcome = Outcome { evaluations, models: Vec::new(), failed: BTreeMap::new() };
        let text = tables(&experiment, &outcome, &Bootstrap::default());
        assert!(text.find(&doubt).unwrap() < text.find("## All cases").unwrap(), "{text}");
        assert_eq!(plan(&["volume-28".to_owned()]).doubt(), None);
    }
}
