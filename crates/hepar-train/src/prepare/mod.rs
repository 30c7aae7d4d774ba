//! Cases that are ready to be sampled from, in memory or in a file.

mod cache;
mod phantoms;
mod planar;
mod spatial;
mod voxels;

use std::path::Path;

use hepar_formats::{read_labels, read_scan};
use hepar_pipeline::check_same_grid;
use hepar_volume::{Reorientation, Volume, VoxelBox, resize_mean};
use ndarray::{Array3, ArrayView3, Zip};
use rayon::prelude::*;

pub use cache::Cache;
pub(crate) use planar::planes_of;
pub(crate) use spatial::{parts, prepare_spatial};
pub(crate) use voxels::Part;
pub use voxels::{Storage, Voxels};

use crate::config::TrainConfig;
use crate::dataset::{Case, PatientId, Source};
use crate::error::DataError;
use hepar_model::stage::StageName;

/// Shares of a voxel that differ by less are equal: rounding does not decide between them.
const ROUNDING: f32 = 1e-4;

/// A case on the grid of its stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// The case's name.
    pub name: String,
    /// Whom it shows.
    pub patient: PatientId,
    /// Where the case comes from: cases of one origin are drawn by patient, origins evenly.
    pub origin: String,
    /// Hounsfield units, and 0 background, 1 liver, 2 tumour, in canonical orientation; for the localizer a stack of
    /// separate slices.
    pub voxels: Voxels,
    /// Distance of voxel centres in millimetres, `[k, j, i]`; ones for the localizer, whose slices have lost theirs.
    pub spacing: [f64; 3],
    /// What is known of the liver; `None` for the localizer.
    pub liver: Option<LiverFacts>,
}

/// Where the liver of a prepared case is, in its voxels.
#[derive(Debug, Clone, PartialEq)]
pub struct LiverFacts {
    /// The smallest box around the liver.
    pub bounds: VoxelBox,
    /// How bright the liver is, in Hounsfield units ([`hepar_pipeline::Brightness`]).
    pub brightness_hu: f32,
    /// That box grown by the stage's margin: what the stage would look at.
    pub region: VoxelBox,
    /// Positions, in C order, of the liver's voxels that have a face in common with another tissue.
    pub surface: Vec<u32>,
    /// Positions, in C order, of the voxels of each lesion: of each 26-connected component of label 2.
    pub lesions: Vec<Vec<u32>>,
    /// The same of what a network has taken for a lesion; empty where none was asked.
    pub false_lesions: Vec<Vec<u32>>,
}

/// Answers whether to stop.
pub type IsCancelled<'a> = dyn Fn() -> bool + Sync + 'a;

/// What a run draws its samples from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Material {
    /// Cases of patients.
    pub real: Vec<Prepared>,
    /// Synthetic cases.
    pub phantoms: Vec<Prepared>,
}

impl Prepared {
    /// Index `[k, j, i]` of a position in C order.
    pub(crate) fn index(&self, position: u32) -> [usize; 3] {
        let [_, height, width] = self.voxels.shape();
        let position = position as usize;
        [position / (height * width), position / width % height, position % width]
    }

    /// The case after a change of its Hounsfield units and labels, with the facts that it had before.
    #[cfg(test)]
    pub(crate) fn changed(&self, change: impl FnOnce(&mut Array3<i16>, &mut Array3<u8>)) -> Self {
        let all = self.voxels.all().unwrap();
        let (mut hu, mut labels) = (all.hu.into_owned(), all.labels.into_owned());
        change(&mut hu, &mut labels);
        Self { voxels: Voxels::new(hu, labels), ..self.clone() }
    }

    /// Bytes that the case takes in memory.
    fn bytes(&self) -> usize {
        let lists = self.liver.as_ref().map_or(0, |liver| {
            liver.surface.len()
                + [&liver.lesions, &liver.false_lesions].into_iter().flatten().map(Vec::len).sum::<usize>()
        });
        self.voxels.bytes() + 4 * lists
    }
}

impl Material {
    /// Reads and prepares `cases`, and draws the phantoms that the configuration asks for.
    ///
    /// What was prepared before is taken from the `cache`, if there is one; where the voxels are kept, the `storage`
    /// decides. `None` when `is_cancelled` says so, which is asked before each case and each phantom.
    ///
    /// # Errors
    /// When a case cannot be read, has no liver, its labels do not fit, or there is no room for it.
    pub fn prepare(
        cases: &[Case],
        config: &TrainConfig,
        cache: Option<&Cache>,
        storage: &Storage,
        is_cancelled: &IsCancelled<'_>,
    ) -> Result<Option<Self>, DataError> {
        let prepared = |case: &Case| match cache.zip(cache::files_of(case)) {
            Some((cache, files)) => {
                let of = (case.name.as_str(), &case.patient);
                cache.get_or_make(&files, of, config, || volume_case(case, config))
            }
            None => volume_case(case, config),
        };
        let kept = |case: Option<Prepared>| case.map(|case| storage.keep(case)).transpose();
        let volume = |case: &Case| if is_cancelled() { Ok(None) } else { kept(prepared(case)?).map(Some) };
        let volumes: Option<Vec<Option<Prepared>>> = cases.par_iter().map(volume).collect::<Result<_, DataError>>()?;
        let Some(volumes) = volumes else { return Ok(None) };
        let mut real: Vec<Prepared> = volumes.into_iter().flatten().collect();
        if config.stage == StageName::Localizer {
            real.extend(planar::slice_cases(cases, config, storage)?);
        }
        let phantoms = phantoms::prepare_phantoms(config, cache, storage, is_cancelled)?;
        Ok(phantoms.map(|phantoms| Self { real, phantoms }))
    }

    /// Bytes that the cases take in memory.
    pub fn bytes(&self) -> usize {
        self.cases().map(Prepared::bytes).sum()
    }

    /// Bytes of voxels that lie in a file.
    pub fn bytes_in_file(&self) -> u64 {
        self.cases().map(|case| case.voxels.bytes_in_file()).sum()
    }

    fn cases(&self) -> impl Iterator<Item = &Prepared> {
        self.real.iter().chain(&self.phantoms)
    }
}

/// A case that is a scan, prepared for its stage; `None` when it is single slices.
fn volume_case(case: &Case, config: &TrainConfig) -> Result<Option<Prepared>, DataError> {
    let Source::Volume { image, labels: labels_path } = &case.source else { return Ok(None) };
    let (scan, labels) = read_canonical(image, labels_path)?;
    if config.stage == StageName::Localizer {
        return Ok(Some(planes_of(&case.name, &case.patient, &scan, &labels, config)));
    }
    let prepared = prepare_spatial(&case.name, &case.patient, &scan, &labels, config);
    prepared.map(Some).ok_or_else(|| DataError::NoLiver(labels_path.clone()))
}

/// The scan in the file `image` and the labels in the file `labels`, in canonical orientation.
///
/// # Errors
/// When they cannot be read, lie on different grids, or a label is unknown.
pub(crate) fn read_canonical(image: &Path, labels: &Path) -> Result<(Volume<i16>, Volume<u8>), DataError> {
    let (image_path, labels_path) = (image.to_owned(), labels.to_owned());
    let (scan, labels) = (read_scan(image)?.volume, read_labels(labels)?.volume);
    if let Err(mismatch) = check_same_grid(scan.geometry(), labels.geometry()) {
        return Err(DataError::Grids { image: image_path, labels: labels_path, mismatch });
    }
    if let Some(&label) = labels.data().iter().find(|&&label| label > 2) {
        return Err(DataError::Label { labels: labels_path, label });
    }
    let canonical = Reorientation::to_canonical(scan.geometry());
    Ok((canonical.apply_into(scan), canonical.apply_into(labels)))
}

/// Labels resized to `shape` voxels, `[k, j, i]`, over the same outer extent: 2 where more than half of what [`resize_mean`] takes
/// the mean of is tumour, 1 where more than half of it is liver or tumour. Of voxels with exactly half every second one
/// counts, so that nothing grows or shrinks.
///
/// The label of the nearest voxel would not do: with half as many voxels along an axis, each is the mean of two and would be
/// labelled by the second of them.
pub(crate) fn resized_labels(labels: ArrayView3<'_, u8>, shape: [usize; 3]) -> Array3<u8> {
    let (depth, height, width) = labels.dim();
    if shape == [depth, height, width] {
        return labels.to_owned();
    }
    let share = |is_object: fn(u8) -> bool| {
        let mask = labels.mapv(|label| u8::from(is_object(label)));
        resize_mean(mask.view(), shape)
    };
    let (liver, tumour) = (share(|label| label >= 1), share(|label| label == 2));
    Zip::indexed(&liver).and(&tumour).map_collect(|(k, j, i), &liver, &tumour| {
        let half = if (k + j + i) % 2 == 0 { 0.5 - ROUNDING } else { 0.5 + ROUNDING };
        match tumour > half {
            true => 2,
            false => u8::from(liver > half),
        }
    })
}

/// Rounds values to whole Hounsfield units.
pub(crate) fn rounded(values: ArrayView3<'_, f32>) -> Array3<i16> {
    // The cast saturates.
    values.mapv(|hu| hu.round() as i16)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use hepar_formats::{GridHeader, write_labels, write_scan};
    use hepar_volume::Geometry;

    /// A case in `folder` whose labels have `shape` and are `label` everywhere; its scan has 4 × 5 × 6 voxels.
    fn case(folder: &Path, shape: [usize; 3], label: u8) -> Case {
        let grid = |shape| Geometry::axis_aligned(shape, [1.0; 3]).unwrap();
        let scan = Volume::from_fn(grid([4, 5, 6]), |_| 50_i16);
        let labels_volume = Volume::from_fn(grid(shape), |_| label);
        let (image, labels) = (folder.join("a_ct.nii.gz"), folder.join("a_label.nii.gz"));
        write_scan(&image, &scan, &GridHeader::from_geometry(scan.geometry())).unwrap();
        write_labels(&labels, &labels_volume, &GridHeader::from_geometry(labels_volume.geometry())).unwrap();
        let source = Source::Volume { image, labels };
        Case { name: "a".into(), patient: PatientId::of("a"), source, is_cropped: false }
    }

    /// A case in `folder` that is liver everywhere.
    pub(super) fn case_with_liver(folder: &Path) -> Case {
        case(folder, [4, 5, 6], 1)
    }

    fn prepare(shape: [usize; 3], label: u8) -> Result<Option<Material>, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let config = TrainConfig { phantoms: 0, phantom_share: 0.0, ..TrainConfig::preset(StageName::Liver) };
        Material::prepare(&[case(folder.path(), shape, label)], &config, None, &Storage::memory(), &|| false)
    }

    #[test]
    fn labels_that_cannot_be_used_are_named_by_their_file() {
        for (shape, label, problem) in
            [([4, 5, 7], 1, "not on the grid"), ([4, 5, 6], 7, "hold 7"), ([4, 5, 6], 0, "no liver")]
        {
            let error = prepare(shape, label).unwrap_err().to_string();
            assert!(error.contains("a_label.nii.gz") && error.contains(problem), "{error}");
        }
        assert_eq!(prepare([4, 5, 6], 1).unwrap().unwrap().real.len(), 1);
    }

    /// Where the values of an array lie on average, in voxels.
    fn centroid(values: &Array3<f32>) -> [f64; 3] {
        let (mut sums, mut total) = ([0.0; 3], 0.0);
        for ((k, j, i), &value) in values.indexed_iter() {
            let value = f64::from(value);
            total += value;
            sums = [sums[0] + value * k as f64, sums[1] + value * j as f64, sums[2] + value * i as f64];
        }
        sums.map(|sum| sum / total)
    }

    #[test]
    fn labels_on_half_as_many_voxels_lie_where_the_means_of_the_image_do() {
        // Every face of liver and tumour lies in the middle of a voxel of the coarser grid.
        let labels = Array3::from_shape_fn((16, 20, 20), |(k, j, i)| match (k, j, i) {
            (5..9, 7..11, 9..13) => 2_u8,
            (3..9, 5..13, 7..13) => 1,
            _ => 0,
        });
        let shape = [8, 10, 10];
        let resized = resized_labels(labels.view(), shape);
        for object in 1..=2_u8 {
            let image = labels.mapv(|label| if label >= object { 100_i16 } else { 0 });
            let means = centroid(&resize_mean(image.view(), shape));
            let found = centroid(&resized.mapv(|label| if label >= object { 1.0 } else { 0.0 }));
            assert!((0..3).all(|axis| (means[axis] - found[axis]).abs() < 0.05), "{object}: {means:?} {found:?}");
        }
        assert_eq!(resized_labels(labels.view(), [16, 20, 20]), labels);
    }

    #[test]
    fn labels_neither_grow_nor_shrink_where_a_voxel_is_half_of_one_thing() {
        // Along j both faces lie in the middle of a voxel of the coarser grid.
        let labels = Array3::from_shape_fn((16, 20, 20), |(k, j, i)| {
            u8::from((4..12).contains(&k) && (5..15).contains(&j) && (4..12).contains(&i))
        });
        let resized = resized_labels(labels.view(), [16, 10, 20]);
        let voxels = |labels: &Array3<u8>| labels.iter().filter(|label| **label > 0).count();
        assert_eq!(2 * voxels(&resized), voxels(&labels));
    }

    #[test]
    fn a_cancelled_preparation_reads_nothing_more() {
        let source = Source::Volume { image: "missing.nii".into(), labels: "missing.nii".into() };
        let missing = Case { name: "a".into(), patient: PatientId::of("a"), source, is_cropped: false };
        let config = TrainConfig::preset(StageName::Liver);
        let cancelled = |cases: &[Case]| Material::prepare(cases, &config, None, &Storage::memory(), &|| true).unwrap();
        assert_eq!(cancelled(&[missing]), None);
        assert_eq!(cancelled(&[]), None, "phantoms are cancelled, too");
    }
}
