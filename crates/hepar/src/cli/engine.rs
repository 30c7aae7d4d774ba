use clap::ValueEnum;
use hepar::Error;
use hepar::engine::EngineChoice;
use hepar_model::engine::Engine;

/// An engine on the command line.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum EngineArgument {
    /// hepar's own
    #[default]
    Hepar,
    /// The networks as they are trained, layer by layer: slower, to check the first
    Burn,
    /// ONNX Runtime, whose library ORT_DYLIB_PATH names
    #[cfg(feature = "onnxruntime")]
    #[value(name = "onnxruntime")]
    OnnxRuntime,
}

impl EngineArgument {
    pub fn open(self) -> Result<Box<dyn Engine>, Error> {
        match self {
            Self::Hepar => EngineChoice::Hepar,
            Self::Burn => EngineChoice::Burn,
            #[cfg(feature = "onnxruntime")]
            Self::OnnxRuntime => EngineChoice::OnnxRuntime,
        }
        .open()
    }
}
