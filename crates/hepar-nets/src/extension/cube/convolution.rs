//! Convolution with zero "same" padding on a GPU, and the gradient of its input.

use cubecl::prelude::*;

use super::Sides;
use super::launch::{Buffers, UNITS, cubes, of_units};

/// Four output channels.
pub(super) type Four = Vector<f32, Const<4>>;

/// Which convolution of a map with `sides` is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Convolution {
    /// Maps in the batch.
    pub batch: usize,
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Voxels of input and output.
    pub sides: Sides,
    /// Taps of the kernel; 1 or 3 each.
    pub taps: Sides,
}

impl Convolution {
    /// The convolution that makes the gradient of the input from the gradient of the output.
    fn transposed(self) -> Self {
        Self { inputs: self.outputs, outputs: self.inputs, ..self }
    }

    /// x, N × inputs × sides; weight, `[outputs, inputs, taps]`; bias, `[outputs]` → N × outputs × sides.
    pub fn forward(&self, buffers: &Buffers, x: BufferArg, weight: BufferArg, bias: BufferArg, y: BufferArg) {
        self.run(buffers, x, weight, bias, y, Direction::Forward);
    }

    /// The gradient of the output, and the weight, as in [`Convolution::forward`] → the gradient of the input.
    pub fn input_gradient(
        &self,
        buffers: &Buffers,
        grad: BufferArg,
        weight: BufferArg,
        none: BufferArg,
        dx: BufferArg,
    ) {
        self.transposed().run(buffers, grad, weight, none, dx, Direction::Back);
    }

    fn run(&self, buffers: &Buffers, x: BufferArg, weight: BufferArg, bias: BufferArg, y: BufferArg, way: Direction) {
        let tile = Tile::of(self);
        let [depth, height, width] = self.sides;
        let runs = depth * height.div_ceil(tile.rows) * width;
        let grid = [runs.div_ceil(UNITS), self.outputs.div_ceil(4 * tile.quads), self.batch];
        convolve::launch(
            &buffers.client,
            cubes(grid),
            of_units(UNITS),
            x,
            weight,
            bias,
            y,
            self.inputs,
            self.outputs,
            depth,
            height,
            width,
            self.taps,
            tile,
            way,
        );
    }
}

/// Whether the kernel is applied as it is, with a bias, or transposed and without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Direction {
    Forward,
    Back,
}

/// What a unit of the device computes: `rows` voxels below each other in `4 · quads` channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Tile {
    rows: usize,
    quads: usize,
    /// Input channels whose weights are in shared memory together.
    block: usize,
}

impl Tile {
    /// Large tiles do most with what they load; small maps need small ones, or most of the device has nothing to do.
    fn of(convolution: &Convolution) -> Self {
        let Convolution { batch, inputs, outputs, sides: [depth, height, width], taps } = *convolution;
        let quads = if outputs > 4 { 2 } else { 1 };
        let busy = |rows: usize, quads: usize| {
            batch * depth * height.div_ceil(rows) * width * outputs.div_ceil(4 * quads) >= 1 << 16
        };
        let (rows, quads) = [(8, quads), (4, quads), (2, quads)]
            .into_iter()
            .find(|&(rows, quads)| rows <= height && busy(rows, quads))
            .unwrap_or((1, 1));
        let voxel = taps.iter().product::<usize>() * quads;
        // 8 KiB of shared memory are enough for all but the fewest taps.
        Self { rows, quads, block: (512 / voxel).clamp(1, 32).min(inputs) }
    }
}

#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn convolve(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    y: &mut [f32],
    inputs: usize,
    outputs: usize,
    depth: usize,
    height: usize,
    width: usize,
    #[comptime] taps: [usize; 3],
    #[comptime] tile: Tile,
    #[comptime] way: Direction,
) {
    let (rows, quads, block) = comptime!((tile.rows, tile.quads, tile.block));
    let [taps_d, taps_h, taps_w] = comptime!(taps);
    let all_taps = comptime!(taps[0] * taps[1] * taps[2]);
    let staged_len = comptime!(block * all_taps * quads);

    let unit = CUBE_POS_X as usize * UNITS + UNIT_POS as usize;
    let i = unit % width;
    let bands = height.div_ceil(rows);
    let first = (unit / width) % bands * rows;
    let k = unit / (width * bands);
    let channel = CUBE_POS_Y as usize * comptime!(4 * quads);
    let map = CUBE_POS_Z as usize;

    let mut sums = Array::<Four>::new(comptime!(rows * quads));
    #[unroll]
    for quad in 0..quads {
        let mut begin = Four::broadcast(0.0);
        if comptime!(way == Direction::Forward) {
            #[unroll]
            for lane in 0..4 {
                let output = channel + comptime!(quad * 4 + lane);
                if output < outputs {
                    begin.insert(lane, bias[output]);
                }
            }
        }
        #[unroll]
        for row in 0..rows {
            sums[comptime!(row * quads + quad)] = begin;
        }
    }

    let mut staged = Shared::<[Four]>::new_slice(staged_len);
    let mut first_input = 0usize;
    while first_input < inputs {
        sync_cube();
        let mut at = UNIT_POS as usize;
        while at < staged_len {
            let quad = at % quads;
            let tap = at / quads % all_taps;
            let input = first_input + at / comptime!(quads * all_taps);
            let mut four = Four::broadcast(0.0);
            if input < inputs {
                #[unroll]
                for lane in 0..4 {
                    let output = channel + quad * 4 + lane;
                    if output < outputs {
                        let index = if comptime!(way == Direction::Forward) {
                            (output * inputs + input) * all_taps + tap
                        } else {
                            (input * outputs + output) * all_taps + (comptime!(all_taps - 1) - tap)
                        };
                        four.insert(lane, weight[index]);
                    }
                }
            }
            staged[at] = four;
            at += UNITS;
        }
        sync_cube();
        if k < depth {
            let last_input = min(first_input + block, inputs);
            for input in first_input..last_input {
                let volume = (map * inputs + input) * depth;
                for tap_d in 0..taps_d {
                    let slice = k + tap_d;
                    let half_d = comptime!(taps_d / 2);
                    if slice >= half_d && slice < depth + half_d {
                        let plane = (volume + slice - half_d) * height;
                        let matrix = ((input - first_input) * taps_d + tap_d) * comptime!(taps_h * taps_w);
                        #[unroll]
                        for tap_w in 0..taps_w {
                            let half_w = comptime!(taps_w / 2);
                            let column = i + tap_w;
                            let is_in_row = column >= half_w && column < width + half_w;
                            let mut values = Array::<f32>::new(comptime!(rows + taps_h - 1));
                            #[unroll]
                            for row in 0..comptime!(rows + taps_h - 1) {
                                let half_h = comptime!(taps_h / 2);
                                let line = first + row;
                                let is_inside = is_in_row && line >= half_h && line < height + half_h;
                                let index = select(is_inside, (plane + line - half_h) * width + column - half_w, 0);
                                values[row] = select(is_inside, x[index], 0.0);
                            }
                            #[unroll]
                            for tap_h in 0..taps_h {
                                #[unroll]
                                for quad in 0..quads {
                                    let four = staged[(matrix + comptime!(tap_h * taps_w + tap_w)) * quads + quad];
                                    #[unroll]
                                    for row in 0..rows {
                                        let value = Four::broadcast(values[comptime!(row + tap_h)]);
                                        sums[comptime!(row * quads + quad)] += value * four;
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        first_input += block;
    }

    if k < depth {
        #[unroll]
        for quad in 0..quads {
            #[unroll]
            for lane in 0..4 {
                let output = channel + comptime!(quad * 4 + lane);
                if output < outputs {
                    let plane = ((map * outputs + output) * depth + k) * height;
                    #[unroll]
                    for row in 0..rows {
                        let line = first + row;
                        if line < height {
                            y[(plane + line) * width + i] = sums[comptime!(row * quads + quad)].extract(lane);
                        }
                    }
                }
            }
        }
    }
}
