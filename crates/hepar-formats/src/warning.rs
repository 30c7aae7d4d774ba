use std::fmt;

/// Something about a file that its reader decided, and that the user should know.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// The header says nothing about how the scan lies in the patient.
    NoOrientation,
    /// The header's two statements about the position differ; the sform was used.
    SformQformDisagree {
        /// Largest distance along an axis at any corner, in voxels.
        by: f64,
    },
    /// The header's spacing is no spacing; the sform's was used.
    SpacingIgnored {
        /// `pixdim[1..=3]`: along i, j, k.
        pixdim: [f64; 3],
    },
    /// The header does not say that its lengths are millimetres, and they are not plausible or its code is unknown.
    UnitsAssumed {
        /// The spatial part of `xyzt_units`.
        code: u8,
        /// Spacing in millimetres, if they are, `[k, j, i]`.
        spacing: [f64; 3],
    },
    /// The header's lengths were converted to millimetres.
    UnitsConverted {
        /// The unit of the file.
        from: &'static str,
    },
    /// The intensities can hardly be Hounsfield units.
    NotHounsfield {
        /// Smallest value.
        min: i16,
        /// Largest value.
        max: i16,
    },
    /// Intensities beyond the range of 16 bits were set to its ends.
    IntensitiesClipped {
        /// How many voxels.
        count: u64,
        /// Smallest value in the file.
        min: f64,
        /// Largest value in the file.
        max: f64,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoOrientation => f.write_str(
                "the header does not say how the scan lies in the patient (neither sform nor qform): i, j, k are taken \
                 to run right, anterior, superior. If that is wrong, so is the result",
            ),
            Self::SformQformDisagree { by } => {
                write!(f, "sform and qform of the header differ by {by:.1} voxels; the sform is used")
            }
            Self::SpacingIgnored { pixdim } => {
                write!(f, "the header's pixdim {pixdim:?} is no spacing; that of the sform is used")
            }
            Self::UnitsAssumed { code, spacing: [k, j, i] } => write!(
                f,
                "the header does not name a known unit of length (code {code}): taken as millimetres, the spacing is \
                 {i} × {j} × {k} mm"
            ),
            Self::UnitsConverted { from } => write!(f, "the header's lengths are in {from}: converted to millimetres"),
            Self::NotHounsfield { min, max } if min == max => {
                write!(f, "every voxel holds {min}: there is nothing to see")
            }
            Self::NotHounsfield { min, max } => write!(
                f,
                "the intensities run from {min} to {max}; in Hounsfield units there would be fat (-100) and air \
                 (-1000). Was the scan windowed, normalised or stored without its intercept, or is it a label volume?"
            ),
            Self::IntensitiesClipped { count, min, max } => write!(
                f,
                "{count} voxels lie beyond -32768 to 32767 (the intensities run from {min} to {max}) and were set to \
                 the nearest of the two"
            ),
        }
    }
}
