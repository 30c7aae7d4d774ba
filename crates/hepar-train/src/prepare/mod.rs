//! Cases in memory, ready to be sampled from.

mod phantoms;
mod planar;
mod spatial;

use hepar_formats::{read_labels, read_scan};
use hepar_volume::{Reorientation, Volume, VoxelBox};
use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;

pub(crate) use planar::planes_of;
pub(crate) use spatial::prepare_spatial;

use crate::config::TrainConfig;
use crate::dataset::{Case, PatientId, Source};
use crate::error::DataError;
use hepar_model::stage::StageName;

/// A case on the grid of its stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// The case's name.
    pub name: String,
    /// Whom it shows.
    pub patient: PatientId,
    /// Where the case comes from: cases of one origin are drawn by patient, origins are drawn evenly.
    pub origin: String,
    /// Hounsfield units, `[k, j, i]` in canonical orientation; for the localizer a stack of separate slices.
    pub hu: Array3<i16>,
    /// 0 background, 1 liver, 2 tumour, on the same grid.
    pub labels: Array3<u8>,
    /// Distance of voxel centres in millimetres, `[k, j, i]`; ones for the localizer, whose slices have lost theirs.
    pub spacing: [f64; 3],
    /// What is known of the liver; `None` for the localizer.
    pub liver: Option<LiverFacts>,
}

/// Where the liver of a prepared case is, in its voxels.
#[derive(Debug, Clone, PartialEq)]
pub struct LiverFacts {
    /// The smallest box around the liver.
    pub bounds: VoxelBox,
    /// That box grown by the stage's margin: what the stage would look at.
    pub region: VoxelBox,
    /// Positions, in C order, of the liver's voxels that have a face in common with another tissue.
    pub surface: Vec<u32>,
    /// Positions, in C order, of the voxels of each lesion: of each 26-connected component of label 2.
    pub lesions: Vec<Vec<u32>>,
}

/// What a run draws its samples from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Material {
    /// Cases of patients.
    pub real: Vec<Prepared>,
    /// Synthetic cases.
    pub phantoms: Vec<Prepared>,
}

impl Prepared {
    /// Index `[k, j, i]` of a position in C order.
    pub(crate) fn index(&self, position: u32) -> [usize; 3] {
        let (_, height, width) = self.hu.dim();
        let position = position as usize;
        [position / (height * width), position / width % height, position % width]
    }

    /// Bytes that the case takes in memory.
    fn bytes(&self) -> usize {
        let lists = self.liver.as_ref().map_or(0, |liver| liver.surface.len() + liver.lesions.concat().len());
        3 * self.hu.len() + 4 * lists
    }
}

impl Material {
    /// Reads and prepares `cases`, and draws the phantoms that the configuration asks for.
    ///
    /// # Errors
    /// When a case cannot be read, has no liver, or its labels do not fit.
    pub fn prepare(cases: &[Case], config: &TrainConfig) -> Result<Self, DataError> {
        let planar = config.stage == StageName::Localizer;
        let one = |case: &Case| -> Result<Vec<Prepared>, DataError> {
            match &case.source {
                Source::Volume { .. } if planar => {
                    let (scan, labels) = read_canonical(case)?;
                    Ok(vec![planes_of(&case.name, &case.patient, &scan, &labels, config)])
                }
                Source::Volume { .. } => {
                    let (scan, labels) = read_canonical(case)?;
                    let prepared = prepare_spatial(&case.name, &case.patient, &scan, &labels, config);
                    Ok(vec![prepared.ok_or_else(|| DataError::NoLiver(case.name.clone()))?])
                }
                Source::Slices { .. } => Ok(Vec::new()),
            }
        };
        let volumes: Vec<Vec<Prepared>> = cases.par_iter().map(one).collect::<Result<_, _>>()?;
        let mut real: Vec<Prepared> = volumes.into_iter().flatten().collect();
        if planar {
            real.extend(planar::slice_cases(cases, config)?);
        }
        Ok(Self { real, phantoms: phantoms::prepare_phantoms(config) })
    }

    /// Bytes that the voxels take in memory.
    pub fn bytes(&self) -> usize {
        self.real.iter().chain(&self.phantoms).map(Prepared::bytes).sum()
    }
}

/// A case's scan and labels in canonical orientation.
///
/// # Errors
/// When they cannot be read, lie on different grids, or a label is unknown.
pub(crate) fn read_canonical(case: &Case) -> Result<(Volume<i16>, Volume<u8>), DataError> {
    let Source::Volume { image, labels } = &case.source else {
        return Err(DataError::NoLiver(case.name.clone()));
    };
    let (scan, labels) = (read_scan(image)?.volume, read_labels(labels)?.volume);
    let spacing = scan.geometry().spacing();
    let tolerance = spacing.into_iter().fold(f64::INFINITY, f64::min) / 2.0;
    if !scan.geometry().matches(labels.geometry(), tolerance) {
        return Err(DataError::Grids { case: case.name.clone(), image: scan.shape(), labels: labels.shape() });
    }
    if let Some(&label) = labels.data().iter().find(|&&label| label > 2) {
        return Err(DataError::Label { case: case.name.clone(), label });
    }
    let canonical = Reorientation::to_canonical(scan.geometry());
    Ok((canonical.apply_into(scan), canonical.apply_into(labels)))
}

/// Rounds values to whole Hounsfield units.
pub(crate) fn rounded(values: ArrayView3<'_, f32>) -> Array3<i16> {
    // The cast saturates.
    values.mapv(|hu| hu.round() as i16)
}
