//! Synthetic scans, segmented and scored: what a user can try without data.

use std::path::Path;
use std::time::Instant;

use hepar_phantom::PhantomSpec;
use hepar_pipeline::Findings;
use hepar_volume::{Connectivity, Volume, components};

use crate::cases::case_name;
use crate::cohort::PlannedCase;
use crate::error::Error;
use crate::evaluate::{EvaluateError, Score};
use crate::output::{Destination, OutputError, ResultFolder};
use crate::phantom::PhantomFiles;
use crate::segment::{Options, Segmenter};
use crate::watch::Listener;

/// The first seed of demonstrations; those of training begin at 1,000,000, so that no demonstration was trained on.
pub const FIRST_SEED: u64 = 1;

/// A demonstration whose files can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demo {
    /// Seed of the phantom.
    pub seed: u64,
    /// Files of the phantom.
    pub files: PhantomFiles,
    /// Folder of the result.
    pub result: ResultFolder,
}

/// What a demonstration came to.
#[derive(Debug, Clone, PartialEq)]
pub struct DemoScore {
    /// How the labels agree with the truth.
    pub score: Score,
    /// What was found.
    pub findings: Findings,
    /// Tumours of the phantom.
    pub tumours: usize,
    /// Tumours of the phantom of which some part was found.
    pub found: usize,
    /// Wall time from the scan's file to the written result, in seconds.
    pub seconds: f64,
}

impl Demo {
    /// A demonstration with a phantom of `seed`, all of whose files go to `folder`.
    ///
    /// What an earlier demonstration left there is replaced.
    ///
    /// # Errors
    /// When a file cannot be written, or would overwrite what it must not.
    pub fn plan(seed: u64, folder: &Path) -> Result<Self, OutputError> {
        let name = format!("phantom-{seed}");
        let files = PhantomFiles::plan(&folder.join(&name), seed, true)?;
        let result = ResultFolder::plan(&folder.join(name + "-hepar"), true)?;
        Ok(Self { seed, files, result })
    }

    /// Draws the phantom, segments its file as any other, and compares the result with the truth.
    ///
    /// # Errors
    /// When something cannot be written, or the listener calls the work off.
    pub fn run(&self, segmenter: &mut Segmenter, listener: &dyn Listener) -> Result<DemoScore, Error> {
        let phantom = self.files.draw(&PhantomSpec { seed: self.seed, ..Default::default() }, listener)?;
        let input = self.files.ct.path().to_owned();
        let destination = Destination::Folder(self.result.clone());
        let case = PlannedCase { name: case_name(&input), input, destination };
        let started = Instant::now();
        let done = case.run(segmenter, &Options::default(), listener)?;
        let seconds = started.elapsed().as_secs_f64();
        let labels = done.segmentation.labels;
        let (found, tumours) = (tumours_found(&labels, &phantom.labels), phantom.tumours.len());
        let score = Score::of(labels, phantom.labels).map_err(|difference| EvaluateError::Grid {
            prediction: self.result.path().to_owned(),
            reference: self.files.labels.path().to_owned(),
            difference,
        })?;
        Ok(DemoScore { score, findings: done.segmentation.findings, tumours, found, seconds })
    }
}

/// How many tumours (26-connected components of label 2) of `truth` share a voxel with label 2 of `labels`, on the same
/// grid.
fn tumours_found(labels: &Volume<u8>, truth: &Volume<u8>) -> usize {
    let tumours = components(truth.map(|&label| label == 2).data(), Connectivity::Corners26);
    let mut found = vec![false; tumours.count()];
    for (&tumour, &label) in tumours.labels.iter().zip(labels.data()) {
        if tumour > 0 && label == 2 {
            found[tumour as usize - 1] = true;
        }
    }
    found.into_iter().filter(|&found| found).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_volume::Geometry;

    #[test]
    fn a_tumour_is_found_when_a_part_of_it_is() {
        let geometry = Geometry::axis_aligned([1, 1, 7], [1.0; 3]).unwrap();
        let volume = |values: [u8; 7]| Volume::from_fn(geometry.clone(), |[_, _, i]| values[i]);
        let truth = volume([2, 2, 1, 2, 1, 2, 0]);
        assert_eq!(tumours_found(&volume([0, 2, 2, 1, 1, 2, 2]), &truth), 2);
        assert_eq!(tumours_found(&volume([0; 7]), &truth), 0);
    }
}
