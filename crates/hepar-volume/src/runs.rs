//! Connected runs of voxels, on which components and holes are built.
//!
//! A run is a stretch of equal voxels along i. A mask has far fewer runs than voxels, so the union–find works on runs
//! and touches each voxel only to find them and to write the result.

use std::ops::Range;

use ndarray::ArrayView3;

/// Which voxels are neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connectivity {
    /// The 6 that share a face.
    Faces6,
    /// The 18 that share a face or an edge.
    Edges18,
    /// The 26 that share a face, an edge or a corner.
    Corners26,
}

impl Connectivity {
    /// Neighbouring rows that come earlier in array order: how many slices and rows before (a row after counts
    /// negative), and how far along i two neighbouring voxels in the two rows may be apart.
    fn earlier_rows(self) -> &'static [(usize, isize, usize)] {
        match self {
            Self::Faces6 => &[(0, 1, 0), (1, 0, 0)],
            Self::Edges18 => &[(0, 1, 1), (1, 1, 0), (1, 0, 1), (1, -1, 0)],
            Self::Corners26 => &[(0, 1, 1), (1, 1, 1), (1, 0, 1), (1, -1, 1)],
        }
    }
}

/// The runs of a mask, in array order, and which component each belongs to.
pub(crate) struct Runs {
    shape: [usize; 3],
    /// Voxels along i of each run.
    spans: Vec<Range<usize>>,
    /// Position in `spans` of the first run of each row; one more entry ends the last row.
    rows: Vec<usize>,
    /// Component of each run; components are numbered from 0 in array order of their first voxel.
    component: Vec<usize>,
    /// Number of voxels of each component.
    sizes: Vec<usize>,
}

impl Runs {
    /// The connected runs of the voxels of `mask`, `[k, j, i]`, that are `value`.
    pub(crate) fn connected(mask: ArrayView3<bool>, value: bool, connectivity: Connectivity) -> Self {
        let (depth, height, width) = mask.dim();
        let (spans, rows) = find_spans(mask, value);
        let mut parents: Vec<usize> = (0..spans.len()).collect();
        for k in 0..depth {
            for j in 0..height {
                for &(slices, steps, apart) in connectivity.earlier_rows() {
                    let (Some(slice), Some(row)) = (k.checked_sub(slices), j.checked_add_signed(-steps)) else {
                        continue;
                    };
                    if row < height {
                        let (this, earlier) = (k * height + j, slice * height + row);
                        let range = |row: usize| rows[row]..rows[row + 1];
                        join(&mut parents, &spans, range(earlier), range(this), apart);
                    }
                }
            }
        }
        let (component, sizes) = number(&mut parents, &spans);
        Self { shape: [depth, height, width], spans, rows, component, sizes }
    }

    /// Number of voxels of each component; the components are in array order of their first voxels.
    pub(crate) fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// Every run as its component, its slice k, its row j and its voxels along i; in array order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, usize, usize, Range<usize>)> + '_ {
        let height = self.shape[1];
        self.rows.windows(2).enumerate().flat_map(move |(row, bounds)| {
            (bounds[0]..bounds[1])
                .map(move |run| (self.component[run], row / height, row % height, self.spans[run].clone()))
        })
    }

    /// The runs of one C-ordered array of the mask's shape: their components and their voxels' positions in it.
    pub(crate) fn positions(&self) -> impl Iterator<Item = (usize, Range<usize>)> + '_ {
        let [_, height, width] = self.shape;
        self.iter().map(move |(component, k, j, along)| {
            let row = (k * height + j) * width;
            (component, row + along.start..row + along.end)
        })
    }
}

/// The stretches of `value` in each row, and where each row's begin.
fn find_spans(mask: ArrayView3<bool>, value: bool) -> (Vec<Range<usize>>, Vec<usize>) {
    let mut spans = Vec::new();
    let mut rows = vec![0];
    let mut copy = Vec::new();
    for row in mask.rows() {
        match row.to_slice() {
            Some(row) => push_spans(row, value, &mut spans),
            None => {
                copy.clear();
                copy.extend(row.iter().copied());
                push_spans(&copy, value, &mut spans);
            }
        }
        rows.push(spans.len());
    }
    (spans, rows)
}

fn push_spans(row: &[bool], value: bool, spans: &mut Vec<Range<usize>>) {
    let mut from = 0;
    while let Some(skipped) = row[from..].iter().position(|&v| v == value) {
        let start = from + skipped;
        let end = row[start..].iter().position(|&v| v != value).map_or(row.len(), |length| start + length);
        spans.push(start..end);
        from = end;
    }
}

/// Unites the runs of two rows that touch when voxels at most `apart` from each other along i are neighbours.
fn join(parents: &mut [usize], spans: &[Range<usize>], a: Range<usize>, b: Range<usize>, apart: usize) {
    let (mut x, mut y) = (a.start, b.start);
    while x < a.end && y < b.end {
        if spans[x].start < spans[y].end + apart && spans[y].start < spans[x].end + apart {
            unite(parents, x, y);
        }
        // Runs of a row have a voxel between them, so the one that ends first does not reach the other row's next one.
        if spans[x].end <= spans[y].end { x += 1 } else { y += 1 }
    }
}

/// The first run of a component; the way there is shortened.
fn find(parents: &mut [usize], mut run: usize) -> usize {
    while parents[run] != run {
        parents[run] = parents[parents[run]];
        run = parents[run];
    }
    run
}

fn unite(parents: &mut [usize], a: usize, b: usize) {
    let (a, b) = (find(parents, a), find(parents, b));
    // The earlier run is the root, so that roots come in array order.
    parents[a.max(b)] = a.min(b);
}

/// Components numbered in array order, and their sizes in voxels.
fn number(parents: &mut [usize], spans: &[Range<usize>]) -> (Vec<usize>, Vec<usize>) {
    let mut component = Vec::with_capacity(spans.len());
    let mut sizes = Vec::new();
    for run in 0..spans.len() {
        let root = find(parents, run);
        if root == run {
            component.push(sizes.len());
            sizes.push(0);
        } else {
            component.push(component[root]);
        }
        sizes[component[run]] += spans[run].len();
    }
    (component, sizes)
}
