//! The network's end in one pass: upsampling, joining with the first layer's output, the widest convolution (conv9),
//! normalisation, ReLU, the last convolution to one channel, sigmoid.
//!
//! Nearly all of the network's arithmetic is here, at full resolution with as many channels as memory can hold few
//! copies of, so nothing of it is stored: tile by tile, what a tile needs of the first layer is computed again, and of
//! its output only the one channel is kept.
//!
//! conv9 is computed in Winograd's domain, both halves of its input in the same sums (`winograd`).

mod scatter;
pub(crate) mod slab;
pub(crate) mod task;
mod weights;

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::entry::{EntryLayer, SplitInput};
use crate::isa::arch;
use crate::maps::MapLayout;
use crate::scratch::Scratch;
use crate::sigmoid::sigmoid;
use crate::winograd::weights::{Halves, Products};
use slab::{ROWS, Slab};
use task::{Logits, Task};
pub use weights::ExitWeights;

/// Weights of the last layers, packed.
#[derive(Debug, Clone)]
pub struct ExitLayer {
    products: Products,
    /// Bias of conv9, a value a channel.
    bias: Vec<f32>,
    /// Kernel of the last convolution, `[channel, tap]`.
    last: Vec<f32>,
    last_bias: f32,
}

impl ExitLayer {
    /// Transforms and packs the weights.
    ///
    /// # Panics
    /// When lengths do not fit each other.
    pub fn new(weights: &ExitWeights<'_>) -> Self {
        let (channels, taps) = (weights.bias.len(), 9 * weights.depth);
        assert_eq!(weights.last.len(), channels * taps, "length of the last kernel");
        let last = weights.last.to_vec();
        let (depth, upsampled) = (weights.depth, weights.upsampled);
        let halves = Halves { depth, upsampled, full: channels, outputs: channels };
        Self {
            products: Products::new(halves, weights.weights),
            bias: weights.bias.to_vec(),
            last,
            last_bias: weights.last_bias,
        }
    }

    /// Channels of the upsampled half and of the other, and taps of a kernel.
    pub fn sizes(&self) -> (usize, usize, usize) {
        let halves = self.products.halves;
        (halves.upsampled, halves.outputs, halves.taps())
    }

    /// Probabilities, N × D × H × W in C order, from the network's input and the decoder's last map.
    ///
    /// `low` has the layout `layout`: half the sides of `input`. `entry` is the first layer. Tiles that no voxel
    /// depends on for which `wanted` holds are left out; the voxels in them get some probability.
    ///
    /// # Panics
    /// When a length does not fit, or a side of `low` in plane is no multiple of 16.
    pub fn run(
        &self,
        entry: &EntryLayer,
        input: &SplitInput,
        low: &[f32],
        layout: MapLayout,
        wanted: &Wanted<'_>,
        to: &mut [f32],
    ) {
        let (size, halves) = (input.size(), self.products.halves);
        assert_eq!((entry.depth(), input.depth()), (halves.depth, halves.depth), "planes of the kernels");
        assert_eq!(input.batch(), layout.batch, "samples");
        let expected = MapLayout { size, ..layout }.divided([if entry.depth() == 3 { 2 } else { 1 }, 2, 2]);
        assert_eq!((layout.size, low.len()), (expected.size, layout.len()), "the decoder's map");
        assert_eq!((layout.channels, entry.channels()), (halves.upsampled, halves.full), "channels of the halves");
        assert_eq!(to.len(), layout.batch * size.iter().product::<usize>(), "length of the output");
        assert!(layout.size[2].is_multiple_of(16), "rows of {} blocks", layout.size[2]);

        let slabs = Slabs::new(layout, size, entry.depth() / 2);
        let mut logits = Scratch::zeroed(layout.batch * slabs.count() * slabs.len());
        let distances = &entry.distances(input);
        logits.par_chunks_mut(slabs.len()).enumerate().with_max_len(1).for_each(|(at, values)| {
            let (sample, first_row) = (at / slabs.count(), at % slabs.count() * ROWS);
            let from = Slab { entry, input, distances, low, layout, sample, first_row };
            arch().dispatch(Task { layer: self, from, wanted, logits: Logits { slabs, values } });
        });
        slabs.join(&logits, size, self.last_bias, to);
    }
}

/// Whether any voxel of a part, `[z, y, x]`, of a sample is wanted.
pub type Wanted<'a> = dyn Fn(usize, [Range<usize>; 3]) -> bool + Sync + 'a;

/// Where the logits of tiles lie: a slab for each `2 · ROWS` rows of voxels through all planes, with one row and plane
/// around it, because a voxel of a tile also counts for the logits of its neighbours.
///
/// A slab is `[z, y, parity, x / 2]` with one value at either end of a row. A seam is summed when all slabs are there,
/// in the order of slabs, so that the result does not depend on who was first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slabs {
    /// Blocks of a plane, `[y, x]`.
    blocks: [usize; 2],
    planes: usize,
    border: usize,
}

impl Slabs {
    pub fn new(layout: MapLayout, size: [usize; 3], border: usize) -> Self {
        Self { blocks: [layout.size[1], layout.size[2]], planes: size[0] + 2 * border, border }
    }

    /// Slabs of a sample.
    pub fn count(&self) -> usize {
        self.blocks[0].div_ceil(ROWS)
    }

    /// Values of a row, of both parities.
    fn row(&self) -> usize {
        2 * (self.blocks[1] + 2)
    }

    /// Values of a plane of a slab.
    fn plane(&self) -> usize {
        (2 * ROWS + 2) * self.row()
    }

    /// Values of a slab.
    pub fn len(&self) -> usize {
        self.planes * self.plane()
    }

    /// Probabilities, N × D × H × W with sides `size`, from the logits of all slabs of all samples.
    pub fn join(self, logits: &[f32], size: [usize; 3], bias: f32, to: &mut [f32]) {
        to.par_chunks_mut(size[1] * size[2]).enumerate().for_each(|(at, to)| {
            let (sample, z) = (at / size[0], at % size[0]);
            let of_sample = self.count() * self.len();
            let logits = &logits[sample * of_sample..][..of_sample];
            arch().dispatch(Join { slabs: self, logits, z, bias, to });
        });
    }
}

/// Probabilities of one plane of voxels from all slabs of its sample.
struct Join<'a> {
    slabs: Slabs,
    logits: &'a [f32],
    z: usize,
    bias: f32,
    to: &'a mut [f32],
}

impl WithSimd for Join<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { slabs, logits, z, bias, to } = self;
        let (width, half) = (2 * slabs.blocks[1], slabs.blocks[1] + 2);
        let row_of = |slab: usize, y: usize| {
            &logits[slab * slabs.len() + (z + slabs.border) * slabs.plane() + y * slabs.row()..][..slabs.row()]
        };
        let mut sum = vec![0.0; slabs.row()];
        for (y, to) in to.chunks_exact_mut(width).enumerate() {
            let (slab, inner) = (y / (2 * ROWS), y % (2 * ROWS) + 1);
            sum.fill(bias);
            if inner == 1 && slab > 0 {
                add(&mut sum, row_of(slab - 1, 2 * ROWS + 1));
            }
            add(&mut sum, row_of(slab, inner));
            if inner == 2 * ROWS && slab + 1 < slabs.count() {
                add(&mut sum, row_of(slab + 1, 0));
            }
            for value in &mut sum {
                *value = sigmoid(*value);
            }
            let (even, odd) = sum.split_at(half);
            for (pair, (even, odd)) in to.chunks_exact_mut(2).zip(even[1..].iter().zip(&odd[1..])) {
                (pair[0], pair[1]) = (*even, *odd);
            }
        }
    }
}

#[inline(always)]
fn add(sum: &mut [f32], row: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(row) {
        *sum += value;
    }
}
