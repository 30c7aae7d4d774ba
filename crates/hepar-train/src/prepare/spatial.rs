//! Scans for the liver and the tumour stage.

use hepar_pipeline::{Brightness, grown};
use hepar_volume::{Connectivity, Margin, Reach, Volume, VoxelBox, components, resize_mean};
use ndarray::ArrayView3;

use super::{LiverFacts, Prepared, Voxels, resized_labels, rounded};
use crate::config::TrainConfig;
use crate::dataset::PatientId;

/// Real CT that is kept around what the stage looks at, for shifted, turned and scaled samples.
const CONTEXT_MM: f64 = 40.0;

/// The surroundings of a scan's liver on the stage's grid, or `None` when it has no liver.
///
/// `scan` and `labels` are in canonical orientation on the same grid. The grid's voxels are those that the stage would
/// have for the box of the true liver; it only reaches further.
pub(crate) fn prepare_spatial(
    name: &str,
    patient: &PatientId,
    scan: &Volume<i16>,
    labels: &Volume<u8>,
    config: &TrainConfig,
) -> Option<Prepared> {
    let liver = VoxelBox::around(labels.data(), |&label| label >= 1)?;
    let region = grown(&liver, config.margin, scan.geometry());
    let kept = region.padded(Margin([Reach::Millimetres(CONTEXT_MM); 3]), scan.geometry());
    let seen = config.grid.shape(region.shape(), scan.geometry().spacing());
    let shape = std::array::from_fn(|axis| {
        let factor = seen[axis] as f64 / region.shape()[axis] as f64;
        ((kept.shape()[axis] as f64 * factor).round() as usize).max(1)
    });
    let (scan, labels) = (scan.crop(&kept), labels.crop(&kept));
    // A grid over the extent of one that exists, with at least one voxel along each axis.
    let grid = scan.geometry().resized(shape).ok()?;
    let hu =
        if shape == scan.shape() { scan.data().to_owned() } else { rounded(resize_mean(scan.data(), shape).view()) };
    let labels = resized_labels(labels.data(), shape);
    let spacing = grid.spacing();
    let facts = LiverFacts::of(hu.view(), labels.view(), spacing, config)?;
    let facts = LiverFacts { region: grown_on(&facts.bounds, &region, &kept, &liver, shape), ..facts };
    let (name, patient) = (name.to_owned(), patient.clone());
    let voxels = Voxels::new(hu, labels);
    Some(Prepared { name, patient, origin: "scans".into(), voxels, spacing, liver: Some(facts) })
}

/// What the stage looks at, in voxels of the prepared grid of `shape` that lies over `kept` of the scan.
fn grown_on(bounds: &VoxelBox, region: &VoxelBox, kept: &VoxelBox, liver: &VoxelBox, shape: [usize; 3]) -> VoxelBox {
    let factor = |axis: usize| shape[axis] as f64 / kept.shape()[axis] as f64;
    let start = std::array::from_fn(|axis| {
        let margin = (liver.start()[axis] - region.start()[axis]) as f64 * factor(axis);
        bounds.start()[axis].saturating_sub(margin.round() as usize)
    });
    let end = std::array::from_fn(|axis| {
        let margin = (region.end()[axis] - liver.end()[axis]) as f64 * factor(axis);
        (bounds.end()[axis] + margin.round() as usize).min(shape[axis])
    });
    VoxelBox::new(start, end).unwrap_or(*bounds)
}

impl LiverFacts {
    /// The facts of Hounsfield units and labels on a grid of `spacing` millimetres, `[k, j, i]`; the region is the liver's box
    /// itself. `None` without liver.
    pub(super) fn of(
        hu: ArrayView3<'_, i16>,
        labels: ArrayView3<'_, u8>,
        spacing: [f64; 3],
        config: &TrainConfig,
    ) -> Option<Self> {
        let bounds = VoxelBox::around(labels, |&label| label >= 1)?;
        let mut brightness = Brightness::new(labels.dim().into(), spacing);
        for ((k, j, i), _) in labels.indexed_iter().filter(|(_, label)| **label >= 1) {
            brightness.add([k, j, i], hu[[k, j, i]]);
        }
        let brightness_hu = brightness.value()?;
        let tumours = config.stage == hepar_model::stage::StageName::Tumour;
        let lesions = if tumours { lesions(labels) } else { Vec::new() };
        Some(Self {
            bounds,
            brightness_hu,
            region: bounds,
            surface: surface(labels),
            lesions,
            false_lesions: Vec::new(),
        })
    }
}

/// Voxels of each 26-connected component of label 2, as positions in C order.
fn lesions(labels: ArrayView3<'_, u8>) -> Vec<Vec<u32>> {
    parts(labels.mapv(|label| label == 2).view())
}

/// Voxels of each 26-connected component of a mask, as positions in C order.
pub(crate) fn parts(mask: ArrayView3<'_, bool>) -> Vec<Vec<u32>> {
    let found = components(mask, Connectivity::Corners26);
    let mut lesions = vec![Vec::new(); found.count()];
    for (position, &lesion) in found.labels.iter().enumerate().filter(|(_, lesion)| **lesion > 0) {
        // Positions of a scan fit into 32 bits: it has fewer than 2³² voxels.
        lesions[lesion as usize - 1].push(position as u32);
    }
    lesions
}

/// Voxels of the liver that have a face in common with what is not liver, as positions in C order.
fn surface(labels: ArrayView3<'_, u8>) -> Vec<u32> {
    let (depth, height, width) = labels.dim();
    let is_liver = |k: usize, j: usize, i: usize| labels[[k, j, i]] >= 1;
    let is_inner = |k: usize, j: usize, i: usize| {
        (k == 0 || is_liver(k - 1, j, i))
            && (k + 1 == depth || is_liver(k + 1, j, i))
            && (j == 0 || is_liver(k, j - 1, i))
            && (j + 1 == height || is_liver(k, j + 1, i))
            && (i == 0 || is_liver(k, j, i - 1))
            && (i + 1 == width || is_liver(k, j, i + 1))
    };
    let mut surface = Vec::new();
    for (position, ((k, j, i), &label)) in labels.indexed_iter().enumerate() {
        if label >= 1 && !is_inner(k, j, i) {
            surface.push(position as u32);
        }
    }
    surface
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_model::stage::{BoxMargin, Grid, StageName};
    use hepar_volume::Geometry;
    use ndarray::Array3;

    /// A scan of 1 HU per voxel along i, with a box of liver that holds two tumours touching at a corner and one apart.
    fn scan() -> (Volume<i16>, Volume<u8>) {
        let grid = Geometry::axis_aligned([40, 60, 60], [2.0, 1.0, 1.0]).unwrap();
        let labels = Volume::from_fn(grid.clone(), |[k, j, i]| match (k, j, i) {
            (15, 20, 20) | (16, 21, 21) | (20, 30, 30) => 2,
            (10..30, 15..45, 15..45) => 1,
            _ => 0,
        });
        (Volume::from_fn(grid, |[_, _, i]| i as i16), labels)
    }

    fn config(grid: Grid) -> TrainConfig {
        let margin = BoxMargin { in_plane_voxels: 5, through_plane_mm: 4.0 };
        TrainConfig { grid, margin, ..TrainConfig::preset(StageName::Tumour) }
    }

    fn prepared(grid: Grid) -> Prepared {
        let (ct, labels) = scan();
        prepare_spatial("a", &PatientId::of("a"), &ct, &labels, &config(grid)).unwrap()
    }

    #[test]
    fn on_the_native_grid_voxels_stay_and_lesions_are_26_connected() {
        let case = prepared(Grid::Native);
        let facts = case.liver.clone().unwrap();
        assert_eq!(case.voxels.shape(), [40, 60, 60]);
        assert_eq!(facts.bounds, VoxelBox::new([10, 15, 15], [30, 45, 45]).unwrap());
        assert_eq!(facts.region, VoxelBox::new([8, 10, 10], [32, 50, 50]).unwrap());
        assert_eq!(facts.lesions.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(case.index(facts.lesions[1][0]), [20, 30, 30]);
        assert_eq!(facts.surface.len(), 20 * 30 * 30 - 18 * 28 * 28);
    }

    #[test]
    fn a_slice_size_is_that_of_the_stages_box_not_of_what_is_kept() {
        let case = prepared(Grid::ResizedInPlane { size: [80, 80] });
        assert_eq!(case.voxels.shape(), [40, 120, 120]);
        assert_eq!(case.liver.unwrap().region.shape(), [24, 80, 80]);
    }

    #[test]
    fn image_and_labels_stay_together_on_another_spacing() {
        let case = prepared(Grid::Spacing { mm: [4.0, 2.0, 2.0] });
        assert_eq!(case.voxels.shape(), [20, 30, 30]);
        // Half of the outermost voxels in plane is liver.
        assert_eq!(case.liver.clone().unwrap().bounds, VoxelBox::new([5, 7, 7], [15, 23, 23]).unwrap());
        let first_row: Vec<i16> = case.voxels.all().unwrap().hu.iter().copied().take(4).collect();
        assert_eq!(first_row, [1, 3, 5, 7], "the mean of two voxels, halves rounded up");
    }

    #[test]
    fn a_scan_without_liver_cannot_be_prepared() {
        let (ct, labels) = scan();
        let none = labels.map(|_| 0);
        let made = prepare_spatial("a", &PatientId::of("a"), &ct, &none, &config(Grid::Native));
        assert_eq!(made, None);
        assert!(surface(Array3::<u8>::zeros((2, 2, 2)).view()).is_empty());
    }
}
