//! Why label volumes cannot be compared.

use std::path::PathBuf;

use hepar_formats::ReadError;
use hepar_metrics::protocol::lits2017::Lits2017Error;
use hepar_pipeline::GridMismatch;

/// Why label volumes cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// A label volume cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A label volume holds a label that is none of 0, 1, 2.
    #[error(
        "read {}: it holds the label {label} ({voxels} voxels); known are 0 background, 1 liver, 2 tumour. Say what it \
         is with --map {label}=0, 1 or 2",
        path.display()
    )]
    Label {
        /// The file.
        path: PathBuf,
        /// The least of the unknown labels.
        label: u8,
        /// How many voxels have it.
        voxels: usize,
    },
    /// The two do not show the same voxels.
    #[error("compare {} with {}: {difference}", prediction.display(), reference.display())]
    Grid {
        /// File of the prediction.
        prediction: PathBuf,
        /// File of the reference.
        reference: PathBuf,
        /// How the two differ.
        difference: GridDifference,
    },
    /// The challenge's scorer would stop at the case.
    #[error("compare {} with {}: {source}", prediction.display(), reference.display())]
    Lits2017 {
        /// File of the prediction.
        prediction: PathBuf,
        /// File of the reference.
        reference: PathBuf,
        /// Why it would stop.
        source: Lits2017Error,
    },
    /// There is neither a file nor a folder.
    #[error("read {}", path.display())]
    NotThere {
        /// Where it should be.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file can be compared with a file, a folder with a folder.
    #[error(
        "compare {} with {}: one is a file, the other a folder of cases",
        prediction.display(),
        reference.display()
    )]
    FileAndFolder {
        /// The prediction.
        prediction: PathBuf,
        /// The reference.
        reference: PathBuf,
    },
    /// A folder cannot be listed.
    #[error("read the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The list of pairs cannot be read.
    #[error("read {}: {problem}", path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Two files of a folder are of one case.
    #[error("tell the cases apart: {} and {} are both of case {case}", first.display(), second.display())]
    Ambiguous {
        /// The case.
        case: String,
        /// One file.
        first: PathBuf,
        /// Another.
        second: PathBuf,
    },
    /// No case is in both folders or lists.
    #[error("find a case that is in both {} and {}", predictions.display(), references.display())]
    NoPairs {
        /// Folder of the predictions.
        predictions: PathBuf,
        /// Folder of the references, or of the predictions that these are compared with.
        references: PathBuf,
    },
    /// Two predictions of a case have other references.
    #[error(
        "compare two predictions of case {case}: the reference of one is {}, that of the other {}",
        first.display(),
        second.display()
    )]
    OtherReference {
        /// The case.
        case: String,
        /// The reference of the prediction.
        first: PathBuf,
        /// The reference of the other prediction.
        second: PathBuf,
    },
}

/// How the grids of a prediction and of a reference differ, after both were brought into one orientation.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GridDifference {
    /// They have other numbers of voxels.
    #[error(
        "the prediction has {prediction:?} voxels, the reference {reference:?} (from feet to head, front to back, \
         right to left)"
    )]
    Shape {
        /// Shape of the prediction.
        prediction: [usize; 3],
        /// Shape of the reference.
        reference: [usize; 3],
    },
    /// Their voxels have other sizes.
    #[error(
        "the prediction's voxels measure {prediction:.3?} mm, the reference's {reference:.3?} mm (from feet to head, \
         front to back, right to left)"
    )]
    Spacing {
        /// Spacing of the prediction in millimetres.
        prediction: [f64; 3],
        /// Spacing of the reference in millimetres.
        reference: [f64; 3],
    },
    /// Their voxels lie elsewhere in the patient.
    #[error("their voxels lie up to {distance:.2} mm apart, more than half a voxel ({tolerance:.2} mm)")]
    Place {
        /// The greatest distance of corresponding corner voxels, in millimetres.
        distance: f64,
        /// The greatest distance that counts as the same place, in millimetres.
        tolerance: f64,
    },
    /// They differ in another way.
    #[error("{0}")]
    Other(String),
}

impl From<GridMismatch> for GridDifference {
    fn from(mismatch: GridMismatch) -> Self {
        match mismatch {
            GridMismatch::Shape { found, expected } => Self::Shape { prediction: found, reference: expected },
            GridMismatch::Place { distance, tolerance } => Self::Place { distance, tolerance },
            other => Self::Other(other.to_string()),
        }
    }
}
