//! Stage 2: the liver in its box.

use hepar_volume::{Connectivity, Volume, VoxelBox, fill_holes, largest_component};
use ndarray::{Array3, Axis, Zip};

use crate::error::PipelineError;
use crate::frame::clipped;
use crate::object::ObjectMask;
use crate::probabilities::StageRun;
use crate::watch::Watch;

/// The liver in `region` of a `scan` in canonical orientation, in Hounsfield units.
///
/// The largest 26-connected component of the scan's voxels whose probability passes the threshold, its holes filled;
/// `None` when there is none, or it is smaller than the stage's least volume.
///
/// # Errors
/// When the network fails or the watch cancels.
pub fn segment_liver(
    run: &mut StageRun<'_>,
    scan: &Volume<i16>,
    region: &VoxelBox,
    watch: &dyn Watch,
) -> Result<Option<ObjectMask>, PipelineError> {
    let stage = run.stage;
    let region = clipped(region, scan.geometry());
    let mut mask = Array3::from_elem(region.shape(), false);
    run.probabilities(scan, &region, &|_| false, watch, &mut |k, probabilities| {
        Zip::from(mask.index_axis_mut(Axis(0), k))
            .and(probabilities)
            .for_each(|inside, &probability| *inside = probability > stage.threshold);
    })?;
    let mut liver = largest_component(mask.view(), Connectivity::Corners26);
    fill_holes(&mut liver);
    Ok(ObjectMask::new(region.start(), liver.view())
        .filter(|liver| liver.volume_ml(scan.geometry()) >= stage.least_volume_ml))
}
