use std::collections::BTreeMap;
use std::fmt;

use hepar_formats::{ReadError, Warning};
use hepar_pipeline::{GridMismatch, Side};

use super::labels::USUAL_ML;

/// Something about a case that could mislead a training, or is worth knowing.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Finding {
    /// The scan or its labels cannot be read: the reader's sentence, which follows "failed to".
    Unreadable(String),
    /// What the reader of the scan has to say.
    OfScan(Warning),
    /// What the reader of the labels has to say.
    OfLabels(Warning),
    /// The least intensity lies far above that of air.
    ClippedBelow {
        /// The least intensity, in Hounsfield units.
        hu: i16,
        /// Share of the voxels that have it, 0..=1.
        share: f64,
    },
    /// Many voxels have the greatest intensity, and it is less than that of dense bone.
    ClippedAbove {
        /// The greatest intensity, in Hounsfield units.
        hu: i16,
        /// Share of the voxels that have it, 0..=1.
        share: f64,
    },
    /// Intensities were rounded to few values.
    CoarseSteps {
        /// How many different intensities there are.
        values: usize,
        /// The least and the greatest of them, in Hounsfield units.
        range: [i16; 2],
    },
    /// The labels do not lie on the grid of the scan.
    OtherGrid(GridMismatch),
    /// There are labels that are none of 0, 1 and 2: how many voxels have each.
    UnknownLabels(BTreeMap<u8, u64>),
    /// No voxel is liver or tumour.
    NoLiver,
    /// The liver reaches the first or the last slice.
    LiverCut(Side),
    /// The liver has a volume that livers do not have.
    LiverVolume {
        /// Its volume in millilitres.
        ml: f64,
    },
    /// Lesions share no face with the liver.
    LesionsApart {
        /// How many.
        lesions: usize,
        /// How many lesions there are in all.
        of: usize,
        /// Volume of those that lie apart, in millilitres.
        ml: f64,
    },
    /// A case before this one has the same voxels.
    SameScan {
        /// Name of that case.
        name: String,
        /// Whether both count as one patient.
        same_patient: bool,
    },
    /// Other cases, by their names, show the same patient.
    SamePatient(Vec<String>),
    /// Other cases, by their names, lie in the same folder and count as other patients, though they may show one.
    OtherPatient(Vec<String>),
}

impl Finding {
    /// Whether it is worth knowing and nothing wrong.
    pub fn is_note(&self) -> bool {
        match self {
            Self::CoarseSteps { .. } | Self::SamePatient(_) | Self::OtherPatient(_) => true,
            // Whole abdomens are often labelled, and only two of their organs wanted.
            Self::OfLabels(warning) => matches!(warning, Warning::SegmentsLeftOut { .. }),
            _ => false,
        }
    }

    /// A file cannot be read.
    pub(super) fn unreadable(error: &ReadError) -> Self {
        Self::Unreadable(format!("{error}: {}", error.kind()))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(problem) => write!(f, "failed to {problem}"),
            Self::OfScan(warning) => write!(f, "the scan: {warning}"),
            Self::OfLabels(warning) => write!(f, "the labels: {warning}"),
            Self::ClippedBelow { hu, share } => write!(
                f,
                "nothing is darker than {hu} HU, and there is no air: intensities were clipped below, or the scan was \
                 cropped ({:.1} % of the voxels have this value)",
                100.0 * *share
            ),
            Self::ClippedAbove { hu, share } => write!(
                f,
                "{:.1} % of the voxels have {hu} HU and none is brighter: intensities were clipped above",
                100.0 * *share
            ),
            Self::CoarseSteps { values, range: [min, max] } => write!(
                f,
                "there are only {values} different intensities from {min} to {max} HU: they were rounded to coarse \
                 steps"
            ),
            Self::OtherGrid(mismatch) => {
                write!(f, "the label volume is not on the grid of the scan: {mismatch}")
            }
            Self::UnknownLabels(labels) => {
                let voxels: Vec<String> =
                    labels.iter().map(|(label, voxels)| format!("{voxels} of label {label}")).collect();
                write!(f, "voxels of other labels than 0 background, 1 liver, 2 tumour: {}", voxels.join(", "))
            }
            Self::NoLiver => f.write_str("there is no liver in the labels"),
            Self::LiverCut(side) => {
                write!(f, "the liver reaches the {side} end of the scan and may be cut off there")
            }
            Self::LiverVolume { ml } => {
                write!(f, "the liver measures {ml:.0} ml; livers measure {} to {}", USUAL_ML.start(), USUAL_ML.end())
            }
            Self::LesionsApart { lesions, of, ml } => {
                write!(f, "lesions that share no face with the liver: {lesions} of {of}, {ml:.2} ml in all")
            }
            Self::SameScan { name, same_patient: true } => write!(f, "the same scan as {name}, voxel by voxel"),
            Self::SameScan { name, same_patient: false } => write!(
                f,
                "the same scan as {name}, voxel by voxel, under the name of another patient: one may be trained on \
                 while the other is held out"
            ),
            Self::SamePatient(names) => write!(f, "the same patient as {}", names.join(", ")),
            Self::OtherPatient(names) => write!(
                f,
                "another patient than {} in the same folder; scans of one patient are named as docs/training.md says",
                names.join(", ")
            ),
        }
    }
}
