//! `manifest.json`: how a result came about, and everything in it that differs from run to run.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use hepar_model::bundle::Bundle;
use hepar_pipeline::LastStage;
use hepar_volume::Geometry;
use serde::{Deserialize, Serialize};

use crate::clock::utc;
use crate::segment::SegmentedCase;

/// Name of the manifest in a result's folder.
pub const MANIFEST_FILE: &str = "manifest.json";

/// Version of the layout; it grows when a key changes its meaning or goes.
const SCHEMA: u32 = 1;

/// The name by which a result is known to be hepar's.
const PROGRAM: &str = "hepar";

/// Which model made a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelIdentity {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One hash over all of its weights.
    pub sha256: String,
}

/// A file that went into a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InputFile {
    /// Where it was, as the user named it.
    pub path: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

/// What the JSON holds, in this order.
#[derive(Debug, Serialize)]
pub(crate) struct Manifest<'a> {
    schema: u32,
    program: &'static str,
    version: &'static str,
    /// `done`: the manifest is written last.
    state: &'static str,
    /// UTC.
    finished: String,
    case: &'a str,
    input: &'a InputFile,
    /// `SeriesInstanceUID` of a scan that was read from DICOM, else `null`.
    series: Option<&'a str>,
    grid: Grid,
    /// The liver mask, if it was given.
    liver: Option<&'a InputFile>,
    /// `all` or `liver`.
    stages: &'static str,
    model: &'a ModelIdentity,
    /// Engine and device.
    engine: &'a str,
    instruction_set: &'static str,
    threads: usize,
    warnings: Vec<String>,
    /// Wall time of `read`, of each stage that ran, of `write`, and in `total`.
    seconds: Object,
    /// The most memory that the process has held; `null` where the system does not tell.
    peak_memory_bytes: Option<u64>,
    /// SHA-256 of the other files of the result.
    files: &'a BTreeMap<String, String>,
}

/// The scan's grid, in the order i, j, k.
#[derive(Debug, Serialize)]
struct Grid {
    shape_ijk: [usize; 3],
    spacing_ijk_mm: [f64; 3],
}

/// A JSON object whose keys keep their order.
type Object = serde_json::Map<String, serde_json::Value>;

/// What is read of a manifest to know whose a folder's files are.
#[derive(Debug, Deserialize)]
pub(crate) struct Written {
    program: String,
    #[serde(default)]
    files: BTreeMap<String, String>,
}

impl ModelIdentity {
    /// The identity of a model.
    pub fn of(bundle: &Bundle) -> Self {
        let card = bundle.card();
        Self { name: card.name.clone(), version: card.version.clone(), sha256: bundle.hash() }
    }
}

impl<'a> Manifest<'a> {
    /// The manifest of a result whose other `files` have these hashes and took so long to write.
    pub(crate) fn new(case: &'a SegmentedCase, files: &'a BTreeMap<String, String>, write: Duration) -> Self {
        let mut seconds = Object::new();
        let mut put = |name: &str, value: f64| seconds.insert(name.to_owned(), milliseconds(value).into());
        put("read", case.read_seconds);
        for (stage, value) in &case.segmentation.seconds {
            put(stage.as_str(), *value);
        }
        put("write", write.as_secs_f64());
        put("total", case.started.elapsed().as_secs_f64());
        Self {
            schema: SCHEMA,
            program: PROGRAM,
            version: env!("CARGO_PKG_VERSION"),
            state: "done",
            finished: utc(SystemTime::now()),
            case: &case.name,
            input: &case.input,
            series: case.scan.dicom.as_ref().map(|series| series.series_uid()),
            grid: Grid::of(case.scan.volume.geometry()),
            liver: case.liver.as_ref(),
            stages: if case.last == LastStage::Liver { "liver" } else { "all" },
            model: &case.model,
            engine: &case.engine,
            instruction_set: hepar_kernels::isa::name(),
            threads: rayon::current_num_threads(),
            warnings: case.scan.warnings.iter().map(ToString::to_string).collect(),
            seconds,
            peak_memory_bytes: peak_memory(),
            files,
        }
    }

    /// The text of `manifest.json`.
    pub(crate) fn to_json(&self) -> String {
        // Serialising into a string fails only for maps whose keys are no strings; these are.
        let text = serde_json::to_string_pretty(self).unwrap_or_else(|error| unreachable!("{error}"));
        text + "\n"
    }
}

impl Grid {
    fn of(geometry: &Geometry) -> Self {
        let ([nk, nj, ni], [k, j, i]) = (geometry.shape(), geometry.spacing());
        Self { shape_ijk: [ni, nj, nk], spacing_ijk_mm: [i, j, k] }
    }
}

impl Written {
    /// The manifest in `folder`, when there is one and hepar wrote it.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        let bytes = std::fs::read(folder.join(MANIFEST_FILE)).ok()?;
        serde_json::from_slice(&bytes).ok().filter(|written: &Self| written.program == PROGRAM)
    }

    /// The names of the files of the result.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The hash that the file `name` of the result had when it was written.
    pub(crate) fn hash(&self, name: &str) -> Option<&str> {
        self.files.get(name).map(String::as_str)
    }
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

    #[test]
    fn the_peak_is_read_from_linux_status() {
        assert_eq!(peak_of_status("Name:\thepar\nVmHWM:\t   12345 kB\nVmRSS:\t 1 kB\n"), Some(12_641_280));
        assert_eq!(peak_of_status("Name:\thepar\n"), None);
    }

    #[test]
    fn only_a_manifest_of_hepar_is_recognised() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| std::fs::write(folder.path().join(MANIFEST_FILE), text).unwrap();
        assert!(Written::read(folder.path()).is_none());
        write("{\"program\": \"another\"}");
        assert!(Written::read(folder.path()).is_none());
        write("{\"program\": \"hepar\", \"files\": {\"a\": \"12\"}}");
        assert_eq!(Written::read(folder.path()).unwrap().hash("a"), Some("12"));
    }
}
