//! Maps with a border of zeros, in which every tap of a kernel is a fixed distance away.

use std::ops::Deref;

use rayon::prelude::*;

use super::ConvShape;
use crate::scratch::Scratch;

/// Maps with their border of zeros.
pub(super) enum Padded<'a> {
    /// There is no border: the maps themselves.
    Same(&'a [f32]),
    /// A copy with a border.
    Copy(Scratch),
}

impl Deref for Padded<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Same(maps) => maps,
            Self::Copy(maps) => maps,
        }
    }
}

/// The layout of a map with its border.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    size: [usize; 3],
    border: [usize; 3],
}

impl Frame {
    pub fn new(shape: &ConvShape) -> Self {
        Self { size: shape.size, border: shape.kernel.map(|side| side / 2) }
    }

    /// Values of a row with its border.
    pub fn row(&self) -> usize {
        self.size[2] + 2 * self.border[2]
    }

    /// Values of a plane with its border.
    pub fn plane(&self) -> usize {
        (self.size[1] + 2 * self.border[1]) * self.row()
    }

    /// Values of a map with its border.
    pub fn map(&self) -> usize {
        (self.size[0] + 2 * self.border[0]) * self.plane()
    }

    /// Length of the run that holds the outputs of one plane: from the first output to the last, with the border
    /// columns between rows.
    pub fn run(&self) -> usize {
        (self.size[1] - 1) * self.row() + self.size[2]
    }

    /// How far each tap of each input channel is from the start of a run, kernels in C order `[in, d, h, w]`.
    pub fn distances(&self, shape: &ConvShape) -> Vec<usize> {
        let [kd, kh, kw] = shape.kernel;
        let tap = |t: usize| (t / (kh * kw)) * self.plane() + (t / kw % kh) * self.row() + t % kw;
        (0..shape.inputs).flat_map(|i| (0..kd * kh * kw).map(move |t| i * self.map() + tap(t))).collect()
    }

    /// The maps `x`, `maps × d × h × w`, each with its border of zeros; `x` itself where there is no border.
    pub fn pad<'a>(&self, x: &'a [f32]) -> Padded<'a> {
        if self.border == [0; 3] {
            return Padded::Same(x);
        }
        let [d, h, w] = self.size;
        let [bd, bh, bw] = self.border;
        let maps = x.len() / (d * h * w);
        let mut padded = Scratch::take(maps * self.map());
        padded.par_chunks_mut(self.map()).zip(x.par_chunks(d * h * w)).for_each(|(to, from)| {
            to.fill(0.0);
            for (row, values) in from.chunks_exact(w).enumerate() {
                let start = (row / h + bd) * self.plane() + (row % h + bh) * self.row() + bw;
                to[start..start + w].copy_from_slice(values);
            }
        });
        Padded::Copy(padded)
    }

    /// Copies the outputs of a run into the rows of a plane.
    pub fn unpad_plane(&self, run: &[f32], plane: &mut [f32]) {
        for (values, row) in plane.chunks_exact_mut(self.size[2]).zip(run.chunks(self.row())) {
            values.copy_from_slice(&row[..self.size[2]]);
        }
    }

    /// Copies the rows of a plane into a run, with zeros between them.
    pub fn pad_run(&self, plane: &[f32], run: &mut [f32]) {
        for (values, row) in plane.chunks_exact(self.size[2]).zip(run.chunks_mut(self.row())) {
            let (inside, between) = row.split_at_mut(self.size[2]);
            inside.copy_from_slice(values);
            between.fill(0.0);
        }
    }
}
