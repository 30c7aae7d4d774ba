use crate::nifti::forms::Forms;
use crate::sniff::NiftiVersion;

/// Axes that NIfTI-1 can hold: its lengths are `i16`.
const LONGEST_AXIS: usize = 32_767;

/// NIfTI's code for labels.
const INTENT_LABEL: i32 = 1002;

const DESCRIPTION: &[u8] = b"hepar";

/// What a file that is written holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contents {
    /// Bytes that are labels.
    Labels,
    /// Bytes that stand for probabilities, 255 for 1.
    Probabilities,
    /// Hounsfield units as 16-bit integers.
    Scan,
}

impl Contents {
    /// NIfTI's `datatype` and `bitpix`.
    fn datatype(self) -> [i16; 2] {
        match self {
            Self::Labels | Self::Probabilities => [2, 8],
            Self::Scan => [4, 16],
        }
    }

    fn intent(self) -> i32 {
        match self {
            Self::Labels => INTENT_LABEL,
            Self::Probabilities | Self::Scan => 0,
        }
    }

    /// What a stored number is multiplied with.
    fn slope(self) -> f64 {
        match self {
            Self::Labels | Self::Scan => 1.0,
            Self::Probabilities => 1.0 / 255.0,
        }
    }
}

/// Everything that comes before the voxels of a single file, little-endian, for one volume of `shape`, `[k, j, i]`.
pub(crate) fn encode(forms: &Forms, shape: [usize; 3], contents: Contents) -> Vec<u8> {
    match version(forms, shape) {
        NiftiVersion::One => encode_1(forms, shape, contents),
        NiftiVersion::Two => encode_2(forms, shape, contents),
    }
}

/// NIfTI-1, which every program reads, unless it cannot hold the grid.
fn version(forms: &Forms, shape: [usize; 3]) -> NiftiVersion {
    let fits = |v: &f64| {
        let single = *v as f32;
        let exact = f64::from(single) == *v || v.is_nan();
        exact || !forms.double && single.is_finite()
    };
    let mut numbers = forms.srow.iter().flatten().chain(&forms.quatern).chain(&forms.qoffset).chain(&forms.pixdim);
    let code_fits = |code: i32| i16::try_from(code).is_ok();
    let fits_all = numbers.all(fits)
        && code_fits(forms.sform_code)
        && code_fits(forms.qform_code)
        && shape.iter().all(|n| *n <= LONGEST_AXIS);
    if fits_all { NiftiVersion::One } else { NiftiVersion::Two }
}

/// A header under construction; every field that is not set is zero.
struct Bytes(Vec<u8>);

impl Bytes {
    fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        self.0[at..at + N].copy_from_slice(&bytes);
    }

    fn put_all<const N: usize>(&mut self, at: usize, numbers: impl IntoIterator<Item = [u8; N]>) {
        for (n, number) in numbers.into_iter().enumerate() {
            self.put(at + n * N, number);
        }
    }

    fn description(&mut self, at: usize) {
        self.0[at..at + DESCRIPTION.len()].copy_from_slice(DESCRIPTION);
    }
}

/// `pixdim`: what the grid has, then 1 for every axis that is not there.
fn pixdim(forms: &Forms) -> [f64; 8] {
    std::array::from_fn(|n| forms.pixdim.get(n).copied().unwrap_or(1.0))
}

/// `dim`: three axes i, j, k, then 1 for every axis that is not there.
fn dim([k, j, i]: [usize; 3]) -> [usize; 8] {
    [3, i, j, k, 1, 1, 1, 1]
}

fn encode_1(forms: &Forms, shape: [usize; 3], contents: Contents) -> Vec<u8> {
    let version = NiftiVersion::One;
    let single = |v: f64| (v as f32).to_le_bytes();
    let short = |v: i32| (v as i16).to_le_bytes();
    let mut header = Bytes(vec![0; version.least_offset() as usize]);
    header.put(0, (version.header_size() as i32).to_le_bytes());
    header.put(38, [b'r']);
    // `version` has checked that lengths and codes fit.
    header.put_all(40, dim(shape).map(|n| (n as i16).to_le_bytes()));
    header.put(68, short(contents.intent()));
    header.put_all(70, contents.datatype().map(i16::to_le_bytes));
    header.put_all(76, pixdim(forms).map(single));
    header.put(108, single(version.least_offset() as f64));
    header.put(112, single(contents.slope()));
    header.put(123, [forms.xyzt_units]);
    header.description(148);
    header.put(252, short(forms.qform_code));
    header.put(254, short(forms.sform_code));
    header.put_all(256, forms.quatern.map(single));
    header.put_all(268, forms.qoffset.map(single));
    header.put_all(280, forms.srow.into_iter().flatten().map(single));
    header.put(344, *b"n+1\0");
    header.0
}

fn encode_2(forms: &Forms, shape: [usize; 3], contents: Contents) -> Vec<u8> {
    let version = NiftiVersion::Two;
    let mut header = Bytes(vec![0; version.least_offset() as usize]);
    header.put(0, (version.header_size() as i32).to_le_bytes());
    header.put(4, *b"n+2\0\r\n\x1a\n");
    header.put_all(12, contents.datatype().map(i16::to_le_bytes));
    header.put_all(16, dim(shape).map(|n| (n as i64).to_le_bytes()));
    header.put_all(104, pixdim(forms).map(f64::to_le_bytes));
    header.put(168, (version.least_offset() as i64).to_le_bytes());
    header.put(176, contents.slope().to_le_bytes());
    header.description(240);
    header.put(344, forms.qform_code.to_le_bytes());
    header.put(348, forms.sform_code.to_le_bytes());
    header.put_all(352, forms.quatern.map(f64::to_le_bytes));
    header.put_all(376, forms.qoffset.map(f64::to_le_bytes));
    header.put_all(400, forms.srow.into_iter().flatten().map(f64::to_le_bytes));
    header.put(500, i32::from(forms.xyzt_units).to_le_bytes());
    header.put(504, contents.intent().to_le_bytes());
    header.0
}
