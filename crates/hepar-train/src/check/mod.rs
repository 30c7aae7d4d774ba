//! What in a data set could mislead a training.

mod findings;
mod labels;
mod scan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

use hepar_formats::{read_labels, read_scan};
use hepar_pipeline::check_same_grid;
use hepar_volume::Geometry;

pub use findings::Finding;
pub use labels::LabelFacts;
pub use scan::ScanFacts;

use crate::dataset::{Case, PatientId, Source};
use crate::split::fold_of;

/// How many scans a folder has that may be one patient's; with more it is a data set.
const SCANS_OF_A_PATIENT: RangeInclusive<usize> = 2..=4;

/// What a look at the files of a case has shown.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseReport {
    /// The case.
    pub case: Case,
    /// The fold in which its patient is held out.
    pub fold: usize,
    /// What the scan is; `None` of single slices, and of a scan that cannot be read.
    pub scan: Option<ScanFacts>,
    /// What the labels say; `None` of single slices, and of labels that cannot be read.
    pub labels: Option<LabelFacts>,
    /// What could mislead a training, and what is worth knowing.
    pub findings: Vec<Finding>,
}

/// Looks at the cases one after the other, and shows `seen` each report as soon as it is made.
///
/// `folds` says into how many folds patients are divided. No more than one scan is in memory at a time. Files of single
/// slices are not opened: what is known of them stands in their tables.
pub fn check(cases: &[Case], folds: usize, seen: &mut dyn FnMut(&CaseReport)) -> Vec<CaseReport> {
    let mut first = BTreeMap::new();
    let mut reports = Vec::with_capacity(cases.len());
    for case in cases {
        let mut report = CaseReport::of(case, folds);
        let same = report.scan.as_ref().and_then(|scan| same_scan(case, &scan.voxels_sha256, &mut first));
        report.findings.extend(same);
        report.findings.extend(same_patient(case, cases));
        report.findings.extend(other_patient(case, cases));
        seen(&report);
        reports.push(report);
    }
    reports
}

impl CaseReport {
    /// Whether the case shows the patient who is kept for tests, and so is in no training.
    pub fn is_kept_for_tests(&self) -> bool {
        self.case.patient == PatientId::kept_for_tests()
    }

    /// Whether scan and labels can be read.
    pub fn is_readable(&self) -> bool {
        !self.findings.iter().any(|finding| matches!(finding, Finding::Unreadable(_)))
    }

    /// Whether something could mislead a training; notes do not count.
    pub fn is_suspicious(&self) -> bool {
        self.findings.iter().any(|finding| !finding.is_note())
    }

    /// What the case by itself shows.
    fn of(case: &Case, folds: usize) -> Self {
        let fold = fold_of(&case.patient, folds);
        let mut report = Self { case: case.clone(), fold, scan: None, labels: None, findings: Vec::new() };
        if let Source::Volume { image, labels } = &case.source {
            let grid = report.look_at_scan(image);
            report.look_at_labels(labels, grid.as_ref());
        }
        report
    }

    /// Reads the scan and gives its grid, if it can be read.
    fn look_at_scan(&mut self, image: &Path) -> Option<Geometry> {
        match read_scan(image) {
            Ok(scan) => {
                let grid = scan.volume.geometry().clone();
                let (facts, findings) = ScanFacts::of(scan);
                self.scan = Some(facts);
                self.findings.extend(findings);
                Some(grid)
            }
            Err(error) => {
                self.findings.push(Finding::unreadable(&error));
                None
            }
        }
    }

    /// Reads the labels, which should lie on `grid`.
    fn look_at_labels(&mut self, labels: &Path, grid: Option<&Geometry>) {
        match read_labels(labels) {
            Ok(labels) => {
                let mismatch = grid.and_then(|grid| check_same_grid(grid, labels.volume.geometry()).err());
                let (facts, findings) = LabelFacts::of(&labels.volume);
                self.labels = Some(facts);
                self.findings.extend(labels.warnings.into_iter().map(Finding::OfLabels));
                self.findings.extend(mismatch.map(Finding::OtherGrid));
                self.findings.extend(findings);
            }
            Err(error) => self.findings.push(Finding::unreadable(&error)),
        }
    }
}

/// Whether a case before this one has the same voxels; `first` holds the first case of each scan by its hash.
fn same_scan<'a>(case: &'a Case, hash: &str, first: &mut BTreeMap<String, &'a Case>) -> Option<Finding> {
    let before = *first.entry(hash.to_owned()).or_insert(case);
    let same_patient = before.patient == case.patient;
    (before.name != case.name).then(|| Finding::SameScan { name: before.name.clone(), same_patient })
}

/// Whether other cases show the same patient.
fn same_patient(case: &Case, cases: &[Case]) -> Option<Finding> {
    let others = cases.iter().filter(|other| other.patient == case.patient && other.name != case.name);
    let names: Vec<String> = others.map(|other| other.name.clone()).collect();
    (!names.is_empty()).then_some(Finding::SamePatient(names))
}

/// Whether scans that count as other patients lie in the folder of the case, where that may be one patient's: by the number of
/// its scans, and because there are other folders.
fn other_patient(case: &Case, cases: &[Case]) -> Option<Finding> {
    let folder = folder_of(case)?;
    let beside: Vec<&Case> = cases.iter().filter(|other| folder_of(other) == Some(folder)).collect();
    let is_alone = cases.iter().filter_map(folder_of).all(|of_other| of_other == folder);
    if is_alone || !SCANS_OF_A_PATIENT.contains(&beside.len()) {
        return None;
    }
    let others = beside.into_iter().filter(|other| other.patient != case.patient);
    let names: Vec<String> = others.map(|other| other.name.clone()).collect();
    (!names.is_empty()).then_some(Finding::OtherPatient(names))
}

/// The folder of a scan whose name does not say whom it shows; `None` of other cases.
fn folder_of(case: &Case) -> Option<&Path> {
    match &case.source {
        // Where both are one folder, it is a patient's.
        Source::Volume { image, labels } if image != labels && !PatientId::is_known(&case.name) => image.parent(),
        _ => None,
    }
}
