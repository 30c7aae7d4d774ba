use std::io::{self, Write};
use std::path::Path;

use flate2::{Compression, GzBuilder};
use hepar_volume::{Geometry, Volume};

use crate::atomic::write_atomically;
use crate::error::{WriteError, WriteErrorKind};
use crate::grid::GridHeader;
use crate::nifti::encode::{Contents, encode};

/// Bytes that are handed to the file at once.
const CHUNK: usize = 1 << 16;

/// How far, in voxels, a volume may lie from the grid that it is written on: the rounding of single precision.
const SAME_PLACE: f64 = 0.01;

/// See [`crate::write_labels`].
pub(crate) fn write_labels(path: &Path, labels: &Volume<u8>, grid: &GridHeader) -> Result<(), WriteError> {
    write(path, labels, grid, Contents::Labels, |v| [v])
}

/// See [`crate::write_probabilities`].
pub(crate) fn write_probabilities(
    path: &Path,
    probabilities: &Volume<u8>,
    grid: &GridHeader,
) -> Result<(), WriteError> {
    write(path, probabilities, grid, Contents::Probabilities, |v| [v])
}

/// See [`crate::write_scan`].
pub(crate) fn write_scan(path: &Path, scan: &Volume<i16>, grid: &GridHeader) -> Result<(), WriteError> {
    write(path, scan, grid, Contents::Scan, i16::to_le_bytes)
}

fn write<T: Copy, const N: usize>(
    path: &Path,
    volume: &Volume<T>,
    grid: &GridHeader,
    contents: Contents,
    bytes: impl Fn(T) -> [u8; N],
) -> Result<(), WriteError> {
    let fail = |kind| WriteError::new(path, kind);
    let compressed = compressed_by_name(path).ok_or_else(|| fail(WriteErrorKind::UnknownExtension))?;
    check_place(volume.geometry(), grid.geometry()).map_err(fail)?;
    let header = encode(grid.forms(), volume.shape(), contents);
    let body = |out: &mut dyn Write| {
        out.write_all(&header)?;
        write_voxels(volume, bytes, out)
    };
    write_atomically(path, |file| {
        if compressed {
            // Neither time nor name, so the same labels are the same bytes.
            let mut gzip = GzBuilder::new().mtime(0).write(file, Compression::default());
            body(&mut gzip)?;
            gzip.finish().map(drop)
        } else {
            body(file)
        }
    })
    .map_err(|error| fail(error.into()))
}

/// Whether the name asks for compression; `None` when it is not that of a NIfTI file.
fn compressed_by_name(path: &Path) -> Option<bool> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    if name.ends_with(".nii.gz") { Some(true) } else { name.ends_with(".nii").then_some(false) }
}

fn check_place(volume: &Geometry, grid: &Geometry) -> Result<(), WriteErrorKind> {
    if volume.shape() != grid.shape() {
        return Err(WriteErrorKind::Shape { volume: volume.shape(), grid: grid.shape() });
    }
    let voxel = grid.spacing().into_iter().fold(f64::INFINITY, f64::min);
    if volume.matches(grid, SAME_PLACE * voxel) { Ok(()) } else { Err(WriteErrorKind::Elsewhere) }
}

/// Writes the voxels in the order of the file, i fastest, whatever their order in memory.
fn write_voxels<T: Copy, const N: usize>(
    volume: &Volume<T>,
    bytes: impl Fn(T) -> [u8; N],
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut chunk = Vec::with_capacity(CHUNK + N);
    for voxel in volume.data() {
        chunk.extend(bytes(*voxel));
        if chunk.len() >= CHUNK {
            out.write_all(&chunk)?;
            chunk.clear();
        }
    }
    out.write_all(&chunk)
}
