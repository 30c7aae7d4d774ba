//! Synthetic cases.

use hepar_phantom::{BodyPart, PhantomSpec};
use hepar_volume::Reorientation;
use rayon::prelude::*;

use super::{Prepared, planes_of, prepare_spatial};
use crate::config::TrainConfig;
use crate::dataset::PatientId;
use hepar_model::stage::StageName;

/// Seed of the first phantom that is trained on; far from the small seeds that tests and demonstrations use.
const FIRST_SEED: u64 = 1_000_000;

/// As many phantoms as the configuration asks for.
///
/// Only the localizer gets parts of the body without liver. A seed whose phantom cannot be drawn is passed over; so are
/// all after a while, rather than looking for ever.
pub(super) fn prepare_phantoms(config: &TrainConfig) -> Vec<Prepared> {
    let planar = config.stage == StageName::Localizer;
    let seeds: Vec<u64> = (FIRST_SEED..)
        .take(config.phantoms * 4)
        .filter(|&seed| planar || PhantomSpec::random(seed).body_part == BodyPart::Abdomen)
        .take(config.phantoms)
        .collect();
    seeds.into_par_iter().filter_map(|seed| prepare(seed, config)).collect()
}

fn prepare(seed: u64, config: &TrainConfig) -> Option<Prepared> {
    let phantom = PhantomSpec::random(seed).build().ok()?;
    let canonical = Reorientation::to_canonical(phantom.ct.geometry());
    let (scan, labels) = (canonical.apply_into(phantom.ct), canonical.apply_into(phantom.labels));
    let name = format!("phantom/{seed}");
    let patient = PatientId::of(&name);
    match config.stage {
        StageName::Localizer => Some(planes_of(&name, &patient, &scan, &labels, config)),
        StageName::Liver | StageName::Tumour => prepare_spatial(&name, &patient, &scan, &labels, config),
    }
}
