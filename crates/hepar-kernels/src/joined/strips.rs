//! Rows of maps with zeros around them, as the transforms read them.

/// Maps in C order, `[sample, channel, z, y, x]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Maps<'a> {
    pub values: &'a [f32],
    pub channels: usize,
    /// `[d, h, w]`
    pub size: [usize; 3],
}

/// Some rows of a plane of all channels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows {
    pub sample: usize,
    pub z: usize,
    /// First row of those that are taken.
    pub first: usize,
    /// Rows above it that are taken, too.
    pub above: usize,
    /// Number of rows in all.
    pub count: usize,
}

impl Rows {
    /// The row of the maps that is number `row` of those that are taken; `None` outside of the maps.
    fn row(&self, row: usize, height: usize) -> Option<usize> {
        (self.first + row).checked_sub(self.above).filter(|row| *row < height)
    }
}

impl<'a> Maps<'a> {
    /// Values of a row that is split by parity, with a zero at either end of both parts.
    pub fn split_row(&self) -> usize {
        2 * (self.size[2] / 2 + 2)
    }

    /// Values of a row that is not split, with a zero at either end.
    pub fn plain_row(&self) -> usize {
        self.size[2] + 2
    }

    /// Copies rows, split by parity, to `[channel, row, parity, x / 2]`; zeros beyond the maps.
    #[inline(always)]
    pub fn split(&self, rows: Rows, to: &mut [f32]) {
        let half = self.size[2] / 2;
        self.each(
            rows,
            self.split_row(),
            to,
            #[inline(always)]
            |from, to| {
                let (even, odd) = to.split_at_mut(half + 2);
                let (even, odd) = (&mut even[1..=half], &mut odd[1..=half]);
                for ((pair, even), odd) in from.chunks_exact(2).zip(even).zip(odd) {
                    (*even, *odd) = (pair[0], pair[1]);
                }
            },
        );
    }

    /// Copies rows to `[channel, row, x]`; zeros beyond the maps.
    #[inline(always)]
    pub fn plain(&self, rows: Rows, to: &mut [f32]) {
        let copy = |from: &[f32], to: &mut [f32]| to[1..=from.len()].copy_from_slice(from);
        self.each(rows, self.plain_row(), to, copy);
    }

    #[inline(always)]
    fn each(&self, rows: Rows, row: usize, to: &mut [f32], copy: impl Fn(&'a [f32], &mut [f32])) {
        let [depth, height, width] = self.size;
        for (c, to) in to.chunks_exact_mut(rows.count * row).enumerate().take(self.channels) {
            for (at, to) in to.chunks_exact_mut(row).enumerate() {
                match rows.row(at, height).filter(|_| rows.z < depth) {
                    Some(y) => {
                        let plane = (rows.sample * self.channels + c) * depth + rows.z;
                        copy(&self.values[(plane * height + y) * width..][..width], to);
                    }
                    None => to.fill(0.0),
                }
            }
        }
    }
}

/// How many planes a [`Ring`] holds; a block and its neighbours take four.
const KEPT: usize = 4;

/// The last planes that a walk along z has seen, so that each is copied once.
pub(super) struct Ring {
    planes: crate::scratch::Scratch,
    /// Values of a plane, and of one channel in it.
    plane: usize,
    channel: usize,
    /// The plane after the last that is there.
    next: usize,
}

impl Ring {
    /// A ring for planes of `channels` channels of `channel` values.
    pub fn new(channels: usize, channel: usize) -> Self {
        let plane = channels * channel;
        Self { planes: crate::scratch::Scratch::zeroed(KEPT * plane), plane, channel, next: 0 }
    }

    /// Copies the planes before `end` that are not there yet.
    #[inline(always)]
    pub fn advance(&mut self, end: usize, copy: impl Fn(usize, &mut [f32])) {
        while self.next < end {
            let at = self.next % KEPT * self.plane;
            copy(self.next, &mut self.planes[at..at + self.plane]);
            self.next += 1;
        }
    }

    /// `N` planes of a channel from plane `first` on, which may be −1: a plane of zeros, as long as it has not come to
    /// be overwritten.
    #[inline(always)]
    pub fn channel<const N: usize>(&self, first: isize, c: usize) -> [&[f32]; N] {
        let mut planes = [&[] as &[f32]; N];
        for n in 0..N {
            let at = (first + (KEPT + n) as isize) as usize % KEPT * self.plane + c * self.channel;
            planes[n] = &self.planes[at..at + self.channel];
        }
        planes
    }
}
