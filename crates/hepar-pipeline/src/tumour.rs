//! Stage 3: tumours in the liver.

use hepar_model::stage::BoxMargin;
use hepar_volume::{Connectivity, Volume, components};
use ndarray::{Array3, Axis, Zip};

use crate::cut::cut;
use crate::error::PipelineError;
use crate::object::{Found, ObjectMask, grown};
use crate::probabilities::StageRun;
use crate::probability_map::ProbabilityMap;
use crate::watch::Watch;

/// The tumours in the `liver`, or whatever else tumours may lie in, of a `scan` in canonical orientation, in Hounsfield
/// units; no object when there are none.
///
/// The probabilities are those of the voxels of the liver, 0 elsewhere.
///
/// The network looks at the liver's box grown by `margin` (that of the stage). A tumour is what passes the threshold
/// within the liver; a 26-connected one that is smaller than the stage's least volume is left out. Windows and parts of
/// windows on which no voxel of the liver depends are not computed: the labels are the same, since every voxel of the
/// liver still has all of its votes.
///
/// # Errors
/// When the network fails or the watch cancels.
pub fn segment_tumour(
    run: &mut StageRun<'_>,
    scan: &Volume<i16>,
    liver: &ObjectMask,
    margin: BoxMargin,
    watch: &dyn Watch,
) -> Result<Found, PipelineError> {
    let stage = run.stage;
    let bounds = liver.bounds();
    let region = grown(bounds, margin, scan.geometry());
    let offset: [usize; 3] = std::array::from_fn(|axis| bounds.start()[axis] - region.start()[axis]);
    let [depth, height, width] = bounds.shape();
    let in_plane = cut([offset[1], offset[2]], [offset[1] + height, offset[2] + width]);
    let mut mask = Array3::from_elem(bounds.shape(), false);
    let mut map = ProbabilityMap::new(*bounds);
    run.probabilities(scan, &region, &|voxels| !liver.touches(voxels), watch, &mut |k, probabilities| {
        let Some(k) = k.checked_sub(offset[0]).filter(|&k| k < depth) else { return };
        let (liver, probabilities) = (liver.mask(), probabilities.slice_each_axis(&in_plane));
        let liver = liver.index_axis(Axis(0), k);
        map.set_slice(k, probabilities, liver);
        Zip::from(mask.index_axis_mut(Axis(0), k))
            .and(liver)
            .and(probabilities)
            .for_each(|tumour, &liver, &probability| *tumour = liver && probability > stage.threshold);
    })?;
    let least_voxels = stage.least_volume_ml * 1000.0 / scan.geometry().voxel_volume();
    if least_voxels > 1.0 {
        remove_small(&mut mask, least_voxels);
    }
    Ok(Found { object: ObjectMask::new(bounds.start(), mask.view()), probability: Some(map) })
}

/// Makes false the 26-connected components of fewer voxels than `least`.
fn remove_small(mask: &mut Array3<bool>, least: f64) {
    let tumours = components(mask.view(), Connectivity::Corners26);
    Zip::from(mask).and(&tumours.labels).for_each(|inside, &tumour| {
        // A voxel that is inside has a component, and those count from 1.
        *inside = *inside && tumours.sizes[tumour as usize - 1] as f64 >= least;
    });
}
