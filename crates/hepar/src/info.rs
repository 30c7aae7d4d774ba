//! What a file is: its header, its grid and its intensities.

use std::path::Path;

use hepar_formats::{
    DicomError, HeaderInfo, Labels, ReadErrorKind, ScanOptions, SeriesInfo, Verdict, Warning, inspect_with,
    list_series, read_labels, read_scan_with,
};
use serde_json::{Value, json};

use crate::error::{Error, sentence};

/// What is in a file.
#[derive(Debug)]
pub struct Info {
    /// The series of a DICOM file, folder or archive; none of other files.
    pub series: Vec<SeriesInfo>,
    /// What the header says; of DICOM that of the series that is taken, `None` when none can be.
    pub header: Option<HeaderInfo>,
    /// What the voxels are, or why they cannot be used.
    pub voxels: Result<Voxels, Error>,
    /// What the readers found odd in header and voxels, but for what `series` and `voxels` say.
    pub warnings: Vec<Warning>,
}

/// What the voxels of a file are.
#[derive(Debug, Clone, PartialEq)]
pub enum Voxels {
    /// Intensities; Hounsfield units rounded to whole numbers if it is a CT.
    Intensities {
        /// Smallest.
        min: i16,
        /// Largest.
        max: i16,
        /// Whether they look like Hounsfield units: there is fat or air.
        hounsfield: bool,
    },
    /// A few whole numbers.
    Labels(Vec<LabelCount>),
}

/// How much of a volume has one label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelCount {
    /// The label.
    pub label: u8,
    /// How many voxels have it.
    pub voxels: u64,
    /// Their volume in millilitres.
    pub ml: f64,
}

impl Info {
    /// Looks at the file `path`, or at the DICOM files in a folder or an archive.
    ///
    /// # Errors
    /// When the header cannot be read. What is wrong with the voxels is in [`Info::voxels`].
    pub fn of(path: &Path, options: &ScanOptions) -> Result<Self, Error> {
        let series = list_series(path, options)?.unwrap_or_default();
        let header = match inspect_with(path, options) {
            Ok(header) => Some(header),
            // Segmentations and the like are no scans; the voxels will tell.
            Err(_) if !series.is_empty() => None,
            Err(error) => return Err(error.into()),
        };
        let mut warnings = header.as_ref().map_or_else(Vec::new, |header| header.warnings.clone());
        let voxels = voxels(path, options, &mut |of_scan| {
            let is_said = matches!(of_scan, Warning::NotHounsfield { .. } | Warning::SeriesChosen { .. });
            if !is_said && !warnings.contains(&of_scan) {
                warnings.push(of_scan);
            }
        });
        Ok(Self { series, header, voxels, warnings })
    }
}

fn voxels(path: &Path, options: &ScanOptions, warn: &mut dyn FnMut(Warning)) -> Result<Voxels, Error> {
    let scan = match read_scan_with(path, options) {
        // The labels beside a series that was asked for are not what it holds.
        Err(error) if options.series.is_some() => return Err(error.into()),
        Err(error) if matches!(error.kind(), ReadErrorKind::LooksLikeLabels { .. }) => return labels(path, warn),
        Err(error) if matches!(error.kind(), ReadErrorKind::Dicom(DicomError::NoSeries(_))) && path.is_file() => {
            // A segmentation, if anything.
            return labels(path, warn).map_err(|_| error.into());
        }
        scan => scan?,
    };
    let (min, max) = scan.volume.data().iter().fold((i16::MAX, i16::MIN), |(min, max), &v| (min.min(v), max.max(v)));
    let hounsfield = !scan.warnings.iter().any(|warning| matches!(warning, Warning::NotHounsfield { .. }));
    scan.warnings.into_iter().for_each(warn);
    Ok(Voxels::Intensities { min, max, hounsfield })
}

fn labels(path: &Path, warn: &mut dyn FnMut(Warning)) -> Result<Voxels, Error> {
    let Labels { volume: labels, warnings, .. } = read_labels(path)?;
    warnings.into_iter().for_each(warn);
    let mut counts = [0u64; 256];
    labels.data().iter().for_each(|&label| counts[usize::from(label)] += 1);
    let ml = labels.geometry().voxel_volume() / 1000.0;
    let present = (0..=u8::MAX).zip(counts).filter(|(_, voxels)| *voxels > 0);
    Ok(Voxels::Labels(present.map(|(label, voxels)| LabelCount { label, voxels, ml: voxels as f64 * ml }).collect()))
}

/// Whether a series is segmented, and why or why not.
pub fn verdict(info: &SeriesInfo) -> (&'static str, &str) {
    match &info.verdict {
        Verdict::Chosen(reason) => ("yes", reason),
        Verdict::NotChosen(reason) => ("no", reason),
        Verdict::Unusable(reason) => ("cannot be", reason),
    }
}

/// What the file `path` is, for programs.
pub fn as_json(path: &Path, info: &Info) -> Value {
    let voxels = match &info.voxels {
        Ok(Voxels::Intensities { min, max, hounsfield }) => {
            json!({ "kind": "intensities", "min": min, "max": max, "looks_like_ct": hounsfield })
        }
        Ok(Voxels::Labels(counts)) => {
            let label = |c: &LabelCount| json!({ "label": c.label, "voxels": c.voxels, "ml": c.ml });
            json!({ "kind": "labels", "labels": counts.iter().map(label).collect::<Vec<_>>() })
        }
        Err(error) => json!({ "kind": "unusable", "problem": format!("failed to {}", sentence(error)) }),
    };
    let mut json = json!({ "schema": 1, "path": path.display().to_string() });
    let Value::Object(object) = &mut json else { return json };
    if let Some(Value::Object(header)) = info.header.as_ref().map(header_as_json) {
        object.extend(header);
    }
    if !info.series.is_empty() {
        object.insert("series".to_owned(), info.series.iter().map(series_as_json).collect());
    }
    object.insert("voxels".to_owned(), voxels);
    object.insert("warnings".to_owned(), info.warnings.iter().map(ToString::to_string).collect());
    json
}

fn header_as_json(header: &HeaderInfo) -> Value {
    let [k, j, i] = header.geometry.spacing();
    json!({
        "format": header.format,
        "compressed": header.compressed,
        "pair": header.pair,
        "byte_order": header.byte_order.to_string(),
        "datatype": header.datatype.to_string(),
        "scaling": { "slope": header.scaling.0, "intercept": header.scaling.1 },
        "dims_ijk": header.dims,
        "spacing_ijk_mm": [i, j, k],
        "orientation": header.orientation,
        "affine_ras_mm": header.geometry.affine(),
        "affine_source": header.position.map(|position| position.source.to_string()),
        "sform_code": header.position.map(|position| position.sform_code),
        "qform_code": header.position.map(|position| position.qform_code),
        "description": header.description,
    })
}

fn series_as_json(info: &SeriesInfo) -> Value {
    let (taken, reason) = verdict(info);
    json!({
        "uid": info.uid,
        "number": info.number,
        "description": info.description,
        "part": info.part,
        "place": info.place,
        "modality": info.modality,
        "slices": info.slices,
        "matrix_rows_columns": info.matrix,
        "extent_mm": info.extent,
        "orientation": info.orientation,
        "segmented": taken,
        "reason": reason,
    })
}
