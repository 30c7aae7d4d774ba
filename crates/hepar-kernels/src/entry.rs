//! The network's first layer: convolution of the one-channel input, normalisation folded into it, ReLU, pooling.
//!
//! Its full-resolution output is nowhere stored. [`EntryLayer::pool`] keeps the maximum of each block of voxels, and
//! the last layers compute what they need of it again ([`crate::exit`]): 27 products a voxel cost less than moving 32
//! channels through memory.
//!
//! Rows are split by parity: even voxels, then odd ones. Two neighbouring voxels then lie in the same lane of two
//! vectors, so that pooling along x and the transforms of the last layers need no shuffles.

use pulp::Simd;
use rayon::prelude::*;

use crate::isa::{arch, block};
use crate::lanes::{add_products, load, load_all, store};
use crate::maps::MapLayout;
use crate::packed::{packed, padded};
use crate::scratch::Scratch;
use crate::tap_sums::Patches;

/// A one-channel batch with a border of zeros, rows split by parity: `[sample, z, y, parity, x / 2]`.
pub struct SplitInput {
    data: Scratch,
    batch: usize,
    size: [usize; 3],
    /// Planes of zeros before and behind a sample.
    border: usize,
}

impl SplitInput {
    /// Splits `input`, N × D × H × W in C order, for kernels of `depth` planes.
    ///
    /// # Panics
    /// When the length does not fit, a side in plane is no multiple of 2 and 32, `depth` is neither 1 nor 3, or the
    /// planes are not 1 or an even number to go with it.
    pub fn new(input: &[f32], batch: usize, size: [usize; 3], depth: usize) -> Self {
        let [d, h, w] = size;
        assert_eq!(input.len(), batch * d * h * w, "length of the input");
        let fits = if depth == 3 { d % 2 == 0 } else { depth == 1 && d == 1 };
        assert!(fits && h % 2 == 0 && w % 32 == 0, "sides {size:?}, kernel's depth {depth}");
        let border = depth / 2;
        let half = w / 2 + 2;
        let (row, plane) = (2 * half, (h + 2) * 2 * half);
        let mut data = Scratch::zeroed(batch * (d + 2 * border) * plane);
        data.par_chunks_mut(plane).enumerate().for_each(|(at, to)| {
            let (n, z) = (at / (d + 2 * border), at % (d + 2 * border));
            if !(border..d + border).contains(&z) {
                return;
            }
            let from = &input[(n * d + z - border) * h * w..][..h * w];
            for (values, to) in from.chunks_exact(w).zip(to.chunks_exact_mut(row).skip(1)) {
                let (even, odd) = to.split_at_mut(half);
                let pairs = values.chunks_exact(2).zip(even[1..].iter_mut().zip(&mut odd[1..]));
                pairs.for_each(|(pair, (even, odd))| (*even, *odd) = (pair[0], pair[1]));
            }
        });
        Self { data, batch, size, border }
    }

    /// Values of a row: two halves with a zero at either end.
    pub(crate) fn row(&self) -> usize {
        2 * (self.size[2] / 2 + 2)
    }

    /// Values of a plane.
    fn plane(&self) -> usize {
        (self.size[1] + 2) * self.row()
    }

    /// Number of samples.
    pub(crate) fn batch(&self) -> usize {
        self.batch
    }

    /// Planes of the kernels that it is for.
    pub(crate) fn depth(&self) -> usize {
        2 * self.border + 1
    }

    /// Voxels of a sample, `[d, h, w]`.
    pub(crate) fn size(&self) -> [usize; 3] {
        self.size
    }

    /// The values from the first tap of the kernel at voxel (z, y) of a sample on.
    #[inline(always)]
    fn from(&self, sample: usize, z: usize, y: usize) -> &[f32] {
        &self.data[self.place(sample, z, y)..]
    }

    /// Where among [`SplitInput::values`] the first tap of the kernel at voxel (z, y) of a sample lies.
    #[inline(always)]
    pub(crate) fn place(&self, sample: usize, z: usize, y: usize) -> usize {
        (sample * (self.size[0] + 2 * self.border) + z) * self.plane() + y * self.row()
    }

    /// All values.
    #[inline(always)]
    pub(crate) fn values(&self) -> &[f32] {
        &self.data
    }

    /// Distances of the kernel's taps from the first one for even and for odd voxels.
    pub(crate) fn distances(&self, depth: usize) -> [Vec<usize>; 2] {
        let half = self.size[2] / 2 + 2;
        // Left, middle and right neighbour of an even voxel are odd, even, odd; of an odd one even, odd, even.
        let along_x = [[half, 1, half + 1], [1, half + 1, 2]];
        along_x.map(|along_x| {
            let plane = |z: usize| (0..3).flat_map(move |y| along_x.map(|x| z * self.plane() + y * self.row() + x));
            (0..depth).flat_map(plane).collect()
        })
    }
}

/// Weights of the first layer, packed.
#[derive(Debug, Clone)]
pub struct EntryLayer {
    channels: usize,
    depth: usize,
    /// `[block, tap, channel of the block]`
    weights: Vec<f32>,
    bias: Vec<f32>,
    /// What the output is at least.
    least: f32,
}

impl EntryLayer {
    /// A layer with kernels `weights`, `[channels, depth × 3 × 3]`, and `bias`, the normalisation folded into both.
    ///
    /// # Panics
    /// When a length does not fit, or `depth` is neither 1 nor 3.
    pub fn new(depth: usize, weights: &[f32], bias: &[f32]) -> Self {
        Self { least: 0.0, ..Self::linear(depth, weights, bias) }
    }

    /// The layer without ReLU.
    pub(crate) fn linear(depth: usize, weights: &[f32], bias: &[f32]) -> Self {
        let (channels, taps) = (bias.len(), 9 * depth);
        assert!(depth == 1 || depth == 3, "kernels of {depth} planes");
        assert_eq!(weights.len(), channels * taps, "length of the kernels");
        let (weights, bias) = (packed(weights, channels, block()), padded(bias, block()));
        Self { channels, depth, weights, bias, least: f32::NEG_INFINITY }
    }

    /// Channels of the output.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Planes of a kernel: 3, or 1 in planar networks.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The layout of the pooled output.
    pub fn pooled(&self, batch: usize, size: [usize; 3]) -> MapLayout {
        MapLayout { batch, channels: self.channels, size }.divided(self.stride())
    }

    fn stride(&self) -> [usize; 3] {
        [if self.depth == 3 { 2 } else { 1 }, 2, 2]
    }

    /// Writes the layer's output after pooling, in the layout [`EntryLayer::pooled`].
    ///
    /// # Panics
    /// When the length of `to` does not fit, or the input was split for kernels of another depth.
    pub fn pool(&self, input: &SplitInput, to: &mut [f32]) {
        assert_eq!(self.depth, input.depth(), "planes of the kernels");
        let layout = self.pooled(input.batch, input.size);
        assert_eq!(to.len(), layout.len(), "length of the output");
        let distances = input.distances(self.depth);
        to.par_chunks_mut(layout.plane()).enumerate().with_max_len(1).for_each(|(plane, to)| {
            let (sample, z) = (plane / layout.size[0], plane % layout.size[0]);
            arch().dispatch(PoolPlane { layer: self, input, distances: &distances, layout, sample, z, to });
        });
    }

    /// The taps' distances for [`EntryLayer::row`].
    pub(crate) fn distances(&self, input: &SplitInput) -> [Vec<usize>; 2] {
        input.distances(self.depth)
    }

    /// Writes the output of row (z, y), split by parity with a zero at the ends; channel c to `to[c · channel..]`.
    #[inline(always)]
    pub(crate) fn row<S: Simd, const C: usize, const V: usize>(
        &self,
        simd: S,
        input: &SplitInput,
        distances: &[Vec<usize>; 2],
        [sample, z, y]: [usize; 3],
        to: &mut [f32],
        channel: usize,
    ) {
        let x = input.from(sample, z, y);
        let half = input.size[2] / 2;
        let lanes = S::F32_LANES;
        for (parity, distances) in distances.iter().enumerate() {
            let mut at = 0;
            while at < half {
                let wide = half - at >= V * lanes;
                for (block, bias) in self.bias.chunks_exact(C).enumerate() {
                    let first = parity * (half + 2) + 1 + at;
                    let to = &mut to[block * C * channel..];
                    let channels = C.min(self.channels - block * C);
                    if wide {
                        let sums = self.sums::<S, C, V>(simd, x, distances, at, block);
                        self.put::<S, C, V>(simd, sums, bias, &mut to[first..], channel, channels);
                    } else {
                        let sums = self.sums::<S, C, 1>(simd, x, distances, at, block);
                        self.put::<S, C, 1>(simd, sums, bias, &mut to[first..], channel, channels);
                    }
                }
                at += if wide { V * lanes } else { lanes };
            }
        }
    }

    /// Sums of a block of channels at `V` vectors of positions of one parity, without bias.
    #[inline(always)]
    fn sums<S: Simd, const C: usize, const V: usize>(
        &self,
        simd: S,
        x: &[f32],
        distances: &[usize],
        at: usize,
        block: usize,
    ) -> [[S::f32s; V]; C] {
        let taps = distances.len();
        let weights = pulp::as_arrays::<C, _>(&self.weights[block * taps * C..][..taps * C]).0;
        let mut sums = [[simd.splat_f32s(0.0); V]; C];
        for (&distance, weights) in distances.iter().zip(weights) {
            add_products::<S, C, V>(simd, &mut sums, weights, load_all::<S, V>(x, distance + at));
        }
        sums
    }

    /// Sums and bias, at least `least`, to the first `channels` channels of `to`.
    #[inline(always)]
    fn put<S: Simd, const C: usize, const V: usize>(
        &self,
        simd: S,
        sums: [[S::f32s; V]; C],
        bias: &[f32],
        to: &mut [f32],
        channel: usize,
        channels: usize,
    ) {
        let least = simd.splat_f32s(self.least);
        for c in 0..channels {
            for v in 0..V {
                let value = simd.add_f32s(sums[c][v], simd.splat_f32s(bias[c]));
                store::<S>(to, c * channel + v * S::F32_LANES, simd.max_f32s(value, least));
            }
        }
    }

    /// The output before ReLU of a block of channels, for group `group` of a tile's voxels.
    #[inline(always)]
    pub(crate) fn voxels<S: Simd, const C: usize, const R: usize>(
        &self,
        simd: S,
        patches: &Patches<'_>,
        group: usize,
        block: usize,
    ) -> [[S::f32s; R]; C] {
        let (places, distances) = (patches.places::<R>(group), patches.distances(group));
        let weights = pulp::as_arrays::<C, _>(&self.weights[block * distances.len() * C..]).0;
        let mut sums = [[simd.splat_f32s(0.0); R]; C];
        for c in 0..C {
            sums[c] = [simd.splat_f32s(self.bias[block * C + c]); R];
        }
        for (&distance, weights) in distances.iter().zip(weights) {
            let mut taps = [simd.splat_f32s(0.0); R];
            for r in 0..R {
                taps[r] = load::<S>(patches.map.values(), places[r] + distance);
            }
            add_products::<S, C, R>(simd, &mut sums, weights, taps);
        }
        sums
    }
}

/// One plane of the pooled output.
struct PoolPlane<'a> {
    layer: &'a EntryLayer,
    input: &'a SplitInput,
    distances: &'a [Vec<usize>; 2],
    layout: MapLayout,
    sample: usize,
    z: usize,
    to: &'a mut [f32],
}

// Eight sums at once either way, as many as it takes to hide a multiply-add's latency; rows have 16 pooled voxels or more.
dispatch!(PoolPlane<'_> => (), few: [4, 2], many: [8, 1]);

impl PoolPlane<'_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize, const V: usize>(self, simd: S) {
        let Self { layer, input, layout, .. } = self;
        let [_, h, w] = layout.size;
        let [deep, high, _] = layer.stride();
        for y in 0..h {
            for (block, bias) in layer.bias.chunks_exact(C).enumerate() {
                let channels = C.min(layer.channels - block * C);
                for at in (0..w).step_by(V * S::F32_LANES) {
                    let mut most = [[simd.splat_f32s(f32::NEG_INFINITY); V]; C];
                    for row in 0..deep * high {
                        let x = input.from(self.sample, deep * self.z + row / high, high * y + row % high);
                        for distances in self.distances {
                            let sums = layer.sums::<S, C, V>(simd, x, distances, at, block);
                            for c in 0..C {
                                for v in 0..V {
                                    most[c][v] = simd.max_f32s(most[c][v], sums[c][v]);
                                }
                            }
                        }
                    }
                    for c in 0..channels {
                        let first = (block * C + c) * layout.channel() + y * layout.row() + at;
                        for v in 0..V {
                            let value = simd.add_f32s(most[c][v], simd.splat_f32s(bias[c]));
                            let value = simd.max_f32s(value, simd.splat_f32s(0.0));
                            store::<S>(self.to, first + v * S::F32_LANES, value);
                        }
                    }
                }
            }
        }
    }
}
