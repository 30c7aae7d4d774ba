//! Slices for the localizer.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hepar_model::stage::Grid;
use hepar_volume::{Volume, resize_mean};
use ndarray::{Array3, Axis};

use super::{Prepared, Storage, Voxels, resized_labels, rounded};
use crate::config::TrainConfig;
use crate::dataset::{Case, PatientId, Source, calibrations, read_slices};
use crate::error::DataError;

/// Distance of the slices that are taken from a scan.
const SLICE_DISTANCE_MM: f64 = 5.0;

/// Axial slices of a scan in canonical orientation, about 5 mm apart, each resized to the stage's size.
pub(crate) fn planes_of(
    name: &str,
    patient: &PatientId,
    scan: &Volume<i16>,
    labels: &Volume<u8>,
    config: &TrainConfig,
) -> Prepared {
    let step = (SLICE_DISTANCE_MM / scan.geometry().spacing()[0]).round().max(1.0) as usize;
    let every: Vec<usize> = (step / 2..scan.shape()[0]).step_by(step).collect();
    let every = if every.is_empty() { vec![0] } else { every };
    let (hu, labels) = (scan.data().select(Axis(0), &every), labels.data().select(Axis(0), &every));
    stack(name, patient, "scans", hu, labels, config)
}

/// The cases that are single slices in files.
///
/// # Errors
/// When a file cannot be read, its calibration is unknown, its table names a slice that it does not have, or there is no
/// room for a case.
pub(super) fn slice_cases(cases: &[Case], config: &TrainConfig, storage: &Storage) -> Result<Vec<Prepared>, DataError> {
    let mut files: BTreeMap<&PathBuf, Vec<(&Case, &[usize])>> = BTreeMap::new();
    for case in cases {
        if let Source::Slices { file, indices } = &case.source {
            files.entry(file).or_default().push((case, indices));
        }
    }
    let mut prepared = Vec::new();
    for (file, cases) in files {
        let (images, masks) = read_slices(file)?;
        let calibrations = calibrations(file)?;
        let count = images.len_of(Axis(0));
        for (case, indices) in cases {
            if let Some(missing) = indices.iter().find(|&index| *index >= count || !calibrations.contains_key(index)) {
                let problem = format!("its table names slice {missing}, it has {count}");
                return Err(DataError::Npz { path: file.clone(), problem });
            }
            let mut hu = images.select(Axis(0), indices).mapv(i16::from);
            for (mut plane, index) in hu.outer_iter_mut().zip(indices) {
                // Every index has a calibration: see above.
                let calibration = calibrations[index];
                plane.mapv_inplace(|stored| calibration.hu(stored));
            }
            let labels = masks.select(Axis(0), indices);
            // Folder and file come first in the name; what comes behind is the volume, which may have a folder of its own.
            let origin = case.name.match_indices('/').nth(1).map_or(case.name.as_str(), |(end, _)| &case.name[..end]);
            prepared.push(storage.keep(stack(&case.name, &case.patient, origin, hu, labels, config))?);
        }
    }
    Ok(prepared)
}

fn stack(
    name: &str,
    patient: &PatientId,
    origin: &str,
    hu: Array3<i16>,
    labels: Array3<u8>,
    config: &TrainConfig,
) -> Prepared {
    let (depth, height, width) = hu.dim();
    let size = match config.grid {
        Grid::ResizedInPlane { size } => size,
        Grid::Native | Grid::Spacing { .. } => [height, width],
    };
    let shape = [depth, size[0], size[1]];
    let hu = match size == [height, width] {
        true => hu,
        false => rounded(resize_mean(hu.view(), shape).view()),
    };
    let labels = resized_labels(labels.view(), shape);
    let (name, patient, origin) = (name.to_owned(), patient.clone(), origin.to_owned());
    Prepared { name, patient, origin, voxels: Voxels::new(hu, labels), spacing: [1.0; 3], liver: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_model::stage::StageName;
    use hepar_volume::Geometry;

    #[test]
    fn slices_are_5_mm_apart_and_image_and_labels_stay_together() {
        let grid = Geometry::axis_aligned([30, 512, 512], [1.0, 0.7, 0.7]).unwrap();
        let scan = Volume::from_fn(grid, |[k, j, i]| if (100..200).contains(&j) && i < 300 { 100 } else { k as i16 });
        let labels = scan.map(|&hu| u8::from(hu == 100));
        let config = TrainConfig::preset(StageName::Localizer);
        let planes = planes_of("a", &PatientId::of("a"), &scan, &labels, &config);
        let planes = planes.voxels.all().unwrap();
        assert_eq!(planes.hu.dim(), (6, 256, 256));
        assert_eq!(planes.hu[[1, 0, 0]], 7);
        assert!(planes.hu.iter().zip(&planes.labels).all(|(&hu, &label)| (hu == 100) == (label == 1)));
    }
}
