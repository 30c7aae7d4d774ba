//! A residual block, with everything between its input and its output kept in cache.
//!
//! A block is normalisation, ReLU, 1³ convolution to a quarter of the channels; the same with a 3³ convolution; the
//! same with a 1³ convolution back to all channels; plus a 1³ convolution of the input. At inference the normalisations
//! are known: the first is applied while the input is read, the others are folded into the convolutions before them.
//!
//! Large maps are walked plane by plane: three planes of the narrow maps are all that is kept between the steps. Maps
//! of few planes are small, but have many channels: there each step is spread over the channels instead.
//!
//! What is upsampled is computed before upsampling wherever that is the same: the convolutions of 1³ of an upsampled
//! map, a map that is added to the output, and a mask that gates it.

mod apply;
mod panels;
mod point;
mod steps;
mod wide;

use rayon::prelude::*;

use crate::isa::arch;
use crate::maps::MapLayout;
use crate::scratch::Scratch;
pub use apply::{HalvesLayer, mask};
pub use point::PointLayer;
use steps::{Narrow, Planes, Sizes};
pub use wide::WideLayer;

/// Weights of a residual block, packed.
#[derive(Debug, Clone)]
pub struct BlockLayer {
    /// First normalisation: what the input is multiplied with, and what is added, a value a channel.
    pub scale: Vec<f32>,
    /// See [`BlockLayer::scale`].
    pub shift: Vec<f32>,
    /// To the narrow maps, the second normalisation folded in.
    pub narrow: PointLayer,
    /// Between the narrow maps, the third normalisation folded in.
    pub wide: WideLayer,
    /// To the output: its inputs are those of the block, then the narrow maps.
    pub joined: PointLayer,
}

/// What else goes into a block's output; all maps have half the sides of the block's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extras<'a> {
    /// What [`HalvesLayer`] gives for the part of the block's input that is upsampled: the narrow layer's channels,
    /// then those of the output.
    pub halves: Option<&'a [f32]>,
    /// Added to the output; not together with `halves`.
    pub sum: Option<&'a [f32]>,
    /// The output is multiplied by one plus this.
    pub gate: Option<&'a [f32]>,
}

/// Fewest planes that are shared out among threads as they are.
const PLANES: usize = 6;

impl BlockLayer {
    /// Computes the block for maps `from` of the layout `layout`, into `to` with the output's channels.
    ///
    /// # Panics
    /// When a length or number of channels does not fit, or there is both an upsampled half and a sum.
    pub fn run(&self, layout: MapLayout, from: &[f32], extras: Extras<'_>, to: &mut [f32]) {
        let out = layout.with_channels(self.joined.outputs());
        assert_eq!((from.len(), to.len()), (layout.len(), out.len()), "lengths of the maps");
        let (channels, narrow) = (layout.channels, self.narrow.outputs());
        assert_eq!(
            (self.scale.len(), self.shift.len(), self.narrow.inputs()),
            (channels, channels, channels),
            "inputs"
        );
        assert_eq!((self.wide.channels(), self.joined.inputs()), (narrow, channels + narrow), "channels of the block");
        assert!(extras.halves.is_none() || extras.sum.is_none(), "a block has an upsampled half or a sum, not both");
        let small = out.divided([if self.wide.depth() == 3 { 2 } else { 1 }, 2, 2]);
        let of_halves = small.with_channels(narrow + out.channels).len();
        let lengths = [(extras.halves, of_halves), (extras.sum, small.len()), (extras.gate, small.len())];
        assert!(lengths.iter().all(|(maps, len)| maps.is_none_or(|maps| maps.len() == *len)), "lengths of the extras");
        let planes = Planes { layer: self, layout, out, sizes: Sizes::new(&out, self.narrow.outputs()), from, extras };
        if out.planes() >= PLANES {
            let threads = rayon::current_num_threads();
            let count = out.planes().div_ceil(threads).max(1);
            to.par_chunks_mut(count * out.plane()).enumerate().for_each(|(at, to)| {
                arch().dispatch(steps::Walk { planes, first: at * count, to });
            });
        } else {
            planes.by_channels(to);
        }
    }
}

impl Planes<'_> {
    /// One step after the other, each spread over planes and channels.
    fn by_channels(self, to: &mut [f32]) {
        let (sizes, count) = (self.sizes, self.out.planes());
        let mut narrow = Scratch::zeroed(count * sizes.narrow);
        each_share(&mut narrow, sizes.narrow, sizes.narrow_channel, |plane, first_channel, to| {
            arch().dispatch(Narrow { planes: self, plane, first_channel, to });
        });
        let mut wide = Scratch::take(count * sizes.wide);
        each_share(&mut wide, sizes.wide, sizes.channel, |plane, first_channel, to| {
            arch().dispatch(steps::Wide {
                planes: self,
                narrow: self.neighbours(plane, &narrow, count),
                first_channel,
                to,
            });
        });
        each_share(to, self.out.plane(), sizes.channel, |plane, first_channel, to| {
            let wide = &wide[plane * sizes.wide..][..sizes.wide];
            arch().dispatch(steps::Joined { planes: self, plane, wide, first_channel, to });
        });
    }
}

/// Calls `step` for parts of planes, a few whole blocks of channels each: plane, first channel, the part.
fn each_share(to: &mut [f32], plane: usize, channel: usize, step: impl Fn(usize, usize, &mut [f32]) + Sync) {
    let channels = plane / channel;
    let planes = to.len() / plane;
    // Enough parts for the threads, but not so many that the input is read over and over.
    let parts = (2 * rayon::current_num_threads()).div_ceil(planes);
    let share = channels.div_ceil(parts).next_multiple_of(crate::isa::block());
    to.par_chunks_mut(plane).enumerate().for_each(|(at, to)| {
        to.par_chunks_mut(share * channel).enumerate().for_each(|(part, to)| step(at, part * share, to));
    });
}
