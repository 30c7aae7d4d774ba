//! Steps that look at one value at a time, on a GPU.

use burn::backend::TensorMetadata;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::launch::{Buffers, UNITS, cubes, of_units, values};

fn grid(len: usize) -> CubeCount {
    cubes([len.div_ceil(UNITS), 1, 1])
}

/// x · `of_x` + y · `of_y`.
pub(super) fn blend(x: &CubeTensor, y: &CubeTensor, blended: &CubeTensor, [of_x, of_y]: [f32; 2]) {
    let (client, len) = (Buffers::of(x).client, x.shape().num_elements());
    blend_kernel::launch(&client, grid(len), of_units(UNITS), values(x), values(y), values(blended), len, of_x, of_y);
}

/// From parameter, gradient and moments: parameter and moments after a step.
pub(super) fn adam(
    [parameter, gradient, first, second]: [&CubeTensor; 4],
    [new_parameter, new_first, new_second]: &[CubeTensor; 3],
    [beta_1, beta_2]: [f32; 2],
    step: f32,
    epsilon: f32,
) {
    let (client, len) = (Buffers::of(parameter).client, parameter.shape().num_elements());
    adam_kernel::launch(
        &client,
        grid(len),
        of_units(UNITS),
        values(parameter),
        values(gradient),
        values(first),
        values(second),
        values(new_parameter),
        values(new_first),
        values(new_second),
        len,
        beta_1,
        beta_2,
        step,
        epsilon,
    );
}

#[cube(launch)]
fn blend_kernel(x: &[f32], y: &[f32], blended: &mut [f32], len: usize, of_x: f32, of_y: f32) {
    let at = CUBE_POS_X as usize * UNITS + UNIT_POS as usize;
    if at < len {
        blended[at] = x[at] * of_x + y[at] * of_y;
    }
}

#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn adam_kernel(
    parameter: &[f32],
    gradient: &[f32],
    first: &[f32],
    second: &[f32],
    new_parameter: &mut [f32],
    new_first: &mut [f32],
    new_second: &mut [f32],
    len: usize,
    beta_1: f32,
    beta_2: f32,
    step: f32,
    epsilon: f32,
) {
    let at = CUBE_POS_X as usize * UNITS + UNIT_POS as usize;
    if at < len {
        let slope = gradient[at];
        let mean = beta_1 * first[at] + (1.0 - beta_1) * slope;
        let square = beta_2 * second[at] + (1.0 - beta_2) * slope * slope;
        new_first[at] = mean;
        new_second[at] = square;
        new_parameter[at] = parameter[at] - step * mean / (square.sqrt() + epsilon);
    }
}
