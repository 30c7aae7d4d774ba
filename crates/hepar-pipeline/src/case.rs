//! One scan through all stages.

use std::borrow::Cow;
use std::time::Instant;

use hepar_model::bundle::Bundle;
use hepar_model::engine::{Engine, Network};
use hepar_model::ensemble::load_all;
use hepar_model::stage::{Stage, StageName};
use hepar_volume::{Geometry, Reorientation, Volume, VoxelBox};

use crate::error::{PipelineError, check_same_grid};
use crate::exposure::set_apart;
use crate::findings::{Caution, Findings, LastStage, findings_of};
use crate::liver::segment_liver;
use crate::localize::localize;
use crate::object::{Found, ObjectMask};
use crate::probabilities::StageRun;
use crate::probability_map::ProbabilityMap;
use crate::sheets::without_sheets;
use crate::tumour::segment_tumour;
use crate::watch::Watch;

/// What a stage finds that does not run.
const NOTHING: Found = Found { object: None, probability: None };

/// The three stages with their networks, ready to run on one scan after the other.
pub struct Pipeline {
    localizer: (Stage, Box<dyn Network>),
    liver: (Stage, Box<dyn Network>),
    tumour: (Stage, Box<dyn Network>),
}

/// What is wanted of a scan.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Where to stop.
    pub last: LastStage,
    /// The liver (label ≥ 1) if it is known already, on the scan's grid; then only tumours are looked for.
    pub liver: Option<&'a Volume<u8>>,
    /// Whether the probabilities are wanted too.
    pub probabilities: bool,
}

/// What became of a scan.
#[derive(Debug, Clone)]
pub struct Segmentation {
    /// 0 background, 1 liver, 2 tumour, on the scan's own grid in its stored order.
    pub labels: Volume<u8>,
    /// What the labels say.
    pub findings: Findings,
    /// How probable liver and tumours are, where they were asked for.
    pub probabilities: Probabilities,
    /// Wall time of the stages that ran, in their order, in seconds.
    pub seconds: Vec<(StageName, f64)>,
}

/// How probable something is in every voxel, on the scan's own grid in its stored order: 255 stands for 1.
///
/// `None` when it was not asked for, or nobody looked: the liver was given, or tumours were not wanted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Probabilities {
    /// The liver with its tumours; 0 outside of the box in which stage 2 looked.
    pub liver: Option<Volume<u8>>,
    /// A tumour; 0 outside of the liver.
    pub tumour: Option<Volume<u8>>,
}

impl Pipeline {
    /// The pipeline of a model, run by `engine`.
    ///
    /// # Errors
    /// When the weights do not fit or the engine cannot run a network.
    pub fn load(bundle: &Bundle, engine: &dyn Engine) -> Result<Self, PipelineError> {
        let load = |stage: StageName| {
            let weights = bundle.weights(stage).map_err(|source| PipelineError::Model { stage, source })?;
            let network = load_all(engine, &weights).map_err(|source| PipelineError::Engine { stage, source })?;
            Ok((bundle.card().stage(stage).clone(), network))
        };
        Ok(Self::new(load(StageName::Localizer)?, load(StageName::Liver)?, load(StageName::Tumour)?))
    }

    /// A pipeline of networks from elsewhere, each with its stage: localizer, liver, tumour.
    ///
    /// The stages' values are those of an opened [`Bundle`] or otherwise valid by [`Stage::config`].
    pub fn new(
        localizer: (Stage, Box<dyn Network>),
        liver: (Stage, Box<dyn Network>),
        tumour: (Stage, Box<dyn Network>),
    ) -> Self {
        Self { localizer, liver, tumour }
    }

    /// Looks for tumours in mirrored windows too from now on, whatever the model's card says: [`Stage::mirror`].
    pub fn mirror_tumours(&mut self) {
        self.tumour.0.mirror = true;
    }

    /// Segments a `scan` in Hounsfield units, in any orientation.
    ///
    /// A scan without a liver is no error: its labels are all zero. A given liver is taken as it is, with all its
    /// components, of whatever size.
    ///
    /// # Errors
    /// When the watch calls it off, an engine fails, or the given liver is not on the scan's grid.
    pub fn segment(
        &mut self,
        scan: &Volume<i16>,
        request: &Request<'_>,
        watch: &dyn Watch,
    ) -> Result<Segmentation, PipelineError> {
        if let Some(given) = request.liver {
            check_same_grid(scan.geometry(), given.geometry()).map_err(PipelineError::GivenLiver)?;
        }
        let to_canonical = Reorientation::to_canonical(scan.geometry());
        let canonical = match to_canonical.is_identity() && scan.data().is_standard_layout() {
            true => Cow::Borrowed(scan),
            false => Cow::Owned(to_canonical.apply(scan)),
        };
        let mut seconds = Vec::new();
        let liver = match request.liver {
            Some(given) => Found { object: given_liver(given, to_canonical), probability: None },
            None => self.find_liver(&canonical, request.probabilities, watch, &mut seconds)?,
        };
        // What a reader has not called liver is none either.
        let is_enclosed_too = self.tumour.0.enclosed && request.liver.is_none();
        let tumour = match &liver.object {
            Some(liver) if request.last == LastStage::Tumour => {
                self.find_tumour(&canonical, liver, is_enclosed_too, watch, &mut seconds)?
            }
            _ => NOTHING,
        };
        let (tumour, sheets) = self.without_sheets(liver.object.as_ref(), tumour, canonical.geometry());
        let (liver, tumour) = if is_enclosed_too { with_tumours(liver, tumour) } else { (liver, tumour) };
        let (liver, tumour, beside) = match request.liver {
            // What a reader has called liver is liver.
            Some(_) => (liver, tumour, None),
            None => self.without_masses_beside(liver, tumour, canonical.geometry()),
        };
        // Before the labels need memory of their own.
        drop(canonical);
        let labels = paint(scan, to_canonical, liver.object.as_ref(), tumour.object.as_ref());
        let mut findings = findings_of(&labels, scan, request.last, tumour.probability.as_ref());
        findings.cautions.extend(sheets.into_iter().chain(beside));
        let on_grid = |found: &Found, was_looked_for: bool| {
            let nowhere = || Volume::filled(scan.geometry().clone(), 0);
            let of_map = |map: &ProbabilityMap| map.to_volume(scan.geometry());
            (request.probabilities && was_looked_for).then(|| found.probability.as_ref().map_or_else(nowhere, of_map))
        };
        let probabilities = Probabilities {
            liver: on_grid(&liver, request.liver.is_none()),
            tumour: on_grid(&tumour, request.last == LastStage::Tumour),
        };
        Ok(Segmentation { labels, findings, probabilities, seconds })
    }

    /// Tumours without what is a thin sheet along the border of the liver by the model's card, and what is to be said of it.
    /// What is taken out stays what the liver stage has called it.
    fn without_sheets(
        &self,
        liver: Option<&ObjectMask>,
        tumour: Found,
        geometry: &Geometry,
    ) -> (Found, Option<Caution>) {
        let without = match (liver, &tumour.object, self.tumour.0.sheet) {
            // Tumours in what the liver encloses belong to it.
            (Some(liver), Some(tumour), Some(sheet)) => without_sheets(&liver.with(tumour), tumour, geometry, sheet),
            _ => None,
        };
        let Some(without) = without else { return (tumour, None) };
        let ml = without.voxels as f64 * geometry.voxel_volume() / 1000.0;
        (Found { object: without.tumour, ..tumour }, Some(Caution::Sheets { sheets: without.sheets, ml }))
    }

    /// Liver and tumours without what lies beside the liver by the model's card, and what is to be said of it.
    ///
    /// Where less than the least volume of a liver would be left, nothing is taken out: masses lie beside a liver.
    fn without_masses_beside(
        &self,
        liver: Found,
        tumour: Found,
        geometry: &Geometry,
    ) -> (Found, Found, Option<Caution>) {
        let apart = match (&liver.object, &tumour.object, self.tumour.0.greatest_exposure) {
            (Some(liver), Some(tumour), Some(greatest)) => set_apart(liver, tumour, geometry, greatest),
            _ => None,
        };
        let Some(apart) = apart.filter(|apart| apart.liver.volume_ml(geometry) >= self.liver.0.least_volume_ml) else {
            return (liver, tumour, None);
        };
        let ml = |voxels: usize| voxels as f64 * geometry.voxel_volume() / 1000.0;
        let caution = Caution::MassesBeside {
            masses: apart.masses,
            ml: ml(apart.voxels),
            hanging_ml: ml(apart.hanging_voxels),
            hanging_lesions: apart.hanging_tumours,
        };
        let tumour = Found {
            object: apart.tumour,
            probability: tumour.probability.map(|map| map.only(|voxel| apart.liver.contains(voxel))),
        };
        (Found { object: Some(apart.liver), ..liver }, tumour, Some(caution))
    }

    fn find_liver(
        &mut self,
        scan: &Volume<i16>,
        keep: bool,
        watch: &dyn Watch,
        seconds: &mut Vec<(StageName, f64)>,
    ) -> Result<Found, PipelineError> {
        let margin = self.liver.0.margin;
        let mut localizer = run(StageName::Localizer, &mut self.localizer);
        let Some(located) = timed(seconds, StageName::Localizer, || localize(&mut localizer, scan, margin, watch))?
        else {
            return Ok(NOTHING);
        };
        let stage = self.liver.0.for_liver(located.brightness_hu);
        let mut liver = StageRun { name: StageName::Liver, stage: &stage, network: self.liver.1.as_mut() };
        timed(seconds, StageName::Liver, || segment_liver(&mut liver, scan, &located.region, keep, watch))
    }

    fn find_tumour(
        &mut self,
        scan: &Volume<i16>,
        liver: &ObjectMask,
        is_enclosed_too: bool,
        watch: &dyn Watch,
        seconds: &mut Vec<(StageName, f64)>,
    ) -> Result<Found, PipelineError> {
        let margin = self.tumour.0.margin;
        let stage = self.tumour.0.for_liver(liver.brightness_hu(scan));
        let mut tumour = StageRun { name: StageName::Tumour, stage: &stage, network: self.tumour.1.as_mut() };
        timed(seconds, StageName::Tumour, || {
            let place = if is_enclosed_too { Cow::Owned(liver.with_enclosed()) } else { Cow::Borrowed(liver) };
            segment_tumour(&mut tumour, scan, &place, margin, watch)
        })
    }
}

/// The liver with the tumours in it, and these with the probabilities of this liver's voxels alone.
fn with_tumours(liver: Found, tumour: Found) -> (Found, Found) {
    let object = match (&liver.object, &tumour.object) {
        (Some(liver), Some(tumour)) => Some(liver.with(tumour)),
        (liver, _) => liver.clone(),
    };
    let is_liver = |voxel| object.as_ref().is_some_and(|liver| liver.contains(voxel));
    let probability = tumour.probability.map(|map| map.only(is_liver));
    (Found { object, ..liver }, Found { probability, ..tumour })
}

fn run(name: StageName, (stage, network): &mut (Stage, Box<dyn Network>)) -> StageRun<'_> {
    StageRun { name, stage, network: network.as_mut() }
}

fn timed<T>(seconds: &mut Vec<(StageName, f64)>, stage: StageName, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    seconds.push((stage, start.elapsed().as_secs_f64()));
    result
}

/// The liver (label ≥ 1) of a label volume, in canonical orientation.
fn given_liver(given: &Volume<u8>, to_canonical: Reorientation) -> Option<ObjectMask> {
    let bounds = VoxelBox::around(given.data(), |&label| label >= 1)?;
    let part = to_canonical.apply(&given.crop(&bounds));
    let start = to_canonical.voxel_box(&bounds, given.shape()).start();
    ObjectMask::new(start, part.map(|&label| label >= 1).data())
}

/// Labels on the scan's own grid of objects in canonical orientation: 1 for the liver, over it 2 for tumours.
fn paint(
    scan: &Volume<i16>,
    to_canonical: Reorientation,
    liver: Option<&ObjectMask>,
    tumour: Option<&ObjectMask>,
) -> Volume<u8> {
    let from_canonical = to_canonical.inverse();
    let shape = to_canonical.geometry(scan.geometry()).shape();
    let mut labels = Volume::filled(scan.geometry().clone(), 0);
    let mut stored = labels.data_mut();
    for (object, label) in [(liver, 1), (tumour, 2)] {
        for voxel in object.into_iter().flat_map(ObjectMask::voxels) {
            stored[from_canonical.index(voxel, shape)] = label;
        }
    }
    labels
}
