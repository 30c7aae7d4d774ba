//! Why a data set or a run cannot be used.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use hepar_formats::ReadError;
use hepar_metrics::ShapeMismatch;
use hepar_model::engine::EngineError;
use hepar_model::weights::WeightsError;
use hepar_nets::device::NoGpu;
use hepar_pipeline::{GridMismatch, PipelineError};

use crate::config::ConfigError;

/// What is wrong with the data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A folder cannot be read.
    #[error("read the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No case was found.
    #[error(
        "no cases in {}: looked for volume-N.nii(.gz) with segmentation-N.nii(.gz), imagesTr/liver_N.nii.gz with \
         labelsTr/liver_N.nii.gz, X_ct.nii.gz with X_label.nii.gz, folders with PATIENT_DICOM and MASKS_DICOM, and X.npz \
         with X.csv",
        .0.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    NoCases(Vec<PathBuf>),
    /// A scan has no labels.
    #[error("the labels of {} should be {}, which does not exist", image.display(), labels.display())]
    NoLabels {
        /// The scan.
        image: PathBuf,
        /// Where its labels should be.
        labels: PathBuf,
    },
    /// Two cases have the same name.
    #[error("two cases are named {0}: give only one of their folders")]
    Duplicate(String),
    /// The table of a file of slices cannot be read.
    #[error("read the table {}: {source}", path.display())]
    Table {
        /// The table.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line of such a table is not understood.
    #[error("line {line} of {} does not name an index and a volume, or numbers as slope and intercept", path.display())]
    TableLine {
        /// The table.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// Nothing tells how the bytes of a file of slices become Hounsfield units.
    #[error(
        "the brightness of {} is unknown: add the columns slope and intercept to {} (HU = slope · stored + intercept)",
        file.display(), table.display()
    )]
    Calibration {
        /// The file.
        file: PathBuf,
        /// The table beside it.
        table: PathBuf,
    },
    /// A file of slices is broken.
    #[error("read the slices {}: {problem}", path.display())]
    Npz {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// An image cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Scan and labels lie on different grids.
    #[error("the labels {} are not on the grid of their scan {}", labels.display(), image.display())]
    Grids {
        /// File of the scan.
        image: PathBuf,
        /// File of the labels.
        labels: PathBuf,
        /// How they differ.
        #[source]
        mismatch: GridMismatch,
    },
    /// A label is none of 0, 1 and 2.
    #[error("the labels {} hold {label}; 0 is background, 1 liver, 2 tumour", labels.display())]
    Label {
        /// File of the labels.
        labels: PathBuf,
        /// The first such label.
        label: u8,
    },
    /// A case has no liver.
    #[error(
        "the labels {} hold no liver: take the case out of the data, or name it in exclude, which leaves out the patient's \
         other scans, too", .0.display()
    )]
    NoLiver(PathBuf),
    /// There is no room for prepared cases.
    #[error(
        "keep prepared scans in a file in {}: {source}; make room there, or let more of them stay in memory with --memory",
        folder.display()
    )]
    Storage {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Prepared cases cannot be read back.
    #[error("read prepared scans back from their file in {}: {source}", folder.display())]
    Stored {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Nothing is left to train on.
    #[error("no case is left to train the {0} stage on: {1}")]
    NothingToTrainOn(&'static str, String),
    /// The held-out fold has no case.
    #[error("fold {fold} of {folds} holds no case: take another fold, or fewer folds")]
    EmptyFold {
        /// The fold.
        fold: usize,
        /// How many there are.
        folds: usize,
    },
}

/// Why a training run ends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no such device to train on.
    #[error(transparent)]
    Device(#[from] NoGpu),
    /// The data is wrong.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The weights to start from cannot be used.
    #[error("start from {}: {source}", path.display())]
    Start {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: StartError,
    },
    /// The run folder cannot be written or read.
    #[error("use {}: {problem}", path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The run folder holds a run with another configuration.
    #[error(
        "{} was begun with another {field}: continue with its config.toml, or begin in a new folder", path.display()
    )]
    OtherConfig {
        /// The run folder.
        path: PathBuf,
        /// The first field that differs.
        field: String,
    },
    /// The run folder holds a run on other cases.
    #[error("{} was begun with other cases: give the same data, or begin in a new folder", .0.display())]
    OtherData(PathBuf),
    /// The loss is no number any more.
    #[error(
        "the loss of step {step} (samples {} to {}, of {}) is {loss}: the training has diverged; lower the learning rate, \
         or look at these cases",
        samples.start, samples.end - 1, cases.join(", ")
    )]
    Diverged {
        /// The step, from 0.
        step: u64,
        /// Indices of its samples.
        samples: std::ops::Range<u64>,
        /// The case that each of them shows.
        cases: Vec<String>,
        /// The loss.
        loss: f32,
    },
    /// A weight is no number any more, though the loss still is one: rectifiers hide it.
    #[error("after {step} steps {source}: the training has diverged; lower the learning rate")]
    DivergedWeights {
        /// Steps that are done.
        step: u64,
        /// Which weight it is.
        source: WeightsError,
    },
    /// The weights of a checkpoint do not fit.
    #[error("the weights cannot be used: {0}")]
    Weights(#[from] WeightsError),
    /// The network did not run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The network did not run on whole scans, in validation or in the search for hard negatives.
    #[error("run the network on whole scans: {0}")]
    Validation(#[from] PipelineError),
    /// What was found cannot be compared with the truth.
    #[error("validate: {0}")]
    Comparison(#[from] ShapeMismatch),
    /// Whoever looks on could not write what there was to see; the text says why.
    #[error("{0}")]
    Observer(String),
    /// The thread that makes samples has died; the text is its last word.
    #[error("make samples: {0}")]
    Loader(String),
}

/// Why weights are none to start from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It does not hold weights of the network that is trained.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// It is not the file that the run began with, whose false lesions are to be found again.
    #[error(
        "it is not the file that {} was begun with, so that the hard negatives would be others; put that one back, or begin \
         in a new folder", .0.display()
    )]
    Changed(PathBuf),
}

/// What is wrong with a file or folder of a run.
pub(crate) fn problem(path: &Path, what: &dyn Display) -> TrainError {
    TrainError::Folder { path: path.to_owned(), problem: what.to_string() }
}
