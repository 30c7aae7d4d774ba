//! Where a frame lies in the patient: PS3.3 C.7.6.2, and the functional groups of C.7.6.16.2.

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use crate::dicom::object::Attributes;
use crate::dicom::vectors::{Vector, add, cross, dot, length, minus, times};

/// Directions that are this much off a right angle or unit length are none: rounded text is better.
const SLOPPY: f64 = 0.01;

/// Directions of two frames of one series differ by less than this.
const SAME_DIRECTION: f64 = 1e-3;

/// Where the pixels of a frame lie. Directions have unit length and are at right angles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Plane {
    /// Centre of the first pixel, LPS millimetres.
    pub(crate) position: Vector,
    /// Where columns grow to (along a row).
    pub(crate) along_row: Vector,
    /// Where rows grow to (along a column).
    pub(crate) along_column: Vector,
    /// Distance of rows and of columns, millimetres, as `PixelSpacing` has them.
    pub(crate) spacing: [f64; 2],
}

impl Plane {
    /// The plane of a frame by `find`, which knows where its attributes are; `None` when one is missing or senseless.
    pub(crate) fn of(
        position: Option<&InMemDicomObject>,
        orientation: Option<&InMemDicomObject>,
        measures: Option<&InMemDicomObject>,
    ) -> Option<Self> {
        let position = position?.numbers::<3>(tags::IMAGE_POSITION_PATIENT)?;
        let [a, b, c, d, e, f] = orientation?.numbers::<6>(tags::IMAGE_ORIENTATION_PATIENT)?;
        let spacing = measures?.numbers::<2>(tags::PIXEL_SPACING)?;
        let (along_row, along_column) = right_angled([a, b, c], [d, e, f])?;
        let sensible = |mm: &f64| (1e-4..=1000.0).contains(mm);
        let near = |v: &f64| v.abs() < 1e6;
        let good = spacing.iter().all(sensible) && position.iter().all(near);
        good.then_some(Self { position, along_row, along_column, spacing })
    }

    /// The direction at right angles to the plane.
    pub(crate) fn normal(&self) -> Vector {
        cross(self.along_row, self.along_column)
    }

    /// Whether another plane has the same directions and spacing.
    pub(crate) fn is_parallel(&self, other: &Self) -> bool {
        let near = |a: Vector, b: Vector| length(minus(a, b)) < SAME_DIRECTION;
        let same = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-3;
        near(self.along_row, other.along_row)
            && near(self.along_column, other.along_column)
            && same(self.spacing[0], other.spacing[0])
            && same(self.spacing[1], other.spacing[1])
    }

    /// The point, LPS, `column` and `row` pixels from the centre of the first.
    pub(crate) fn point(&self, column: f64, row: f64) -> Vector {
        let across = times(self.along_row, column * self.spacing[1]);
        add(self.position, add(across, times(self.along_column, row * self.spacing[0])))
    }

    /// Column and row, in pixels from the centre of the first, of a point that lies in the plane or above it.
    pub(crate) fn pixel(&self, point: Vector) -> [f64; 2] {
        let there = minus(point, self.position);
        [dot(there, self.along_row) / self.spacing[1], dot(there, self.along_column) / self.spacing[0]]
    }
}

/// Two directions that are nearly so as unit vectors at right angles.
fn right_angled(row: Vector, column: Vector) -> Option<(Vector, Vector)> {
    let unit = |v: Vector| {
        let length = length(v);
        ((length - 1.0).abs() < SLOPPY).then(|| times(v, 1.0 / length))
    };
    let (row, column) = (unit(row)?, unit(column)?);
    let skew = dot(row, column);
    if skew.abs() > SLOPPY {
        return None;
    }
    Some((row, unit(minus(column, times(row, skew)))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_is_where_its_point_is() {
        let plane = Plane {
            position: [-100.0, 20.0, 7.0],
            along_row: [0.6, 0.8, 0.0],
            along_column: [0.0, 0.0, -1.0],
            spacing: [0.5, 0.7],
        };
        let [column, row] = plane.pixel(plane.point(12.0, 30.0));
        assert!((column - 12.0).abs() < 1e-12 && (row - 30.0).abs() < 1e-12);
        assert_eq!(plane.normal(), [-0.8, 0.6, 0.0]);
    }

    #[test]
    fn rounded_directions_are_mended_and_wrong_ones_refused() {
        let (row, column) = right_angled([0.99999, 0.003, 0.0], [0.0, 0.99999, 0.002]).unwrap();
        assert!((length(row) - 1.0).abs() < 1e-15 && dot(row, column).abs() < 1e-15);
        assert!(right_angled([1.0, 0.0, 0.0], [0.7, 0.7, 0.0]).is_none());
        assert!(right_angled([0.0; 3], [0.0, 1.0, 0.0]).is_none());
    }
}
