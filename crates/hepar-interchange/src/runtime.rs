//! ONNX Runtime as an inference engine.
//!
//! Networks are written as ONNX in memory and run there. The library is no part of the program: it is loaded when the
//! engine is opened.

use std::error::Error;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use hepar_model::engine::{Engine, EngineError, Network, check_input};
use hepar_model::topology::{Dimensions, NetworkConfig};
use hepar_model::weights::Weights;
use ndarray::{Array5, ArrayView5, Axis, Dimension, Ix5};
use ort::LoadDynamicError;
use ort::environment::Environment;
use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use ort::value::Tensor;

use crate::onnx::{INPUT, OUTPUT, to_onnx};

/// The environment variable that says where ONNX Runtime's library is.
pub const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// Runs networks in ONNX Runtime.
///
/// Equal to hepar's own engine within rounding, not bit for bit; whether the number of threads changes the last bits is
/// up to the library.
pub struct OnnxRuntime {
    environment: Environment,
    threads: NonZeroUsize,
    /// What it runs on besides the processor.
    gpu: Option<ExecutionProviderDispatch>,
}

/// ONNX Runtime cannot be used: a fragment that follows "failed to".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// Its library cannot be loaded.
    #[error(
        "load ONNX Runtime ({reason}); set {LIBRARY_VARIABLE} to its library, libonnxruntime.so, onnxruntime.dll or \
         libonnxruntime.dylib of version 1.17 or newer"
    )]
    Library {
        /// What the library or the system says.
        reason: String,
    },
    /// It was built for the processor alone.
    #[error(
        "run ONNX Runtime on a GPU: the library that was loaded was built without CUDA, MIGraphX and DirectML; set \
         {LIBRARY_VARIABLE} to one that has the provider of your card, or leave out --device gpu"
    )]
    NoProvider,
}

impl OnnxRuntime {
    /// Loads the library that [`LIBRARY_VARIABLE`] names, or else the one that the system finds, for networks that
    /// compute with so many `threads`.
    ///
    /// A process has one such library: the first that was loaded stays.
    ///
    /// # Errors
    /// When there is none, or it is too old.
    pub fn open(threads: NonZeroUsize) -> Result<Self, RuntimeError> {
        Ok(Self { environment: environment()?, threads, gpu: None })
    }

    /// As [`OnnxRuntime::open`], on a graphics processor: through the first of CUDA, MIGraphX and DirectML that the library
    /// was built with, in 32 bits. What that provider cannot do runs on the processor. Needs version 1.18.
    ///
    /// # Errors
    /// When there is no library, it is too old, or it was built with none of these.
    pub fn open_gpu(threads: NonZeroUsize) -> Result<Self, RuntimeError> {
        let environment = environment()?;
        let gpu = gpu_provider().ok_or(RuntimeError::NoProvider)?;
        Ok(Self { environment, threads, gpu: Some(gpu) })
    }

    fn builder(&self) -> Result<SessionBuilder, ort::Error> {
        let threads = self.threads.get();
        let builder = Session::builder(&self.environment)?.with_intra_threads(threads)?;
        let builder = match &self.gpu {
            Some(gpu) => builder.with_execution_providers([gpu.clone()])?,
            None => builder,
        };
        // Threads that wait do so without computing: between two windows the pipeline needs the cores itself.
        Ok(builder.with_deterministic_compute(true)?.with_intra_op_spinning(false)?)
    }
}

/// The environment of the library, which is loaded.
fn environment() -> Result<Environment, RuntimeError> {
    let failed = |reason| RuntimeError::Library { reason };
    let builder = ort::init_from(library()).map_err(|error| failed(reason(&error)))?;
    // Nothing of what is computed goes elsewhere.
    builder.with_telemetry(false).build().map_err(|error| failed(error.to_string()))
}

/// The first provider for graphics processors that the library was built with. That it cannot be set up, because there is
/// no card, is an error.
fn gpu_provider() -> Option<ExecutionProviderDispatch> {
    fn built_with<P: ExecutionProvider>(provider: impl FnOnce() -> P) -> Option<ExecutionProviderDispatch>
    where
        ExecutionProviderDispatch: From<P>,
    {
        P::is_available().unwrap_or(false).then(|| provider().into())
    }
    // By default convolutions are computed with 10 bits after the point.
    let provider = built_with(|| ep::CUDA::default().with_tf32(false))
        .or_else(|| built_with(ep::MIGraphX::default))
        .or_else(|| built_with(ep::DirectML::default));
    provider.map(ExecutionProviderDispatch::error_on_failure)
}

impl fmt::Debug for OnnxRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnnxRuntime")
            .field("name", &self.name())
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

impl Engine for OnnxRuntime {
    fn name(&self) -> String {
        match &self.gpu {
            Some(gpu) => format!("ONNX Runtime ({})", gpu.name()),
            None => "ONNX Runtime (CPU)".into(),
        }
    }

    fn load(&self, weights: &Weights) -> Result<Box<dyn Network>, EngineError> {
        let session = self.builder().and_then(|mut builder| builder.commit_from_memory(&to_onnx(weights, &[])));
        Ok(Box::new(OnnxNetwork { config: *weights.config(), session: session.map_err(failed)? }))
    }
}

struct OnnxNetwork {
    config: NetworkConfig,
    session: Session,
}

impl Network for OnnxNetwork {
    fn config(&self) -> &NetworkConfig {
        &self.config
    }

    fn forward(&mut self, input: ArrayView5<'_, f32>) -> Result<Array5<f32>, EngineError> {
        check_input(&self.config, &input)?;
        let shape: Ix5 = input.raw_dim();
        let mut sides = shape.slice().to_vec();
        if self.config.dimensions == Dimensions::Planar {
            // N × 1 × 1 × H × W
            sides.remove(Axis(2).index());
        }
        let values: Vec<f32> = input.iter().copied().collect();
        let tensor = Tensor::from_array((sides, values)).map_err(failed)?;
        let outputs = self.session.run(ort::inputs![INPUT => tensor]).map_err(failed)?;
        let output = outputs.get(OUTPUT).ok_or_else(|| EngineError::Failed(format!("it gave no {OUTPUT}")))?;
        let (_, values) = output.try_extract_tensor::<f32>().map_err(failed)?;
        Array5::from_shape_vec(shape, values.to_vec()).map_err(|error| EngineError::Failed(error.to_string()))
    }
}

/// The library that is loaded. A path of the user's is seen from the working directory; without one, the system looks
/// where it has its libraries, and nowhere else.
fn library() -> PathBuf {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    match std::env::var_os(LIBRARY_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from) {
        Some(path) if path.exists() => std::path::absolute(&path).unwrap_or(path),
        Some(path) => path,
        None => PathBuf::from(format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}")),
    }
}

/// Why the library was not loaded, by the system's words.
fn reason(error: &LoadDynamicError) -> String {
    match error {
        LoadDynamicError::Dlopen { error, .. } => error.source().map_or_else(|| error.to_string(), ToString::to_string),
        other => other.to_string(),
    }
}

fn failed(error: ort::Error) -> EngineError {
    EngineError::Failed(error.to_string())
}
