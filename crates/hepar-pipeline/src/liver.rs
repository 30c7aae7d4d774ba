//! Stage 2: the liver in its box.

use hepar_volume::{Connectivity, Volume, VoxelBox, fill_holes, largest_component};
use ndarray::{Array2, Array3, Axis, Zip};

use crate::error::PipelineError;
use crate::frame::clipped;
use crate::object::{Found, ObjectMask};
use crate::probabilities::StageRun;
use crate::probability_map::ProbabilityMap;
use crate::watch::Watch;

/// The liver in `region` of a `scan` in canonical orientation, in Hounsfield units.
///
/// The largest 26-connected component of the scan's voxels whose probability passes the threshold, its holes filled;
/// no object when there is none, or it is smaller than the stage's least volume. Probabilities are kept when `keep` says
/// so, for they take a byte for every voxel of the region.
///
/// # Errors
/// When the network fails or the watch cancels.
pub fn segment_liver(
    run: &mut StageRun<'_>,
    scan: &Volume<i16>,
    region: &VoxelBox,
    keep: bool,
    watch: &dyn Watch,
) -> Result<Found, PipelineError> {
    let stage = run.stage;
    let region = clipped(region, scan.geometry());
    let mut mask = Array3::from_elem(region.shape(), false);
    let mut map = keep.then(|| ProbabilityMap::new(region));
    let everywhere = Array2::from_elem([region.shape()[1], region.shape()[2]], true);
    run.probabilities(scan, &region, &|_| false, watch, &mut |k, probabilities| {
        if let Some(map) = &mut map {
            map.set_slice(k, probabilities, everywhere.view());
        }
        Zip::from(mask.index_axis_mut(Axis(0), k))
            .and(probabilities)
            .for_each(|inside, &probability| *inside = probability > stage.threshold);
    })?;
    let mut liver = largest_component(mask.view(), Connectivity::Corners26);
    fill_holes(&mut liver);
    let object = ObjectMask::new(region.start(), liver.view())
        .filter(|liver| liver.volume_ml(scan.geometry()) >= stage.least_volume_ml);
    Ok(Found { object, probability: map })
}
