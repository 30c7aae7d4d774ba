//! Synthetic cases.

use std::convert::Infallible;

use hepar_phantom::{BodyPart, PhantomSpec};
use hepar_volume::Reorientation;
use rayon::prelude::*;

use super::{Cache, IsCancelled, Prepared, Storage, planes_of, prepare_spatial};
use crate::config::TrainConfig;
use crate::dataset::PatientId;
use crate::error::DataError;
use hepar_model::stage::StageName;

/// Seed of the first phantom that is trained on.
///
/// Tests and demonstrations use small seeds, from 0 and from 1 on, so that they never show a network what it was
/// trained on; whoever draws phantoms to measure a network should stay below this number, too.
const FIRST_SEED: u64 = 1_000_000;

/// As many phantoms as the configuration asks for.
///
/// Only the localizer gets parts of the body without liver. A seed whose phantom cannot be drawn is passed over; so are
/// all after a while, rather than looking for ever.
///
/// `None` when `is_cancelled` says so, which is asked before each.
///
/// # Errors
/// When the storage has no room for one.
pub(super) fn prepare_phantoms(
    config: &TrainConfig,
    cache: Option<&Cache>,
    storage: &Storage,
    is_cancelled: &IsCancelled<'_>,
) -> Result<Option<Vec<Prepared>>, DataError> {
    let planar = config.stage == StageName::Localizer;
    let seeds: Vec<u64> = (FIRST_SEED..)
        .take(config.phantoms * 4)
        .filter(|&seed| planar || PhantomSpec::random(seed).body_part == BodyPart::Abdomen)
        .take(config.phantoms)
        .collect();
    let drawn = |seed| cached(seed, config, cache).map(|phantom| storage.keep(phantom)).transpose();
    let one = |seed| if is_cancelled() { Ok(None) } else { drawn(seed).map(Some) };
    let phantoms: Option<Vec<Option<Prepared>>> = seeds.into_par_iter().map(one).collect::<Result<_, DataError>>()?;
    Ok(phantoms.map(|phantoms| phantoms.into_iter().flatten().collect()))
}

/// The phantom of a seed, from the cache if there is one.
fn cached(seed: u64, config: &TrainConfig, cache: Option<&Cache>) -> Option<Prepared> {
    let name = format!("phantom/{seed}");
    let patient = PatientId::of(&name);
    let make = || prepare(seed, (&name, &patient), config);
    match cache {
        Some(cache) => {
            let make = || Ok::<_, Infallible>(make());
            cache.get_or_make(&name, (&name, &patient), config, make).unwrap_or_else(|never| match never {})
        }
        None => make(),
    }
}

fn prepare(seed: u64, (name, patient): (&str, &PatientId), config: &TrainConfig) -> Option<Prepared> {
    let phantom = PhantomSpec::random(seed).build().ok()?;
    let canonical = Reorientation::to_canonical(phantom.ct.geometry());
    let (scan, labels) = (canonical.apply_into(phantom.ct), canonical.apply_into(phantom.labels));
    match config.stage {
        StageName::Localizer => Some(planes_of(name, patient, &scan, &labels, config)),
        StageName::Liver | StageName::Tumour => prepare_spatial(name, patient, &scan, &labels, config),
    }
}
