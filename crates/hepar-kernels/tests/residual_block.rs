//! The fused residual block against a naive composition of the same.

use hepar_kernels::block::{BlockLayer, Extras, HalvesLayer, PointLayer, WideLayer, mask};
use hepar_kernels::convolution::{ConvShape, reference};
use hepar_kernels::maps::MapLayout;
use hepar_kernels::pool::pool;

mod common;
use common::{at, indices, laid_out, place, values};

/// One block: its input's channels and those of an upsampled map before them, its output's.
struct Case {
    batch: usize,
    size: [usize; 3],
    depth: usize,
    inputs: usize,
    upsampled: usize,
    outputs: usize,
}

const CASES: [Case; 6] = [
    Case { batch: 1, size: [8, 6, 20], depth: 3, inputs: 8, upsampled: 0, outputs: 32 },
    Case { batch: 2, size: [4, 10, 14], depth: 3, inputs: 5, upsampled: 6, outputs: 12 },
    Case { batch: 1, size: [2, 4, 4], depth: 3, inputs: 33, upsampled: 18, outputs: 68 },
    Case { batch: 1, size: [1, 2, 2], depth: 3, inputs: 16, upsampled: 0, outputs: 16 },
    Case { batch: 7, size: [1, 16, 48], depth: 1, inputs: 4, upsampled: 8, outputs: 4 },
    Case { batch: 2, size: [1, 8, 8], depth: 1, inputs: 12, upsampled: 0, outputs: 40 },
];

/// The block's weights as the network has them, normalisations folded as the engine does.
struct Weights {
    scale: Vec<f32>,
    shift: Vec<f32>,
    narrow: (Vec<f32>, Vec<f32>),
    wide: (Vec<f32>, Vec<f32>),
    last: (Vec<f32>, Vec<f32>),
    shortcut: (Vec<f32>, Vec<f32>),
}

impl Case {
    fn layout(&self, channels: usize) -> MapLayout {
        MapLayout { batch: self.batch, channels, size: self.size }
    }

    fn stride(&self) -> [usize; 3] {
        [if self.depth == 3 { 2 } else { 1 }, 2, 2]
    }

    fn is_halved(&self) -> bool {
        self.size.iter().zip(self.stride()).all(|(side, stride)| side % stride == 0)
    }

    fn weights(&self) -> Weights {
        let (all, narrow) = (self.inputs + self.upsampled, self.outputs / 4);
        let pair = |weights: usize, bias: usize, seed| (values(weights, seed), values(bias, seed + 1));
        Weights {
            scale: values(all, 11).into_iter().map(|v| 1.0 + v).collect(),
            shift: values(all, 12),
            narrow: pair(narrow * all, narrow, 13),
            wide: pair(narrow * narrow * 9 * self.depth, narrow, 15),
            last: pair(self.outputs * narrow, self.outputs, 17),
            shortcut: pair(self.outputs * all, self.outputs, 19),
        }
    }

    fn convolved(
        &self,
        x: &[f32],
        inputs: usize,
        (w, b): &(Vec<f32>, Vec<f32>),
        depth: usize,
        side: usize,
    ) -> Vec<f32> {
        let kernel = [depth, side, side];
        let shape = ConvShape { batch: self.batch, inputs, outputs: b.len(), size: self.size, kernel };
        reference::forward(&shape, x, w, b)
    }

    /// The block's output, N × C × D × H × W.
    fn expected(&self, weights: &Weights, x: &[f32]) -> Vec<f32> {
        let all = self.inputs + self.upsampled;
        let relu = |x: Vec<f32>| x.into_iter().map(|v| v.max(0.0)).collect::<Vec<_>>();
        let channel = |i: usize| i / self.size.iter().product::<usize>() % all;
        let normed = x.iter().enumerate().map(|(i, v)| v * weights.scale[channel(i)] + weights.shift[channel(i)]);
        let narrow = relu(self.convolved(&relu(normed.collect()), all, &weights.narrow, 1, 1));
        let wide = relu(self.convolved(&narrow, self.outputs / 4, &weights.wide, self.depth, 3));
        let last = self.convolved(&wide, self.outputs / 4, &weights.last, 1, 1);
        let shortcut = self.convolved(x, all, &weights.shortcut, 1, 1);
        last.iter().zip(shortcut).map(|(a, b)| a + b).collect()
    }

    fn layers(&self, weights: &Weights) -> (BlockLayer, HalvesLayer) {
        let (up, all) = (self.upsampled, self.inputs + self.upsampled);
        let columns = |w: &[f32], from: usize, to: usize| -> Vec<f32> {
            w.chunks_exact(all).flat_map(|row| row[from..to].to_vec()).collect()
        };
        let none = |layer: &(Vec<f32>, Vec<f32>)| PointLayer::new(&columns(&layer.0, 0, up), &vec![0.0; layer.1.len()]);
        let rows = columns(&weights.shortcut.0, up, all);
        let joined: Vec<f32> = rows
            .chunks_exact(self.inputs)
            .zip(weights.last.0.chunks_exact(self.outputs / 4))
            .flat_map(|(a, b)| [a, b].concat())
            .collect();
        let bias: Vec<f32> = weights.shortcut.1.iter().zip(&weights.last.1).map(|(a, b)| a + b).collect();
        let block = BlockLayer {
            scale: weights.scale[up..].to_vec(),
            shift: weights.shift[up..].to_vec(),
            narrow: PointLayer::new(&columns(&weights.narrow.0, up, all), &weights.narrow.1),
            wide: WideLayer::new(self.depth, &weights.wide.0, &weights.wide.1),
            joined: PointLayer::new(&joined, &bias),
        };
        let (scale, shift) = (weights.scale[..up].to_vec(), weights.shift[..up].to_vec());
        (block, HalvesLayer { scale, shift, narrow: none(&weights.narrow), shortcut: none(&weights.shortcut) })
    }

    /// Maps in C order, doubled.
    fn doubled(&self, maps: &[f32], channels: usize) -> Vec<f32> {
        let (small, stride) = (self.layout(channels).divided(self.stride()), self.stride());
        let source = |[n, c, z, y, x]: [usize; 5]| [n, c, z / stride[0], y / stride[1], x / stride[2]];
        indices(self.batch, channels, self.size).map(|index| maps[at(source(index), channels, small.size)]).collect()
    }
}

fn close(layout: &MapLayout, output: &[f32], expected: &[f32]) {
    let scale = expected.iter().fold(1.0f32, |most, v| most.max(v.abs()));
    for index in indices(layout.batch, layout.channels, layout.size) {
        let (value, expected) = (output[place(layout, index)], expected[at(index, layout.channels, layout.size)]);
        assert!((value - expected).abs() <= 1e-5 * scale, "{layout:?} {index:?}: {value} {expected}");
    }
}

#[test]
fn a_block_with_an_upsampled_half_equals_the_naive_one() {
    for case in CASES.iter().filter(|case| case.upsampled == 0 || case.is_halved()) {
        let weights = case.weights();
        let (block, halves) = case.layers(&weights);
        let small = case.layout(case.upsampled).divided(case.stride());
        let (skip, low) = (values(case.layout(case.inputs).voxels(), 1), values(small.voxels(), 2));
        let up = case.doubled(&low, case.upsampled);
        let voxels: usize = case.size.iter().product();
        let joined: Vec<f32> = (0..case.batch)
            .flat_map(|n| {
                let part = |maps: &[f32], channels: usize| maps[n * channels * voxels..][..channels * voxels].to_vec();
                [part(&up, case.upsampled), part(&skip, case.inputs)].concat()
            })
            .collect();
        let expected = case.expected(&weights, &joined);

        let mut halved = vec![f32::NAN; small.with_channels(halves.outputs()).len()];
        if case.upsampled > 0 {
            halves.run(small, &laid_out(&small, &low), &mut halved);
        }
        let extras = Extras { halves: (case.upsampled > 0).then_some(&halved[..]), ..Extras::default() };
        let (layout, out) = (case.layout(case.inputs), case.layout(case.outputs));
        let mut output = vec![f32::NAN; out.len()];
        block.run(layout, &laid_out(&layout, &skip), extras, &mut output);
        close(&out, &output, &expected);
    }
}

#[test]
fn maps_are_added_and_masks_gate_what_comes_out() {
    for case in CASES.iter().filter(|case| case.upsampled == 0 && case.is_halved()) {
        let weights = case.weights();
        let (block, _) = case.layers(&weights);
        let (layout, out) = (case.layout(case.inputs), case.layout(case.outputs));
        let small = out.divided(case.stride());
        let (x, low) = (values(layout.voxels(), 1), values(small.voxels(), 2));
        let plain = case.expected(&weights, &x);
        let doubled = case.doubled(&low, case.outputs);
        let (input, low) = (laid_out(&layout, &x), laid_out(&small, &low));
        let mut output = vec![f32::NAN; out.len()];
        block.run(layout, &input, Extras { sum: Some(&low), ..Extras::default() }, &mut output);
        let sum: Vec<f32> = plain.iter().zip(&doubled).map(|(a, b)| a + b).collect();
        close(&out, &output, &sum);
        block.run(layout, &input, Extras { gate: Some(&low), ..Extras::default() }, &mut output);
        let gated: Vec<f32> = plain.iter().zip(&doubled).map(|(a, b)| a * (1.0 + b)).collect();
        close(&out, &output, &gated);
    }
}

#[test]
fn a_mask_is_the_logistic_function_of_a_matrix() {
    let case = &CASES[1];
    let (w, b) = (values(case.inputs * 9, 3), values(9, 4));
    let (layout, out) = (case.layout(case.inputs), case.layout(9));
    let x = values(layout.voxels(), 1);
    let logits = case.convolved(&x, case.inputs, &(w.clone(), b.clone()), 1, 1);
    let mut output = vec![f32::NAN; out.len()];
    mask(&PointLayer::new(&w, &b), layout, &laid_out(&layout, &x), &mut output);
    close(&out, &output, &logits.iter().map(|v| 1.0 / (1.0 + (-v).exp())).collect::<Vec<_>>());
}

#[test]
fn pooling_keeps_the_greatest_of_each_block() {
    for case in CASES.iter().filter(|case| case.is_halved()) {
        let (layout, stride) = (case.layout(case.inputs), case.stride());
        let small = layout.divided(stride);
        let x = values(layout.voxels(), 1);
        let mut output = vec![f32::NAN; small.len()];
        pool(&layout, stride, &laid_out(&layout, &x), &mut output);
        let most = |[n, c, z, y, i]: [usize; 5]| {
            let fine = |b: usize| [n, c, z * stride[0] + b / 4, 2 * y + b / 2 % 2, 2 * i + b % 2];
            let block = (0..stride.iter().product()).map(|b| x[at(fine(b), case.inputs, case.size)]);
            block.fold(f32::NEG_INFINITY, f32::max)
        };
        let expected: Vec<f32> = indices(small.batch, small.channels, small.size).map(most).collect();
        close(&small, &output, &expected);
    }
}
