//! What a result holds besides tables and pictures: its labels and probabilities, in the formats that were asked for.

use std::path::Path;
use std::time::SystemTime;

use hepar_formats::{
    DicomSource, LesionMeasures, Meaning, Measurements, Provenance, Scan, SegmentationReference, SegmentationType,
    SegmentsBy, WriteError, write_fractional_segmentation, write_labels, write_measurements, write_probabilities,
    write_segmentation, write_structure_set,
};
use hepar_pipeline::{Findings, Outcome, Probabilities};
use hepar_volume::Volume;

use crate::error::{Error, ErrorKind};
use crate::output::LABELS_FILE;

/// A file with labels or measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Product {
    /// A label volume, NIfTI.
    Labels,
    /// A DICOM segmentation.
    Segmentation,
    /// A DICOM RT structure set.
    StructureSet,
    /// A DICOM structured report of the measurements.
    Report,
    /// A label volume with names and colours for 3D Slicer, NRRD.
    Nrrd,
    /// How probable the liver is in each voxel, NIfTI.
    LiverProbability,
    /// How probable a tumour is in each voxel of the liver, NIfTI.
    TumourProbability,
    /// Both as a fractional DICOM segmentation.
    Fractional,
}

/// What is written of a case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Products {
    /// Which files; by default the labels, and of a DICOM series a segmentation too.
    pub files: Option<Vec<Product>>,
    /// How a DICOM segmentation is stored.
    pub stored: SegmentationType,
    /// Whether DICOM objects have a segment for each lesion.
    pub by: SegmentsBy,
}

impl Product {
    /// All of them, in the order in which they are written: reports refer to segmentations.
    pub const ALL: [Self; 8] = [
        Self::Labels,
        Self::Segmentation,
        Self::StructureSet,
        Self::Report,
        Self::Nrrd,
        Self::LiverProbability,
        Self::TumourProbability,
        Self::Fractional,
    ];

    /// Name of its file in a result's folder.
    pub fn file(self) -> &'static str {
        match self {
            Self::Labels => LABELS_FILE,
            Self::Segmentation => "seg.dcm",
            Self::StructureSet => "rtstruct.dcm",
            Self::Report => "sr.dcm",
            Self::Nrrd => "labels.seg.nrrd",
            Self::LiverProbability => "liver-probability.nii.gz",
            Self::TumourProbability => "tumour-probability.nii.gz",
            Self::Fractional => "probability.dcm",
        }
    }

    fn needs_dicom(self) -> bool {
        matches!(self, Self::Segmentation | Self::StructureSet | Self::Report | Self::Fractional)
    }

    /// Whether it is made of the networks' probabilities, not of labels.
    pub(crate) fn needs_probabilities(self) -> bool {
        matches!(self, Self::LiverProbability | Self::TumourProbability | Self::Fractional)
    }
}

impl Products {
    /// Checks that all of them can be made of the scan in `input`.
    ///
    /// # Errors
    /// When DICOM objects were asked for, and it is no DICOM series.
    pub(crate) fn check(&self, input: &Path, is_dicom: bool) -> Result<(), Error> {
        let impossible = self.files.iter().flatten().find(|product| product.needs_dicom() && !is_dicom);
        match impossible {
            Some(product) => Err(ErrorKind::NeedsDicom { product: product.file(), path: input.to_owned() }.into()),
            None => Ok(()),
        }
    }

    /// Whether one of them is made of the networks' probabilities.
    pub(crate) fn need_probabilities(&self) -> bool {
        self.files.iter().flatten().any(|product| product.needs_probabilities())
    }

    fn of(&self, is_dicom: bool) -> Vec<Product> {
        let usual = || if is_dicom { vec![Product::Labels, Product::Segmentation] } else { vec![Product::Labels] };
        self.files.clone().unwrap_or_else(usual)
    }

    /// Writes them into `folder`.
    ///
    /// # Errors
    /// When a file cannot be written; it is named.
    pub(crate) fn write(
        &self,
        scan: &Scan,
        labels: &Volume<u8>,
        findings: &Findings,
        probabilities: &Probabilities,
        made: &Provenance,
        folder: &Path,
    ) -> Result<(), WriteError> {
        let series = scan.dicom.as_ref();
        let wanted = self.of(series.is_some());
        let mut segmentation: Option<SegmentationReference> = None;
        for product in Product::ALL.into_iter().filter(|product| wanted.contains(product)) {
            let path = folder.join(product.file());
            match (product, series) {
                (Product::Labels | Product::Nrrd, _) => write_labels(&path, labels, &scan.grid)?,
                (Product::Segmentation, Some(series)) => {
                    let written = write_segmentation(&path, labels, series, self.stored, self.by, made)?;
                    segmentation = Some(written);
                }
                (Product::StructureSet, Some(series)) => write_structure_set(&path, labels, series, self.by, made)?,
                (Product::Report, Some(series)) => report(&path, findings, series, segmentation.as_ref(), made)?,
                (Product::LiverProbability, _) => probability(&path, probabilities.liver.as_ref(), scan)?,
                (Product::TumourProbability, _) => probability(&path, probabilities.tumour.as_ref(), scan)?,
                (Product::Fractional, Some(series)) => fractional(&path, probabilities, series, made)?,
                // `check` has refused these.
                (_, None) => {}
            }
        }
        Ok(())
    }
}

/// What DICOM objects say about how they came about.
pub(crate) fn provenance(model: &str, version: &str) -> Provenance {
    let model = format!("{model} {version}");
    Provenance { version: env!("CARGO_PKG_VERSION").to_owned(), model, made: SystemTime::now() }
}

/// Writes a probability, unless nobody looked for what it is of.
fn probability(path: &Path, probability: Option<&Volume<u8>>, scan: &Scan) -> Result<(), WriteError> {
    probability.map_or(Ok(()), |probability| write_probabilities(path, probability, &scan.grid))
}

/// Writes the probabilities of what was looked for.
fn fractional(
    path: &Path,
    probabilities: &Probabilities,
    series: &DicomSource,
    made: &Provenance,
) -> Result<(), WriteError> {
    let Probabilities { liver, tumour } = probabilities;
    let both = [(Meaning::Liver, liver), (Meaning::Tumour, tumour)];
    let known: Vec<_> = both.into_iter().filter_map(|(meaning, volume)| Some((meaning, volume.as_ref()?))).collect();
    // There is no segmentation without segments.
    if known.is_empty() { Ok(()) } else { write_fractional_segmentation(path, &known, series, made) }
}

fn report(
    path: &Path,
    findings: &Findings,
    series: &DicomSource,
    segmentation: Option<&SegmentationReference>,
    made: &Provenance,
) -> Result<(), WriteError> {
    let looked_for_tumours = matches!(findings.outcome, Outcome::NoTumour | Outcome::Tumours);
    let measured = Measurements {
        liver_ml: findings.liver_ml,
        tumour_ml: looked_for_tumours.then_some(findings.tumour_ml),
        lesions: findings
            .lesions
            .iter()
            .map(|lesion| LesionMeasures {
                volume_ml: lesion.volume_ml,
                long_axis_mm: lesion.long_axis_mm,
                short_axis_mm: lesion.short_axis_mm,
                mean_hu: lesion.mean_hu,
            })
            .collect(),
    };
    write_measurements(path, &measured, series, segmentation, made)
}
