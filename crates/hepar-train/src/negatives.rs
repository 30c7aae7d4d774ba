//! Where a network takes for a tumour what is none.

use hepar_model::engine::Network;
use hepar_model::stage::{Grid, Stage, StageName};
use hepar_pipeline::tumour::segment_tumour;
use hepar_pipeline::{ObjectMask, StageRun, Watch};
use hepar_volume::{Geometry, Volume};
use ndarray::Zip;

use crate::config::TrainConfig;
use crate::error::TrainError;
use crate::prepare::{Part, Prepared, parts};

/// The false lesions that a tumour `network` finds in a case, as positions in C order: 26-connected components of what it
/// finds in the true liver that have no voxel of a tumour. None in a case without a liver.
///
/// # Errors
/// When the network fails, the watch cancels, or the case's voxels cannot be read.
pub(crate) fn false_lesions(
    case: &Prepared,
    config: &TrainConfig,
    network: &mut dyn Network,
    watch: &dyn Watch,
) -> Result<Vec<Vec<u32>>, TrainError> {
    let Part { hu, labels, .. } = case.voxels.all()?;
    let is_liver = labels.mapv(|label| label >= 1);
    let (Some(liver), Some(facts)) = (ObjectMask::new([0; 3], is_liver.view()), &case.liver) else {
        return Ok(Vec::new());
    };
    // Every prepared case has such a grid: none is passed over here.
    let Ok(grid) = Geometry::axis_aligned(case.voxels.shape(), case.spacing) else { return Ok(Vec::new()) };
    let Ok(scan) = Volume::new(hu.into_owned(), grid) else { return Ok(Vec::new()) };
    // The case lies on the stage's grid already.
    let stage = Stage { grid: Grid::Native, ..config.stage_table("", "") }.for_liver(facts.brightness_hu);
    let mut run = StageRun { name: StageName::Tumour, stage: &stage, network };
    let Some(found) = segment_tumour(&mut run, &scan, &liver, config.margin, watch)?.object else {
        return Ok(Vec::new());
    };
    let mut mask = labels.mapv(|_| false);
    found.voxels().for_each(|voxel| mask[voxel] = true);
    // A lesion and what was found around it are one.
    Zip::from(&mut mask).and(&labels).for_each(|mask, label| *mask |= *label == 2);
    let is_false = |part: &Vec<u32>| part.iter().all(|&voxel| labels[case.index(voxel)] != 2);
    Ok(parts(mask.view()).into_iter().filter(is_false).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::PatientId;
    use crate::prepare::prepare_spatial;
    use hepar_model::engine::EngineError;
    use hepar_model::topology::NetworkConfig;
    use hepar_pipeline::Unwatched;
    use ndarray::{Array5, ArrayView5};

    /// Takes every voxel for a tumour that is brighter than the middle of the window.
    struct Bright(NetworkConfig);

    impl Network for Bright {
        fn config(&self) -> &NetworkConfig {
            &self.0
        }

        fn forward(&mut self, input: ArrayView5<'_, f32>) -> Result<Array5<f32>, EngineError> {
            Ok(input.mapv(|value| if value > 0.5 { 0.9 } else { 0.1 }))
        }
    }

    #[test]
    fn what_touches_a_lesion_or_lies_outside_of_the_liver_is_no_false_lesion() {
        let grid = Geometry::axis_aligned([40, 90, 90], [2.0, 1.0, 1.0]).unwrap();
        let labels = Volume::from_fn(grid.clone(), |[k, j, i]| match (k, j, i) {
            (12..18, 20..30, 20..30) => 2,
            (5..35, 10..80, 10..80) => 1,
            _ => 0,
        });
        // Brighter than the liver: the lesion with its surroundings, two voxels apart from it, and a bone.
        let ct = Volume::from_fn(grid, |[k, j, i]| match (k, j, i) {
            (12..18, 18..32, 18..32) | (25, 60, 60..62) | (0..4, 0..90, 0..90) => 150,
            _ => 20,
        });
        let config = TrainConfig { grid: Grid::Native, patch: [32, 64, 64], ..TrainConfig::preset(StageName::Tumour) };
        let case = prepare_spatial("a", &PatientId::of("a"), &ct, &labels, &config).unwrap();
        let mut network = Bright(config.network().unwrap());
        let found = false_lesions(&case, &config, &mut network, &Unwatched).unwrap();
        let voxels: Vec<Vec<[usize; 3]>> =
            found.iter().map(|part| part.iter().map(|&voxel| case.index(voxel)).collect()).collect();
        assert_eq!(voxels, [vec![[25, 60, 60], [25, 60, 61]]]);
    }
}
