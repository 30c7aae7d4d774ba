//! Pooling and upsampling by 2 on a GPU.

use cubecl::prelude::*;

use super::Sides;
use super::launch::{Buffers, cubes, of_units};

/// Units of a cube.
const TEAM: usize = 128;

/// Maps with even sides that are halved, and doubled back to them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resampling {
    /// Maps, each resampled alone.
    pub maps: usize,
    /// Voxels of a large map.
    pub large: Sides,
    /// 2 along the axes that are resampled, else 1.
    pub stride: Sides,
}

impl Resampling {
    fn small(&self) -> Sides {
        std::array::from_fn(|axis| self.large[axis] / self.stride[axis])
    }

    fn grid(&self, sides: Sides) -> CubeCount {
        cubes([sides.iter().product::<usize>().div_ceil(TEAM), self.maps, 1])
    }

    /// The greatest value of each block.
    pub fn pool(&self, buffers: &Buffers, x: BufferArg, y: BufferArg) {
        let [d, h, w] = self.small();
        pool_kernel::launch(&buffers.client, self.grid([d, h, w]), of_units(TEAM), x, y, d, h, w, self.stride);
    }

    /// The gradient of [`Resampling::pool`]: to the first of the greatest values of each block.
    pub fn pool_gradient(&self, buffers: &Buffers, x: BufferArg, grad: BufferArg, dx: BufferArg) {
        let [d, h, w] = self.small();
        let (client, grid) = (&buffers.client, self.grid([d, h, w]));
        pool_gradient_kernel::launch(client, grid, of_units(TEAM), x, grad, dx, d, h, w, self.stride);
    }

    /// Each value of a small map in all voxels of its block.
    pub fn repeat(&self, buffers: &Buffers, x: BufferArg, y: BufferArg) {
        let [d, h, w] = self.small();
        repeat_kernel::launch(&buffers.client, self.grid(self.large), of_units(TEAM), x, y, d, h, w, self.stride);
    }

    /// The gradient of [`Resampling::repeat`]: the sum of each block.
    pub fn repeat_gradient(&self, buffers: &Buffers, grad: BufferArg, dx: BufferArg) {
        let [d, h, w] = self.small();
        let (client, count) = (&buffers.client, self.grid([d, h, w]));
        repeat_gradient_kernel::launch(client, count, of_units(TEAM), grad, dx, d, h, w, self.stride);
    }
}

/// Where the block of a voxel of a small map with the sides d, h, w begins in the large one.
#[cube]
fn block(voxel: usize, d: usize, h: usize, w: usize, #[comptime] stride: [usize; 3]) -> usize {
    let [stride_d, stride_h, stride_w] = comptime!(stride);
    let (k, j, i) = (voxel / (h * w), voxel / w % h, voxel % w);
    let map = CUBE_POS_Y as usize;
    (((map * d + k) * stride_d * h + j) * stride_h * w + i) * stride_w
}

#[cube(launch)]
fn pool_kernel(x: &[f32], y: &mut [f32], d: usize, h: usize, w: usize, #[comptime] stride: [usize; 3]) {
    let [stride_d, stride_h, stride_w] = comptime!(stride);
    let voxel = CUBE_POS_X as usize * TEAM + UNIT_POS as usize;
    if voxel < d * h * w {
        let begin = block(voxel, d, h, w, stride);
        let (plane, row) = (h * stride_h * w * stride_w, w * stride_w);
        let mut greatest = x[begin];
        #[unroll]
        for dk in 0..stride_d {
            #[unroll]
            for dj in 0..stride_h {
                #[unroll]
                for di in 0..stride_w {
                    greatest = max(greatest, x[begin + dk * plane + dj * row + di]);
                }
            }
        }
        y[CUBE_POS_Y as usize * d * h * w + voxel] = greatest;
    }
}

#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn pool_gradient_kernel(
    x: &[f32],
    grad: &[f32],
    dx: &mut [f32],
    d: usize,
    h: usize,
    w: usize,
    #[comptime] stride: [usize; 3],
) {
    let [stride_d, stride_h, stride_w] = comptime!(stride);
    let voxel = CUBE_POS_X as usize * TEAM + UNIT_POS as usize;
    if voxel < d * h * w {
        let begin = block(voxel, d, h, w, stride);
        let (plane, row) = (h * stride_h * w * stride_w, w * stride_w);
        let mut greatest = x[begin];
        let mut best = begin;
        #[unroll]
        for dk in 0..stride_d {
            #[unroll]
            for dj in 0..stride_h {
                #[unroll]
                for di in 0..stride_w {
                    let at = begin + dk * plane + dj * row + di;
                    dx[at] = 0.0;
                    if x[at] > greatest {
                        greatest = x[at];
                        best = at;
                    }
                }
            }
        }
        dx[best] = grad[CUBE_POS_Y as usize * d * h * w + voxel];
    }
}

#[cube(launch)]
fn repeat_kernel(x: &[f32], y: &mut [f32], d: usize, h: usize, w: usize, #[comptime] stride: [usize; 3]) {
    let [stride_d, stride_h, stride_w] = comptime!(stride);
    let voxel = CUBE_POS_X as usize * TEAM + UNIT_POS as usize;
    let (large_h, large_w) = (h * stride_h, w * stride_w);
    let len = d * stride_d * large_h * large_w;
    if voxel < len {
        let (k, j, i) = (voxel / (large_h * large_w), voxel / large_w % large_h, voxel % large_w);
        let map = CUBE_POS_Y as usize;
        y[map * len + voxel] = x[((map * d + k / stride_d) * h + j / stride_h) * w + i / stride_w];
    }
}

#[cube(launch)]
fn repeat_gradient_kernel(grad: &[f32], dx: &mut [f32], d: usize, h: usize, w: usize, #[comptime] stride: [usize; 3]) {
    let [stride_d, stride_h, stride_w] = comptime!(stride);
    let voxel = CUBE_POS_X as usize * TEAM + UNIT_POS as usize;
    if voxel < d * h * w {
        let begin = block(voxel, d, h, w, stride);
        let (plane, row) = (h * stride_h * w * stride_w, w * stride_w);
        let mut sum = 0.0f32;
        #[unroll]
        for dk in 0..stride_d {
            #[unroll]
            for dj in 0..stride_h {
                #[unroll]
                for di in 0..stride_w {
                    sum += grad[begin + dk * plane + dj * row + di];
                }
            }
        }
        dx[CUBE_POS_Y as usize * d * h * w + voxel] = sum;
    }
}
