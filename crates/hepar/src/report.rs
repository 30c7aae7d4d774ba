//! The report of a scan and its labels: again for a result, or for labels from elsewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use hepar_formats::{Labels, Scan, ScanOptions, read_labels_of, read_scan_with};
use hepar_pipeline::{Findings, LastStage, Probabilities, check_same_grid, describe};
use hepar_report::Told;
use hepar_volume::{Volume, stored_like};

use crate::cases::case_name;
use crate::error::{Error, sentence};
use crate::manifest::{InputFile, MANIFEST_FILE, Manifest};
use crate::output::{
    Contents, LABELS_FILE, NEXT_MANIFEST_FILE, Product, RESULT_FILE, ResultCase, ResultFolder, check_no_input,
};
use crate::watch::Listener;

/// What is said when the scan is not the one that was segmented.
const OTHER_SCAN: &str = "the scan's file is not the one that the result was made from";

/// What is said when the labels are not those that were written first.
const CHANGED_LABELS: &str = "the labels were changed after hepar wrote them; everything shown is of the changed ones";

/// A result whose tables, pictures and report are to be made again.
#[derive(Debug)]
pub struct Remake {
    folder: ResultFolder,
    manifest: Manifest,
    scan: PathBuf,
}

/// Labels of any origin that are to be given a result's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledScan {
    /// File of the scan.
    pub scan: PathBuf,
    /// UID or number of the series of a scan that is a DICOM study; none: chosen by rules.
    pub series: Option<String>,
    /// File of the labels: 0 background, 1 liver, 2 tumour, on the scan's grid in any order of its axes.
    pub labels: PathBuf,
}

/// Why a result cannot be made again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The folder holds no result.
    #[error("read {}: {reason}. Is it the folder of a result?", manifest.display())]
    NoResult {
        /// The manifest.
        manifest: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another result was to take the place of this one, and only some of its files did.
    #[error("know which labels are in {}: replacing it was interrupted. Make the result again, with --force", folder.display())]
    Interrupted {
        /// The folder of the result.
        folder: PathBuf,
    },
    /// The result never had labels.
    #[error("make {} again: it was made without labels (`--write`); segment again, with labels", folder.display())]
    NoLabels {
        /// The folder of the result.
        folder: PathBuf,
    },
    /// The scan has gone away.
    #[error("find the scan of {}: {} is not there. --ct names it", folder.display(), scan.display())]
    NoScan {
        /// The folder of the result.
        folder: PathBuf,
        /// Where the scan was.
        scan: PathBuf,
    },
    /// The labels are not on the scan's grid.
    #[error("show {} on {}: {reason}", labels.display(), scan.display())]
    Grid {
        /// The labels.
        labels: PathBuf,
        /// The scan.
        scan: PathBuf,
        /// How they differ.
        reason: String,
    },
}

impl Remake {
    /// Plans to make the result in `folder` again; `ct` names the scan when it is not where it was.
    ///
    /// `contents` says what the folder holds; what it held before by default, but for who the patient is.
    ///
    /// # Errors
    /// When the folder holds no result of hepar or one without labels, someone has changed a file of it other than the
    /// labels, or the scan is not there.
    pub fn plan(folder: &Path, ct: Option<&Path>, choose: impl FnOnce(Contents) -> Contents) -> Result<Self, Error> {
        let manifest = manifest_of(folder)?;
        if !manifest.files().contains_key(LABELS_FILE) && !folder.join(LABELS_FILE).exists() {
            return Err(ReportError::NoLabels { folder: folder.to_owned() }.into());
        }
        let scan = ct.map_or_else(|| PathBuf::from(manifest.input_path()), Path::to_owned);
        if !scan.exists() {
            return Err(ReportError::NoScan { folder: folder.to_owned(), scan }.into());
        }
        let contents = choose(Contents::of(manifest.files()));
        Ok(Self { folder: ResultFolder::plan_again(folder)?.holding(contents), manifest, scan })
    }

    /// Makes everything again but the labels, which may have been corrected by hand, and says what was found.
    ///
    /// # Errors
    /// When scan or labels cannot be read or do not fit, a file cannot be written, or the listener calls the work off.
    pub fn run(self, listener: &dyn Listener) -> Result<Findings, Error> {
        let started = Instant::now();
        let labels = self.folder.path().join(LABELS_FILE);
        let mut manifest = self.manifest;
        manifest.begin_again();
        // Manifests of earlier versions do not say that a report added it.
        manifest.take_back(OTHER_SCAN);
        let (scan, volume) = read(&self.scan, manifest.series(), &labels, listener)?;
        if InputFile::of_scan(&self.scan, scan.series())?.sha256 != manifest.input_sha256() {
            listener.warn(&format_args!("{}: {OTHER_SCAN}", manifest.case()));
            manifest.warn(OTHER_SCAN.to_owned());
        }
        scan.warnings.iter().for_each(|warning| manifest.warn(warning.to_string()));
        let mut told = Told::default();
        if manifest.files().get(LABELS_FILE) == Some(&InputFile::of_labels(&labels)?.sha256) {
            let result = fs::read_to_string(self.folder.path().join(RESULT_FILE));
            told = result.map(|text| Told::of(&text)).unwrap_or_default();
        } else {
            listener.warn(&format_args!("{}: {CHANGED_LABELS}", manifest.case()));
            manifest.labels_were_changed();
        }
        if manifest.has_changed_labels() {
            manifest.warn(CHANGED_LABELS.to_owned());
        }
        let last = manifest.last_stage();
        let name = manifest.case().to_owned();
        write(&self.folder, Case { name, scan, labels: volume, told, manifest, last, started }, listener)
    }
}

impl LabelledScan {
    /// Describes the labels and writes them to `folder` as a result, and says what they say.
    ///
    /// # Errors
    /// As [`Remake::run`], and when the folder is that of the scan or the labels.
    pub fn run(&self, folder: &ResultFolder, listener: &dyn Listener) -> Result<Findings, Error> {
        check_no_input(folder.path(), &[&self.scan, &self.labels])?;
        let started = Instant::now();
        let (scan, labels) = read(&self.scan, self.series.as_deref(), &self.labels, listener)?;
        let name = case_name(&self.scan);
        let file = InputFile::of_scan(&self.scan, scan.series())?;
        let manifest = Manifest::of_labels(&name, file, &scan, InputFile::of_labels(&self.labels)?);
        let last = LastStage::Tumour;
        write(folder, Case { name, scan, labels, told: Told::default(), manifest, last, started }, listener)
    }
}

/// What a result is written from.
struct Case {
    name: String,
    scan: Scan,
    labels: Volume<u8>,
    /// What an earlier result told of the same labels.
    told: Told,
    manifest: Manifest,
    last: LastStage,
    started: Instant,
}

fn write(folder: &ResultFolder, case: Case, listener: &dyn Listener) -> Result<Findings, Error> {
    let Case { name, scan, labels, told, manifest, last, started } = case;
    // The two are known to share a grid, so that this does not fail.
    let mut findings = describe(&labels, &scan.volume, last).map_err(|mismatch| ReportError::Grid {
        labels: folder.path().join(LABELS_FILE),
        scan: PathBuf::from(manifest.input_path()),
        reason: sentence(&mismatch),
    })?;
    findings.set_confidences(&told.confidences);
    findings.cautions.extend(told.not_tumours);
    findings.cautions.iter().for_each(|caution| listener.warn(&format_args!("{name}: {caution}")));
    let (scan, labels) = (&scan, &labels);
    // Of labels that are there already; a result that is made again keeps what else was made of them.
    let products = manifest.products(vec![Product::Labels]);
    let probabilities = &Probabilities::default();
    let case =
        ResultCase { name: &name, scan, labels, findings: &findings, probabilities, products, manifest, started };
    folder.write_result(case, listener)?;
    Ok(findings)
}

/// The manifest of the result in a folder; where another result was taking its place, that of the one whose labels are
/// there.
fn manifest_of(folder: &Path) -> Result<Manifest, Error> {
    let next = folder.join(NEXT_MANIFEST_FILE);
    let manifest = Manifest::read(folder)
        .map_err(|error| ReportError::NoResult { manifest: folder.join(MANIFEST_FILE), reason: sentence(&error) })?;
    if !next.exists() {
        return Ok(manifest);
    }
    let labels = InputFile::of_labels(&folder.join(LABELS_FILE))?.sha256;
    let both = [Some(manifest), Manifest::read_file(&next).ok()];
    let of_labels = |manifest: &Manifest| manifest.files().get(LABELS_FILE) == Some(&labels);
    let interrupted = || ReportError::Interrupted { folder: folder.to_owned() };
    Ok(both.into_iter().flatten().find(of_labels).ok_or_else(interrupted)?)
}

/// Reads a scan, of a DICOM study the given series, and labels on its grid, which may be stored in another order of axes.
fn read(
    scan: &Path,
    series: Option<&str>,
    labels: &Path,
    listener: &dyn Listener,
) -> Result<(Scan, Volume<u8>), Error> {
    listener.doing(&format!("reading {}", scan.display()));
    let options = ScanOptions { series: series.map(str::to_owned), ..ScanOptions::default() };
    let read = read_scan_with(scan, &options)?;
    let Labels { volume, warnings, .. } = read_labels_of(labels, &read)?;
    for (path, warning) in read.warnings.iter().map(|w| (scan, w)).chain(warnings.iter().map(|w| (labels, w))) {
        listener.warn(&format_args!("{}: {warning}", path.display()));
    }
    let volume = stored_like(volume, read.volume.geometry());
    check_same_grid(read.volume.geometry(), volume.geometry()).map_err(|mismatch| ReportError::Grid {
        labels: labels.to_owned(),
        scan: scan.to_owned(),
        reason: sentence(&mismatch),
    })?;
    // What is within half a voxel is the same place; what is more than tumour is taken as tumour.
    let grid = read.volume.geometry().clone();
    let voxels = volume.data();
    let labels = Volume::from_fn(grid, |index| voxels[index].min(2));
    Ok((read, labels))
}
