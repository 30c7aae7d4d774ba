use crate::datatype::{ByteOrder, Datatype};
use crate::error::ReadErrorKind;
use crate::source::Source;

/// Voxels that are converted at once: small enough to stay in the cache.
const CHUNK: usize = 1 << 14;

/// How the voxels of an image are stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Layout {
    pub(crate) datatype: Datatype,
    pub(crate) order: ByteOrder,
    /// Slope and intercept; (1, 0) when there is none.
    pub(crate) scaling: (f64, f64),
    /// First byte of the voxels.
    pub(crate) offset: u64,
}

/// The intensities of an image, slope and intercept applied, a small piece at a time in the order of the file.
pub(crate) struct Voxels {
    source: Source,
    datatype: Datatype,
    order: ByteOrder,
    scaling: Option<(f64, f64)>,
    total: u64,
    done: u64,
    bytes: Vec<u8>,
    values: Vec<f64>,
}

impl Voxels {
    /// Goes to the first voxel of an image of `shape`, `[k, j, i]`, once it is sure that the file can hold it.
    pub(crate) fn new(layout: Layout, shape: [u64; 3], mut source: Source) -> Result<Self, ReadErrorKind> {
        let Layout { datatype, order, scaling, offset } = layout;
        let width = datatype.bytes().ok_or(ReadErrorKind::UnsupportedType(datatype))?;
        let scaling = Some(scaling).filter(|scaling| *scaling != (1.0, 0.0));
        let total = check_size(shape, width as u64, offset, &source)?;
        source.skip_to(offset)?;
        let (bytes, values) = (vec![0; CHUNK * width], Vec::with_capacity(CHUNK));
        Ok(Self { source, datatype, order, scaling, total, done: 0, bytes, values })
    }

    /// Number of voxels of the image.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Number of voxels that were given out.
    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    /// The next voxels; `None` after the last.
    ///
    /// # Errors
    /// When the file ends too early or its compression is damaged.
    pub(crate) fn next_chunk(&mut self) -> Result<Option<&[f64]>, ReadErrorKind> {
        let Some(voxels) = self.read_chunk()? else { return Ok(None) };
        let width = self.bytes.len() / CHUNK;
        let wanted = &self.bytes[..voxels * width];
        self.values.clear();
        self.datatype.decode(self.order, wanted, &mut self.values);
        if let Some((slope, intercept)) = self.scaling {
            self.values.iter_mut().for_each(|v| *v = *v * slope + intercept);
        }
        Ok(Some(&self.values))
    }

    /// Whether the voxels are bytes whose numbers are meant as they are.
    pub(crate) fn are_plain_bytes(&self) -> bool {
        self.datatype == Datatype::U8 && self.scaling.is_none()
    }

    /// As [`Voxels::next_chunk`], for voxels that are plain bytes.
    ///
    /// # Errors
    /// As [`Voxels::next_chunk`].
    pub(crate) fn next_bytes(&mut self) -> Result<Option<&[u8]>, ReadErrorKind> {
        Ok(self.read_chunk()?.map(|voxels| &self.bytes[..voxels]))
    }

    /// Reads the bytes of the next voxels and gives their number; `None` after the last.
    fn read_chunk(&mut self) -> Result<Option<usize>, ReadErrorKind> {
        if self.done == self.total {
            self.source.verify_end()?;
            return Ok(None);
        }
        let width = self.bytes.len() / CHUNK;
        let voxels = (self.total - self.done).min(CHUNK as u64) as usize;
        let wanted = &mut self.bytes[..voxels * width];
        let read = self.source.read(wanted)?;
        if read < wanted.len() {
            let held = self.done + (read / width) as u64;
            return Err(ReadErrorKind::Truncated { claimed: self.total, held });
        }
        self.done += voxels as u64;
        Ok(Some(voxels))
    }
}

/// Number of voxels of `shape`, `[k, j, i]`, if the file can hold them at `width` bytes each from byte `offset` on.
fn check_size(shape: [u64; 3], width: u64, offset: u64, source: &Source) -> Result<u64, ReadErrorKind> {
    let too_large = || ReadErrorKind::TooLarge { shape, held: source.length() };
    let voxels = shape.iter().try_fold(1u64, |product, n| product.checked_mul(*n)).ok_or_else(too_large)?;
    let end = voxels.checked_mul(width).and_then(|bytes| bytes.checked_add(offset)).ok_or_else(too_large)?;
    let capacity = source.capacity();
    if end <= capacity {
        return Ok(voxels);
    }
    if source.compressed() {
        return Err(too_large());
    }
    match capacity.checked_sub(offset) {
        Some(bytes) => Err(ReadErrorKind::Truncated { claimed: voxels, held: bytes / width }),
        None => Err(ReadErrorKind::NoVoxels { offset, end: capacity }),
    }
}
