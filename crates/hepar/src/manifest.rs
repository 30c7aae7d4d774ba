//! `manifest.json`: how a result came about, and everything in it that differs from run to run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hepar_formats::{Scan, ScanOptions, SegmentationType, SegmentsBy, files_of_labels, files_of_scan};
use hepar_model::bundle::{Bundle, Score};
use hepar_pipeline::LastStage;
use hepar_report::page::{ModelFacts, Provenance};
use hepar_volume::Geometry;
use serde::{Deserialize, Serialize};

use crate::clock::utc;
use crate::error::{Error, ErrorKind};
use crate::hash::sha256_of_files;
use crate::output::{Product, Products};
use crate::segment::{MIRRORED, SegmentedCase};

/// Name of the manifest in a result's folder.
pub const MANIFEST_FILE: &str = "manifest.json";

/// Version of the layout; it grows when a key changes its meaning or goes.
const SCHEMA: u32 = 1;

/// The name by which a result is known to be hepar's.
const PROGRAM: &str = "hepar";

/// Which model made a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One hash over all of its weights and settings.
    pub sha256: String,
    /// What it is, as its card says.
    #[serde(default)]
    pub description: String,
    /// How good it is, as its card says.
    #[serde(default)]
    pub scores: Vec<Score>,
}

/// A file that went into a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    /// Where it was, as the user named it.
    pub path: String,
    /// SHA-256 of its bytes; where it is several files, of their hashes.
    pub sha256: String,
}

/// What the JSON holds, in this order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    schema: u32,
    program: String,
    version: String,
    /// `done`: the manifest is written last.
    state: String,
    /// When the files were made, UTC.
    finished: String,
    case: String,
    input: InputFile,
    /// `SeriesInstanceUID` of a scan that was read from DICOM, with its place behind a colon when it is one of several
    /// volumes of the series; else `null`.
    #[serde(default)]
    series: Option<String>,
    grid: Grid,
    /// The liver mask, if it was given.
    liver: Option<InputFile>,
    /// The file of the labels, when they came from elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<InputFile>,
    /// Whether someone has changed the labels since: the result was made again of them.
    #[serde(default)]
    labels_changed: bool,
    /// `all` or `liver`.
    stages: String,
    /// How DICOM objects are made.
    #[serde(default)]
    objects: Objects,
    /// `null` when the labels came from elsewhere.
    model: Option<ModelIdentity>,
    /// Engine and device; `null` when none ran.
    engine: Option<String>,
    instruction_set: String,
    threads: usize,
    warnings: Vec<String>,
    /// Those of `warnings` that the last `hepar report` added; the next one finds out anew whether they are true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    report_warnings: Vec<String>,
    /// Wall time of `read`, of each stage that ran, of `write`, and in `total`; of making the result again `report`.
    seconds: Object,
    /// The most memory that the process has held; `null` where the system does not tell.
    peak_memory_bytes: Option<u64>,
    /// SHA-256 of the other files of the result.
    files: BTreeMap<String, String>,
}

/// The scan's grid, in the order i, j, k.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Grid {
    shape_ijk: [usize; 3],
    spacing_ijk_mm: [f64; 3],
}

/// How DICOM objects of a result are made, as `--labelmap` and `--split-lesions` say.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Objects {
    /// Whether a segmentation is stored as a label map.
    labelmap: bool,
    /// Whether each lesion has a segment of its own.
    split_lesions: bool,
}

/// A JSON object whose keys keep their order.
type Object = serde_json::Map<String, serde_json::Value>;

/// What is read of a manifest to know whose a folder's files are.
#[derive(Debug, Deserialize)]
pub(crate) struct Written {
    program: String,
    #[serde(default)]
    labels_changed: bool,
    #[serde(default)]
    files: BTreeMap<String, String>,
}

impl ModelIdentity {
    /// The identity of a model.
    pub fn of(bundle: &Bundle) -> Self {
        let card = bundle.card();
        Self {
            name: card.name.clone(),
            version: card.version.clone(),
            sha256: bundle.hash(),
            description: card.description.clone(),
            scores: card.scores.clone(),
        }
    }
}

impl InputFile {
    /// Labels as they are now.
    ///
    /// # Errors
    /// When their files cannot be read.
    pub(crate) fn of_labels(path: &Path) -> Result<Self, Error> {
        Self::of(path, &files_of_labels(path)?)
    }

    /// A scan as it is now; of a DICOM study the `series` that was read.
    ///
    /// # Errors
    /// When its files cannot be read.
    pub(crate) fn of_scan(path: &Path, series: Option<String>) -> Result<Self, Error> {
        Self::of(path, &files_of_scan(path, &ScanOptions { series, ..ScanOptions::default() })?)
    }

    fn of(path: &Path, files: &[PathBuf]) -> Result<Self, Error> {
        let sha256 = sha256_of_files(files).map_err(|source| ErrorKind::Input { path: path.to_owned(), source })?;
        Ok(Self { path: path.display().to_string(), sha256 })
    }
}

impl ModelIdentity {
    fn facts(&self) -> ModelFacts {
        let scores = self.scores.iter().map(|score| (score.on.clone(), score.metric.clone(), score.figure()));
        ModelFacts {
            name: self.name.clone(),
            version: self.version.clone(),
            sha256: self.sha256.clone(),
            description: self.description.clone(),
            scores: scores.collect(),
        }
    }
}

impl Manifest {
    /// The manifest of a case that was segmented, before its files are written.
    pub(crate) fn new(case: &SegmentedCase) -> Self {
        let seconds = [("read", case.read_seconds)]
            .into_iter()
            .chain(case.segmentation.seconds.iter().map(|(stage, seconds)| (stage.as_str(), *seconds)));
        Self {
            liver: case.liver.clone(),
            stages: stages_name(case.last).to_owned(),
            objects: Objects::of(&case.products),
            model: Some(case.model.clone()),
            engine: Some(case.engine.clone()),
            seconds: seconds.map(|(step, seconds)| (step.to_owned(), milliseconds(seconds).into())).collect(),
            ..Self::of_scan(&case.name, case.input.clone(), &case.scan)
        }
    }

    /// The manifest of a case whose `labels` came from elsewhere, liver and tumours.
    pub(crate) fn of_labels(case: &str, input: InputFile, scan: &Scan, labels: InputFile) -> Self {
        Self { labels: Some(labels), ..Self::of_scan(case, input, scan) }
    }

    fn of_scan(case: &str, input: InputFile, scan: &Scan) -> Self {
        Self {
            schema: SCHEMA,
            program: PROGRAM.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: "done".to_owned(),
            finished: utc(SystemTime::now()),
            case: case.to_owned(),
            input,
            series: scan.series(),
            grid: Grid::of(scan.volume.geometry()),
            liver: None,
            labels: None,
            labels_changed: false,
            stages: stages_name(LastStage::Tumour).to_owned(),
            objects: Objects::default(),
            model: None,
            engine: None,
            instruction_set: hepar_kernels::isa::name().to_owned(),
            threads: rayon::current_num_threads(),
            warnings: scan.warnings.iter().map(ToString::to_string).collect(),
            report_warnings: Vec::new(),
            seconds: Object::new(),
            peak_memory_bytes: peak_memory(),
            files: BTreeMap::new(),
        }
    }

    /// The manifest in `folder`.
    ///
    /// # Errors
    /// When there is none that can be read, or hepar did not write it.
    pub(crate) fn read(folder: &Path) -> std::io::Result<Self> {
        Self::read_file(&folder.join(MANIFEST_FILE))
    }

    /// As [`Manifest::read`], of a file.
    pub(crate) fn read_file(path: &Path) -> std::io::Result<Self> {
        let manifest: Self = serde_json::from_slice(&std::fs::read(path)?)?;
        if manifest.program != PROGRAM {
            return Err(std::io::Error::other("hepar did not write it"));
        }
        Ok(manifest)
    }

    /// The manifest of the result whose other `files` have these hashes, and of which these steps took so long.
    pub(crate) fn finished(mut self, files: BTreeMap<String, String>, steps: &[(&str, Duration)]) -> Self {
        self.files = files;
        for (step, took) in steps {
            self.seconds.insert((*step).to_owned(), milliseconds(took.as_secs_f64()).into());
        }
        self.peak_memory_bytes = self.peak_memory_bytes.max(peak_memory());
        self
    }

    /// Takes note that the result is made again now, and takes back what was added when it was made again before.
    pub(crate) fn begin_again(&mut self) {
        self.finished = utc(SystemTime::now());
        let added = std::mem::take(&mut self.report_warnings);
        self.warnings.retain(|warning| !added.contains(warning));
    }

    /// Takes a warning back.
    pub(crate) fn take_back(&mut self, warning: &str) {
        self.warnings.retain(|other| other != warning);
    }

    /// Takes note that the labels are not those that were written before.
    pub(crate) fn labels_were_changed(&mut self) {
        self.labels_changed = true;
    }

    /// Whether the labels are those that this program finds in the scan in `input` by `model` when nothing more is asked
    /// for: all stages, without a given liver or mirrored windows, and nobody has changed them.
    pub(crate) fn is_of(&self, model: &ModelIdentity, input: &Path) -> bool {
        self.version == env!("CARGO_PKG_VERSION")
            && self.model.as_ref().is_some_and(|made| made.sha256 == model.sha256)
            && self.stages == stages_name(LastStage::Tumour)
            && self.liver.is_none()
            && self.engine.as_ref().is_none_or(|engine| !engine.ends_with(MIRRORED))
            && !self.labels_changed
            && InputFile::of_scan(input, self.series.clone()).is_ok_and(|file| file.sha256 == self.input.sha256)
    }

    /// Whether they are not those that were written first.
    pub(crate) fn has_changed_labels(&self) -> bool {
        self.labels_changed
    }

    /// The series of a DICOM study that was read, if it was one.
    pub(crate) fn series(&self) -> Option<&str> {
        self.series.as_deref()
    }

    /// Name and version of the model, if one ran.
    pub(crate) fn model_name(&self) -> Option<(&str, &str)> {
        self.model.as_ref().map(|model| (model.name.as_str(), model.version.as_str()))
    }

    /// Name of the case.
    pub(crate) fn case(&self) -> &str {
        &self.case
    }

    /// Where the scan was, as the user named it.
    pub(crate) fn input_path(&self) -> &str {
        &self.input.path
    }

    /// SHA-256 of the scan's file.
    pub(crate) fn input_sha256(&self) -> &str {
        &self.input.sha256
    }

    /// How far the scan went through the stages.
    pub(crate) fn last_stage(&self) -> LastStage {
        if self.stages == stages_name(LastStage::Liver) { LastStage::Liver } else { LastStage::Tumour }
    }

    /// The files that `wanted` names, with DICOM objects as the result's are made.
    pub(crate) fn products(&self, wanted: Vec<Product>) -> Products {
        let Objects { labelmap, split_lesions } = self.objects;
        Products {
            files: Some(wanted),
            stored: if labelmap { SegmentationType::LabelMap } else { SegmentationType::Binary },
            by: if split_lesions { SegmentsBy::Lesion } else { SegmentsBy::Label },
        }
    }

    /// SHA-256 of the other files of the result.
    pub(crate) fn files(&self) -> &BTreeMap<String, String> {
        &self.files
    }

    /// Takes up a sentence that a reader of the result should know, once, until the result is made again.
    pub(crate) fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.report_warnings.push(warning.clone());
            self.warnings.push(warning);
        }
    }

    /// The same for readers of a report.
    pub(crate) fn provenance(&self) -> Provenance {
        let threads = if self.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", self.threads) };
        let engine = self.engine.as_ref().map(|engine| format!("{engine}, {}, {threads}", self.instruction_set));
        let seconds = self.seconds.iter().filter_map(|(step, seconds)| Some((step.clone(), seconds.as_f64()?)));
        Provenance {
            version: self.version.clone(),
            finished: self.finished.clone(),
            input_sha256: self.input.sha256.clone(),
            shape_ijk: self.grid.shape_ijk,
            spacing_ijk_mm: self.grid.spacing_ijk_mm,
            model: self.model.as_ref().map(ModelIdentity::facts),
            engine,
            seconds: seconds.collect(),
            peak_memory_bytes: self.peak_memory_bytes,
            warnings: self.warnings.clone(),
        }
    }

    /// The text of `manifest.json`.
    pub(crate) fn to_json(&self) -> String {
        // Serialising into a string fails only for maps whose keys are no strings; these are.
        let text = serde_json::to_string_pretty(self).unwrap_or_else(|error| unreachable!("{error}"));
        text + "\n"
    }
}

impl Objects {
    fn of(products: &Products) -> Self {
        Self {
            labelmap: products.stored == SegmentationType::LabelMap,
            split_lesions: products.by == SegmentsBy::Lesion,
        }
    }
}

impl Grid {
    fn of(geometry: &Geometry) -> Self {
        let ([nk, nj, ni], [k, j, i]) = (geometry.shape(), geometry.spacing());
        Self { shape_ijk: [ni, nj, nk], spacing_ijk_mm: [i, j, k] }
    }
}

impl Written {
    /// The manifest at `path`, when there is one and hepar wrote it.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let bytes = std::fs::read(path).ok()?;
        serde_json::from_slice(&bytes).ok().filter(|written: &Self| written.program == PROGRAM)
    }

    /// The hash that the file `name` of the result had when it was written.
    pub(crate) fn hash(&self, name: &str) -> Option<&str> {
        self.files.get(name).map(String::as_str)
    }

    /// Whether someone has changed the labels, and the result was made again of them.
    pub(crate) fn has_changed_labels(&self) -> bool {
        self.labels_changed
    }
}

/// How far a scan goes, in one word.
fn stages_name(last: LastStage) -> &'static str {
    if last == LastStage::Liver { "liver" } else { "all" }
}

/// Seconds to the millisecond.
fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// The most memory that this process has held, in bytes; `None` where the system does not tell (other than Linux).
fn peak_memory() -> Option<u64> {
    peak_of_status(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// `VmHWM` of Linux' `/proc/self/status`, in bytes.
fn peak_of_status(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_formats::{GridHeader, write_scan};
    use hepar_volume::Volume;

    #[test]
    fn the_peak_is_read_from_linux_status() {
        assert_eq!(peak_of_status("Name:\thepar\nVmHWM:\t   12345 kB\nVmRSS:\t 1 kB\n"), Some(12_641_280));
        assert_eq!(peak_of_status("Name:\thepar\n"), None);
    }

    #[test]
    fn a_result_is_of_the_model_alone_only_when_nothing_else_went_into_it() {
        let folder = tempfile::tempdir().unwrap();
        let scan = folder.path().join("ct.nii");
        let volume = Volume::from_fn(Geometry::axis_aligned([3, 4, 5], [2.0; 3]).unwrap(), |[k, ..]| k as i16);
        write_scan(&scan, &volume, &GridHeader::from_geometry(volume.geometry())).unwrap();
        let sha256 = sha256_of_files(std::slice::from_ref(&scan)).unwrap();
        let model = serde_json::json!({ "name": "m", "version": "1", "sha256": "12" });
        let of_model: ModelIdentity = serde_json::from_value(model.clone()).unwrap();
        let manifest = serde_json::json!({
            "schema": SCHEMA, "program": PROGRAM, "version": env!("CARGO_PKG_VERSION"), "state": "done", "finished": "",
            "case": "ct", "input": { "path": "ct.nii", "sha256": sha256 }, "liver": null, "stages": "all",
            "grid": { "shape_ijk": [1, 1, 1], "spacing_ijk_mm": [1.0, 1.0, 1.0] }, "model": model, "engine": "CPU",
            "instruction_set": "", "threads": 1, "warnings": [], "seconds": {}, "peak_memory_bytes": null, "files": {}
        });
        let is_of = |key: &str, value: serde_json::Value| {
            let mut manifest = manifest.clone();
            manifest[key] = value;
            serde_json::from_value::<Manifest>(manifest).unwrap().is_of(&of_model, &scan)
        };
        assert!(is_of("threads", 2.into()));
        assert!(!is_of("labels_changed", true.into()));
        assert!(!is_of("stages", "liver".into()));
        assert!(!is_of("liver", serde_json::json!({ "path": "l.nii", "sha256": "34" })));
        assert!(!is_of("engine", format!("CPU{MIRRORED}").into()));
        assert!(!is_of("version", "0.0.0".into()));
    }

    #[test]
    fn only_a_manifest_of_hepar_is_recognised() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| std::fs::write(folder.path().join(MANIFEST_FILE), text).unwrap();
        assert!(Written::read(&folder.path().join(MANIFEST_FILE)).is_none());
        write("{\"program\": \"another\"}");
        assert!(Written::read(&folder.path().join(MANIFEST_FILE)).is_none());
        write("{\"program\": \"hepar\", \"files\": {\"a\": \"12\"}}");
        assert_eq!(Written::read(&folder.path().join(MANIFEST_FILE)).unwrap().hash("a"), Some("12"));
    }
}
