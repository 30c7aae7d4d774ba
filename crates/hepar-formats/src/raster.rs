//! Images whose voxels lie in a file one after the other, whatever their header is.

use hepar_volume::{Geometry, Volume};
use ndarray::Array3;

use crate::error::ReadErrorKind;
use crate::grid::GridHeader;
use crate::image::{Labels, Scan};
use crate::survey::{Survey, index};
use crate::voxels::Voxels;
use crate::warning::Warning;

/// How far a label may be from a whole number: what rounding a slope such as 1/255 to single precision does.
const WHOLE: f64 = 1e-5;

/// An image whose header was read and whose voxels are next.
pub(crate) struct Raster {
    pub(crate) voxels: Voxels,
    pub(crate) grid: GridHeader,
    pub(crate) warnings: Vec<Warning>,
}

/// The label that a number stands for; `None` when it is none.
pub(crate) type Labelling = fn(f64) -> Option<u8>;

impl Raster {
    /// Reads the voxels as intensities.
    pub(crate) fn into_scan(self) -> Result<Scan, ReadErrorKind> {
        let Self { mut voxels, grid, mut warnings } = self;
        let mut intensities = reserve(voxels.total())?;
        let mut survey = Survey::new();
        while let Some(chunk) = voxels.next_chunk()? {
            intensities.extend(chunk.iter().map(|v| survey.round(*v)));
        }
        warnings.extend(survey.judge(grid.geometry().shape())?);
        Ok(Scan { volume: volume(intensities, grid.geometry())?, grid, warnings, dicom: None })
    }

    /// Reads the voxels as labels.
    pub(crate) fn into_labels(self, label: Labelling) -> Result<Labels, ReadErrorKind> {
        let Self { mut voxels, grid, warnings } = self;
        let mut labels: Vec<u8> = reserve(voxels.total())?;
        if voxels.are_plain_bytes() {
            // Most label volumes are, and need no detour through floats. Every byte is a label.
            let of_byte: [u8; 256] = std::array::from_fn(|byte| label(byte as f64).unwrap_or_default());
            while let Some(bytes) = voxels.next_bytes()? {
                labels.extend(bytes.iter().map(|&byte| of_byte[usize::from(byte)]));
            }
            return Ok(Labels { volume: volume(labels, grid.geometry())?, grid, warnings });
        }
        loop {
            let start = voxels.done();
            let Some(chunk) = voxels.next_chunk()? else { break };
            for (n, value) in chunk.iter().enumerate() {
                labels.push(label(*value).ok_or_else(|| ReadErrorKind::LabelValue {
                    value: *value,
                    index: index(start + n as u64, grid.geometry().shape()),
                })?);
            }
        }
        Ok(Labels { volume: volume(labels, grid.geometry())?, grid, warnings })
    }
}

/// The label that a number stands for.
pub(crate) fn label(value: f64) -> Option<u8> {
    let whole = value.round();
    ((0.0..=255.0).contains(&whole) && (value - whole).abs() <= WHOLE).then_some(whole as u8)
}

/// The label that a number becomes when it is cut to 8 bits with a sign; none for what is not finite.
pub(crate) fn truncated(value: f64) -> Option<u8> {
    // The casts cut off the fraction, then all but the lowest 8 bits, which are meant.
    value.is_finite().then(|| (value as i64 as i8).max(0) as u8)
}

/// A shape that this machine can address.
///
/// # Errors
/// Only where addresses are shorter than 64 bits.
pub(crate) fn addressable(shape: [u64; 3]) -> Result<[usize; 3], ReadErrorKind> {
    let too_large = |_| ReadErrorKind::OutOfMemory { voxels: shape.iter().product() };
    let [k, j, i] = shape.map(usize::try_from);
    Ok([k.map_err(too_large)?, j.map_err(too_large)?, i.map_err(too_large)?])
}

/// An empty array with room for `voxels`.
fn reserve<T>(voxels: u64) -> Result<Vec<T>, ReadErrorKind> {
    let out_of_memory = || ReadErrorKind::OutOfMemory { voxels };
    let length = usize::try_from(voxels).map_err(|_| out_of_memory())?;
    let mut array = Vec::new();
    array.try_reserve_exact(length).map_err(|_| out_of_memory())?;
    Ok(array)
}

fn volume<T>(voxels: Vec<T>, geometry: &Geometry) -> Result<Volume<T>, ReadErrorKind> {
    let claimed = geometry.shape().iter().map(|n| *n as u64).product();
    let mismatch = ReadErrorKind::Truncated { claimed, held: voxels.len() as u64 };
    let Ok(data) = Array3::from_shape_vec(geometry.shape(), voxels) else { return Err(mismatch) };
    Volume::new(data, geometry.clone()).map_err(|_| mismatch)
}
