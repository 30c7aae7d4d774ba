//! What runs the networks.

#[cfg(feature = "onnxruntime")]
use std::num::NonZeroUsize;

use hepar_engine::CpuEngine;
#[cfg(feature = "onnxruntime")]
use hepar_interchange::runtime::OnnxRuntime;
use hepar_model::engine::Engine;
use hepar_nets::BurnEngine;
use hepar_nets::device::Place;

use crate::error::Error;

/// The engines that this program can run networks with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum EngineChoice {
    /// hepar's own, on the processor.
    #[default]
    Hepar,
    /// The networks as they are trained, layer by layer through burn, on the processor.
    Burn,
    /// The same on a graphics processor.
    Gpu,
    /// ONNX Runtime on the processor, with as many threads as hepar would use.
    ///
    /// Its library is loaded from where the environment variable `ORT_DYLIB_PATH` says.
    #[cfg(feature = "onnxruntime")]
    OnnxRuntime,
    /// The same on a graphics processor, by the provider that the library was built with.
    #[cfg(feature = "onnxruntime")]
    OnnxRuntimeGpu,
}

impl EngineChoice {
    /// The engine, ready to load networks.
    ///
    /// # Errors
    /// When its library or its device is not there; hepar's own always is.
    pub fn open(self) -> Result<Box<dyn Engine>, Error> {
        match self {
            Self::Hepar => Ok(Box::new(CpuEngine)),
            Self::Burn => Ok(Box::new(BurnEngine::open(Place::Cpu)?)),
            Self::Gpu => Ok(Box::new(BurnEngine::open(Place::Gpu)?)),
            #[cfg(feature = "onnxruntime")]
            Self::OnnxRuntime => Ok(Box::new(OnnxRuntime::open(threads())?)),
            #[cfg(feature = "onnxruntime")]
            Self::OnnxRuntimeGpu => Ok(Box::new(OnnxRuntime::open_gpu(threads())?)),
        }
    }
}

/// Threads that hepar computes with.
#[cfg(feature = "onnxruntime")]
fn threads() -> NonZeroUsize {
    NonZeroUsize::new(rayon::current_num_threads()).unwrap_or(NonZeroUsize::MIN)
}
