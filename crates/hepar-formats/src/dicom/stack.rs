//! Slices of one orientation as one volume: order, gaps, tilt.

use hepar_volume::Geometry;

use crate::dicom::error::StackProblem;
use crate::dicom::plane::Plane;
use crate::dicom::vectors::{Vector, add, dot, flipped, length, minus, times};
use crate::warning::Warning;

/// Slices nearer than this, in millimetres, lie at one place.
const SAME_PLACE: f64 = 0.01;

/// A slice may be off the regular grid by this share of the distance of slices: positions are rounded text.
const OFF_GRID: f64 = 0.05;

/// Widest gap, in millimetres between neighbouring slices, that is filled by interpolation, or this many times the
/// usual distance if that is less: what lies in a wider one is not known.
const WIDEST_GAP: f64 = 15.0;
const WIDEST_GAP_IN_SLICES: f64 = 4.0;

/// Slices may be shifted in their plane by this share of a pixel against one another.
const OFF_AXIS: f64 = 0.5;

/// A tilt that moves slices by less than this share of a pixel in all is none.
const NO_TILT: f64 = 0.5;

/// By how many millimetres for each one along the normal slices of a tilted gantry shift at most: 45 degrees, where
/// gantries tilt by up to 30.
const STEEPEST: f64 = 1.0;

/// How many neighbours of each of two scans have slices of the other between them, at least, where the two lie between one
/// another: one of each has where a scan begins before the other ends.
const PARTED: usize = 2;

/// How a volume is made from slices.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    /// Grid of the volume, `[k, j, i]` = slices, rows, columns.
    pub(crate) geometry: Geometry,
    /// For each slice of the volume.
    pub(crate) slices: Vec<GridSlice>,
    /// For each of the given slices, in the given order.
    pub(crate) placed: Vec<Placed>,
    pub(crate) warnings: Vec<Warning>,
}

/// What a slice of the volume is made from: indices of given slices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct GridSlice {
    pub(crate) below: usize,
    pub(crate) above: usize,
    /// Share of the slice above, 0 to 1; 0 where the one below is taken as it is.
    pub(crate) weight: f64,
}

/// Where a given slice is in the volume.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Placed {
    /// The slice of the volume.
    pub(crate) k: usize,
    /// Its first pixel is this many rows and columns from the volume's first.
    pub(crate) shift: [f64; 2],
}

impl Placed {
    /// Rows and columns of the volume before those of the slice, to the nearest voxel.
    pub(crate) fn offset(&self) -> [usize; 2] {
        self.shift.map(|shift| shift.round() as usize)
    }
}

/// A given slice.
struct Slice {
    given: usize,
    /// Position along the normal, in millimetres.
    at: f64,
}

/// Orders slices and finds the grid that they are on.
///
/// `planes` are parallel, at least one, and no two at one place. `shape` holds their rows and columns, `thickness` that
/// of the first. With `strict`, what would be mended is refused.
///
/// # Errors
/// When a gap is too wide, or slices do not lie behind one another.
pub(crate) fn stack(
    planes: &[Plane],
    shape: [usize; 2],
    thickness: Option<f64>,
    strict: bool,
) -> Result<Stack, StackProblem> {
    let normal = planes[0].normal();
    let order = ordered(planes, normal);
    let (mut warnings, mut mended) = (Vec::new(), Vec::new());
    let spacing = usual_distance(&order, thickness)?;
    let slices = regular(&order, spacing, &mut mended)?;
    let spacing = slices.spacing;
    let tilt = tilt(planes, &order, shape, &mut mended)?;
    if let (true, Some(first)) = (strict, mended.first()) {
        return Err(StackProblem::Strict(first.to_string()));
    }
    warnings.extend(mended);

    // Rows and columns of the volume that are before and behind those of the first slice.
    let first = &planes[order[0].given];
    let reach = (order[order.len() - 1].at - order[0].at).max(0.0);
    let shift_of = |at: f64| [tilt[0] * (at - order[0].at), tilt[1] * (at - order[0].at)];
    let whole_shift = shift_of(order[0].at + reach);
    // What is a whole number but for rounding needs no further row.
    let rows_for = |shift: f64| (shift - 1e-6).ceil().max(0.0);
    let (before, behind) = (whole_shift.map(|shift| rows_for(-shift)), whole_shift.map(rows_for));
    let grown = [0, 1].map(|axis| shape[axis] + (before[axis] + behind[axis]) as usize);

    let origin = first.point(-before[1], -before[0]);
    let columns = [
        flipped(times(first.along_row, first.spacing[1])),
        flipped(times(first.along_column, first.spacing[0])),
        flipped(times(normal, spacing)),
        flipped(origin),
    ];
    let row = |axis: usize| [columns[0][axis], columns[1][axis], columns[2][axis], columns[3][axis]];
    let affine = [row(0), row(1), row(2), [0.0, 0.0, 0.0, 1.0]];
    let geometry = Geometry::new(affine, [slices.grid.len(), grown[0], grown[1]])
        .map_err(|error| StackProblem::Grid(error.to_string()))?;

    let mut placed = vec![Placed { k: 0, shift: [0.0; 2] }; planes.len()];
    for slice in &order {
        let k = ((slice.at - order[0].at) / spacing).round() as usize;
        let shift = shift_of(slice.at);
        placed[slice.given] =
            Placed { k: k.min(slices.grid.len() - 1), shift: [shift[0] + before[0], shift[1] + before[1]] };
    }
    Ok(Stack { geometry, slices: slices.grid, placed, warnings })
}

/// Slices in the order in which they lie along the normal.
fn ordered(planes: &[Plane], normal: Vector) -> Vec<Slice> {
    let mut order: Vec<Slice> =
        planes.iter().enumerate().map(|(given, plane)| Slice { given, at: dot(plane.position, normal) }).collect();
    order.sort_by(|a, b| a.at.total_cmp(&b.at));
    order
}

/// The distance that most neighbours have; of a single slice its thickness.
fn usual_distance(order: &[Slice], thickness: Option<f64>) -> Result<f64, StackProblem> {
    let mut distances: Vec<f64> = order.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    distances.sort_by(f64::total_cmp);
    match distances.get(distances.len() / 2) {
        Some(median) => Ok(*median),
        None => thickness.filter(|mm| (1e-3..=1000.0).contains(mm)).ok_or(StackProblem::NoThickness),
    }
}

/// Slices at equal distances.
struct Regular {
    grid: Vec<GridSlice>,
    spacing: f64,
}

/// Slices at equal distances from given ones: as they are where that fits, interpolated elsewhere.
fn regular(order: &[Slice], usual: f64, mended: &mut Vec<Warning>) -> Result<Regular, StackProblem> {
    let as_given = |n: usize| GridSlice { below: order[n].given, above: order[n].given, weight: 0.0 };
    let (first, count) = (order[0].at, order.len());
    if count == 1 {
        return Ok(Regular { grid: vec![as_given(0)], spacing: usual });
    }
    // The mean distance is exact where rounding has made each a little wrong.
    let mean = (order[count - 1].at - first) / (count - 1) as f64;
    let fits = |spacing: f64| {
        let off = |(n, slice): (usize, &Slice)| ((slice.at - first) / spacing - n as f64).abs();
        order.iter().enumerate().map(off).fold(0.0, f64::max) <= OFF_GRID
    };
    if fits(mean) {
        return Ok(Regular { grid: (0..count).map(as_given).collect(), spacing: mean });
    }
    let widest = WIDEST_GAP.min(WIDEST_GAP_IN_SLICES * usual).max(1.5 * usual);
    if let Some(pair) = order.windows(2).find(|pair| pair[1].at - pair[0].at > widest) {
        return Err(StackProblem::Gap { gap: pair[1].at - pair[0].at, at: pair[0].at, spacing: usual });
    }
    let steps = ((order[count - 1].at - first) / usual).round().max(1.0) as usize;
    let spacing = (order[count - 1].at - first) / steps as f64;
    let mut below = 0;
    let mut interpolated = 0;
    let grid: Vec<GridSlice> = (0..=steps)
        .map(|k| {
            let at = first + k as f64 * spacing;
            while below + 2 < count && order[below + 1].at <= at {
                below += 1;
            }
            let width = order[below + 1].at - order[below].at;
            let weight = ((at - order[below].at) / width).clamp(0.0, 1.0);
            // The nearer one is taken as it is when it lies on the grid.
            if (at - order[below].at).abs() <= OFF_GRID * spacing {
                as_given(below)
            } else if (order[below + 1].at - at).abs() <= OFF_GRID * spacing {
                as_given(below + 1)
            } else {
                interpolated += 1;
                GridSlice { below: order[below].given, above: order[below + 1].given, weight }
            }
        })
        .collect();
    let nearest = order.windows(2).map(|pair| pair[1].at - pair[0].at).fold(f64::MAX, f64::min);
    let farthest = order.windows(2).map(|pair| pair[1].at - pair[0].at).fold(0.0, f64::max);
    mended.push(Warning::SlicesInterpolated { interpolated, given: count, nearest, farthest, spacing });
    Ok(Regular { grid, spacing })
}

/// By how many rows and columns slices of `shape` shift for each millimetre along the normal: what a tilted gantry
/// does.
fn tilt(
    planes: &[Plane],
    order: &[Slice],
    shape: [usize; 2],
    mended: &mut Vec<Warning>,
) -> Result<[f64; 2], StackProblem> {
    let first = &planes[order[0].given];
    let last = &order[order.len() - 1];
    let reach = last.at - order[0].at;
    if reach < SAME_PLACE {
        return Ok([0.0; 2]);
    }
    let shift = |slice: &Slice| {
        let [column, row] = first.pixel(planes[slice.given].position);
        [row, column]
    };
    let whole = shift(last);
    let tilt = whole.map(|pixels| pixels / reach);
    let off = |slice: &Slice| {
        let (there, by) = (shift(slice), slice.at - order[0].at);
        (there[0] - tilt[0] * by).abs().max((there[1] - tilt[1] * by).abs())
    };
    let farthest = order.iter().map(off).fold(0.0, f64::max);
    let pixel = first.spacing[0].max(first.spacing[1]);
    // A stack that is upright but for one slice is not tilted.
    let upright =
        order.iter().map(|slice| shift(slice).iter().fold(0.0, |m: f64, s| m.max(s.abs()))).fold(0.0, f64::max);
    if upright <= NO_TILT {
        return Ok([0.0; 2]);
    }
    if farthest > OFF_AXIS {
        return Err(StackProblem::Shifted { by: farthest * pixel });
    }
    let upwards = times(first.normal(), reach);
    let sideways = length(minus(planes[last.given].position, add(first.position, upwards)));
    // The upright volume holds first and last slice side by side: without bounds, small files would need much memory.
    let apart = (0..2).any(|axis| whole[axis].abs() > shape[axis] as f64 + NO_TILT);
    if apart || sideways > STEEPEST * reach {
        return Err(StackProblem::Shifted { by: sideways });
    }
    mended.push(Warning::TiltCorrected { degrees: (sideways / reach).atan().to_degrees() });
    Ok(tilt)
}

/// Whether of several scans, each of three slices or more, two lie between one another. The slices of all are parallel.
///
/// Neighbours of one that are as far apart as most have slices of the other between them, and the other way round: what
/// lies in a hole does not count. Scans of fewer slices, or of slices at all distances, are passed over.
pub(crate) fn overlap(scans: &[Vec<Plane>]) -> bool {
    let Some(normal) = scans.iter().flatten().next().map(Plane::normal) else { return false };
    let mut rows: Vec<Row> = scans.iter().filter_map(|planes| Row::of(planes, normal)).collect();
    rows.sort_by(|a, b| a.at[0].total_cmp(&b.at[0]));
    rows.iter().enumerate().any(|(n, lower)| {
        let end = lower.at[lower.at.len() - 1];
        let mut begun = rows[n + 1..].iter().take_while(|upper| upper.at[0] < end);
        begun.any(|upper| lower.parted_by(upper) >= PARTED && upper.parted_by(lower) >= PARTED)
    })
}

/// Three slices or more, most of which are equally far apart.
struct Row {
    /// Positions along the normal, in millimetres, from the least.
    at: Vec<f64>,
    /// The distance of most neighbours.
    usual: f64,
}

impl Row {
    /// `None` of fewer slices, or others.
    fn of(planes: &[Plane], normal: Vector) -> Option<Self> {
        let order = ordered(planes, normal);
        let usual = usual_distance(&order, None).ok()?;
        let row = Self { at: order.iter().map(|slice| slice.at).collect(), usual };
        (order.len() >= 3 && 2 * row.neighbours().count() > order.len() - 1).then_some(row)
    }

    /// Slices next to one another at the usual distance.
    fn neighbours(&self) -> impl Iterator<Item = [f64; 2]> {
        // Both may be off the grid.
        let is_usual = move |pair: &[f64; 2]| (pair[1] - pair[0] - self.usual).abs() <= 2.0 * OFF_GRID * self.usual;
        self.at.windows(2).map(|pair| [pair[0], pair[1]]).filter(is_usual)
    }

    /// How many neighbours have a slice of `other` between them.
    fn parted_by(&self, other: &Self) -> usize {
        let has_one = |[below, above]: &[f64; 2]| {
            let next = other.at.partition_point(|at| at <= below);
            other.at.get(next).is_some_and(|at| at < above)
        };
        self.neighbours().filter(has_one).count()
    }
}

/// Groups of slices, by index, that lie at one place.
pub(crate) fn at_one_place(planes: &[Plane]) -> Vec<Vec<usize>> {
    let Some(first) = planes.first() else { return Vec::new() };
    let normal = first.normal();
    let mut order: Vec<usize> = (0..planes.len()).collect();
    let at = |n: &usize| dot(planes[*n].position, normal);
    order.sort_by(|a, b| at(a).total_cmp(&at(b)).then(a.cmp(b)));
    let same = |a: &usize, b: &usize| (at(a) - at(b)).abs() < SAME_PLACE;
    order.chunk_by(same).map(<[usize]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planes(positions: impl IntoIterator<Item = Vector>) -> Vec<Plane> {
        let plane = |position| Plane {
            position,
            along_row: [1.0, 0.0, 0.0],
            along_column: [0.0, 1.0, 0.0],
            spacing: [0.8, 0.7],
        };
        positions.into_iter().map(plane).collect()
    }

    fn along(zs: &[f64]) -> Vec<Plane> {
        planes(zs.iter().map(|z| [-100.0, -90.0, *z]))
    }

    fn stacked(planes: &[Plane]) -> Result<Stack, StackProblem> {
        stack(planes, [20, 30], Some(5.0), false)
    }

    #[test]
    fn slices_are_ordered_along_the_normal_whatever_order_they_come_in() {
        let stack = stacked(&along(&[7.0, 2.0, 4.5])).unwrap();
        assert_eq!(stack.slices.iter().map(|slice| slice.below).collect::<Vec<_>>(), [1, 2, 0]);
        assert_eq!(stack.placed.iter().map(|placed| placed.k).collect::<Vec<_>>(), [2, 0, 1]);
        assert_eq!(stack.geometry.spacing(), [2.5, 0.8, 0.7]);
        assert_eq!(stack.geometry.to_world([0.0; 3]).0, [100.0, 90.0, 2.0]);
        assert_eq!(stack.geometry.to_world([2.0, 1.0, 1.0]).0, [99.3, 89.2, 7.0]);
        assert!(stack.warnings.is_empty());
    }

    #[test]
    fn a_sagittal_series_runs_where_its_normal_points() {
        let plane = |x: f64| Plane {
            position: [x, -90.0, 50.0],
            along_row: [0.0, 1.0, 0.0],
            along_column: [0.0, 0.0, -1.0],
            spacing: [1.0, 1.0],
        };
        let stack = stacked(&[plane(0.0), plane(-3.0), plane(-6.0)]).unwrap();
        // The normal is −x in LPS, +x in RAS.
        assert_eq!(stack.geometry.to_world([2.0, 0.0, 0.0]).0, [6.0, 90.0, 50.0]);
        assert_eq!(stack.geometry.directions()[0], [1.0, 0.0, 0.0]);
    }

    #[test]
    fn rounded_positions_are_a_regular_grid() {
        let zs: Vec<f64> = (0..200).map(|n| (f64::from(n) * 0.6667 * 100.0).round() / 100.0).collect();
        let stack = stacked(&along(&zs)).unwrap();
        assert!(stack.warnings.is_empty());
        assert!((stack.geometry.spacing()[0] - 0.6667).abs() < 1e-4);
    }

    #[test]
    fn a_missing_slice_is_interpolated_and_reported_or_refused() {
        let planes = along(&[0.0, 2.0, 4.0, 8.0, 10.0]);
        let stack = stacked(&planes).unwrap();
        assert_eq!(stack.slices.len(), 6);
        assert_eq!(stack.slices[3], GridSlice { below: 2, above: 3, weight: 0.5 });
        assert_eq!(stack.placed[4].k, 5);
        assert!(matches!(stack.warnings[..], [Warning::SlicesInterpolated { interpolated: 1, .. }]));
        let strict = super::stack(&planes, [20, 30], None, true).unwrap_err();
        assert!(matches!(strict, StackProblem::Strict(_)));
        let wide = stacked(&along(&[0.0, 2.0, 4.0, 30.0, 32.0])).unwrap_err();
        assert_eq!(wide, StackProblem::Gap { gap: 26.0, at: 4.0, spacing: 2.0 });
    }

    #[test]
    fn a_tilted_gantry_is_corrected_by_shearing() {
        let tilted = planes((0..10).map(|n| [-100.0, -90.0 - 1.2 * f64::from(n), 5.0 * f64::from(n)]));
        let stack = stacked(&tilted).unwrap();
        // 1.2 mm a slice are 1.5 rows; the volume grows by the 13.5 rows of all.
        assert_eq!(stack.geometry.shape(), [10, 34, 30]);
        assert!((stack.placed[9].shift[0] - 0.5).abs() < 1e-9 && stack.placed[0].shift[0] == 14.0);
        let corner = stack.geometry.to_world([0.0, 14.0, 0.0]).0;
        assert!((corner[1] - 90.0).abs() < 1e-9, "{corner:?}");
        let Warning::TiltCorrected { degrees } = stack.warnings[0] else { panic!("{:?}", stack.warnings) };
        assert!((degrees - 13.5).abs() < 0.05, "{degrees}");
    }

    #[test]
    fn slices_beside_one_another_are_refused() {
        let mut shifted = along(&[0.0, 2.0, 4.0, 6.0]);
        shifted[1].position[0] += 30.0;
        assert!(matches!(stacked(&shifted).unwrap_err(), StackProblem::Shifted { .. }));
    }

    #[test]
    fn slices_beside_one_another_are_no_tilted_gantry_of_nearly_90_degrees() {
        let beside = planes([[0.0; 3], [290.0, 0.0, 2.0]]);
        let StackProblem::Shifted { by } = stacked(&beside).unwrap_err() else { panic!("not refused") };
        assert!((by - 290.0).abs() < 1e-9);
        let steep = |mm: f64| planes((0..3).map(|n| [0.0, mm * f64::from(n), 2.0 * f64::from(n)]));
        assert!(stacked(&steep(1.9)).is_ok());
        assert!(matches!(stacked(&steep(2.1)).unwrap_err(), StackProblem::Shifted { .. }), "46 degrees");
        // 20 rows of 0.8 mm: less steep, but the last slice lies beside the first.
        let long = |count: u32| planes((0..count).map(|n| [0.0, 2.0 * f64::from(n), 5.0 * f64::from(n)]));
        assert_eq!(stacked(&long(9)).unwrap().geometry.shape(), [9, 40, 30]);
        assert!(matches!(stacked(&long(10)).unwrap_err(), StackProblem::Shifted { .. }));
    }

    #[test]
    fn one_slice_is_as_thick_as_it_says() {
        assert_eq!(stacked(&along(&[3.0])).unwrap().geometry.spacing(), [5.0, 0.8, 0.7]);
        let unsaid = super::stack(&along(&[3.0]), [20, 30], None, false).unwrap_err();
        assert_eq!(unsaid, StackProblem::NoThickness);
    }

    #[test]
    fn scans_that_follow_one_another_do_not_overlap() {
        let scan = |first: f64, count: u32| along(&(0..count).map(|n| first + 5.0 * f64::from(n)).collect::<Vec<_>>());
        assert!(overlap(&[scan(0.0, 8), scan(2.5, 8)]), "between one another");
        assert!(overlap(&[scan(100.0, 3), scan(0.0, 8), scan(22.0, 3)]), "two of three");
        assert!(!overlap(&[scan(0.0, 8), scan(40.0, 8)]), "one behind the other");
        assert!(!overlap(&[scan(0.0, 8), scan(32.0, 8)]), "by 3 mm at their ends");
        assert!(!overlap(&[scan(0.0, 8), scan(2.5, 2)]), "too few to be a scan");
        assert!(!overlap(&[scan(0.0, 8), along(&[2.5, 8.0, 30.0])]), "no regular one");
        assert!(!overlap(&[]) && !overlap(&[scan(0.0, 8)]));
        assert!(
            overlap(&[scan(0.0, 8), scan(2.5, 8), scan(6.0, 2), along(&[1.0, 2.0, 3.0])]),
            "beside what is too few"
        );
    }

    #[test]
    fn a_scan_with_a_missing_slice_lies_between_another_one_but_not_in_its_holes() {
        let scan = |zs: &[f64]| along(&zs.iter().map(|z| 5.0 * z).collect::<Vec<_>>());
        let whole = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        assert!(overlap(&[scan(&whole), scan(&[0.5, 1.5, 3.5, 4.5, 5.5, 6.5, 7.5])]));
        assert!(overlap(&[scan(&[0.0, 1.0, 3.0, 4.0, 5.0, 7.0, 8.0]), scan(&[0.5, 1.5, 2.5, 4.5, 5.5, 6.5, 7.5])]));
        assert!(!overlap(&[scan(&[0.0, 1.0, 2.0, 3.0, 7.0]), scan(&[4.0, 5.0, 6.0, 8.0])]), "what was missing");
    }

    #[test]
    fn slices_at_one_place_are_found() {
        assert_eq!(at_one_place(&along(&[4.0, 2.0, 4.004, 6.0])), [vec![1], vec![0, 2], vec![3]]);
    }
}
