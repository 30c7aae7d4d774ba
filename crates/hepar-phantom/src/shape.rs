//! Solids as signed distances: negative inside, positive outside, in millimetres.

/// A point or a direction in the patient, millimetres.
pub(crate) type Point = [f32; 3];

/// A box that holds a solid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) least: Point,
    pub(crate) greatest: Point,
}

impl Bounds {
    pub(crate) fn around(centre: Point, half: Point) -> Self {
        Self { least: sub(centre, half), greatest: add(centre, half) }
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self {
            least: std::array::from_fn(|axis| self.least[axis].min(other.least[axis])),
            greatest: std::array::from_fn(|axis| self.greatest[axis].max(other.greatest[axis])),
        }
    }

    /// What both boxes hold; where they are apart, a box that is nowhere inside of either.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        Self {
            least: std::array::from_fn(|axis| self.least[axis].max(other.least[axis])),
            greatest: std::array::from_fn(|axis| self.greatest[axis].min(other.greatest[axis])),
        }
    }

    pub(crate) fn grown(self, margin: f32) -> Self {
        Self { least: self.least.map(|v| v - margin), greatest: self.greatest.map(|v| v + margin) }
    }

    pub(crate) fn centre(&self) -> Point {
        lerp(self.least, self.greatest, 0.5)
    }
}

/// An ellipsoid, turned about the axes of the patient.
#[derive(Debug, Clone)]
pub(crate) struct Ellipsoid {
    pub(crate) centre: Point,
    pub(crate) radii: Point,
    /// Rows: the ellipsoid's own axes.
    axes: [Point; 3],
}

impl Ellipsoid {
    pub(crate) fn new(centre: Point, radii: Point) -> Self {
        Self::turned(centre, radii, [0.0; 3])
    }

    /// `turn` in degrees about x, then y, then z.
    pub(crate) fn turned(centre: Point, radii: Point, turn: Point) -> Self {
        Self { centre, radii, axes: rotation(turn) }
    }

    /// Signed distance: exact on the surface, good close to it.
    pub(crate) fn distance(&self, point: Point) -> f32 {
        let local = apply(&self.axes, sub(point, self.centre));
        let scaled: Point = std::array::from_fn(|axis| local[axis] / self.radii[axis]);
        let (level, slope) = (length(scaled), length(std::array::from_fn(|axis| scaled[axis] / self.radii[axis])));
        if slope < 1e-6 { -self.radii[0].min(self.radii[1]).min(self.radii[2]) } else { level * (level - 1.0) / slope }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        let half = std::array::from_fn(|axis| {
            (0..3).map(|own| (self.axes[own][axis] * self.radii[own]).powi(2)).sum::<f32>().sqrt()
        });
        Bounds::around(self.centre, half)
    }
}

/// A straight piece of a tube with round ends whose radius changes evenly.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capsule {
    pub(crate) from: Point,
    pub(crate) to: Point,
    pub(crate) radii: [f32; 2],
}

impl Capsule {
    pub(crate) fn distance(&self, point: Point) -> f32 {
        let (axis, offset) = (sub(self.to, self.from), sub(point, self.from));
        let t = (dot(offset, axis) / dot(axis, axis).max(1e-6)).clamp(0.0, 1.0);
        let nearest: Point = std::array::from_fn(|a| offset[a] - axis[a] * t);
        length(nearest) - (self.radii[0] + (self.radii[1] - self.radii[0]) * t)
    }

    pub(crate) fn bounds(&self) -> Bounds {
        let end = |centre, radius: f32| Bounds::around(centre, [radius; 3]);
        end(self.from, self.radii[0]).union(end(self.to, self.radii[1]))
    }
}

/// A bent tube: capsules end to end. It has at least one.
#[derive(Debug, Clone)]
pub(crate) struct Tube {
    pub(crate) pieces: Vec<Capsule>,
    pub(crate) bounds: Bounds,
}

impl Tube {
    /// A tube through `knots`, each a point with the radius there.
    pub(crate) fn through(knots: &[(Point, f32)]) -> Self {
        let pieces: Vec<_> = knots
            .windows(2)
            .map(|pair| Capsule { from: pair[0].0, to: pair[1].0, radii: [pair[0].1, pair[1].1] })
            .collect();
        let nowhere = Bounds { least: [f32::MAX; 3], greatest: [f32::MIN; 3] };
        let bounds = pieces.iter().map(Capsule::bounds).fold(nowhere, Bounds::union);
        Self { pieces, bounds }
    }

    pub(crate) fn distance(&self, point: Point) -> f32 {
        self.pieces.iter().map(|piece| piece.distance(point)).fold(f32::MAX, f32::min)
    }
}

/// `N` values along a line, tabulated from a few rounded knots; constant beyond the ends.
#[derive(Debug, Clone)]
pub(crate) struct Curve<const N: usize> {
    start: f32,
    values: Vec<[f32; N]>,
}

impl<const N: usize> Curve<N> {
    /// Distance of the tabulated values, between which the curve is straight.
    const STEP: f32 = 4.0;

    /// A curve through `(position, values)` in the order of positions.
    pub(crate) fn through(knots: &[(f32, [f32; N])]) -> Self {
        let start = knots.first().map_or(0.0, |knot| knot.0);
        let end = knots.last().map_or(0.0, |knot| knot.0);
        let steps = ((end - start) / Self::STEP).ceil() as usize + 1;
        Self { start, values: (0..=steps).map(|step| between(knots, start + step as f32 * Self::STEP)).collect() }
    }

    pub(crate) fn at(&self, position: f32) -> [f32; N] {
        let at = ((position - self.start) / Self::STEP).clamp(0.0, (self.values.len() - 1) as f32 - 1e-3);
        let (step, t) = (at as usize, at - (at as usize) as f32);
        let (a, b) = (&self.values[step], &self.values[step + 1]);
        std::array::from_fn(|value| a[value] + (b[value] - a[value]) * t)
    }

    /// The curve with its values replaced; `change` is given the position and the values there.
    pub(crate) fn map<const M: usize>(&self, mut change: impl FnMut(f32, [f32; N]) -> [f32; M]) -> Curve<M> {
        let position = |step: usize| self.start + step as f32 * Self::STEP;
        let values = self.values.iter().enumerate().map(|(step, values)| change(position(step), *values)).collect();
        Curve { start: self.start, values }
    }

    /// The greatest of each value.
    pub(crate) fn greatest(&self) -> [f32; N] {
        std::array::from_fn(|value| self.values.iter().map(|values| values[value]).fold(f32::MIN, f32::max))
    }
}

fn between<const N: usize>(knots: &[(f32, [f32; N])], position: f32) -> [f32; N] {
    let after = knots.partition_point(|(knot, _)| *knot <= position);
    match (after.checked_sub(1).and_then(|before| knots.get(before)), knots.get(after)) {
        (Some((z0, a)), Some((z1, b))) => {
            let t = (position - z0) / (z1 - z0);
            // Half linear, half smooth: no visible corner at the knots, no terraces between them.
            let t = 0.5 * t + 0.5 * t * t * (3.0 - 2.0 * t);
            std::array::from_fn(|value| a[value] + (b[value] - a[value]) * t)
        }
        (Some((_, end)), None) | (None, Some((_, end))) => *end,
        (None, None) => [0.0; N],
    }
}

/// The greater of two distances (the intersection of two solids) with an edge rounded over `width`.
pub(crate) fn smooth_max(a: f32, b: f32, width: f32) -> f32 {
    let h = (0.5 + 0.5 * (a - b) / width).clamp(0.0, 1.0);
    b + (a - b) * h + width * h * (1.0 - h)
}

/// The lesser of two distances (the union of two solids) with the seam filled over `width`.
pub(crate) fn smooth_min(a: f32, b: f32, width: f32) -> f32 {
    -smooth_max(-a, -b, width)
}

pub(crate) fn add(a: Point, b: Point) -> Point {
    std::array::from_fn(|axis| a[axis] + b[axis])
}

pub(crate) fn sub(a: Point, b: Point) -> Point {
    std::array::from_fn(|axis| a[axis] - b[axis])
}

pub(crate) fn scaled(a: Point, factor: f32) -> Point {
    a.map(|v| v * factor)
}

pub(crate) fn lerp(a: Point, b: Point, t: f32) -> Point {
    std::array::from_fn(|axis| a[axis] + (b[axis] - a[axis]) * t)
}

pub(crate) fn dot(a: Point, b: Point) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// Length of a vector in the plane; `f32::hypot` guards against overflow, which costs more than all else here.
pub(crate) fn hypot(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

pub(crate) fn length(a: Point) -> f32 {
    dot(a, a).sqrt()
}

/// `a` with length 1; a vector without length stays.
pub(crate) fn normalised(a: Point) -> Point {
    scaled(a, 1.0 / length(a).max(1e-6))
}

pub(crate) fn apply(matrix: &[Point; 3], v: Point) -> Point {
    [dot(matrix[0], v), dot(matrix[1], v), dot(matrix[2], v)]
}

/// The matrix that turns by `degrees` about x, then y, then z.
pub(crate) fn rotation(degrees: Point) -> [Point; 3] {
    let [(sx, cx), (sy, cy), (sz, cz)] = degrees.map(|d| d.to_radians().sin_cos());
    [
        [cy * cz, sx * sy * cz - cx * sz, cx * sy * cz + sx * sz],
        [cy * sz, sx * sy * sz + cx * cz, cx * sy * sz - sx * cz],
        [-sy, sx * cy, cx * cy],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_to_a_turned_ellipsoid_is_zero_on_its_surface() {
        let ellipsoid = Ellipsoid::turned([10.0, -4.0, 2.0], [30.0, 10.0, 5.0], [20.0, 30.0, 40.0]);
        for own in 0..3 {
            let pole = add(ellipsoid.centre, scaled(ellipsoid.axes[own], ellipsoid.radii[own]));
            assert!(ellipsoid.distance(pole).abs() < 1e-3);
            let bounds = ellipsoid.bounds();
            assert!((0..3).all(|a| pole[a] <= bounds.greatest[a] + 1e-3 && pole[a] >= bounds.least[a] - 1e-3));
        }
    }

    #[test]
    fn a_capsule_is_as_thick_at_its_ends_as_told() {
        let capsule = Capsule { from: [0.0; 3], to: [100.0, 0.0, 0.0], radii: [4.0, 2.0] };
        assert!((capsule.distance([0.0, 5.0, 0.0]) - 1.0).abs() < 1e-4);
        assert!((capsule.distance([100.0, 0.0, 5.0]) - 3.0).abs() < 1e-4);
        assert!((capsule.distance([50.0, 0.0, 0.0]) + 3.0).abs() < 1e-4);
    }
}
