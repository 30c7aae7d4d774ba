use std::fmt;

use hepar_volume::Geometry;

use crate::warning::Warning;

/// Which statement of a header a geometry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AffineSource {
    /// The affine by rows.
    Sform,
    /// Rotation as a quaternion, spacing and offset.
    Qform,
    /// The spacing alone.
    Pixdim,
}

impl fmt::Display for AffineSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sform => "sform",
            Self::Qform => "qform",
            Self::Pixdim => "pixdim",
        })
    }
}

/// NIfTI's code of an affine to the coordinates of the scanner.
const SCANNER_COORDINATES: i32 = 1;

const UNKNOWN_UNIT: u8 = 0;
const METRES: u8 = 1;
const MILLIMETRES: u8 = 2;
const MICROMETRES: u8 = 3;

/// Spacings of a CT in millimetres; outside of it another unit is likely when none is stated.
const PLAUSIBLE_SPACING: std::ops::RangeInclusive<f64> = 0.05..=50.0;

/// Cosines between axes up to this count as right angles: what single precision makes of them.
const RIGHT_ANGLE: f64 = 1e-5;

/// What a NIfTI header says about the position of the voxels, in the units of the file.
///
/// The names are those of the standard, nifti1.h. Numbers of NIfTI-1 are single precision and exact here.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Forms {
    /// Whether the numbers may need double precision, since the file had it.
    pub(crate) double: bool,
    pub(crate) sform_code: i32,
    pub(crate) qform_code: i32,
    /// The sform by rows: from (i, j, k, 1) to x, y, z.
    pub(crate) srow: [[f64; 4]; 3],
    /// b, c, d of the qform's unit quaternion.
    pub(crate) quatern: [f64; 3],
    /// x, y, z of the first voxel by the qform.
    pub(crate) qoffset: [f64; 3],
    /// `pixdim[0..4]`: qfac and the spacing along i, j, k.
    pub(crate) pixdim: [f64; 4],
    pub(crate) xyzt_units: u8,
}

impl Forms {
    /// The position of a grid in millimetres; the qform is left out when the axes are not at right angles.
    pub(crate) fn from_geometry(geometry: &Geometry) -> Self {
        let affine = geometry.affine();
        let [k, j, i] = geometry.spacing();
        let mut forms = Self {
            double: false,
            sform_code: SCANNER_COORDINATES,
            qform_code: 0,
            srow: [affine[0], affine[1], affine[2]],
            quatern: [0.0; 3],
            qoffset: [0.0; 3],
            pixdim: [1.0, i, j, k],
            xyzt_units: MILLIMETRES,
        };
        let [dk, dj, di] = geometry.directions();
        if [(di, dj), (dj, dk), (dk, di)].iter().all(|(a, b)| dot(*a, *b).abs() <= RIGHT_ANGLE) {
            let right_handed = dot(cross(di, dj), dk) > 0.0;
            let third = if right_handed { dk } else { dk.map(|v| -v) };
            forms.qform_code = SCANNER_COORDINATES;
            forms.pixdim[0] = if right_handed { 1.0 } else { -1.0 };
            forms.quatern = quaternion([di, dj, third]);
            forms.qoffset = [affine[0][3], affine[1][3], affine[2][3]];
        }
        forms
    }

    /// `pixdim[1..4]`: the spacing along i, j, k as the header has it.
    pub(crate) fn spacing(&self) -> [f64; 3] {
        [self.pixdim[1], self.pixdim[2], self.pixdim[3]]
    }

    /// The 4×4 affine by one of the three statements, RAS+ millimetres.
    pub(crate) fn affine(&self, source: AffineSource) -> [[f64; 4]; 4] {
        let rows = match source {
            AffineSource::Sform => self.srow,
            AffineSource::Qform => self.qform(),
            AffineSource::Pixdim => {
                let [i, j, k] = self.spacing();
                [[i, 0.0, 0.0, 0.0], [0.0, j, 0.0, 0.0], [0.0, 0.0, k, 0.0]]
            }
        };
        let unit = self.millimetres_per_unit();
        let [x, y, z] = rows.map(|row| row.map(|v| v * unit));
        [x, y, z, [0.0, 0.0, 0.0, 1.0]]
    }

    /// The qform by rows, as `nifti_quatern_to_mat44` of the standard's library has it.
    fn qform(&self) -> [[f64; 4]; 3] {
        let [mut b, mut c, mut d] = self.quatern;
        let mut a = 1.0 - (b * b + c * c + d * d);
        if a < 1e-7 {
            // A turn by 180°, where rounding may leave the quaternion a little too long.
            let length = (b * b + c * c + d * d).sqrt();
            (a, b, c, d) = (0.0, b / length, c / length, d / length);
        } else {
            a = a.sqrt();
        }
        let rotation = [
            [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
            [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
            [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ];
        let [i, j, k] = self.spacing();
        // qfac, where anything but a negative number means 1.
        let k = if self.pixdim[0] < 0.0 { -k } else { k };
        std::array::from_fn(|row| {
            let [along_i, along_j, along_k] = rotation[row];
            [along_i * i, along_j * j, along_k * k, self.qoffset[row]]
        })
    }

    /// Replaces a spacing that is none by that of the sform; the qform, which is of no use with it, is dropped.
    pub(crate) fn take_spacing_from(&mut self, geometry: &Geometry) {
        let unit = self.millimetres_per_unit();
        let [k, j, i] = geometry.spacing().map(|v| v / unit);
        self.pixdim = [1.0, i, j, k];
        self.qform_code = 0;
        self.quatern = [0.0; 3];
        self.qoffset = [0.0; 3];
    }

    fn unit_code(&self) -> u8 {
        self.xyzt_units & 0x07
    }

    fn millimetres_per_unit(&self) -> f64 {
        match self.unit_code() {
            METRES => 1000.0,
            MICROMETRES => 0.001,
            _ => 1.0,
        }
    }

    /// What the user should know about the unit of length. None stated means millimetres, as everywhere; that is
    /// worth a word only when it makes voxels that no CT has.
    pub(crate) fn units_warning(&self, geometry: &Geometry) -> Option<Warning> {
        let spacing = geometry.spacing();
        match self.unit_code() {
            MILLIMETRES => None,
            METRES => Some(Warning::UnitsConverted { from: "metres" }),
            MICROMETRES => Some(Warning::UnitsConverted { from: "micrometres" }),
            UNKNOWN_UNIT if spacing.iter().all(|v| PLAUSIBLE_SPACING.contains(v)) => None,
            code => Some(Warning::UnitsAssumed { code, spacing }),
        }
    }
}

/// b, c, d of the unit quaternion, with a ≥ 0, of a rotation whose columns are the right-handed `axes`.
///
/// After `nifti_mat44_to_quatern` of the standard's library: the largest of the four parts is found first and the
/// others follow from it, so that nothing is divided by a small number.
fn quaternion([x, y, z]: [[f64; 3]; 3]) -> [f64; 3] {
    let (xx, yy, zz) = (x[0], y[1], z[2]);
    let trace = xx + yy + zz;
    let (a, parts) = if trace > 0.0 {
        let a = 0.5 * (1.0 + trace).sqrt();
        (a, [0.25 * (y[2] - z[1]) / a, 0.25 * (z[0] - x[2]) / a, 0.25 * (x[1] - y[0]) / a])
    } else if xx >= yy && xx >= zz {
        let b = 0.5 * (1.0 + xx - yy - zz).max(0.0).sqrt();
        (0.25 * (y[2] - z[1]) / b, [b, 0.25 * (y[0] + x[1]) / b, 0.25 * (z[0] + x[2]) / b])
    } else if yy >= zz {
        let c = 0.5 * (1.0 + yy - xx - zz).max(0.0).sqrt();
        (0.25 * (z[0] - x[2]) / c, [0.25 * (y[0] + x[1]) / c, c, 0.25 * (z[1] + y[2]) / c])
    } else {
        let d = 0.5 * (1.0 + zz - xx - yy).max(0.0).sqrt();
        (0.25 * (x[1] - y[0]) / d, [0.25 * (z[0] + x[2]) / d, 0.25 * (z[1] + y[2]) / d, d])
    };
    if a < 0.0 { parts.map(|v| -v) } else { parts }
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|axis| a[axis] * b[axis]).sum()
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_qform_of_a_turned_grid_is_its_affine(
            quatern in prop::array::uniform4(-1.0f64..1.0),
            spacing in prop::array::uniform3(0.3f64..6.0),
            qoffset in prop::array::uniform3(-500.0f64..500.0),
            left_handed: bool,
        ) {
            let length = dot4(quatern).sqrt();
            prop_assume!(length > 0.1);
            let sign = if quatern[0] < 0.0 { -1.0 } else { 1.0 };
            let [_, b, c, d] = quatern.map(|v| sign * v / length);
            let forms = Forms {
                double: false, sform_code: 0, qform_code: 1, srow: [[0.0; 4]; 3], quatern: [b, c, d], qoffset,
                pixdim: [if left_handed { -1.0 } else { 1.0 }, spacing[0], spacing[1], spacing[2]],
                xyzt_units: MILLIMETRES,
            };
            let geometry = Geometry::new(forms.affine(AffineSource::Qform), [4, 4, 4]).unwrap();
            let again = Forms::from_geometry(&geometry);
            prop_assert_eq!(again.qform_code, 1);
            let qform = Geometry::new(again.affine(AffineSource::Qform), [4, 4, 4]).unwrap();
            prop_assert!(qform.matches(&geometry, 1e-6));
        }
    }

    fn dot4(v: [f64; 4]) -> f64 {
        v.iter().map(|v| v * v).sum()
    }

    #[test]
    fn half_turns_about_each_axis_have_a_qform() {
        for signs in [[-1.0, -1.0, 1.0], [-1.0, 1.0, -1.0], [1.0, -1.0, -1.0], [-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]] {
            let mut affine = [[0.0; 4]; 4];
            for axis in 0..3 {
                affine[axis][axis] = signs[axis] * 0.7;
            }
            affine[3][3] = 1.0;
            let geometry = Geometry::new(affine, [5, 5, 5]).unwrap();
            let forms = Forms::from_geometry(&geometry);
            let qform = Geometry::new(forms.affine(AffineSource::Qform), [5, 5, 5]).unwrap();
            assert!(qform.matches(&geometry, 1e-9), "{signs:?}");
        }
    }

    #[test]
    fn a_sheared_grid_has_no_qform() {
        let affine = [[1.0, 0.0, 0.2, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        let forms = Forms::from_geometry(&Geometry::new(affine, [5, 5, 5]).unwrap());
        assert_eq!(forms.qform_code, 0);
        assert_eq!(forms.sform_code, 1);
    }
}
