//! How good the network is on the held-out patients.

use std::path::{Path, PathBuf};

use hepar_metrics::{Overlap, ShapeMismatch};
use hepar_model::engine::Network;
use hepar_model::stage::{Stage, StageName};
use hepar_pipeline::liver::segment_liver;
use hepar_pipeline::tumour::segment_tumour;
use hepar_pipeline::{ObjectMask, PipelineError, StageRun, Watch, grown};
use hepar_volume::{Margin, Reach, Volume, VoxelBox};
use ndarray::{Array3, ArrayView3, Axis, Slice};

use crate::config::TrainConfig;
use crate::dataset::{Case, Source};
use crate::error::{DataError, TrainError};
use crate::observe::View;
use crate::prepare::{IsCancelled, Material, Prepared, Storage, read_canonical};

/// Slices that go through the localizer together.
const SLICES: usize = 8;

/// Held-out cases of which a slice is shown.
const VIEWS: usize = 12;

/// Overlap with the truth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Mean over cases of 2·|A ∩ B| / (|A| + |B|); a case without any object that is found empty counts 1.
    pub dice_per_case: f64,
    /// The same with the voxels of all cases as one set.
    pub dice_global: f64,
}

/// The held-out cases.
pub(crate) enum HeldOut {
    /// Scans, which are read one after the other each time, because a fold of them in memory could be larger than it.
    Scans(Vec<HeldOutScan>),
    /// Slices on the localizer's grid.
    Slices(Vec<Prepared>),
}

/// A held-out scan in its files.
pub(crate) struct HeldOutScan {
    name: String,
    image: PathBuf,
    labels: PathBuf,
}

impl HeldOut {
    /// Reads the held-out cases, so that what is wrong with one is said before the first step; `None` when `is_cancelled`
    /// says so, which is asked before each.
    ///
    /// # Errors
    /// As [`Material::prepare`].
    pub fn read(
        cases: &[Case],
        config: &TrainConfig,
        storage: &Storage,
        is_cancelled: &IsCancelled<'_>,
    ) -> Result<Option<Self>, DataError> {
        if config.stage == StageName::Localizer {
            let without_phantoms = TrainConfig { phantoms: 0, ..config.clone() };
            let material = Material::prepare(cases, &without_phantoms, None, storage, is_cancelled)?;
            return Ok(material.map(|material| Self::Slices(material.real)));
        }
        let mut scans = Vec::new();
        for case in cases {
            if is_cancelled() {
                return Ok(None);
            }
            if let Source::Volume { image, labels } = &case.source {
                around_liver(image, labels)?;
                scans.push(HeldOutScan { name: case.name.clone(), image: image.clone(), labels: labels.clone() });
            }
        }
        Ok(Some(Self::Scans(scans)))
    }

    /// Scores a network, and shows a slice of each of the first cases.
    ///
    /// The liver is looked for in the box of the true liver, tumours in the true liver, liver slices one by one.
    ///
    /// # Errors
    /// When the network fails or the watch cancels.
    pub fn score(
        &self,
        config: &TrainConfig,
        network: &mut dyn Network,
        watch: &dyn Watch,
    ) -> Result<(Score, Vec<View>), TrainError> {
        let (mut overlaps, mut views) = (Vec::new(), Vec::new());
        let mut note = |(overlap, view): (Overlap, View)| {
            overlaps.push(overlap);
            if views.len() < VIEWS {
                views.push(view);
            }
        };
        match self {
            Self::Scans(cases) => {
                for case in cases {
                    let (scan, labels) = around_liver(&case.image, &case.labels)?;
                    let found = segment(network, &scan, &labels, config, watch)?;
                    let [found, truth] = masks(found.as_ref(), &labels, |label| config.is_target(label));
                    note(compared(&case.name, scan.data(), &truth, &found)?);
                }
            }
            Self::Slices(cases) => {
                let stage = config.stage_table("", "");
                for case in cases {
                    let voxels = case.voxels.all()?;
                    let found = found_in_slices(voxels.hu.view(), &stage, network, watch)?;
                    let truth = voxels.labels.mapv(|label| u8::from(config.is_target(label)));
                    note(compared(&case.name, voxels.hu.view(), &truth, &found)?);
                }
            }
        }
        Ok((score(&overlaps), views))
    }
}

/// The liver's surroundings in a scan, and their labels.
fn around_liver(image: &Path, labels_path: &Path) -> Result<(Volume<i16>, Volume<u8>), DataError> {
    let (scan, labels) = read_canonical(image, labels_path)?;
    let liver = VoxelBox::around(labels.data(), |&label| label >= 1);
    let liver = liver.ok_or_else(|| DataError::NoLiver(labels_path.to_owned()))?;
    // Windows see real CT around a small box: up to half of a patch.
    let reach = Margin([Reach::Millimetres(120.0); 3]);
    let part = liver.padded(reach, scan.geometry());
    Ok((scan.crop(&part), labels.crop(&part)))
}

/// What the stage finds, given what the stage before it should have found.
fn segment(
    network: &mut dyn Network,
    scan: &Volume<i16>,
    labels: &Volume<u8>,
    config: &TrainConfig,
    watch: &dyn Watch,
) -> Result<Option<ObjectMask>, PipelineError> {
    let Some(liver) = ObjectMask::new([0; 3], labels.map(|&label| label >= 1).data()) else { return Ok(None) };
    let stage = config.stage_table("", "").for_liver(liver.brightness_hu(scan));
    let run = &mut StageRun { name: config.stage, stage: &stage, network };
    if config.stage == StageName::Tumour {
        return Ok(segment_tumour(run, scan, &liver, config.margin, watch)?.object);
    }
    let region = grown(liver.bounds(), config.margin, scan.geometry());
    Ok(segment_liver(run, scan, &region, false, watch)?.object)
}

/// What the localizer finds in separate slices, 0 or 1.
fn found_in_slices(
    slices: ArrayView3<'_, i16>,
    stage: &Stage,
    network: &mut dyn Network,
    watch: &dyn Watch,
) -> Result<Array3<u8>, TrainError> {
    let mut all = Array3::zeros(slices.raw_dim());
    let depth = slices.len_of(Axis(0));
    for first in (0..depth).step_by(SLICES) {
        if watch.is_cancelled() {
            return Err(PipelineError::Cancelled.into());
        }
        let range = Slice::from(first..(first + SLICES).min(depth));
        let hu = slices.slice_axis(Axis(0), range);
        // Slices become a batch: N × 1 × 1 × H × W.
        let input = hu.mapv(|hu| stage.window.apply(f32::from(hu))).insert_axis(Axis(1)).insert_axis(Axis(1));
        let output = network.forward(input.view())?;
        let found = output.mapv(|probability| u8::from(probability > stage.threshold));
        let found = found.index_axis_move(Axis(1), 0).index_axis_move(Axis(1), 0);
        all.slice_axis_mut(Axis(0), range).assign(&found);
    }
    Ok(all)
}

/// What was found in a scan, and what of its labels is the target, each 0 or 1.
fn masks(found: Option<&ObjectMask>, labels: &Volume<u8>, is_target: impl Fn(u8) -> bool) -> [Array3<u8>; 2] {
    let truth = labels.data().mapv(|label| u8::from(is_target(label)));
    let mut prediction = Array3::zeros(truth.raw_dim());
    for voxel in found.into_iter().flat_map(ObjectMask::voxels) {
        prediction[voxel] = 1;
    }
    [prediction, truth]
}

/// How much of a case was found, and a slice of it.
fn compared(
    case: &str,
    hu: ArrayView3<'_, i16>,
    truth: &Array3<u8>,
    found: &Array3<u8>,
) -> Result<(Overlap, View), ShapeMismatch> {
    let overlap = Overlap::count(found.view(), truth.view(), |value| value == 1)?;
    Ok((overlap, View::of(case, overlap, hu, truth.view(), found.view())))
}

fn score(overlaps: &[Overlap]) -> Score {
    let together = overlaps.iter().copied().fold(Overlap::default(), Overlap::merged);
    let mean = overlaps.iter().map(Overlap::dice).sum::<f64>() / overlaps.len().max(1) as f64;
    Score { dice_per_case: mean, dice_global: together.dice() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_volume::Geometry;

    #[test]
    fn dice_per_case_and_global_differ_and_every_case_counts() {
        let overlap = |predicted, reference, shared| Overlap { predicted, reference, shared };
        let score = score(&[overlap(100, 100, 50), overlap(10, 0, 0), overlap(0, 0, 0)]);
        assert_eq!(score.dice_per_case, 0.5);
        assert!((score.dice_global - 100.0 / 210.0).abs() < 1e-12);
    }

    #[test]
    fn only_the_target_of_the_stage_is_compared() {
        let grid = Geometry::axis_aligned([2, 3, 4], [1.0; 3]).unwrap();
        let labels = Volume::from_fn(grid, |[_, j, i]| if i == 0 { 2 } else { u8::from(j == 0) });
        let tumour = |label| label == 2;
        let found = ObjectMask::new([0; 3], labels.map(|&label| label >= 1).data()).unwrap();
        let overlap = |found| {
            let [found, truth] = masks(found, &labels, tumour);
            compared("a", Array3::zeros(truth.raw_dim()).view(), &truth, &found).unwrap().0
        };
        assert_eq!(overlap(Some(&found)), Overlap { predicted: 12, reference: 6, shared: 6 });
        assert_eq!(overlap(None), Overlap { reference: 6, ..Overlap::default() });
    }
}
