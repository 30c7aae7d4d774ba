use clap::{Args, ValueEnum};
use hepar::engine::EngineChoice;
use hepar_model::engine::Engine;
use hepar_nets::device::Place;

use super::Failure;

/// What runs the networks, and where.
#[derive(Debug, Clone, Copy, Args)]
pub struct EngineArguments {
    /// What runs the networks [default: hepar on the CPU, burn on a GPU]
    #[arg(long, value_enum)]
    engine: Option<EngineArgument>,
    #[command(flatten)]
    device: DeviceArguments,
}

/// Where networks run.
#[derive(Debug, Clone, Copy, Args)]
pub struct DeviceArguments {
    /// Where the networks run; gpu needs a program built with --features wgpu
    #[arg(long, value_enum, default_value_t)]
    device: DeviceArgument,
}

/// An engine on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EngineArgument {
    /// hepar's own
    Hepar,
    /// The networks as they are trained, layer by layer: slower, to check the first
    Burn,
    /// ONNX Runtime, whose library ORT_DYLIB_PATH names; on a GPU by the provider that this library has
    #[cfg(feature = "onnxruntime")]
    #[value(name = "onnxruntime")]
    OnnxRuntime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum DeviceArgument {
    /// The processor
    #[default]
    Cpu,
    /// A graphics processor
    Gpu,
}

impl EngineArguments {
    /// The engine, ready to load networks.
    pub fn open(self) -> Result<Box<dyn Engine>, Failure> {
        let choice = match (self.device.device, self.engine) {
            (DeviceArgument::Cpu, None | Some(EngineArgument::Hepar)) => EngineChoice::Hepar,
            (DeviceArgument::Cpu, Some(EngineArgument::Burn)) => EngineChoice::Burn,
            #[cfg(feature = "onnxruntime")]
            (DeviceArgument::Cpu, Some(EngineArgument::OnnxRuntime)) => EngineChoice::OnnxRuntime,
            (DeviceArgument::Gpu, None | Some(EngineArgument::Burn)) => EngineChoice::Gpu,
            #[cfg(feature = "onnxruntime")]
            (DeviceArgument::Gpu, Some(EngineArgument::OnnxRuntime)) => EngineChoice::OnnxRuntimeGpu,
            (DeviceArgument::Gpu, Some(EngineArgument::Hepar)) => {
                return Err(Failure::usage("use a GPU with hepar's own engine: leave out --engine or --device"));
            }
        };
        Ok(choice.open()?)
    }
}

impl DeviceArguments {
    pub fn place(self) -> Place {
        match self.device {
            DeviceArgument::Cpu => Place::Cpu,
            DeviceArgument::Gpu => Place::Gpu,
        }
    }
}
