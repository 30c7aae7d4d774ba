//! The first and the last layers against a naive composition of the same.

use hepar_kernels::convolution::{ConvShape, reference};
use hepar_kernels::entry::{EntryLayer, SplitInput};
use hepar_kernels::exit::{ExitLayer, ExitWeights, Wanted};

mod common;
use common::{at, indices, values};

struct Case {
    batch: usize,
    /// Voxels of the input, `[d, h, w]`.
    size: [usize; 3],
    depth: usize,
    /// Channels of the first layer and of the decoder's map.
    channels: [usize; 2],
}

const CASES: [Case; 4] = [
    Case { batch: 1, size: [4, 12, 32], depth: 3, channels: [5, 3] },
    Case { batch: 2, size: [6, 10, 64], depth: 3, channels: [8, 12] },
    Case { batch: 3, size: [1, 14, 96], depth: 1, channels: [4, 9] },
    Case { batch: 1, size: [2, 2, 32], depth: 3, channels: [17, 16] },
];

impl Case {
    fn stride(&self) -> [usize; 3] {
        [if self.depth == 3 { 2 } else { 1 }, 2, 2]
    }

    fn shape(&self, inputs: usize, outputs: usize) -> ConvShape {
        ConvShape { batch: self.batch, inputs, outputs, size: self.size, kernel: [self.depth, 3, 3] }
    }

    fn input(&self) -> Vec<f32> {
        values(self.batch * self.size.iter().product::<usize>(), 1)
    }

    /// Weights and bias of a convolution.
    fn kernels(&self, inputs: usize, outputs: usize, seed: u32) -> (Vec<f32>, Vec<f32>) {
        (values(outputs * inputs * 9 * self.depth, seed), values(outputs, seed + 1))
    }

    /// N × C × D × H × W after convolution, without ReLU.
    fn convolved(&self, x: &[f32], inputs: usize, outputs: usize, seed: u32) -> Vec<f32> {
        let (w, b) = self.kernels(inputs, outputs, seed);
        reference::forward(&self.shape(inputs, outputs), x, &w, &b)
    }

    fn first_layer(&self) -> Vec<f32> {
        self.convolved(&self.input(), 1, self.channels[0], 2).into_iter().map(|v| v.max(0.0)).collect()
    }

    fn entry(&self) -> (EntryLayer, SplitInput) {
        let (w, b) = self.kernels(1, self.channels[0], 2);
        (EntryLayer::new(self.depth, &w, &b), SplitInput::new(&self.input(), self.batch, self.size, self.depth))
    }
}

#[test]
fn the_first_layer_pools_what_the_naive_one_gives() {
    for case in &CASES {
        let full = case.first_layer();
        let (entry, input) = case.entry();
        let layout = entry.pooled(case.batch, case.size);
        let mut pooled = vec![f32::NAN; layout.len()];
        entry.pool(&input, &mut pooled);
        let [sd, sh, sw] = case.stride();
        for [n, c, z, y, x] in indices(case.batch, case.channels[0], layout.size) {
            let block = (0..sd * sh * sw).map(|i| {
                let fine = [n, c, z * sd + i / 4, y * sh + i / 2 % 2, x * sw + i % 2];
                full[at(fine, case.channels[0], case.size)]
            });
            let expected = block.fold(f32::NEG_INFINITY, f32::max);
            let plane = (n * layout.size[0] + z) * layout.plane();
            let value = pooled[plane + c * layout.channel() + y * layout.row() + x];
            assert!((value - expected).abs() <= 1e-5, "{:?}: {value} {expected}", [n, c, z, y, x]);
        }
    }
}

#[test]
fn the_last_layers_equal_the_naive_ones() {
    for case in &CASES {
        let [channels, upsampled] = case.channels;
        let (entry, input) = case.entry();
        let layout = entry.pooled(case.batch, case.size).with_channels(upsampled);
        let coarse = values(layout.voxels(), 9);
        let low = common::laid_out(&layout, &coarse);

        let (first, stride) = (case.first_layer(), case.stride());
        let joined: Vec<f32> = indices(case.batch, upsampled + channels, case.size)
            .map(|[n, c, z, y, x]| {
                if c < upsampled {
                    let small = [n, c, z / stride[0], y / stride[1], x / stride[2]];
                    coarse[at(small, upsampled, layout.size)]
                } else {
                    first[at([n, c - upsampled, z, y, x], channels, case.size)]
                }
            })
            .collect();
        let hidden = case.convolved(&joined, upsampled + channels, channels, 4);
        let hidden: Vec<f32> = hidden.into_iter().map(|v| v.max(0.0)).collect();
        let logits = case.convolved(&hidden, channels, 1, 6);

        let (weights, bias) = case.kernels(upsampled + channels, channels, 4);
        let (last, last_bias) = case.kernels(channels, 1, 6);
        let weights = ExitWeights {
            depth: case.depth,
            upsampled,
            weights: &weights,
            bias: &bias,
            last: &last,
            last_bias: last_bias[0],
        };
        let mut output = vec![f32::NAN; logits.len()];
        ExitLayer::new(&weights).run(&entry, &input, &low, layout, &|_, _| true, &mut output);
        for (value, logit) in output.iter().zip(&logits) {
            let expected = 1.0 / (1.0 + (-logit).exp());
            assert!((value - expected).abs() <= 1e-5, "{value} {expected}");
        }
        let spread = logits.iter().fold([f32::MAX, f32::MIN], |[a, b], v| [a.min(*v), b.max(*v)]);
        assert!(spread[1] - spread[0] > 1.0, "a flat output proves nothing: {spread:?}");
    }
}

#[test]
fn only_what_is_wanted_has_to_be_right() {
    let case = Case { batch: 2, size: [16, 20, 96], depth: 3, channels: [4, 5] };
    let (entry, input) = case.entry();
    let layout = entry.pooled(case.batch, case.size).with_channels(case.channels[1]);
    let low = common::laid_out(&layout, &values(layout.voxels(), 9));
    let (weights, bias) = case.kernels(9, 4, 4);
    let (last, last_bias) = case.kernels(4, 1, 6);
    let weights =
        ExitWeights { depth: 3, upsampled: 5, weights: &weights, bias: &bias, last: &last, last_bias: last_bias[0] };
    let exit = ExitLayer::new(&weights);
    let run = |wanted: &Wanted<'_>| {
        let mut output = vec![f32::NAN; input_len(&case)];
        exit.run(&entry, &input, &low, layout, wanted, &mut output);
        output
    };
    // Planes and columns with gaps between them, in the second sample.
    let (planes, rows, columns) = ([1, 2, 9, 15], 7..9, [0, 40, 95]);
    let is_wanted = |sample: usize, [zs, ys, xs]: [std::ops::Range<usize>; 3]| {
        let has = |range: &std::ops::Range<usize>, values: &[usize]| values.iter().any(|value| range.contains(value));
        sample == 1 && has(&zs, &planes) && has(&ys, &[7, 8]) && has(&xs, &columns)
    };
    let (all, part) = (run(&|_, _| true), run(&is_wanted));
    for (plane, row, column) in planes.iter().flat_map(|z| rows.clone().flat_map(move |y| columns.map(|x| (*z, y, x))))
    {
        let place = at([1, 0, plane, row, column], 1, case.size);
        assert_eq!(part[place], all[place], "{plane} {row} {column}");
    }
    assert!(part != all && part.iter().all(|value| value.is_finite()));
}

/// Values of a case's input and output.
fn input_len(case: &Case) -> usize {
    case.batch * case.size.iter().product::<usize>()
}
