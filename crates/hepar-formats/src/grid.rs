use hepar_volume::Geometry;

use crate::error::ReadErrorKind;
use crate::nifti::forms::{AffineSource, Forms};
use crate::warning::Warning;

/// Sides of a voxel, in millimetres, beyond which a file is refused: far wider than what scanners make.
const VOXEL_SIZES: std::ops::RangeInclusive<f64> = 1e-4..=1000.0;

/// A grid as the header of a NIfTI file states it: enough to write another file on the identical grid.
///
/// Of a scan that was read, these are the numbers of its file, to the bit: sform, qform, their codes, spacing and
/// units.
#[derive(Debug, Clone, PartialEq)]
pub struct GridHeader {
    forms: Forms,
    geometry: Geometry,
    source: AffineSource,
}

impl GridHeader {
    /// A header for volumes that come from no file.
    ///
    /// Sform and, when the axes are at right angles, qform have the code 1 (scanner coordinates), in millimetres.
    /// The file holds the numbers in single precision.
    pub fn from_geometry(geometry: &Geometry) -> Self {
        Self { forms: Forms::from_geometry(geometry), geometry: geometry.clone(), source: AffineSource::Sform }
    }

    /// The grid that `forms` state for a volume of `shape`, `[k, j, i]`.
    ///
    /// The sform if its code is positive, else the qform, else the spacing alone. Both given and more than half a
    /// voxel apart at any corner is a warning.
    pub(crate) fn from_forms(
        mut forms: Forms,
        shape: [usize; 3],
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, ReadErrorKind> {
        let source = match (forms.sform_code > 0, forms.qform_code > 0) {
            (true, _) => AffineSource::Sform,
            (false, true) => AffineSource::Qform,
            (false, false) => AffineSource::Pixdim,
        };
        let spacing = forms.spacing();
        let has_spacing = spacing.iter().all(|v| v.is_finite() && *v > 0.0);
        if source != AffineSource::Sform && !has_spacing {
            return Err(ReadErrorKind::Spacing { form: source, spacing });
        }
        let geometry = Geometry::new(forms.affine(source), shape)
            .map_err(|error| ReadErrorKind::Geometry { form: source, error })?;
        let [k, j, i] = geometry.spacing();
        if ![i, j, k].iter().all(|mm| VOXEL_SIZES.contains(mm)) {
            return Err(ReadErrorKind::VoxelSize { spacing: [i, j, k] });
        }
        match source {
            AffineSource::Pixdim => warnings.push(Warning::NoOrientation { axes: "RAS".to_owned() }),
            AffineSource::Sform if !has_spacing => {
                warnings.push(Warning::SpacingIgnored { pixdim: spacing });
                forms.take_spacing_from(&geometry);
            }
            AffineSource::Sform if forms.qform_code > 0 => {
                let by = Geometry::new(forms.affine(AffineSource::Qform), shape)
                    .map_or(0.0, |qform| largest_shift(&geometry, &qform));
                if by > 0.5 {
                    warnings.push(Warning::SformQformDisagree { by });
                }
            }
            _ => {}
        }
        warnings.extend(forms.units_warning(&geometry));
        Ok(Self { forms, geometry, source })
    }

    /// Where the voxels lie.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Which of the header's statements the geometry comes from.
    pub fn affine_source(&self) -> AffineSource {
        self.source
    }

    /// The voxel spacing that the header states (`pixdim`), in its units and whatever the affine says, along
    /// `[k, j, i]`.
    ///
    /// Of NIfTI-1 these are 32-bit numbers. Where they are no spacing (zero, negative), the affine's stands instead.
    pub fn stated_spacing(&self) -> [f64; 3] {
        let [i, j, k] = self.forms.spacing();
        [k, j, i]
    }

    pub(crate) fn forms(&self) -> &Forms {
        &self.forms
    }
}

/// A warning of a grid whose voxels are of exactly 1 mm along the patient's axes, in either direction, with the first at
/// the origin: nobody may have filled in its header.
pub(crate) fn unit_grid(geometry: &Geometry) -> Option<Warning> {
    let is_along_an_axis = |row: &[f64; 4]| row[3] == 0.0 && row[..3].iter().all(|v| *v == 0.0 || v.abs() == 1.0);
    let is_unit = geometry.spacing() == [1.0; 3] && geometry.affine()[..3].iter().all(is_along_an_axis);
    is_unit.then_some(Warning::UnitGrid)
}

/// Largest distance, along any axis of `grid` and in its voxels, between the corners of two grids of one shape.
fn largest_shift(grid: &Geometry, other: &Geometry) -> f64 {
    let last = grid.shape().map(|n| n as f64 - 1.0);
    let mut largest = 0.0f64;
    for corner in 0..8usize {
        let index: [f64; 3] = std::array::from_fn(|axis| if corner >> axis & 1 == 1 { last[axis] } else { 0.0 });
        let there = grid.to_index(other.to_world(index));
        for axis in 0..3 {
            largest = largest.max((there[axis] - index[axis]).abs());
        }
    }
    largest
}
