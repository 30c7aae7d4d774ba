//! The two diameters of a lesion in one slice.
//!
//! The long axis joins the two outer corners of voxels that are furthest apart; the short axis is the longest stretch
//! perpendicular to it within the outline that a tight band around the corners would have (their convex hull).

use crate::geometry::Geometry;

/// The voxels of a lesion in one row of a slice: from `first` to `last` along i, and perhaps some between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowSpan {
    /// The slice.
    pub k: usize,
    /// The row in the slice.
    pub j: usize,
    /// The first voxel along i.
    pub first: usize,
    /// The last voxel along i, not before the first.
    pub last: usize,
}

/// A straight line in a slice: its ends `[x, y]` in millimetres, see [`Plane`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line(pub [[f64; 2]; 2]);

/// Millimetres within the slices of a grid: x along i, y perpendicular to it on the side of j.
#[derive(Debug, Clone)]
pub struct Plane {
    /// RAS+ unit vectors of x and y.
    axes: [[f64; 3]; 2],
    /// A step along `[j, i]`, in `[x, y]`.
    steps: [[f64; 2]; 2],
}

impl Line {
    /// Its length in millimetres.
    pub fn length(&self) -> f64 {
        let [a, b] = self.0;
        (a[0] - b[0]).hypot(a[1] - b[1])
    }
}

impl Plane {
    /// The plane of the slices of a grid, which are those along k.
    pub fn of(geometry: &Geometry) -> Self {
        let ([_, dj, di], [_, sj, si]) = (geometry.directions(), geometry.spacing());
        let dot = |a: [f64; 3], b: [f64; 3]| (0..3).map(|axis| a[axis] * b[axis]).sum::<f64>();
        let along = dot(dj, di);
        let across: [f64; 3] = std::array::from_fn(|axis| dj[axis] - along * di[axis]);
        // A geometry is invertible, so its axes are not parallel and this is not 0.
        let length = dot(across, across).sqrt();
        Self { axes: [di, across.map(|v| v / length)], steps: [[sj * along, sj * length], [si, 0.0]] }
    }

    /// RAS+ displacement of `[x, y]` from the centre of the slice's first voxel.
    pub fn displacement(&self, [x, y]: [f64; 2]) -> [f64; 3] {
        std::array::from_fn(|axis| x * self.axes[0][axis] + y * self.axes[1][axis])
    }

    /// `[x, y]` of a corner: corner n along an axis lies between voxels n − 1 and n.
    fn corner(&self, [j, i]: [i64; 2]) -> [f64; 2] {
        let (j, i) = (j as f64 - 0.5, i as f64 - 0.5);
        std::array::from_fn(|axis| j * self.steps[0][axis] + i * self.steps[1][axis])
    }

    /// The corners of the convex hull of the voxels in rows of one slice, in order around it.
    ///
    /// The hull is found among whole numbers, exactly; it is the same in millimetres, which are linear in them.
    pub fn outline(&self, rows: &[RowSpan]) -> Vec<[f64; 2]> {
        let corners = rows.iter().flat_map(|row| {
            let (j, first, after) = (row.j as i64, row.first as i64, row.last as i64 + 1);
            [[j, first], [j, after], [j + 1, first], [j + 1, after]]
        });
        convex_hull(corners.collect()).into_iter().map(|corner| self.corner(corner)).collect()
    }
}

/// The two points of an `outline` that are furthest apart; of equal pairs the first.
pub fn longest(outline: &[[f64; 2]]) -> Line {
    let mut line = Line([[0.0; 2]; 2]);
    for (n, &a) in outline.iter().enumerate() {
        for &b in &outline[n + 1..] {
            if Line([a, b]).length() > line.length() {
                line = Line([a, b]);
            }
        }
    }
    line
}

/// The longest stretch within a convex `outline` that is perpendicular to `line`.
pub fn perpendicular(outline: &[[f64; 2]], line: &Line) -> Line {
    let [from, to] = line.0;
    let length = line.length().max(f64::MIN_POSITIVE);
    let along = [(to[0] - from[0]) / length, (to[1] - from[1]) / length];
    // Coordinates along the line and to the left of it.
    let turned: Vec<[f64; 2]> = outline
        .iter()
        .map(|point| {
            let (x, y) = (point[0] - from[0], point[1] - from[1]);
            [x * along[0] + y * along[1], y * along[0] - x * along[1]]
        })
        .collect();
    let back = |[t, s]: [f64; 2]| [from[0] + t * along[0] - s * along[1], from[1] + t * along[1] + s * along[0]];
    let mut widest = [[0.0; 2]; 2];
    // The width is concave along the line with bends at corners alone, so it is greatest at one of them.
    for &[t, _] in &turned {
        let (low, high) = extent_at(&turned, t);
        if high - low > widest[1][1] - widest[0][1] {
            widest = [[t, low], [t, high]];
        }
    }
    Line(widest.map(back))
}

/// The least and the greatest second coordinate of a convex outline where its first is `t`.
fn extent_at(outline: &[[f64; 2]], t: f64) -> (f64, f64) {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    let edges = outline.iter().zip(outline.iter().cycle().skip(1));
    for (&[t0, s0], &[t1, s1]) in edges {
        if t < t0.min(t1) || t > t0.max(t1) {
            continue;
        }
        let ends = if t0 == t1 { [s0, s1] } else { [s0 + (s1 - s0) * (t - t0) / (t1 - t0); 2] };
        for s in ends {
            (low, high) = (low.min(s), high.max(s));
        }
    }
    (low, high)
}

/// The corners of the convex hull, in order around it, without those on its straight edges (Andrew's monotone chain).
fn convex_hull(mut points: Vec<[i64; 2]>) -> Vec<[i64; 2]> {
    points.sort_unstable();
    points.dedup();
    let chain = |points: &mut dyn Iterator<Item = [i64; 2]>| {
        let mut chain: Vec<[i64; 2]> = Vec::new();
        for point in points {
            while let [.., a, b] = chain[..] {
                let turn = (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0]);
                if turn > 0 {
                    break;
                }
                chain.pop();
            }
            chain.push(point);
        }
        // The last point is the first of the other chain.
        chain.pop();
        chain
    };
    let mut hull = chain(&mut points.iter().copied());
    hull.extend(chain(&mut points.iter().rev().copied()));
    hull
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All corners of all voxels of a slice, and the rows they are in.
    fn corners_and_rows(slice: &[[bool; 9]; 7], plane: &Plane) -> (Vec<[f64; 2]>, Vec<RowSpan>) {
        let (mut corners, mut rows) = (Vec::new(), Vec::new());
        for (j, row) in slice.iter().enumerate() {
            for i in (0..9).filter(|&i| row[i]) {
                corners
                    .extend([[0, 0], [0, 1], [1, 0], [1, 1]].map(|[y, x]| plane.corner([j as i64 + y, i as i64 + x])));
            }
            if let (Some(first), Some(last)) = (row.iter().position(|&v| v), row.iter().rposition(|&v| v)) {
                rows.push(RowSpan { k: 0, j, first, last });
            }
        }
        (corners, rows)
    }

    /// Width of all that lies between any two corners, perpendicular to a line, at whichever corner it is greatest.
    fn brute_width(corners: &[[f64; 2]], line: &Line) -> f64 {
        let [from, to] = line.0;
        let along = [(to[0] - from[0]) / line.length(), (to[1] - from[1]) / line.length()];
        let turn = |p: &[f64; 2]| [p[0] * along[0] + p[1] * along[1], p[1] * along[0] - p[0] * along[1]];
        let turned: Vec<_> = corners.iter().map(turn).collect();
        let mut widest: f64 = 0.0;
        for &[t, s] in &turned {
            let (mut low, mut high) = (s, s);
            for a in &turned {
                for b in turned.iter().filter(|b| a[0] < t && t < b[0]) {
                    let s = a[1] + (b[1] - a[1]) * (t - a[0]) / (b[0] - a[0]);
                    (low, high) = (low.min(s), high.max(s));
                }
                if a[0] == t {
                    (low, high) = (low.min(a[1]), high.max(a[1]));
                }
            }
            widest = widest.max(high - low);
        }
        widest
    }

    prop_compose! {
        /// A slice of random voxels, at least one, and an oblique, sheared, anisotropic plane.
        fn blob()(
            bits in prop::collection::vec(0.0..1.0f64, 63),
            density in 0.02..0.9f64,
            kept in 0..63usize,
            spacing in prop::array::uniform3(0.4..3.0f64),
            askew in prop::array::uniform6(-0.5..0.5f64),
        ) -> ([[bool; 9]; 7], Plane) {
            let [a, b, c, d, e, f] = askew;
            let [i, j, k] = spacing;
            let affine = [[-i, i * a, b, 0.0], [i * c, j, d, 0.0], [i * e, j * f, k * 3.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
            let affine = Geometry::new(affine, [1, 7, 9])
                .unwrap_or_else(|_| Geometry::axis_aligned([1, 7, 9], [k, j, i]).unwrap());
            let is_set = |voxel: usize| bits[voxel] < density || voxel == kept;
            let slice = std::array::from_fn(|y| std::array::from_fn(|x| is_set(y * 9 + x)));
            (slice, Plane::of(&affine))
        }
    }

    proptest! {
        #[test]
        fn both_axes_are_those_that_trying_all_pairs_of_corners_finds((slice, plane) in blob()) {
            let (corners, rows) = corners_and_rows(&slice, &plane);
            let outline = plane.outline(&rows);
            let long = longest(&outline);
            let pairs = corners.iter().flat_map(|&a| corners.iter().map(move |&b| Line([a, b])));
            let brute = pairs.map(|line| line.length()).fold(0.0, f64::max);
            prop_assert!((long.length() - brute).abs() < 1e-9);
            let short = perpendicular(&outline, &long);
            prop_assert!((short.length() - brute_width(&corners, &long)).abs() < 1e-6);
            let direction = |line: &Line| [line.0[1][0] - line.0[0][0], line.0[1][1] - line.0[0][1]];
            let (a, b) = (direction(&long), direction(&short));
            prop_assert!((a[0] * b[0] + a[1] * b[1]).abs() < 1e-9 * long.length() * short.length().max(1.0));
            prop_assert!(short.length() <= long.length() + 1e-9);
        }

        #[test]
        fn distances_in_the_plane_are_those_in_the_patient((_, plane) in blob(), a in prop::array::uniform2(-9..9i64)) {
            let [x, y] = [0, 1].map(|axis| plane.corner(a)[axis] - plane.corner([0, 0])[axis]);
            let length = plane.displacement([x, y]).iter().map(|v| v * v).sum::<f64>().sqrt();
            prop_assert!((length - x.hypot(y)).abs() < 1e-9);
        }
    }

    #[test]
    fn one_voxel_is_as_long_as_its_diagonal() {
        let plane = Plane::of(&Geometry::axis_aligned([1, 1, 1], [5.0, 4.0, 3.0]).unwrap());
        let outline = plane.outline(&[RowSpan { k: 0, j: 0, first: 0, last: 0 }]);
        assert_eq!(outline.len(), 4);
        let long = longest(&outline);
        assert!((long.length() - 5.0).abs() < 1e-12);
        // The diagonal halves the voxel's area of 12 mm²; the width through a corner is 3 · 4 / 4 = 15/4 mm.
        assert!((perpendicular(&outline, &long).length() - 3.75).abs() < 1e-12);
    }
}
