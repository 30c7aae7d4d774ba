//! The outlines of a mask along the edges of its pixels, and the mask back from outlines.
//!
//! Corners are points `[x, y]` of whole numbers: pixel (row, column) covers x from column to column + 1 and y from row
//! to row + 1. A mask that is outlined and filled again is the same.

use ndarray::{Array2, ArrayView2};

/// A closed line through corners; the last is joined to the first.
pub(crate) type Loop = Vec<[i32; 2]>;

/// Right, down, left, up.
const STEPS: [[i32; 2]; 4] = [[1, 0], [0, 1], [-1, 0], [0, -1]];

/// The outlines of the 4-connected parts of a mask, one for each. Holes are joined to the line around them by a channel
/// without width (the keyhole of PS3.3 C.8.8.6.3), so that one line says all.
pub(crate) fn outlines(mask: ArrayView2<bool>) -> Vec<Loop> {
    let (mut outer, mut holes): (Vec<Loop>, Vec<Loop>) = loops(mask).into_iter().partition(|line| area(line) > 0);
    // From left to right, so that what lies to the left of a hole has been joined already.
    holes.iter_mut().for_each(begin_at_leftmost);
    holes.sort_by_key(|hole| hole[0]);
    for hole in holes {
        join(&mut outer, hole);
    }
    outer.into_iter().map(|line| without_straight(&line)).collect()
}

/// All loops along pixel edges, with the mask on the right hand (y grows down): around parts clockwise, around holes
/// the other way.
fn loops(mask: ArrayView2<bool>) -> Vec<Loop> {
    let (rows, columns) = mask.dim();
    let inside = |x: i32, y: i32| {
        let place = (usize::try_from(y), usize::try_from(x));
        matches!(place, (Ok(y), Ok(x)) if y < rows && x < columns && mask[[y, x]])
    };
    // For each corner and direction, whether an edge begins there: the pixel to the right of it is inside, that to
    // the left is not.
    let edge = |[x, y]: [i32; 2], direction: usize| {
        let (right, left) = match direction {
            0 => ([x, y], [x, y - 1]),
            1 => ([x - 1, y], [x, y]),
            2 => ([x - 1, y - 1], [x - 1, y]),
            _ => ([x, y - 1], [x - 1, y - 1]),
        };
        inside(right[0], right[1]) && !inside(left[0], left[1])
    };
    let mut seen = Array2::from_elem((rows + 1, columns + 1), false);
    let mut found = Vec::new();
    for y in 0..=rows as i32 {
        for x in 0..=columns as i32 {
            // Every loop has an edge to the right.
            if seen[[y as usize, x as usize]] || !edge([x, y], 0) {
                continue;
            }
            let (mut at, mut direction, mut line) = ([x, y], 0, Vec::new());
            loop {
                if direction == 0 {
                    seen[[at[1] as usize, at[0] as usize]] = true;
                }
                line.push(at);
                at = [at[0] + STEPS[direction][0], at[1] + STEPS[direction][1]];
                // Right first: pixels that touch at a corner only are parts of their own.
                let turns = [direction + 1, direction, direction + 3].map(|d| d % 4);
                direction = turns.into_iter().find(|d| edge(at, *d)).unwrap_or(direction);
                if (at, direction) == ([x, y], 0) {
                    break;
                }
            }
            found.push(line);
        }
    }
    found
}

/// Twice the area; negative where the line runs the other way round, as around holes.
fn area(line: &[[i32; 2]]) -> i64 {
    let next = line.iter().cycle().skip(1);
    line.iter().zip(next).map(|(a, b)| i64::from(a[0]) * i64::from(b[1]) - i64::from(b[0]) * i64::from(a[1])).sum()
}

fn begin_at_leftmost(line: &mut Loop) {
    let leftmost = (0..line.len()).min_by_key(|n| line[*n]).unwrap_or(0);
    line.rotate_left(leftmost);
}

/// Joins a hole, which begins at its leftmost corner, to the line that lies next to the left of it.
fn join(outer: &mut [Loop], hole: Loop) {
    let [x, y] = hole[0];
    let left_of = |line: &Loop| {
        let corners = line.iter().enumerate().filter(|(_, corner)| corner[1] == y && corner[0] < x);
        corners.max_by_key(|(_, corner)| corner[0]).map(|(n, corner)| (corner[0], n))
    };
    let nearest = (0..outer.len()).filter_map(|n| left_of(&outer[n]).map(|(x, at)| (x, n, at))).max_by_key(|v| v.0);
    // A hole always lies in something.
    let Some((_, n, at)) = nearest else { return };
    let line = &mut outer[n];
    let back = [hole[0], line[at]];
    line.splice(at + 1..at + 1, hole.into_iter().chain(back));
}

/// Leaves out corners in the middle of straight stretches.
fn without_straight(line: &[[i32; 2]]) -> Loop {
    let count = line.len();
    let straight = |n: usize| {
        let (before, at, behind) = (line[(n + count - 1) % count], line[n], line[(n + 1) % count]);
        let (a, b) = ([at[0] - before[0], at[1] - before[1]], [behind[0] - at[0], behind[1] - at[1]]);
        // The way back through a channel is no straight stretch.
        a[0] * b[1] == a[1] * b[0] && a[0] * b[0] + a[1] * b[1] > 0
    };
    (0..count).filter(|n| !straight(*n)).map(|n| line[n]).collect()
}

/// Turns round every pixel of `mask` whose centre lies inside of a polygon (an odd number of edges to the left of it).
///
/// Points are `[x, y]` in pixels, with whole numbers at the corners of pixels.
pub(crate) fn fill(polygon: &[[f64; 2]], mask: &mut Array2<bool>) {
    let (rows, columns) = mask.dim();
    let mut crossings: Vec<f64> = Vec::new();
    let (low, high) = polygon.iter().fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p[1]), h.max(p[1])));
    let first = (low - 0.5).ceil().max(0.0) as usize;
    let last = (high - 0.5).floor().min(rows as f64 - 1.0);
    if last < 0.0 {
        return;
    }
    for row in first..=last as usize {
        let y = row as f64 + 0.5;
        crossings.clear();
        for (a, b) in polygon.iter().zip(polygon.iter().cycle().skip(1)) {
            // Half open, so that a corner on the line counts once.
            if (a[1] <= y) != (b[1] <= y) {
                crossings.push(a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]));
            }
        }
        crossings.sort_by(f64::total_cmp);
        for pair in crossings.chunks_exact(2) {
            let start = (pair[0] - 0.5).ceil().max(0.0) as usize;
            let end = ((pair[1] - 0.5).ceil().max(0.0) as usize).min(columns);
            for column in start..end {
                mask[[row, column]] ^= true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mask(rows: &[&str]) -> Array2<bool> {
        Array2::from_shape_fn((rows.len(), rows[0].len()), |(y, x)| rows[y].as_bytes()[x] == b'#')
    }

    fn filled(lines: &[Loop], shape: (usize, usize)) -> Array2<bool> {
        let mut mask = Array2::from_elem(shape, false);
        for line in lines {
            let polygon: Vec<[f64; 2]> = line.iter().map(|point| point.map(f64::from)).collect();
            fill(&polygon, &mut mask);
        }
        mask
    }

    #[test]
    fn a_part_is_outlined_by_its_corners() {
        assert_eq!(outlines(mask(&["....", ".##.", "...."]).view()), [[[1, 1], [3, 1], [3, 2], [1, 2]]]);
        let touching = outlines(mask(&["#.", ".#"]).view());
        assert_eq!(touching.len(), 2, "pixels that touch at a corner are two parts");
    }

    #[test]
    fn a_hole_is_joined_to_the_line_around_it() {
        let ring = mask(&["###", "#.#", "###"]);
        let lines = outlines(ring.view());
        assert_eq!(lines.len(), 1);
        assert_eq!(filled(&lines, (3, 3)), ring);
    }

    proptest! {
        #[test]
        fn what_is_outlined_and_filled_is_the_same(bits in prop::collection::vec(any::<bool>(), 63)) {
            let mask = Array2::from_shape_vec((7, 9), bits).unwrap();
            prop_assert_eq!(filled(&outlines(mask.view()), (7, 9)), mask);
        }
    }
}
