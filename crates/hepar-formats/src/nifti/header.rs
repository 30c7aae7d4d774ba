use crate::datatype::{ByteOrder, Datatype};
use crate::error::ReadErrorKind;
use crate::nifti::forms::Forms;
use crate::sniff::NiftiVersion;

/// The parts of a NIfTI header that matter here, after nifti1.h and nifti2.h. Nothing in it is checked yet.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(crate) version: NiftiVersion,
    pub(crate) order: ByteOrder,
    /// Whether the voxels are in a file of their own.
    pub(crate) pair: bool,
    /// Number of axes, then their lengths: i, j, k, time, …
    pub(crate) dim: [i64; 8],
    pub(crate) datatype: Datatype,
    pub(crate) vox_offset: f64,
    pub(crate) scl_slope: f64,
    pub(crate) scl_inter: f64,
    pub(crate) forms: Forms,
    pub(crate) descrip: String,
}

impl NiftiVersion {
    /// Bytes of the header without extensions.
    pub(crate) fn header_size(self) -> usize {
        match self {
            Self::One => 348,
            Self::Two => 540,
        }
    }

    /// First byte where the voxels of a single file can be: the header is followed by four bytes that say whether
    /// there are extensions.
    pub(crate) fn least_offset(self) -> u64 {
        self.header_size() as u64 + 4
    }
}

/// Numbers at byte positions of a header.
struct Fields<'a> {
    bytes: &'a [u8],
    order: ByteOrder,
}

macro_rules! field {
    ($name:ident, $number:ty) => {
        /// The number that begins at byte `at`; 0 beyond the end, which the parser has excluded.
        fn $name(&self, at: usize) -> $number {
            let Some(bytes) = self.bytes.get(at..).and_then(<[u8]>::first_chunk) else { return <$number>::default() };
            match self.order {
                ByteOrder::Little => <$number>::from_le_bytes(*bytes),
                ByteOrder::Big => <$number>::from_be_bytes(*bytes),
            }
        }
    };
}

impl Fields<'_> {
    field!(u8, u8);
    field!(i16, i16);
    field!(i32, i32);
    field!(i64, i64);
    field!(f32, f32);
    field!(f64, f64);

    /// Text of at most `length` bytes, up to the first zero.
    fn text(&self, at: usize, length: usize) -> String {
        let bytes = self.bytes.get(at..at + length).unwrap_or_default();
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
    }
}

impl Header {
    /// Takes a header apart whose version and byte order are known.
    ///
    /// # Errors
    /// When there are too few bytes or `dim[0]` is not from 1 to 7: then it is no header.
    pub(crate) fn parse(bytes: &[u8], version: NiftiVersion, order: ByteOrder) -> Result<Self, ReadErrorKind> {
        if bytes.len() < version.header_size() {
            let reason = format!("it ends after {} bytes, within the header", bytes.len());
            return Err(ReadErrorKind::NotAnImage(reason));
        }
        let fields = Fields { bytes, order };
        let header = match version {
            NiftiVersion::One => Self::parse_1(&fields),
            NiftiVersion::Two => Self::parse_2(&fields),
        };
        if !(1..=7).contains(&header.dim[0]) {
            let reason = format!("its header has {} dimensions, NIfTI has 1 to 7", header.dim[0]);
            return Err(ReadErrorKind::NotAnImage(reason));
        }
        Ok(header)
    }

    fn parse_1(fields: &Fields) -> Self {
        let single = |at: usize| f64::from(fields.f32(at));
        Self {
            version: NiftiVersion::One,
            order: fields.order,
            pair: fields.u8(345) == b'i',
            dim: std::array::from_fn(|n| i64::from(fields.i16(40 + 2 * n))),
            datatype: Datatype::from_nifti(fields.i16(70)),
            vox_offset: single(108),
            scl_slope: single(112),
            scl_inter: single(116),
            forms: Forms {
                double: false,
                qform_code: i32::from(fields.i16(252)),
                sform_code: i32::from(fields.i16(254)),
                quatern: std::array::from_fn(|n| single(256 + 4 * n)),
                qoffset: std::array::from_fn(|n| single(268 + 4 * n)),
                srow: std::array::from_fn(|row| std::array::from_fn(|n| single(280 + 16 * row + 4 * n))),
                pixdim: std::array::from_fn(|n| single(76 + 4 * n)),
                xyzt_units: fields.u8(123),
            },
            descrip: fields.text(148, 80),
        }
    }

    fn parse_2(fields: &Fields) -> Self {
        Self {
            version: NiftiVersion::Two,
            order: fields.order,
            pair: fields.u8(5) == b'i',
            dim: std::array::from_fn(|n| fields.i64(16 + 8 * n)),
            datatype: Datatype::from_nifti(fields.i16(12)),
            vox_offset: fields.i64(168) as f64,
            scl_slope: fields.f64(176),
            scl_inter: fields.f64(184),
            forms: Forms {
                double: true,
                qform_code: fields.i32(344),
                sform_code: fields.i32(348),
                quatern: std::array::from_fn(|n| fields.f64(352 + 8 * n)),
                qoffset: std::array::from_fn(|n| fields.f64(376 + 8 * n)),
                srow: std::array::from_fn(|row| std::array::from_fn(|n| fields.f64(400 + 32 * row + 8 * n))),
                pixdim: std::array::from_fn(|n| fields.f64(104 + 8 * n)),
                // The field is an i32 whose low byte has the units.
                xyzt_units: fields.i32(500) as u8,
            },
            descrip: fields.text(240, 80),
        }
    }

    /// Lengths of the stated axes, i first.
    pub(crate) fn dims(&self) -> &[i64] {
        // `parse` has checked that dim[0] lies in 1..=7.
        &self.dim[1..=self.dim[0] as usize]
    }

    /// Shape `[k, j, i]` of the one volume that the image holds.
    ///
    /// # Errors
    /// When it has two axes, or holds more, as several time points.
    pub(crate) fn volume_shape(&self) -> Result<[u64; 3], ReadErrorKind> {
        let refuse = |reason: String| Err(ReadErrorKind::Dimensions(reason));
        let dims = self.dims();
        let by = dims.iter().map(i64::to_string).collect::<Vec<_>>().join(" × ");
        if dims.iter().take(3).any(|n| *n < 1) {
            return refuse(format!("the header claims {by} voxels: an axis must have at least one"));
        }
        let [i, j, k] = match *dims {
            [i, j, k, ref rest @ ..] if rest.iter().all(|n| *n <= 1) => [i, j, k],
            [_, _, _, times] => {
                return refuse(format!(
                    "it holds {times} volumes (time points or phases; {by} voxels). Split it and give one of them"
                ));
            }
            [_, _, _, ..] => {
                return refuse(format!(
                    "it has {} dimensions ({by}). Give one volume with one value a voxel",
                    dims.len()
                ));
            }
            _ => return refuse(format!("it is a single slice ({by} voxels). Give the whole volume")),
        };
        Ok([k, j, i].map(i64::unsigned_abs))
    }

    /// Slope and intercept that make intensities of stored numbers. A slope of 0 or NaN means that there are none.
    ///
    /// # Errors
    /// When one of them is infinite, or the intercept NaN beside a valid slope.
    pub(crate) fn scaling(&self) -> Result<(f64, f64), ReadErrorKind> {
        let (slope, intercept) = (self.scl_slope, self.scl_inter);
        if slope == 0.0 || slope.is_nan() {
            return Ok((1.0, 0.0));
        }
        if !slope.is_finite() || !intercept.is_finite() {
            return Err(ReadErrorKind::Scaling { slope, intercept });
        }
        Ok((slope, intercept))
    }

    /// First byte of the voxels, in the file that holds them.
    ///
    /// # Errors
    /// When it would lie within the header, or is no whole number.
    pub(crate) fn voxel_offset(&self) -> Result<u64, ReadErrorKind> {
        let least = if self.pair { 0 } else { self.version.least_offset() };
        let offset = self.vox_offset;
        if !(offset.is_finite() && offset >= least as f64 && offset.fract() == 0.0) {
            return Err(ReadErrorKind::VoxelOffset { offset, least });
        }
        Ok(offset as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(dims: &[i16]) -> Header {
        let mut bytes = vec![0; 348];
        for (n, dim) in std::iter::once(dims.len() as i16).chain(dims.iter().copied()).enumerate() {
            bytes[40 + 2 * n..42 + 2 * n].copy_from_slice(&dim.to_le_bytes());
        }
        Header::parse(&bytes, NiftiVersion::One, ByteOrder::Little).unwrap()
    }

    #[test]
    fn one_time_point_is_a_volume_and_missing_lengths_of_further_axes_are_1() {
        assert_eq!(header(&[4, 5, 6]).volume_shape().unwrap(), [6, 5, 4]);
        assert_eq!(header(&[4, 5, 6, 1]).volume_shape().unwrap(), [6, 5, 4]);
        assert_eq!(header(&[4, 5, 6, 0, 1]).volume_shape().unwrap(), [6, 5, 4]);
    }

    #[test]
    fn what_is_no_volume_is_named() {
        for (dims, sentence) in [
            (
                &[4, 5, 6, 7][..],
                "it holds 7 volumes (time points or phases; 4 × 5 × 6 × 7 voxels). Split it and give one of them",
            ),
            (&[4, 5, 6, 1, 3], "it has 5 dimensions (4 × 5 × 6 × 1 × 3). Give one volume with one value a voxel"),
            (&[4, 5], "it is a single slice (4 × 5 voxels). Give the whole volume"),
            (&[4, -5, 6], "the header claims 4 × -5 × 6 voxels: an axis must have at least one"),
            (&[4, 5, 0], "the header claims 4 × 5 × 0 voxels: an axis must have at least one"),
        ] {
            assert_eq!(header(dims).volume_shape().unwrap_err().to_string(), sentence);
        }
    }

    #[test]
    fn a_slope_of_zero_or_nan_means_none() {
        let mut header = header(&[1, 1, 1]);
        for (slope, intercept, expected) in
            [(0.0, 5.0, (1.0, 0.0)), (f64::NAN, f64::NAN, (1.0, 0.0)), (-2.0, 3.0, (-2.0, 3.0))]
        {
            (header.scl_slope, header.scl_inter) = (slope, intercept);
            assert_eq!(header.scaling().unwrap(), expected);
        }
        (header.scl_slope, header.scl_inter) = (2.0, f64::NAN);
        assert!(matches!(header.scaling(), Err(ReadErrorKind::Scaling { .. })));
        (header.scl_slope, header.scl_inter) = (f64::INFINITY, 0.0);
        assert!(matches!(header.scaling(), Err(ReadErrorKind::Scaling { .. })));
    }
}
