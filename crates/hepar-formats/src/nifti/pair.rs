use std::path::{Path, PathBuf};

use crate::error::ReadErrorKind;

/// The file with the voxels of the header in `path`: `.img` or `.img.gz` beside `.hdr` or `.hdr.gz`.
///
/// # Errors
/// When there is none.
pub(crate) fn voxels_of(path: &Path) -> Result<PathBuf, ReadErrorKind> {
    let candidates = partners(path, ".hdr", ".img");
    let missing = candidates.first().cloned().unwrap_or_else(|| path.with_extension("img"));
    candidates.into_iter().find(|p| p.is_file()).ok_or(ReadErrorKind::Pair { missing })
}

/// The file with the header of the voxels in `path`, if its name says that it is half of a pair.
///
/// # Errors
/// When the header is missing.
pub(crate) fn header_of(path: &Path) -> Result<Option<PathBuf>, ReadErrorKind> {
    let candidates = partners(path, ".img", ".hdr");
    let Some(missing) = candidates.first().cloned() else { return Ok(None) };
    candidates.into_iter().find(|p| p.is_file()).map(Some).ok_or(ReadErrorKind::Pair { missing })
}

/// Names of the other half of a pair, plain or compressed, the likeliest first; none when the name does not end in
/// `own`.
fn partners(path: &Path, own: &str, other: &str) -> Vec<PathBuf> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let (stem, compressed) = match name.strip_suffix(".gz") {
        Some(stem) => (stem, true),
        None => (name, false),
    };
    let Some(stem) = stem.strip_suffix(own) else { return Vec::new() };
    let plain = path.with_file_name(format!("{stem}{other}"));
    let gzip = path.with_file_name(format!("{stem}{other}.gz"));
    if compressed { vec![gzip, plain] } else { vec![plain, gzip] }
}
