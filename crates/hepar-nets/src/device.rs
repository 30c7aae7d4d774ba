//! Where networks run.

use burn::tensor::Device;

/// A kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place {
    /// The processor, through `hepar-kernels`.
    #[default]
    Cpu,
    /// A graphics processor, through Vulkan, Metal or DirectX 12; with the feature `wgpu`.
    Gpu,
}

/// There is no graphics processor that networks can run on.
#[derive(Debug, thiserror::Error)]
#[error("use a GPU: {0}")]
pub struct NoGpu(String);

impl Place {
    /// The device, ready to hold tensors. On the processor that is burn's `flex` backend.
    ///
    /// # Errors
    /// When a GPU is asked for and this program was built without it, or the system offers none.
    pub fn device(self) -> Result<Device, NoGpu> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            Self::Gpu => gpu(),
        }
    }

    /// What manifests call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "burn flex (CPU)",
            Self::Gpu => "burn wgpu (GPU)",
        }
    }
}

#[cfg(feature = "wgpu")]
fn gpu() -> Result<Device, NoGpu> {
    use std::sync::OnceLock;

    // A process may set the device up only once.
    static DEVICE: OnceLock<Result<Device, String>> = OnceLock::new();
    DEVICE.get_or_init(|| Device::wgpu_options().init().map_err(|error| error.to_string())).clone().map_err(NoGpu)
}

#[cfg(not(feature = "wgpu"))]
fn gpu() -> Result<Device, NoGpu> {
    Err(NoGpu("this program was built without it; build with --features wgpu".into()))
}
