//! Why a job was not done, and what the program says then.

use std::io;
use std::path::PathBuf;

use hepar_formats::{ReadError, WriteError};
use hepar_model::stage::StageName;
use hepar_nets::device::NoGpu;
use hepar_phantom::SpecError;
use hepar_pipeline::PipelineError;
use hepar_train::{DataError, PackError, TrainError};

use crate::embedded::ModelError;
use crate::evaluate::EvaluateError;
use crate::exit;
use crate::import::ImportError;
use crate::network::NetworkError;
use crate::output::OutputError;
use crate::report::ReportError;

/// A job was not done: a fragment that follows "failed to".
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<ErrorKind>);

/// Why a job was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An image cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The bytes of an input cannot be read.
    #[error("read {}", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// There is no model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model's networks cannot be made ready.
    #[error("prepare the model")]
    Prepare(#[source] PipelineError),
    /// The stages did not run to the end.
    #[error("segment {}", path.display())]
    Segment {
        /// The scan.
        path: PathBuf,
        /// What happened.
        source: PipelineError,
    },
    /// Objects of DICOM were asked for of a scan that is none.
    #[error("write {product} of {}: it is no DICOM, and there is no series that it could refer to", path.display())]
    NeedsDicom {
        /// What was asked for.
        product: &'static str,
        /// The scan.
        path: PathBuf,
    },
    /// A file cannot become what its new name says.
    #[error("convert {}: {problem}", path.display())]
    Convert {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Two inputs cannot be told apart by their results.
    #[error("tell the cases apart: {} and {} would both be called {name}", first.display(), second.display())]
    CaseNames {
        /// The name.
        name: String,
        /// The first input.
        first: PathBuf,
        /// The second input.
        second: PathBuf,
    },
    /// The folder of a case would be called as a file of all cases is.
    #[error("name the result of {}: {name} is a file of all cases. Give the scan another name", path.display())]
    NameOfAll {
        /// The name.
        name: String,
        /// The scan.
        path: PathBuf,
    },
    /// Results would become a part of what they are made of.
    #[error("write into {}: it is an input, and results would become a part of it. Name another folder", .0.display())]
    IntoInput(PathBuf),
    /// A result cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// There is no such phantom.
    #[error("draw the phantom")]
    Phantom(#[from] SpecError),
    /// A report cannot be made.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// Two label volumes cannot be compared.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// A single network did not run.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// There is no graphics processor to run networks on.
    #[error(transparent)]
    NoGpu(#[from] NoGpu),
    /// ONNX Runtime is not there.
    #[cfg(feature = "onnxruntime")]
    #[error(transparent)]
    OnnxRuntime(#[from] hepar_interchange::runtime::RuntimeError),
    /// A file of another program gives no network.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A training run has no network to hand out.
    #[error("export the network of {}", run.display())]
    Export {
        /// Folder of the run.
        run: PathBuf,
        /// What is wrong.
        source: TrainError,
    },
    /// A network cannot be trained.
    #[error("{doing}")]
    Train {
        /// What was being done: a fragment that follows "failed to".
        doing: String,
        /// What is wrong.
        source: TrainError,
    },
    /// Folds cannot be trained as they are asked for.
    #[error("{0}")]
    Folds(String),
    /// Where the model of trained networks is to be, there is that of others.
    #[error("make the model {}: another one is there; remove it to have a new one", .0.display())]
    OtherModel(PathBuf),
    /// A data set cannot be packed.
    #[error("{doing}")]
    Pack {
        /// What was being done: a fragment that follows "failed to".
        doing: String,
        /// What is wrong.
        source: PackError,
    },
    /// A training run is of another stage.
    #[error("take the {stage} network from {}: its network is {found}", run.display())]
    WrongRun {
        /// The stage that is needed.
        stage: StageName,
        /// Folder of the run.
        run: PathBuf,
        /// File of the network that the run has trained.
        found: String,
    },
    /// A stage of a model was to be made of no training run.
    #[error("make the {0} network: there is no run of it")]
    NoRun(StageName),
    /// Networks of different settings cannot answer as one.
    #[error(
        "make an ensemble of {} and {}: the runs of the {stage} network differ in more than their weights. Train them \
         with one configuration",
        first.display(), run.display()
    )]
    OtherSettings {
        /// The stage.
        stage: StageName,
        /// Folder of the run that differs.
        run: PathBuf,
        /// Folder of the first run.
        first: PathBuf,
    },
    /// The ensemble of a stage has fewer networks.
    #[error("export network {number} of the {stage} stage: the model has {count} for it")]
    NoMember {
        /// The stage.
        stage: StageName,
        /// Number that was asked for, from 1.
        number: usize,
        /// How many there are.
        count: usize,
    },
    /// The description of a model cannot be used.
    #[error("read {}: {problem}", path.display())]
    Card {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// An experiment makes no sense.
    #[error("plan the experiment: {0}")]
    Experiment(String),
    /// The user interrupted.
    #[error("finish: interrupted")]
    Interrupted,
}

impl<E> From<E> for Error
where
    ErrorKind: From<E>,
{
    fn from(error: E) -> Self {
        Self(Box::new(error.into()))
    }
}

impl From<WriteError> for ErrorKind {
    fn from(error: WriteError) -> Self {
        Self::Output(error.into())
    }
}

impl Error {
    /// Why the job was not done.
    pub fn kind(&self) -> &ErrorKind {
        &self.0
    }

    /// Whether the user interrupted.
    pub fn is_interruption(&self) -> bool {
        matches!(self.kind(), ErrorKind::Interrupted)
    }

    /// The exit code of a program that ends with this error; see [`exit`].
    pub fn exit_code(&self) -> u8 {
        use ErrorKind as Kind;
        match self.kind() {
            Kind::Read(_) | Kind::Input { .. } | Kind::Evaluate(_) => exit::INPUT,
            Kind::Export { .. } | Kind::Card { .. } | Kind::Import(_) | Kind::Report(_) => exit::INPUT,
            Kind::Model(_) => exit::MODEL,
            Kind::Prepare(error) | Kind::Segment { source: error, .. } => of_pipeline(error),
            #[cfg(feature = "onnxruntime")]
            Kind::OnnxRuntime(_) => exit::USAGE,
            Kind::NoGpu(_) => exit::USAGE,
            Kind::NeedsDicom { .. } | Kind::Convert { .. } => exit::USAGE,
            Kind::CaseNames { .. } | Kind::Phantom(_) | Kind::WrongRun { .. } | Kind::Experiment(_) => exit::USAGE,
            Kind::NoRun(_) | Kind::OtherSettings { .. } | Kind::NoMember { .. } => exit::USAGE,
            Kind::Folds(_) | Kind::NameOfAll { .. } | Kind::IntoInput(_) => exit::USAGE,
            Kind::Output(_) | Kind::OtherModel(_) => exit::OUTPUT,
            Kind::Network(error) => error.exit_code(),
            Kind::Train { source, .. } => of_training(source),
            Kind::Pack { source: PackError::Data(_), .. } => exit::INPUT,
            Kind::Pack { .. } => exit::OUTPUT,
            Kind::Interrupted => exit::INTERRUPTED,
        }
    }

    /// The error of the stages on the scan `path`.
    pub(crate) fn of_segmenting(path: PathBuf, source: PipelineError) -> Self {
        match source {
            PipelineError::Cancelled => ErrorKind::Interrupted.into(),
            source => ErrorKind::Segment { path, source }.into(),
        }
    }
}

fn of_pipeline(error: &PipelineError) -> u8 {
    match error {
        PipelineError::Model { .. } => exit::MODEL,
        PipelineError::GivenLiver(_) | PipelineError::TooLarge { .. } => exit::INPUT,
        PipelineError::Cancelled => exit::INTERRUPTED,
        _ => exit::INTERNAL,
    }
}

fn of_training(error: &TrainError) -> u8 {
    match error {
        TrainError::Config(_) | TrainError::Device(_) => exit::USAGE,
        TrainError::Data(DataError::Storage { .. }) => exit::OUTPUT,
        TrainError::Data(_) | TrainError::OtherData(_) | TrainError::Weights(_) | TrainError::Start { .. } => {
            exit::INPUT
        }
        TrainError::Folder { .. } | TrainError::OtherConfig { .. } | TrainError::Observer(_) => exit::OUTPUT,
        _ => exit::INTERNAL,
    }
}

/// An error and its causes in one line: "read ct.nii.gz: the header claims …".
pub fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string().trim_end().to_owned();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        let said = said.trim_end();
        // Some errors tell their cause themselves.
        if !text.ends_with(said) {
            text.push_str(": ");
            text.push_str(said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("read a.nii: {source}")]
    struct Outer {
        source: Inner,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("it is damaged")]
    struct Inner(#[source] io::Error);

    #[test]
    fn a_sentence_names_every_cause_once() {
        let error = Outer { source: Inner(io::Error::other("disk on fire")) };
        assert_eq!(sentence(&error), "read a.nii: it is damaged: disk on fire");
    }

    #[test]
    fn a_cancelled_case_is_an_interruption() {
        let error = Error::of_segmenting(PathBuf::from("ct.nii"), PipelineError::Cancelled);
        assert_eq!(error.exit_code(), exit::INTERRUPTED);
    }

    #[test]
    fn voxels_too_large_for_memory_are_the_inputs_fault() {
        let source = PipelineError::TooLarge { stage: StageName::Liver, grid: [40, 40_000, 40_000] };
        assert_eq!(Error::of_segmenting(PathBuf::from("ct.nii"), source).exit_code(), exit::INPUT);
    }
}
