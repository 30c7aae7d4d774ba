//! What the viewer shows, small enough to be in a page.

use std::io::Write;

use flate2::{Compression, GzBuilder};
use hepar_pipeline::Findings;
use hepar_volume::{Geometry, Margin, Reach, Reorientation, Volume, VoxelBox};
use ndarray::{ArrayView3, Slice};
use serde::Serialize;

use crate::blocks::Blocks;
use crate::error::PictureError;
use crate::html::base64;
use crate::mesh::{Detail, Surface, Surfaces};
use crate::palette::{Colour, PALE_BLUE, VERMILLION};

/// The most voxels of the scan in a page: some 4 MB of it.
const VOXELS: usize = 3_600_000;

/// How much of the scan is shown around the liver, in millimetres.
const MARGIN: f64 = 15.0;

/// Hounsfield units of byte 0, and of a step from byte to byte: -200 to 310, all that the windows show.
const LOWEST_HU: f32 = -200.0;
const HU_STEP: f32 = 2.0;

/// What `viewer.js` reads. Arrays are in the order i, j, k of NIfTI; bytes are compressed with gzip, in base64.
#[derive(Debug, Serialize)]
pub(crate) struct Scene {
    shape: [usize; 3],
    /// Millimetres.
    spacing: [f64; 3],
    /// From i, j, k to RAS+ millimetres, by rows.
    affine: Vec<f64>,
    /// Slope and intercept from the scan's bytes to Hounsfield units.
    scaling: [f32; 2],
    /// The scan, a byte a voxel.
    ct: String,
    /// 0 background, 1 liver, 2 tumour.
    labels: String,
    meshes: Vec<Mesh>,
    lesions: Vec<Place>,
    /// Where the crosshair is first, RAS+ millimetres.
    start: [f64; 3],
}

#[derive(Debug, Serialize)]
struct Mesh {
    name: String,
    /// f32, little-endian, RAS+ millimetres.
    points: String,
    /// u32, little-endian.
    triangles: String,
    colour: [u8; 3],
    opacity: f32,
}

#[derive(Debug, Serialize)]
struct Place {
    id: usize,
    /// RAS+ millimetres.
    at: [f64; 3],
}

impl Scene {
    /// The liver with what is around it, or the whole scan when there is none, in at most [`VOXELS`] voxels; surfaces
    /// of the liver and of the `most` largest lesions.
    ///
    /// # Errors
    /// When two axes of the scan are all but parallel.
    pub(crate) fn of(
        scan: &Volume<i16>,
        labels: &Volume<u8>,
        findings: &Findings,
        most: usize,
    ) -> Result<Self, PictureError> {
        let whole = VoxelBox::whole(scan.geometry());
        let liver = findings.liver_box.as_ref().and_then(|bounds| bounds.intersection(&whole));
        let part = liver.map_or(whole, |liver| liver.padded(Margin([Reach::Millimetres(MARGIN); 3]), scan.geometry()));
        let to_canonical = Reorientation::to_canonical(scan.geometry());
        let part = to_canonical.voxel_box(&part, scan.shape());
        let whole = to_canonical.geometry(scan.geometry());
        let shown = whole.window(part.start().map(|voxel| voxel as i64), part.shape())?;
        let blocks = Blocks::at_most(VOXELS, shown.shape(), shown.spacing());
        let grid = blocks.geometry(&shown)?;
        let ct = blocks.fold(cropped(to_canonical.view(scan), &part), |block| {
            byte(block.iter().map(|&hu| i32::from(hu)).sum::<i32>() as f32 / block.len() as f32)
        });
        let coarse_labels =
            blocks.fold(cropped(to_canonical.view(labels), &part), |block| prevailing(block.iter().copied()));
        let ([nk, nj, ni], [sk, sj, si]) = (grid.shape(), grid.spacing());
        Ok(Self {
            shape: [ni, nj, nk],
            spacing: [si, sj, sk],
            affine: grid.affine().iter().flatten().copied().collect(),
            scaling: [HU_STEP, LOWEST_HU],
            ct: packed(ct.iter().copied())?,
            labels: packed(coarse_labels.iter().copied())?,
            meshes: meshes(&Surfaces::of(labels, most, Detail::PAGE))?,
            lesions: findings.lesions.iter().map(|lesion| Place { id: lesion.id, at: lesion.centroid.0 }).collect(),
            start: start(findings, &grid),
        })
    }

    /// Millimetres between its voxels along i, j, k.
    pub(crate) fn spacing(&self) -> [f64; 3] {
        self.spacing
    }
}

/// The voxels of a box: a view, since a copy of a whole scan would need as much memory again.
fn cropped<'a, T>(mut volume: ArrayView3<'a, T>, part: &VoxelBox) -> ArrayView3<'a, T> {
    let (start, end) = (part.start(), part.end());
    volume.slice_each_axis_inplace(|axis| Slice::from(start[axis.axis.index()]..end[axis.axis.index()]));
    volume
}

/// The largest lesion, or the middle of what is shown.
fn start(findings: &Findings, grid: &Geometry) -> [f64; 3] {
    let middle = || grid.to_world(grid.shape().map(|len| (len as f64 - 1.0) / 2.0));
    findings.lesions.first().map_or_else(middle, |lesion| lesion.centroid).0
}

/// Hounsfield units in a byte.
fn byte(hu: f32) -> u8 {
    ((hu - LOWEST_HU) / HU_STEP).round().clamp(0.0, 255.0) as u8
}

/// The label of most voxels; of equal counts the greatest, so that small tumours are seen.
fn prevailing(labels: impl Iterator<Item = u8>) -> u8 {
    let mut counts = [0; 3];
    labels.for_each(|label| counts[usize::from(label.min(2))] += 1);
    (0..3u8).max_by_key(|&label| counts[usize::from(label)]).unwrap_or(0)
}

fn meshes(surfaces: &Surfaces) -> Result<Vec<Mesh>, PictureError> {
    // What is translucent is drawn last, over what is solid.
    let lesions = surfaces.lesions.iter().map(|(n, surface)| mesh(format!("lesion {n}"), surface, VERMILLION, 1.0));
    lesions.chain(surfaces.liver.iter().map(|surface| mesh("liver".to_owned(), surface, PALE_BLUE, 0.4))).collect()
}

fn mesh(name: String, surface: &Surface, Colour(colour): Colour, opacity: f32) -> Result<Mesh, PictureError> {
    // A twentieth of a millimetre cannot be seen and the rest compresses better.
    let points = surface.points.iter().flatten().map(|v| (v * 20.0).round() / 20.0);
    Ok(Mesh {
        name,
        points: packed(points.flat_map(f32::to_le_bytes))?,
        triangles: packed(surface.triangles.iter().flatten().flat_map(|corner| corner.to_le_bytes()))?,
        colour,
        opacity,
    })
}

/// Bytes compressed with gzip, without a time, in base64.
fn packed(bytes: impl Iterator<Item = u8>) -> Result<String, PictureError> {
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
    gzip.write_all(&bytes.collect::<Vec<u8>>())?;
    Ok(base64(&gzip.finish()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use hepar_pipeline::{LastStage, describe};
    use std::io::Read;

    fn unpacked(text: &str) -> Vec<u8> {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut unpacked).unwrap();
        unpacked
    }

    #[test]
    fn the_liver_is_shown_with_a_margin_and_hounsfield_units_come_back() {
        let geometry = Geometry::axis_aligned([40, 50, 60], [2.0, 1.0, 1.0]).unwrap();
        let mut labels = Volume::filled(geometry.clone(), 0u8);
        (20..24).for_each(|k| (25..30).for_each(|j| (30..36).for_each(|i| labels.data_mut()[[k, j, i]] = 1)));
        labels.data_mut()[[21, 27, 33]] = 2;
        let scan = Volume::from_fn(geometry, |[k, j, i]| (k as i16 - 20) * 40 + j as i16 + i as i16);
        let findings = describe(&labels, &scan, LastStage::Tumour).unwrap();
        let scene = Scene::of(&scan, &labels, &findings, 5).unwrap();
        assert_eq!(scene.shape, [36, 35, 20]);
        let (ct, shown) = (unpacked(&scene.ct), unpacked(&scene.labels));
        let tumour = shown.iter().position(|&label| label == 2).unwrap();
        let hu = f32::from(ct[tumour]) * scene.scaling[0] + scene.scaling[1];
        assert!((hu - f32::from(scan.data()[[21, 27, 33]])).abs() <= 1.0, "{hu}");
        // The affine puts the voxel where the lesion is.
        let index = [tumour % 36, tumour / 36 % 35, tumour / 36 / 35].map(|v| v as f64);
        for row in 0..3 {
            let affine = &scene.affine[4 * row..4 * row + 4];
            let place = (0..3).map(|n| affine[n] * index[n]).sum::<f64>() + affine[3];
            assert!((place - scene.lesions[0].at[row]).abs() < 1e-9 && place == scene.start[row]);
        }
        assert_eq!(scene.meshes.iter().map(|mesh| &mesh.name[..]).collect::<Vec<_>>(), ["lesion 1", "liver"]);
    }

    #[test]
    fn a_large_scan_is_reduced() {
        let geometry = Geometry::axis_aligned([200, 200, 200], [1.0; 3]).unwrap();
        let (scan, labels) = (Volume::filled(geometry.clone(), 100i16), Volume::filled(geometry, 0u8));
        let findings = describe(&labels, &scan, LastStage::Tumour).unwrap();
        let scene = Scene::of(&scan, &labels, &findings, 5).unwrap();
        assert!(scene.shape.into_iter().product::<usize>() <= VOXELS, "{:?}", scene.shape);
        assert!(unpacked(&scene.ct).iter().all(|&byte| byte == 150));
        assert!(scene.meshes.is_empty());
    }

    #[test]
    fn of_equal_counts_the_tumour_prevails() {
        assert_eq!(prevailing([1, 2, 2, 1].into_iter()), 2);
        assert_eq!(prevailing([0, 0, 1].into_iter()), 0);
        assert_eq!(prevailing([0, 1, 1].into_iter()), 1);
    }
}
