//! A plane in parts: of each part, the values of all channels lie together while it is computed.
//!
//! A plane's channels are far apart. Read a few vectors at a time, one channel after the other, they come from memory
//! unforeseen; a panel is read in longer pieces, once, and then from the first cache by every block of output channels.

use std::ops::Range;

use pulp::Simd;

use crate::scratch::Scratch;

/// Values of a panel, at most: half of a small first cache.
const PANEL: usize = 4096;

/// Parts of a plane, one after the other.
pub(super) struct Panels {
    /// Of the present part, `[channel, position]`.
    pub values: Scratch,
    /// Positions of a plane.
    run: usize,
    /// Positions of a panel.
    length: usize,
    next: usize,
}

impl Panels {
    /// Panels of a plane with `run` positions, all but the last one in multiples of `step`.
    pub fn new(channels: usize, run: usize, step: usize) -> Self {
        let length = ((PANEL / channels / step).max(1) * step).min(run);
        Self { values: Scratch::take(channels * length), run, length, next: 0 }
    }

    /// The positions of the next part.
    pub fn next(&mut self) -> Option<Range<usize>> {
        let start = self.next;
        self.next = (start + self.length).min(self.run);
        (start < self.run).then_some(start..self.next)
    }

    /// Takes over a panel of `maps`.
    #[inline(always)]
    pub fn copy<'a>(&mut self, maps: impl Iterator<Item = &'a [f32]>, panel: &Range<usize>) {
        for (to, from) in self.values.chunks_exact_mut(panel.len()).zip(maps) {
            to.copy_from_slice(&from[panel.clone()]);
        }
    }

    /// max(0, x · scale + shift) of a panel of `maps`.
    #[inline(always)]
    pub fn activate<'a, S: Simd>(
        &mut self,
        simd: S,
        [scale, shift]: [&[f32]; 2],
        maps: impl Iterator<Item = &'a [f32]>,
        panel: &Range<usize>,
    ) {
        let zero = simd.splat_f32s(0.0);
        let channels = self.values.chunks_exact_mut(panel.len()).zip(maps);
        for ((to, from), (scale, shift)) in channels.zip(scale.iter().zip(shift)) {
            let (scale, shift) = (simd.splat_f32s(*scale), simd.splat_f32s(*shift));
            let (to, from) = (S::as_mut_simd_f32s(to).0, S::as_simd_f32s(&from[panel.clone()]).0);
            for (to, from) in to.iter_mut().zip(from) {
                *to = simd.max_f32s(simd.mul_add_e_f32s(*from, scale, shift), zero);
            }
        }
    }
}
