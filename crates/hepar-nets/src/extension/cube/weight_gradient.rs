//! Gradient of a convolution's weights on a GPU.

use cubecl::prelude::*;

use super::convolution::{Convolution, Four};
use super::launch::{Buffers, UNITS, cubes, of_units};

/// Voxels of a row that are in shared memory together.
const RUN: usize = 8;

/// Partial sums at most.
const PARTS: usize = 512;

/// Cubes that keep a large device busy.
const BUSY: usize = 1024;

/// How units share the work: each sums over its voxels the products of four output channels with `inputs` input
/// channels under all taps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Tile {
    /// Input channels of a unit.
    inputs: usize,
    /// Units that share a row's output channels: `inputs · columns` input channels in a cube.
    columns: usize,
    /// Units that share a row's input channels: `4 · quads` output channels in a cube.
    quads: usize,
    /// Rows of voxels that a cube looks at together.
    lanes: usize,
}

impl Tile {
    fn of(convolution: &Convolution) -> Self {
        let taps: usize = convolution.taps.iter().product();
        let inputs = if taps == 1 { convolution.inputs.min(4) } else { 1 };
        let columns = convolution.inputs.div_ceil(inputs).next_power_of_two().min(16);
        let quads = convolution.outputs.div_ceil(4).next_power_of_two().min(8);
        // Shared memory: a lane takes RUN · (quads · 16 B) + 4 B · inputs · columns · rows · (RUN + taps).
        let bytes = RUN * quads * 16 + 4 * inputs * columns * (taps / convolution.taps[2]) * (RUN + 2);
        let lanes = (UNITS / (columns * quads)).min(24 * 1024 / bytes).max(1);
        Self { inputs, columns, quads, lanes }
    }

    fn units(self) -> usize {
        self.columns * self.quads * self.lanes
    }
}

impl Convolution {
    /// Into how many partial sums the gradient of the weights is divided.
    pub fn parts(&self) -> usize {
        self.chunks() * Tile::of(self).lanes
    }

    fn chunks(&self) -> usize {
        let tile = Tile::of(self);
        let [depth, height, width] = self.sides;
        let runs = self.batch * depth * height * width.div_ceil(RUN);
        let cubes: usize = self.weight_cubes().iter().product();
        let wanted = BUSY.div_ceil(cubes).min(PARTS / tile.lanes).max(1);
        // A part with fewer than four runs costs more to add up than to compute.
        wanted.min(runs.div_ceil(4 * tile.lanes)).max(1)
    }

    fn weight_cubes(&self) -> [usize; 2] {
        let tile = Tile::of(self);
        [self.inputs.div_ceil(tile.inputs * tile.columns), self.outputs.div_ceil(4 * tile.quads)]
    }

    /// x, N × inputs × sides, and the gradient of the output, N × outputs × sides → `[parts, outputs, inputs, taps]`,
    /// whose sum over the parts is the gradient of the weights.
    pub fn weight_parts(&self, buffers: &Buffers, x: BufferArg, grad: BufferArg, parts: BufferArg) {
        let tile = Tile::of(self);
        let [columns, rows] = self.weight_cubes();
        let [depth, height, width] = self.sides;
        products::launch(
            &buffers.client,
            cubes([columns, rows, self.chunks()]),
            of_units(tile.units()),
            x,
            grad,
            parts,
            self.batch,
            self.inputs,
            self.outputs,
            depth,
            height,
            width,
            self.chunks(),
            self.taps,
            tile,
        );
    }
}

/// `[parts, len]` → `[len]`, added in order.
pub(super) fn add_parts(buffers: &Buffers, parts: BufferArg, sums: BufferArg, [count, len]: [usize; 2]) {
    let grid = cubes([len.div_ceil(UNITS), 1, 1]);
    sum_parts::launch(&buffers.client, grid, of_units(UNITS), parts, sums, count, len);
}

#[cube(launch)]
fn sum_parts(parts: &[f32], sums: &mut [f32], count: usize, len: usize) {
    let at = CUBE_POS_X as usize * UNITS + UNIT_POS as usize;
    if at < len {
        let mut sum = 0.0f32;
        for part in 0..count {
            sum += parts[part * len + at];
        }
        sums[at] = sum;
    }
}

#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn products(
    x: &[f32],
    grad: &[f32],
    parts: &mut [f32],
    batch: usize,
    inputs: usize,
    outputs: usize,
    depth: usize,
    height: usize,
    width: usize,
    chunks: usize,
    #[comptime] taps: [usize; 3],
    #[comptime] tile: Tile,
) {
    let [taps_d, taps_h, taps_w] = comptime!(taps);
    let all_taps = comptime!(taps[0] * taps[1] * taps[2]);
    let lines = comptime!(taps[0] * taps[1]);
    let reach = comptime!(RUN + taps[2] - 1);
    let (own, columns, quads, lanes) = comptime!((tile.inputs, tile.columns, tile.quads, tile.lanes));
    let team = comptime!(columns * quads);
    let grad_len = comptime!(RUN * quads);
    let x_len = comptime!(own * columns * lines * reach);

    let unit = UNIT_POS as usize;
    let lane = unit / team;
    let member = unit % team;
    let column = member % columns;
    let quad = member / columns;
    let first_input = CUBE_POS_X as usize * comptime!(own * columns);
    let first_output = CUBE_POS_Y as usize * comptime!(4 * quads);
    let part = CUBE_POS_Z as usize * lanes + lane;

    let segments = width.div_ceil(RUN);
    let runs = batch * depth * height * segments;
    let share = runs.div_ceil(chunks * lanes);

    let mut sums = Array::<Four>::new(comptime!(own * all_taps));
    #[unroll]
    for at in 0..comptime!(own * all_taps) {
        sums[at] = Four::broadcast(0.0);
    }
    let mut staged_grad = Shared::<[Four]>::new_slice(comptime!(lanes * grad_len));
    let mut staged_x = Shared::<[f32]>::new_slice(comptime!(lanes * x_len));

    for step in 0..share {
        let run = part * share + step;
        let is_run = run < runs;
        let first = run % segments * RUN;
        let row = run / segments;
        let j = row % height;
        let k = row / height % depth;
        let map = row / (height * depth);

        sync_cube();
        let mut at = member;
        while at < grad_len {
            let of_quad = at / RUN;
            let i = first + at % RUN;
            let mut four = Four::broadcast(0.0);
            if is_run && i < width {
                #[unroll]
                for channel in 0..4 {
                    let output = first_output + of_quad * 4 + channel;
                    if output < outputs {
                        four.insert(channel, grad[(((map * outputs + output) * depth + k) * height + j) * width + i]);
                    }
                }
            }
            staged_grad[lane * grad_len + at % RUN * quads + of_quad] = four;
            at += team;
        }
        let mut at = member;
        while at < x_len {
            let input = first_input + at / comptime!(lines * reach);
            let line = at / reach % lines;
            // One past the voxel, so that the border needs no negative number.
            let i = first + at % reach + comptime!(1 - taps_w / 2);
            let slice = k + line / taps_h + comptime!(1 - taps_d / 2);
            let row = j + line % taps_h + comptime!(1 - taps_h / 2);
            let is_inside = is_run
                && input < inputs
                && (i >= 1 && i <= width)
                && (slice >= 1 && slice <= depth)
                && (row >= 1 && row <= height);
            let index = (((map * inputs + input) * depth + slice - 1) * height + row - 1) * width + i - 1;
            let index = select(is_inside, index, 0);
            staged_x[lane * x_len + at] = select(is_inside, x[index], 0.0);
            at += team;
        }
        sync_cube();

        let mut gradients = Array::<Four>::new(RUN);
        #[unroll]
        for at in 0..RUN {
            gradients[at] = staged_grad[lane * grad_len + comptime!(at * quads) + quad];
        }
        #[unroll]
        for input in 0..own {
            #[unroll]
            for line in 0..lines {
                let begin = lane * x_len + ((column * own + input) * lines + line) * reach;
                let mut values = Array::<f32>::new(reach);
                #[unroll]
                for at in 0..reach {
                    values[at] = staged_x[begin + at];
                }
                #[unroll]
                for tap in 0..taps_w {
                    let sum = comptime!((input * lines + line) * taps_w + tap);
                    #[unroll]
                    for at in 0..RUN {
                        sums[sum] += gradients[at] * Four::broadcast(values[comptime!(at + tap)]);
                    }
                }
            }
        }
    }

    #[unroll]
    for input in 0..own {
        let of_input = first_input + column * own + input;
        if of_input < inputs {
            #[unroll]
            for channel in 0..4 {
                let output = first_output + quad * 4 + channel;
                if output < outputs {
                    let begin = ((part * outputs + output) * inputs + of_input) * all_taps;
                    #[unroll]
                    for tap in 0..all_taps {
                        parts[begin + tap] = sums[comptime!(input * all_taps + tap)].extract(channel);
                    }
                }
            }
        }
    }
}
