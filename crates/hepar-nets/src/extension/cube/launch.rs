//! What every kernel needs to be launched.

use burn::backend::{DType, TensorMetadata};
use burn_cubecl::CubeDevice;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::client::Client;
use cubecl::prelude::*;

/// Units of a cube, where nothing else is said.
pub(super) const UNITS: usize = 128;

/// Where buffers are made and kernels run.
pub(super) struct Buffers {
    pub client: Client,
    device: CubeDevice,
}

impl Buffers {
    /// The place where a tensor is.
    pub fn of(tensor: &CubeTensor) -> Self {
        Self { client: tensor.client.clone(), device: tensor.device.clone() }
    }

    /// A tensor with values that nobody has written yet.
    pub fn empty<const D: usize>(&self, shape: [usize; D]) -> CubeTensor {
        empty_device_contiguous_dtype(self.client.clone(), self.device.clone(), shape.into(), DType::F32)
    }

    /// A tensor of the shape of another, with values that nobody has written yet.
    pub fn like(&self, tensor: &CubeTensor) -> CubeTensor {
        empty_device_contiguous_dtype(self.client.clone(), self.device.clone(), tensor.shape(), DType::F32)
    }
}

/// The values of a tensor in C order.
pub(super) fn values(tensor: &CubeTensor) -> BufferArg {
    into_contiguous(tensor.clone()).into_buffer_arg()
}

/// So many cubes along x, y and z; sizes of tensors in memory fit 32 bits.
pub(super) fn cubes([x, y, z]: [usize; 3]) -> CubeCount {
    CubeCount::Static(x as u32, y as u32, z as u32)
}

/// Cubes of so many units.
pub(super) fn of_units(units: usize) -> CubeDim {
    CubeDim::new_1d(units as u32)
}
