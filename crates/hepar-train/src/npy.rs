//! Arrays of numpy from files that may claim anything.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use ndarray::{Array, Dimension};
use ndarray_npy::npy::header::{Header, ReadHeaderError};
use ndarray_npy::{ReadNpyError, ReadNpyExt, ReadableElement};
use zip::ZipArchive;
use zip::result::ZipError;

/// How many bytes one byte of DEFLATE becomes at most.
const MOST_INFLATED: u64 = 1032;

/// The most bytes of a header's text; numpy's mostly has 118.
const MOST_TEXT: u32 = 4096;

/// Why an array cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no archive, or a damaged one.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// The archive has no such array.
    #[error("it has no array {0}")]
    Missing(String),
    /// The header is long or has parts in parts, which those of plain arrays have not.
    #[error("it does not begin as an array of plain numbers does")]
    NotPlain,
    /// The array's header is not understood.
    #[error(transparent)]
    Header(#[from] ReadHeaderError),
    /// The header claims more than there is, or than memory has room for.
    #[error("the header claims an array of {shape:?}, the file holds {held} bytes")]
    Claim {
        /// The shape that it claims.
        shape: Vec<usize>,
        /// Bytes that there are at most.
        held: u64,
    },
    /// The array cannot be read.
    #[error(transparent)]
    Array(#[from] ReadNpyError),
}

/// Arrays in an `.npz` file.
pub(crate) struct Npz {
    archive: ZipArchive<File>,
    /// Bytes that an array can have at most, whatever the archive says of it.
    most: u64,
}

impl Npz {
    /// The arrays in the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read or is no archive.
    pub fn open(path: &Path) -> Result<Self, NpyError> {
        let file = File::open(path)?;
        let most = file.metadata()?.len().saturating_mul(MOST_INFLATED);
        Ok(Self { archive: ZipArchive::new(file)?, most })
    }

    /// The array `name`.
    ///
    /// # Errors
    /// When there is none, it is of another type or number of axes, or claims to be larger than it is.
    pub fn array<T: ReadableElement, D: Dimension>(&mut self, name: &str) -> Result<Array<T, D>, NpyError> {
        let names = [name.to_owned(), format!("{name}.npy")];
        let index = names.iter().find_map(|name| self.archive.index_for_name(name));
        let index = index.ok_or_else(|| NpyError::Missing(name.to_owned()))?;
        let entry = self.archive.by_index(index)?;
        let held = entry.size().min(self.most);
        check_npy::<T>(entry, held)?;
        Ok(Array::read_npy(self.archive.by_index(index)?)?)
    }
}

/// Checks that the header of an `.npy` array of `T` claims no more than the `held` bytes that there are, header and all.
/// Whoever reads the array does so afterwards, from its first byte again: room for it is made by what the header says.
///
/// # Errors
/// When it claims more, cannot be read, or is none of an array of plain numbers.
pub fn check_npy<T>(bytes: impl Read, held: u64) -> Result<(), NpyError> {
    let Header { shape, .. } = read_header(bytes)?;
    let size = shape.iter().try_fold(size_of::<T>(), |size, &length| size.checked_mul(length));
    let is_there = |size: usize| size as u64 <= held && Vec::<u8>::new().try_reserve_exact(size).is_ok();
    if size.is_some_and(is_there) { Ok(()) } else { Err(NpyError::Claim { shape, held }) }
}

/// The header at the beginning of an `.npy` array.
///
/// The parser of headers takes twice as long for each bracket within another, so headers with such do not get to it.
fn read_header(mut bytes: impl Read) -> Result<Header, NpyError> {
    // Six bytes of magic, two of the version, and the length of the text: two in version 1, four in later ones.
    let mut header = vec![0; 12];
    bytes.read_exact(&mut header)?;
    let (start, length): (usize, u32) = match header[6] {
        1 => (10, u32::from(u16::from_le_bytes([header[8], header[9]]))),
        _ => (12, u32::from_le_bytes([header[8], header[9], header[10], header[11]])),
    };
    if length > MOST_TEXT {
        return Err(NpyError::NotPlain);
    }
    header.resize((start + length as usize).max(12), 0);
    bytes.read_exact(&mut header[12..])?;
    let count = |bracket: u8| header[start..].iter().filter(|&&byte| byte == bracket).count();
    if count(b'[') > 0 || count(b'{') > 1 || count(b'(') > 1 {
        return Err(NpyError::NotPlain);
    }
    Ok(Header::from_reader(&mut header.as_slice())?)
}

/// The first bytes of an `.npy` file of a type, as `|u1` or `<f4`, that claims to have a shape, as `(2, 3)`.
#[cfg(test)]
pub(crate) fn header(descriptor: &str, shape: &str) -> Vec<u8> {
    let text = format!("{{'descr': '{descriptor}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = u16::try_from(text.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Ix1};
    use ndarray_npy::NpzWriter;

    #[test]
    fn an_array_that_claims_more_than_there_is_is_refused_before_it_is_read() {
        let header = |shape| header("<f4", shape);
        let check = |bytes: &[u8]| check_npy::<f32>(bytes, bytes.len() as u64);
        let error = check(&header("(1, 1, 1000000, 1000, 1000)")).unwrap_err().to_string();
        assert!(error.contains("[1, 1, 1000000, 1000, 1000]"), "{error}");
        let overflowing = check(&header("(4294967296, 4294967296, 4294967296)"));
        assert!(matches!(overflowing, Err(NpyError::Claim { .. })));
        check(&[header("(2, 3)"), vec![0; 24]].concat()).unwrap();
    }

    #[test]
    fn a_header_with_brackets_in_brackets_is_refused_before_it_is_parsed() {
        let check = |bytes: &[u8]| check_npy::<f32>(bytes, bytes.len() as u64);
        for shape in ["[", "{", "("].map(|bracket| bracket.repeat(60)) {
            assert!(matches!(check(&header("<f4", &shape)), Err(NpyError::NotPlain)), "{shape}");
        }
        assert!(matches!(check(&header("<f4", &format!("({})", "1,".repeat(5000)))), Err(NpyError::NotPlain)));
        assert!(matches!(check(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}"), Err(NpyError::NotPlain)));
        assert!(matches!(check(b"\x93NUMPY"), Err(NpyError::Io(_))));
    }

    #[test]
    fn an_archive_gives_its_arrays_by_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let zeros = Array1::<u8>::zeros(100_000);
        let mut npz = NpzWriter::new_compressed(File::create(&path).unwrap());
        npz.add_array("zeros", &zeros).unwrap();
        npz.finish().unwrap();
        let mut npz = Npz::open(&path).unwrap();
        assert_eq!(npz.array::<u8, Ix1>("zeros").unwrap(), zeros);
        assert!(matches!(npz.array::<u8, Ix1>("ones"), Err(NpyError::Missing(_))));
        assert!(npz.array::<f32, Ix1>("zeros").is_err());
    }
}
