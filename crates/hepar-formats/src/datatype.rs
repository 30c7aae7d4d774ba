use std::fmt;

/// Order of the bytes of a number in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl fmt::Display for ByteOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Little => "little-endian",
            Self::Big => "big-endian",
        })
    }
}

/// Type of the voxels in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of the number types say it")]
pub enum Datatype {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
    /// A type whose voxels are no plain numbers, or that no machine here can compute with; NIfTI's code.
    Other(i16),
}

impl Datatype {
    /// The type of NIfTI's `datatype` code.
    pub(crate) fn from_nifti(code: i16) -> Self {
        match code {
            2 => Self::U8,
            4 => Self::I16,
            8 => Self::I32,
            16 => Self::F32,
            64 => Self::F64,
            256 => Self::I8,
            512 => Self::U16,
            768 => Self::U32,
            1024 => Self::I64,
            1280 => Self::U64,
            other => Self::Other(other),
        }
    }

    /// Bytes of a voxel; `None` when such voxels are not read.
    pub fn bytes(self) -> Option<usize> {
        match self {
            Self::U8 | Self::I8 => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::Other(_) => None,
        }
    }

    /// Appends the voxels in `bytes` to `values`. Bytes beyond the last whole voxel are left out.
    ///
    /// 64-bit integers beyond 2⁵³ are rounded.
    pub(crate) fn decode(self, order: ByteOrder, bytes: &[u8], values: &mut Vec<f64>) {
        macro_rules! decode {
            ($number:ty) => {{
                let (voxels, _) = bytes.as_chunks::<{ size_of::<$number>() }>();
                match order {
                    ByteOrder::Little => values.extend(voxels.iter().map(|v| <$number>::from_le_bytes(*v) as f64)),
                    ByteOrder::Big => values.extend(voxels.iter().map(|v| <$number>::from_be_bytes(*v) as f64)),
                }
            }};
        }
        match self {
            Self::U8 => decode!(u8),
            Self::I8 => decode!(i8),
            Self::U16 => decode!(u16),
            Self::I16 => decode!(i16),
            Self::U32 => decode!(u32),
            Self::I32 => decode!(i32),
            Self::U64 => decode!(u64),
            Self::I64 => decode!(i64),
            Self::F32 => decode!(f32),
            Self::F64 => decode!(f64),
            Self::Other(_) => {}
        }
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::U8 => "uint8",
            Self::I8 => "int8",
            Self::U16 => "uint16",
            Self::I16 => "int16",
            Self::U32 => "uint32",
            Self::I32 => "int32",
            Self::U64 => "uint64",
            Self::I64 => "int64",
            Self::F32 => "float32",
            Self::F64 => "float64",
            Self::Other(1) => "single bits",
            Self::Other(32 | 1792 | 2048) => "complex numbers",
            Self::Other(128) => "RGB colours",
            Self::Other(2304) => "RGBA colours",
            Self::Other(1536) => "128 bit floats",
            Self::Other(code) => return write!(f, "of an unknown type (code {code})"),
        })
    }
}
