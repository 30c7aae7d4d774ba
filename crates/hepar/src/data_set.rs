//! What the check of a data set found, for programs.

use std::path::Path;

use hepar_train::{CaseReport, Source};
use serde_json::{Value, json};

/// Version of the JSON layout; it grows when a key changes its meaning or goes.
const SCHEMA: u32 = 1;

/// The cases with their patients, folds and findings; the layout is described in `docs/training.md`.
pub fn as_json(reports: &[CaseReport], folds: u16) -> Value {
    let cases: Vec<Value> = reports.iter().map(case_as_json).collect();
    json!({ "schema": SCHEMA, "folds": folds, "cases": cases })
}

fn case_as_json(report: &CaseReport) -> Value {
    let path = |path: &Path| path.display().to_string();
    let (image, label_file, slices) = match &report.case.source {
        Source::Volume { image, labels } => (path(image), Some(path(labels)), None),
        Source::Slices { file, indices } => (path(file), None, Some(indices.len())),
    };
    let (scan, labels) = (report.scan.as_ref(), report.labels.as_ref());
    let sentences = |notes: bool| -> Vec<String> {
        report.findings.iter().filter(|finding| finding.is_note() == notes).map(ToString::to_string).collect()
    };
    json!({
        "name": report.case.name,
        "patient": report.case.patient.as_str(),
        "fold": report.fold,
        "kept_for_tests": report.is_kept_for_tests(),
        "image": image,
        "labels": label_file,
        "slices": slices,
        "shape_ijk": scan.map(|scan| ijk(scan.shape)),
        "spacing_ijk_mm": scan.map(|scan| ijk(scan.spacing)),
        "orientation": scan.map(|scan| scan.orientation.as_str()),
        "range_hu": scan.map(|scan| scan.range),
        "voxels_sha256": scan.map(|scan| scan.voxels_sha256.as_str()),
        "label_voxels": labels.map(|labels| &labels.voxels),
        "liver_ml": labels.map(|labels| labels.liver_ml),
        "tumour_ml": labels.map(|labels| labels.tumour_ml),
        "lesions": labels.map(|labels| labels.lesions),
        "findings": sentences(false),
        "notes": sentences(true),
    })
}

/// What belongs to the axes `[k, j, i]`, in the order in which files have them.
fn ijk<T>([k, j, i]: [T; 3]) -> [T; 3] {
    [i, j, k]
}
