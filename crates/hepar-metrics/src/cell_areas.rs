//! The area of the surface inside a cell between eight voxel centres, by which of them belong to a mask.
//!
//! A cell is the cube between the centres of 2×2×2 voxels. The surface cuts every edge of it that joins a voxel of the
//! mask and one outside in its middle; the cuts form closed polygons around the voxels that are fewer. On a face with
//! two voxels of each kind at opposite corners, the polygons keep the fewer kind of the whole cell apart, and those of
//! the mask when there are four of each. A polygon that is not flat is cut into the triangles that have the greatest
//! area for voxels that are cubes. That gives the areas of the surface elements of DeepMind's `surface-distance`, by
//! which surface Dice is defined (Nikolov et al., arXiv 1809.04430), for any spacing.

/// A corner of a cell: bit `4k + 2j + i` of a code says whether the voxel there belongs to the mask.
type Corner = [usize; 3];

/// The edge between two corners, the one with the lower bit first.
type Edge = [Corner; 2];

/// Areas of the surface in a cell by its code, in mm²; `spacing` in millimetres along `[k, j, i]`.
pub(crate) fn cell_areas(spacing: [f64; 3]) -> [f64; 256] {
    std::array::from_fn(|code| {
        let fewer = if code.count_ones() <= 4 { code } else { 255 - code };
        polygons(fewer).iter().map(|polygon| area(polygon, spacing)).sum()
    })
}

fn corners() -> impl Iterator<Item = Corner> {
    (0..8).map(|bit| [bit >> 2 & 1, bit >> 1 & 1, bit & 1])
}

fn is_in(code: usize, [k, j, i]: Corner) -> bool {
    code >> (4 * k + 2 * j + i) & 1 == 1
}

/// The edges of a cell that the surface cuts.
fn cuts(code: usize) -> Vec<Edge> {
    let edges = corners().flat_map(|a| (0..3).filter(move |&axis| a[axis] == 0).map(move |axis| [a, raised(a, axis)]));
    edges.filter(|[a, b]| is_in(code, *a) != is_in(code, *b)).collect()
}

fn raised(mut corner: Corner, axis: usize) -> Corner {
    corner[axis] = 1;
    corner
}

/// Polygons around the corners that belong to the code, as the middles of the edges that they cut, in voxels.
fn polygons(code: usize) -> Vec<Vec<[f64; 3]>> {
    let edges = cuts(code);
    let mut open = vec![true; edges.len()];
    let mut polygons = Vec::new();
    while let Some(first) = open.iter().position(|&open| open) {
        let mut polygon = Vec::new();
        let mut next = Some(first);
        while let Some(edge) = next {
            open[edge] = false;
            polygon.push([0, 1, 2].map(|axis| (edges[edge][0][axis] + edges[edge][1][axis]) as f64 / 2.0));
            next = (0..edges.len()).find(|&other| open[other] && are_joined(code, &edges, edge, other));
        }
        polygons.push(polygon);
    }
    polygons
}

/// Whether the surface runs from one cut edge straight to another, across the face that they share.
fn are_joined(code: usize, edges: &[Edge], a: usize, b: usize) -> bool {
    (0..3).flat_map(|axis| [(axis, 0), (axis, 1)]).any(|(axis, side)| {
        let on_face = |edge: &Edge| edge.iter().all(|corner| corner[axis] == side);
        if !on_face(&edges[a]) || !on_face(&edges[b]) {
            return false;
        }
        let inside = |edge: &Edge| edge.iter().copied().find(|corner| is_in(code, *corner));
        let is_ambiguous = edges.iter().filter(|edge| on_face(edge)).count() == 4;
        !is_ambiguous || inside(&edges[a]) == inside(&edges[b])
    })
}

/// Area of a polygon, cut as it has the greatest area among cubes, in mm².
fn area(polygon: &[[f64; 3]], spacing: [f64; 3]) -> f64 {
    let mut best = (f64::NEG_INFINITY, 0.0);
    for triangles in triangulations(0, polygon.len() - 1) {
        let sum = |spacing| triangles.iter().map(|corners| triangle(corners.map(|n| polygon[n]), spacing)).sum::<f64>();
        let among_cubes = sum([1.0; 3]);
        // Those that are equal but for rounding have equal areas for any spacing too.
        if among_cubes > best.0 + 1e-9 {
            best = (among_cubes, sum(spacing));
        }
    }
    best.1
}

/// All ways to cut the corners from `first` to `last` of a polygon into triangles.
fn triangulations(first: usize, last: usize) -> Vec<Vec<[usize; 3]>> {
    if last - first < 2 {
        return vec![Vec::new()];
    }
    let mut ways = Vec::new();
    for middle in first + 1..last {
        for before in triangulations(first, middle) {
            for after in triangulations(middle, last) {
                ways.push([&before[..], &after, &[[first, middle, last]]].concat());
            }
        }
    }
    ways
}

/// Area of a triangle whose corners are in voxels, in mm².
fn triangle([a, b, c]: [[f64; 3]; 3], spacing: [f64; 3]) -> f64 {
    let side = |to: [f64; 3]| [0, 1, 2].map(|axis| (to[axis] - a[axis]) * spacing[axis]);
    let ([x1, y1, z1], [x2, y2, z2]) = (side(b), side(c));
    let cross = [y1 * z2 - z1 * y2, z1 * x2 - x1 * z2, x1 * y2 - y1 * x2];
    0.5 * cross.iter().map(|v| v * v).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_surfaces_have_the_area_of_the_cell() {
        let areas = cell_areas([2.0, 3.0, 5.0]);
        assert_eq!((areas[0], areas[255]), (0.0, 0.0));
        // The lower slice is in: the surface is a face along j and i.
        assert!((areas[0b0000_1111] - 15.0).abs() < 1e-12);
        assert!((areas[0b0011_0011] - 10.0).abs() < 1e-12);
        assert!((areas[0b0101_0101] - 6.0).abs() < 1e-12);
    }

    #[test]
    fn a_single_corner_is_cut_by_one_triangle() {
        let areas = cell_areas([1.0; 3]);
        assert!((0..8).all(|bit| (areas[1 << bit] - 3f64.sqrt() / 8.0).abs() < 1e-12));
        // Two corners that do not touch have two.
        assert!((areas[0b1000_0001] - 3f64.sqrt() / 4.0).abs() < 1e-12);
    }

    #[test]
    fn the_outside_has_the_surface_of_the_inside() {
        let areas = cell_areas([1.3, 0.7, 2.1]);
        assert!((0..256usize).filter(|code| code.count_ones() != 4).all(|code| areas[code] == areas[255 - code]));
    }
}
