//! Batch normalisation with ReLU on a GPU, and sums over a channel.

use cubecl::prelude::*;

use super::launch::{Buffers, cubes, of_units};

/// Units of a cube that sums.
const TEAM: usize = 256;

/// Cubes at most that sum over one channel.
const CHUNKS: usize = 64;

/// N × channels maps of so many voxels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Maps {
    pub batch: usize,
    pub channels: usize,
    pub voxels: usize,
}

/// Buffers that describe a normalisation, `[channels]` each.
pub(super) struct Norm {
    pub gamma: BufferArg,
    pub beta: BufferArg,
    pub mean: BufferArg,
    pub variance: BufferArg,
    pub epsilon: f32,
}

impl Maps {
    /// Partial sums of each channel.
    pub fn chunks(&self) -> usize {
        (self.batch * self.voxels).div_ceil(4 * TEAM).min(CHUNKS)
    }

    fn summing(&self) -> CubeCount {
        cubes([self.chunks(), self.channels, 1])
    }

    fn each_voxel(&self) -> CubeCount {
        cubes([self.voxels.div_ceil(TEAM), self.batch * self.channels, 1])
    }

    /// Sums of x and of its squares: `[channels, chunks, 2]`.
    pub fn moments(&self, buffers: &Buffers, x: BufferArg, sums: BufferArg) {
        let Self { batch, channels, voxels } = *self;
        sum_moments::launch(
            &buffers.client,
            self.summing(),
            of_units(TEAM),
            x,
            sums,
            batch,
            channels,
            voxels,
            self.chunks(),
        );
    }

    /// From [`Maps::moments`]: mean and biased variance of each channel.
    pub fn statistics(&self, buffers: &Buffers, sums: BufferArg, mean: BufferArg, variance: BufferArg) {
        let grid = cubes([self.channels.div_ceil(TEAM), 1, 1]);
        let values = self.batch * self.voxels;
        finish_statistics::launch(
            &buffers.client,
            grid,
            of_units(TEAM),
            sums,
            mean,
            variance,
            self.channels,
            self.chunks(),
            values,
        );
    }

    /// max(0, γ·(x − mean)/√(variance + ε) + β).
    pub fn norm_relu(&self, buffers: &Buffers, x: BufferArg, norm: Norm, y: BufferArg) {
        let (client, grid, dim) = (&buffers.client, self.each_voxel(), of_units(TEAM));
        let Norm { gamma, beta, mean, variance, epsilon } = norm;
        normalise::launch(client, grid, dim, x, gamma, beta, mean, variance, y, self.channels, self.voxels, epsilon);
    }

    /// max(0, x·scale + shift).
    pub fn scale_shift_relu(&self, buffers: &Buffers, x: BufferArg, scale: BufferArg, shift: BufferArg, y: BufferArg) {
        let (client, grid, dim) = (&buffers.client, self.each_voxel(), of_units(TEAM));
        rectify::launch(client, grid, dim, x, scale, shift, y, self.channels, self.voxels);
    }

    /// Sums of the gradient that ReLU lets through and of its product with the normalised x:
    /// `[channels, chunks, 2]`.
    pub fn gradient_moments(&self, buffers: &Buffers, x: BufferArg, grad: BufferArg, norm: Norm, sums: BufferArg) {
        let Self { batch, channels, voxels } = *self;
        let (client, grid, dim) = (&buffers.client, self.summing(), of_units(TEAM));
        let Norm { gamma, beta, mean, variance, epsilon } = norm;
        sum_gradient_moments::launch(
            client,
            grid,
            dim,
            x,
            grad,
            gamma,
            beta,
            mean,
            variance,
            sums,
            batch,
            channels,
            voxels,
            self.chunks(),
            epsilon,
        );
    }

    /// From partial sums, `[channels, chunks, 2]`: the second of each pair to `first`, the other to `second`.
    pub fn pairs(&self, buffers: &Buffers, sums: BufferArg, first: BufferArg, second: BufferArg) {
        let grid = cubes([self.channels.div_ceil(TEAM), 1, 1]);
        finish_pairs::launch(&buffers.client, grid, of_units(TEAM), sums, first, second, self.channels, self.chunks());
    }

    /// The gradient of x, from the gradients of γ and β.
    #[allow(clippy::too_many_arguments)]
    pub fn gradient(
        &self,
        buffers: &Buffers,
        x: BufferArg,
        grad: BufferArg,
        norm: Norm,
        dgamma: BufferArg,
        dbeta: BufferArg,
        dx: BufferArg,
    ) {
        let (client, grid, dim) = (&buffers.client, self.each_voxel(), of_units(TEAM));
        let Norm { gamma, beta, mean, variance, epsilon } = norm;
        let values = (self.batch * self.voxels) as f32;
        norm_gradient::launch(
            client,
            grid,
            dim,
            x,
            grad,
            gamma,
            beta,
            mean,
            variance,
            dgamma,
            dbeta,
            dx,
            self.channels,
            self.voxels,
            values,
            epsilon,
        );
    }

    /// Sums of each channel, `[channels, chunks]`.
    pub fn channel_sums(&self, buffers: &Buffers, x: BufferArg, sums: BufferArg) {
        let Self { batch, channels, voxels } = *self;
        sum_channels::launch(
            &buffers.client,
            self.summing(),
            of_units(TEAM),
            x,
            sums,
            batch,
            channels,
            voxels,
            self.chunks(),
        );
    }

    /// From [`Maps::channel_sums`]: `[channels]`.
    pub fn totals(&self, buffers: &Buffers, sums: BufferArg, totals: BufferArg) {
        let grid = cubes([self.channels.div_ceil(TEAM), 1, 1]);
        finish_sums::launch(&buffers.client, grid, of_units(TEAM), sums, totals, self.channels, self.chunks());
    }
}

/// Sum over the units of a cube, known to its first.
#[cube]
fn cube_sum(value: f32, shared: &mut Shared<[f32]>) -> f32 {
    sync_cube();
    shared[UNIT_POS as usize] = value;
    sync_cube();
    let mut half = comptime!(TEAM / 2).runtime();
    while half > 0 {
        let unit = UNIT_POS as usize;
        if unit < half {
            shared[unit] += shared[unit + half];
        }
        sync_cube();
        half /= 2;
    }
    shared[0]
}

/// Where value `at` of channel `CUBE_POS_Y` lies.
#[cube]
fn position(at: usize, channels: usize, voxels: usize) -> usize {
    (at / voxels * channels + CUBE_POS_Y as usize) * voxels + at % voxels
}

#[cube(launch)]
fn sum_moments(x: &[f32], sums: &mut [f32], batch: usize, channels: usize, voxels: usize, chunks: usize) {
    let mut sum = 0.0f32;
    let mut squares = 0.0f32;
    let mut at = CUBE_POS_X as usize * TEAM + UNIT_POS as usize;
    while at < batch * voxels {
        let value = x[position(at, channels, voxels)];
        sum += value;
        squares += value * value;
        at += chunks * TEAM;
    }
    let mut shared = Shared::<[f32]>::new_slice(TEAM);
    let sum = cube_sum(sum, &mut shared);
    let squares = cube_sum(squares, &mut shared);
    if UNIT_POS == 0 {
        let chunk = CUBE_POS_Y as usize * chunks + CUBE_POS_X as usize;
        sums[2 * chunk] = sum;
        sums[2 * chunk + 1] = squares;
    }
}

#[cube(launch)]
fn finish_statistics(
    sums: &[f32],
    mean: &mut [f32],
    variance: &mut [f32],
    channels: usize,
    chunks: usize,
    values: usize,
) {
    let channel = CUBE_POS_X as usize * TEAM + UNIT_POS as usize;
    if channel < channels {
        let mut sum = 0.0f32;
        let mut squares = 0.0f32;
        for chunk in 0..chunks {
            sum += sums[2 * (channel * chunks + chunk)];
            squares += sums[2 * (channel * chunks + chunk) + 1];
        }
        let average = sum / values as f32;
        mean[channel] = average;
        variance[channel] = max(squares / values as f32 - average * average, 0.0);
    }
}

#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn normalise(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    mean: &[f32],
    variance: &[f32],
    y: &mut [f32],
    channels: usize,
    voxels: usize,
    epsilon: f32,
) {
    let (map, voxel) = (CUBE_POS_Y as usize, CUBE_POS_X as usize * TEAM + UNIT_POS as usize);
    let channel = map % channels;
    let scale = gamma[channel] / (variance[channel] + epsilon).sqrt();
    let shift = beta[channel] - mean[channel] * scale;
    if voxel < voxels {
        y[map * voxels + voxel] = max(x[map * voxels + voxel] * scale + shift, 0.0);
    }
}

#[cube(launch)]
fn rectify(x: &[f32], scale: &[f32], shift: &[f32], y: &mut [f32], channels: usize, voxels: usize) {
    let (map, voxel) = (CUBE_POS_Y as usize, CUBE_POS_X as usize * TEAM + UNIT_POS as usize);
    if voxel < voxels {
        let channel = map % channels;
        y[map * voxels + voxel] = max(x[map * voxels + voxel] * scale[channel] + shift[channel], 0.0);
    }
}

#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn sum_gradient_moments(
    x: &[f32],
    grad: &[f32],
    gamma: &[f32],
    beta: &[f32],
    mean: &[f32],
    variance: &[f32],
    sums: &mut [f32],
    batch: usize,
    channels: usize,
    voxels: usize,
    chunks: usize,
    epsilon: f32,
) {
    let channel = CUBE_POS_Y as usize;
    let inverse = 1.0f32 / (variance[channel] + epsilon).sqrt();
    let (average, scale) = (mean[channel], gamma[channel] * inverse);
    let shift = beta[channel] - average * scale;
    let mut sum = 0.0f32;
    let mut product = 0.0f32;
    let mut at = CUBE_POS_X as usize * TEAM + UNIT_POS as usize;
    while at < batch * voxels {
        let index = position(at, channels, voxels);
        let value = x[index];
        if value * scale + shift > 0.0 {
            sum += grad[index];
            product += grad[index] * (value - average) * inverse;
        }
        at += chunks * TEAM;
    }
    let mut shared = Shared::<[f32]>::new_slice(TEAM);
    let sum = cube_sum(sum, &mut shared);
    let product = cube_sum(product, &mut shared);
    if UNIT_POS == 0 {
        let chunk = CUBE_POS_Y as usize * chunks + CUBE_POS_X as usize;
        sums[2 * chunk] = product;
        sums[2 * chunk + 1] = sum;
    }
}

#[cube(launch)]
fn finish_pairs(sums: &[f32], first: &mut [f32], second: &mut [f32], channels: usize, chunks: usize) {
    let channel = CUBE_POS_X as usize * TEAM + UNIT_POS as usize;
    if channel < channels {
        let mut a = 0.0f32;
        let mut b = 0.0f32;
        for chunk in 0..chunks {
            a += sums[2 * (channel * chunks + chunk)];
            b += sums[2 * (channel * chunks + chunk) + 1];
        }
        first[channel] = a;
        second[channel] = b;
    }
}

#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn norm_gradient(
    x: &[f32],
    grad: &[f32],
    gamma: &[f32],
    beta: &[f32],
    mean: &[f32],
    variance: &[f32],
    dgamma: &[f32],
    dbeta: &[f32],
    dx: &mut [f32],
    channels: usize,
    voxels: usize,
    values: f32,
    epsilon: f32,
) {
    let (map, voxel) = (CUBE_POS_Y as usize, CUBE_POS_X as usize * TEAM + UNIT_POS as usize);
    let channel = map % channels;
    let inverse = 1.0f32 / (variance[channel] + epsilon).sqrt();
    let (average, scale) = (mean[channel], gamma[channel] * inverse);
    let shift = beta[channel] - average * scale;
    if voxel < voxels {
        let index = map * voxels + voxel;
        let value = x[index];
        let passed = select(value * scale + shift > 0.0, grad[index], 0.0);
        let normalised = (value - average) * inverse;
        dx[index] = scale * (passed - (dbeta[channel] + normalised * dgamma[channel]) / values);
    }
}

#[cube(launch)]
fn sum_channels(x: &[f32], sums: &mut [f32], batch: usize, channels: usize, voxels: usize, chunks: usize) {
    let mut sum = 0.0f32;
    let mut at = CUBE_POS_X as usize * TEAM + UNIT_POS as usize;
    while at < batch * voxels {
        sum += x[position(at, channels, voxels)];
        at += chunks * TEAM;
    }
    let mut shared = Shared::<[f32]>::new_slice(TEAM);
    let sum = cube_sum(sum, &mut shared);
    if UNIT_POS == 0 {
        sums[CUBE_POS_Y as usize * chunks + CUBE_POS_X as usize] = sum;
    }
}

#[cube(launch)]
fn finish_sums(sums: &[f32], totals: &mut [f32], channels: usize, chunks: usize) {
    let channel = CUBE_POS_X as usize * TEAM + UNIT_POS as usize;
    if channel < channels {
        let mut total = 0.0f32;
        for chunk in 0..chunks {
            total += sums[channel * chunks + chunk];
        }
        totals[channel] = total;
    }
}
