//! How good the network is on the held-out patients.

use hepar_model::engine::Network;
use hepar_model::stage::{Stage, StageName};
use hepar_pipeline::liver::segment_liver;
use hepar_pipeline::tumour::segment_tumour;
use hepar_pipeline::{ObjectMask, PipelineError, StageRun, Watch, grown};
use hepar_volume::{Margin, Reach, Volume, VoxelBox};
use ndarray::{ArrayView3, Axis, Slice};

use crate::config::TrainConfig;
use crate::dataset::{Case, Source};
use crate::error::{DataError, TrainError};
use crate::prepare::{Material, Prepared, read_canonical};

/// Slices that go through the localizer together.
const SLICES: usize = 8;

/// Overlap with the truth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Mean over cases of 2·|A ∩ B| / (|A| + |B|); a case without any object that is found empty counts 1.
    pub dice_per_case: f64,
    /// The same with the voxels of all cases as one set.
    pub dice_global: f64,
}

/// The held-out cases in memory.
pub(crate) enum HeldOut {
    /// Parts of scans around the liver, in canonical orientation.
    Scans(Vec<(Volume<i16>, Volume<u8>)>),
    /// Slices on the localizer's grid.
    Slices(Vec<Prepared>),
}

impl HeldOut {
    /// Reads the held-out cases.
    ///
    /// # Errors
    /// As [`Material::prepare`].
    pub fn read(cases: &[Case], config: &TrainConfig) -> Result<Self, DataError> {
        if config.stage == StageName::Localizer {
            let without_phantoms = TrainConfig { phantoms: 0, ..config.clone() };
            return Ok(Self::Slices(Material::prepare(cases, &without_phantoms)?.real));
        }
        let volumes = cases.iter().filter(|case| matches!(case.source, Source::Volume { .. }));
        let around_liver = |case: &Case| {
            let (scan, labels) = read_canonical(case)?;
            let liver = VoxelBox::around(labels.data(), |&label| label >= 1);
            let liver = liver.ok_or_else(|| DataError::NoLiver(case.name.clone()))?;
            // Windows see real CT around a small box: up to half of a patch.
            let reach = Margin([Reach::Millimetres(120.0); 3]);
            let part = liver.padded(reach, scan.geometry());
            Ok((scan.crop(&part), labels.crop(&part)))
        };
        Ok(Self::Scans(volumes.map(around_liver).collect::<Result<_, DataError>>()?))
    }

    /// Scores a network.
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
    ) -> Result<Score, TrainError> {
        let stage = config.stage_table("", "");
        let mut overlaps = Vec::new();
        match self {
            Self::Scans(cases) => {
                for (scan, labels) in cases {
                    let mut run = StageRun { name: config.stage, stage: &stage, network };
                    let found = segment(&mut run, scan, labels, config, watch)?;
                    overlaps.push(Overlap::of_object(found.as_ref(), labels, |label| config.is_target(label)));
                }
            }
            Self::Slices(cases) => {
                for case in cases {
                    overlaps.push(slices_overlap(case, &stage, network, watch)?);
                }
            }
        }
        Ok(Overlap::score(&overlaps))
    }
}

/// What the stage finds, given what the stage before it should have found.
fn segment(
    run: &mut StageRun<'_>,
    scan: &Volume<i16>,
    labels: &Volume<u8>,
    config: &TrainConfig,
    watch: &dyn Watch,
) -> Result<Option<ObjectMask>, PipelineError> {
    let Some(liver) = ObjectMask::new([0; 3], labels.map(|&label| label >= 1).data()) else { return Ok(None) };
    if config.stage == StageName::Tumour {
        return segment_tumour(run, scan, &liver, config.margin, watch);
    }
    segment_liver(run, scan, &grown(liver.bounds(), config.margin, scan.geometry()), watch)
}

fn slices_overlap(
    case: &Prepared,
    stage: &Stage,
    network: &mut dyn Network,
    watch: &dyn Watch,
) -> Result<Overlap, TrainError> {
    let mut overlap = Overlap::default();
    let depth = case.hu.len_of(Axis(0));
    for first in (0..depth).step_by(SLICES) {
        if watch.is_cancelled() {
            return Err(PipelineError::Cancelled.into());
        }
        let range = Slice::from(first..(first + SLICES).min(depth));
        let hu = case.hu.slice_axis(Axis(0), range);
        let labels: ArrayView3<'_, u8> = case.labels.slice_axis(Axis(0), range);
        // Slices become a batch: N × 1 × 1 × H × W.
        let input = hu.mapv(|hu| stage.window.apply(f32::from(hu))).insert_axis(Axis(1)).insert_axis(Axis(1));
        let output = network.forward(input.view())?;
        for (&probability, &label) in output.iter().zip(labels) {
            overlap.count(probability > stage.threshold, label >= 1);
        }
    }
    Ok(overlap)
}

/// Voxels that were found, that are true, and that are both.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Overlap {
    found: u64,
    truth: u64,
    both: u64,
}

impl Overlap {
    fn of_object(found: Option<&ObjectMask>, labels: &Volume<u8>, is_target: impl Fn(u8) -> bool) -> Self {
        let data = labels.data();
        let truth = data.iter().filter(|&&label| is_target(label)).count() as u64;
        let mut overlap = Self { truth, ..Self::default() };
        for voxel in found.into_iter().flat_map(ObjectMask::voxels) {
            overlap.found += 1;
            overlap.both += u64::from(is_target(data[voxel]));
        }
        overlap
    }

    fn count(&mut self, found: bool, truth: bool) {
        self.found += u64::from(found);
        self.truth += u64::from(truth);
        self.both += u64::from(found && truth);
    }

    fn dice(&self) -> f64 {
        let total = self.found + self.truth;
        if total == 0 { 1.0 } else { 2.0 * self.both as f64 / total as f64 }
    }

    fn score(all: &[Self]) -> Score {
        let sum = |part: fn(&Self) -> u64| all.iter().map(part).sum();
        let together = Self { found: sum(|o| o.found), truth: sum(|o| o.truth), both: sum(|o| o.both) };
        let mean = all.iter().map(Self::dice).sum::<f64>() / all.len().max(1) as f64;
        Score { dice_per_case: mean, dice_global: together.dice() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dice_per_case_and_global_differ_and_every_case_counts() {
        let overlap = |found, truth, both| Overlap { found, truth, both };
        let score = Overlap::score(&[overlap(100, 100, 50), overlap(10, 0, 0), overlap(0, 0, 0)]);
        assert_eq!(score.dice_per_case, 0.5);
        assert!((score.dice_global - 100.0 / 210.0).abs() < 1e-12);
    }
}
