//! The first and the last layers against a naive composition of the same.

use hepar_kernels::convolution::{ConvShape, reference};
use hepar_kernels::entry::{EntryLayer, SplitInput};
use hepar_kernels::exit::{ExitLayer, ExitWeights};

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
        entry.pool(&input, case.batch, &mut pooled);
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
        // Only what is wanted has to be right, and it is the same.
        let [d, h, w] = case.size;
        let wanted =
            |at: usize| at / (d * h * w) == 0 && at / (h * w) % d == d / 2 && at / w % h == h / 3 && at % w > 20;
        let is_wanted = |sample: usize, [zs, ys, xs]: [std::ops::Range<usize>; 3]| {
            sample == 0 && zs.contains(&(d / 2)) && ys.contains(&(h / 3)) && xs.end > 21
        };
        let mut part = vec![f32::NAN; logits.len()];
        ExitLayer::new(&weights).run(&entry, &input, &low, layout, &is_wanted, &mut part);
        assert!((0..part.len()).all(|at| !wanted(at) || part[at] == output[at]));
        assert!((0..part.len()).filter(|at| wanted(*at)).count() > 8 && part.iter().all(|v| v.is_finite()));
        assert!(h < 10 || part != output, "nothing was left out");
        let spread = logits.iter().fold([f32::MAX, f32::MIN], |[a, b], v| [a.min(*v), b.max(*v)]);
        assert!(spread[1] - spread[0] > 1.0, "a flat output proves nothing: {spread:?}");
    }
}
