//! Stage 1: where the liver is.

use hepar_model::stage::BoxMargin;
use hepar_volume::{Connectivity, Volume, VoxelBox, largest_component};
use ndarray::{Array3, Axis, Zip};

use crate::brightness::Brightness;
use crate::error::PipelineError;
use crate::frame::Frame;
use crate::object::grown;
use crate::probabilities::StageRun;
use crate::watch::Watch;

/// Where the liver is.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    /// The part of the scan that stage 2 is to look at.
    pub region: VoxelBox,
    /// How bright the liver is, as roughly as it is known, in Hounsfield units ([`Brightness`]).
    pub brightness_hu: f32,
}

/// Where the liver of a `scan` in canonical orientation, in Hounsfield units, is.
///
/// On the stage's grid over the whole scan, the largest 26-connected component of what passes the threshold is the
/// liver; its box, taken back to the scan's voxels by its outer faces, is grown by `margin` (that of the liver
/// stage). `None` when there is none, or it is smaller than the stage's least volume.
///
/// # Errors
/// When the network fails or the watch cancels, or when the stage's grid over the scan does not fit the memory.
pub fn localize(
    run: &mut StageRun<'_>,
    scan: &Volume<i16>,
    margin: BoxMargin,
    watch: &dyn Watch,
) -> Result<Option<Located>, PipelineError> {
    let stage = run.stage;
    let frame = Frame::new(stage, scan.geometry(), &VoxelBox::whole(scan.geometry()));
    run.check_mask(&frame)?;
    let mut mask = Array3::from_elem(frame.shape(), false);
    run.grid_probabilities(scan, &frame, &|_| false, watch, &mut |k, probabilities| {
        Zip::from(mask.index_axis_mut(Axis(0), k))
            .and(probabilities)
            .for_each(|inside, &probability| *inside = probability > stage.threshold);
    })?;
    let liver = largest_component(mask.view(), Connectivity::Corners26);
    let voxels = liver.iter().filter(|&&inside| inside).count();
    let volume_ml = voxels as f64 * frame.voxel_volume(scan.geometry()) / 1000.0;
    if volume_ml < stage.least_volume_ml {
        return Ok(None);
    }
    let Some(bounds) = VoxelBox::around(liver.view(), |&inside| inside) else { return Ok(None) };
    let mut brightness = Brightness::new(frame.shape(), frame.spacing(scan.geometry()));
    for k in bounds.start()[0]..bounds.end()[0] {
        let (slice, inside) = (frame.slice(scan, k), liver.index_axis(Axis(0), k));
        Zip::indexed(&slice).and(inside).for_each(|(j, i), &hu, &inside| {
            if inside {
                brightness.add([k, j, i], hu.round() as i16);
            }
        });
    }
    let region = grown(&frame.to_scan(&bounds), margin, scan.geometry());
    Ok(brightness.value().map(|brightness_hu| Located { region, brightness_hu }))
}
