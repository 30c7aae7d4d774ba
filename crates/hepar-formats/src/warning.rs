use std::fmt;

/// Something about a file that its reader decided, and that the user should know.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// The header says nothing about how the scan lies in the patient.
    NoOrientation {
        /// What +i, +j, +k are taken to point to: three of the letters R, L, A, P, S, I.
        axes: String,
    },
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
        /// Whether some values were fractions, which were rounded.
        rounded: bool,
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
    /// One DICOM series of several was taken.
    SeriesChosen {
        /// Its number, or its UID where it has none, and its description.
        series: String,
        /// Why it was taken.
        reason: String,
        /// How many series there are that could have been.
        of: usize,
    },
    /// A DICOM file that is damaged was left out.
    FileSkipped {
        /// The file and what is wrong with it.
        problem: String,
    },
    /// DICOM slices were there twice; one of each was taken.
    SlicesTwice {
        /// How many were left out.
        count: usize,
    },
    /// The slices of a DICOM series are not at equal distances; lengths in millimetres.
    SlicesInterpolated {
        /// Slices of the volume that lie between given ones.
        interpolated: usize,
        /// Slices that were given.
        given: usize,
        /// Least distance of neighbours.
        nearest: f64,
        /// Greatest distance of neighbours.
        farthest: f64,
        /// Distance of slices in the volume.
        spacing: f64,
    },
    /// The gantry was tilted; slices were shifted so that they lie behind one another.
    TiltCorrected {
        /// By how much.
        degrees: f64,
    },
    /// The slices of a DICOM series have different slopes or intercepts; each was read by its own.
    MixedRescale {
        /// How many different ones.
        count: usize,
    },
    /// A padding value that would be an intensity of the body was taken for an intensity.
    PaddingKept {
        /// In Hounsfield units.
        intensity: f64,
    },
    /// Segments of a DICOM object that are neither liver nor tumour were left out.
    SegmentsLeftOut {
        /// Their names.
        names: Vec<String>,
    },
    /// No segment of a DICOM object says that it is liver or tumour: labels are the numbers of the segments.
    SegmentsByNumber,
    /// The segments of a DICOM object are fractions or probabilities, which were cut at one half.
    FractionsCut,
    /// A DICOM object has nothing on some slices of the grid that it was put on, between others near them.
    SlicesEmpty {
        /// How many.
        count: usize,
    },
    /// The voxels measure 1 mm along the patient's axes and the first lies at the origin: what a header says when nobody
    /// filled it in.
    UnitGrid,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoOrientation { axes } => write!(
                f,
                "the header does not say how the scan lies in the patient: i, j, k are taken to run {}. If that is wrong, \
                 so is the result",
                axes.chars().map(direction).collect::<Vec<_>>().join(", ")
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
            Self::NotHounsfield { min, max, .. } if min == max => {
                write!(f, "every voxel holds {min}: there is nothing to see")
            }
            Self::NotHounsfield { min, max, .. } => write!(
                f,
                "the intensities run from {min} to {max}; in Hounsfield units there would be fat (-100) and air \
                 (-1000). Was the scan windowed, normalised or stored without its intercept, or is it a label volume?"
            ),
            Self::IntensitiesClipped { count, min, max } => write!(
                f,
                "{count} voxels lie beyond -32768 to 32767 (the intensities run from {min} to {max}) and were set to \
                 the nearest of the two"
            ),
            Self::SeriesChosen { series, reason, of } => {
                write!(f, "series {series} was taken of {of}: {reason}; --series takes another one")
            }
            Self::FileSkipped { problem } => write!(f, "left out: {problem}"),
            Self::SlicesTwice { count } => write!(f, "{count} slices are there twice; one of each was taken"),
            Self::SlicesInterpolated { interpolated, given, nearest, farthest, spacing } => write!(
                f,
                "the {given} slices are {nearest:.2} to {farthest:.2} mm apart: {interpolated} slices of the volume, \
                 whose slices are {spacing:.2} mm apart, were interpolated"
            ),
            Self::TiltCorrected { degrees } => {
                write!(
                    f,
                    "the gantry was tilted by {degrees:.1} degrees: slices were shifted to lie behind one another"
                )
            }
            Self::MixedRescale { count } => {
                write!(f, "slices have {count} different slopes or intercepts; each was read by its own")
            }
            Self::PaddingKept { intensity } => write!(
                f,
                "the padding value would be {intensity:.0} HU, which the body has too: it was taken for an intensity"
            ),
            Self::SegmentsLeftOut { names } => {
                write!(f, "neither liver nor tumour, and left out: {}", names.join(", "))
            }
            Self::SegmentsByNumber => {
                f.write_str("no segment says that it is liver or tumour: the labels are the numbers of the segments")
            }
            Self::FractionsCut => f.write_str("its segments are fractional: at least one half counts as inside"),
            Self::SlicesEmpty { count } => write!(
                f,
                "it has nothing on {count} slices between those that it has something on. Are they missing in the CT that \
                 it was drawn on?"
            ),
            Self::UnitGrid => f.write_str(
                "the header says voxels of 1 mm along the patient's axes, the first at the origin, as a header does \
                 that nobody filled in; LiTS volumes 28 to 47 say so falsely. If it is wrong, so are all volumes and \
                 diameters",
            ),
        }
    }
}

/// The direction that a letter of an orientation stands for, as an adverb.
fn direction(letter: char) -> &'static str {
    match letter {
        'R' => "right",
        'L' => "left",
        'A' => "anterior",
        'P' => "posterior",
        'S' => "superior",
        _ => "inferior",
    }
}
