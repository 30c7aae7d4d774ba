//! How the inference kernels lay out feature maps.

use rayon::prelude::*;

/// Feature maps of a batch, plane by plane: `[sample and z, channel, y, x]`.
///
/// Each row is followed by one value that belongs to no voxel, so that all rows of a plane form one run in which a
/// neighbour is a fixed distance away; kernels may leave anything there. A channel's plane is padded to whole vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapLayout {
    /// Number of samples.
    pub batch: usize,
    /// Number of channels.
    pub channels: usize,
    /// Voxels of a map, `[d, h, w]`.
    pub size: [usize; 3],
}

/// Values that every kernel may take at once.
const VECTOR: usize = 16;

/// Channels whose distance is a multiple of this would all fall into the same few lines of the first cache.
const ALIAS: usize = 1024;

impl MapLayout {
    /// The same maps with another number of channels.
    pub fn with_channels(self, channels: usize) -> Self {
        Self { channels, ..self }
    }

    /// Maps that are `stride` times as small along each axis.
    pub fn divided(self, stride: [usize; 3]) -> Self {
        Self { size: std::array::from_fn(|axis| self.size[axis] / stride[axis]), ..self }
    }

    /// Values from one row to the next.
    pub fn row(&self) -> usize {
        self.size[2] + 1
    }

    /// Values of the run that holds one channel's plane, from its first voxel to its last row's end.
    pub fn run(&self) -> usize {
        (self.size[1] * self.row()).next_multiple_of(VECTOR)
    }

    /// Values from one channel to the next.
    pub fn channel(&self) -> usize {
        let run = self.run();
        if run.is_multiple_of(ALIAS) { run + VECTOR } else { run }
    }

    /// Values from one plane to the next.
    pub fn plane(&self) -> usize {
        self.channels * self.channel()
    }

    /// Number of planes of all samples.
    pub fn planes(&self) -> usize {
        self.batch * self.size[0]
    }

    /// Number of values in all.
    pub fn len(&self) -> usize {
        self.planes() * self.plane()
    }

    /// Whether there is no value at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies maps of this layout to N × C × D × H × W in C order.
    pub(crate) fn in_c_order(&self, from: &[f32], to: &mut [f32]) {
        let [d, h, w] = self.size;
        to.par_chunks_mut(h * w).enumerate().for_each(|(at, to)| {
            let (n, c, z) = (at / d / self.channels, at / d % self.channels, at % d);
            let from = &from[(n * d + z) * self.plane() + c * self.channel()..][..h * self.row()];
            let rows = to.chunks_exact_mut(w).zip(from.chunks_exact(self.row()));
            rows.for_each(|(to, from)| to.copy_from_slice(&from[..w]));
        });
    }

    /// Copies maps in C order to this layout.
    pub(crate) fn lay_out(&self, from: &[f32], to: &mut [f32]) {
        let [d, h, w] = self.size;
        to.par_chunks_mut(self.plane()).enumerate().for_each(|(plane, to)| {
            let (n, z) = (plane / d, plane % d);
            for (c, to) in to.chunks_exact_mut(self.channel()).enumerate() {
                let from = &from[((n * self.channels + c) * d + z) * h * w..][..h * w];
                let rows = to.chunks_exact_mut(self.row()).zip(from.chunks_exact(w));
                rows.for_each(|(to, from)| to[..w].copy_from_slice(from));
            }
        });
    }

    /// Voxels of all samples and channels.
    pub fn voxels(&self) -> usize {
        self.batch * self.channels * self.size.iter().product::<usize>()
    }
}

/// Copies one channel's plane of maps half as large, each voxel to 2 × 2.
///
/// `from` and `to` are one channel's plane; `layout` is that of `to`.
#[inline(always)]
pub(crate) fn doubled(layout: &MapLayout, from: &[f32], to: &mut [f32]) {
    let [_, h, w] = layout.size;
    let half = w / 2 + 1;
    for y in 0..h {
        let source = &from[y / 2 * half..][..w / 2];
        let target = &mut to[y * layout.row()..][..w];
        for (pair, value) in target.chunks_exact_mut(2).zip(source) {
            pair.fill(*value);
        }
    }
}
