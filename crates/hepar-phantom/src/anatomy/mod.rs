//! A patient, drawn from a seed: solids in space that are painted slice by slice.

mod additions;
mod body;
mod bowel;
mod chest;
mod liver;
mod organs;
mod pose;
mod skeleton;
mod tissue;
mod tumours;
mod vessels;

use rand::Rng;

use crate::canvas::{Canvas, Place};
use crate::grid::Grid;
use crate::noise::ValueNoise;
use crate::random::{Stream, range, stream};
use crate::shape::{Point, scaled};
use crate::spec::{PhantomSpec, SpecError};

pub(crate) use pose::Pose;
pub(crate) use tumours::Blob;

use additions::Additions;
use body::Body;
use bowel::Bowel;
use chest::{Chest, Diaphragm};
use liver::Liver;
use organs::Organs;
use skeleton::Skeleton;
use tissue::{FAT, Tissue};
use vessels::LiverVessels;

/// Everything that a scan of one patient can show.
#[derive(Debug)]
pub(crate) struct Anatomy {
    pub(crate) pose: Pose,
    pub(crate) tumours: Vec<Blob>,
    tissue: Tissue,
    body: Body,
    skeleton: Skeleton,
    diaphragm: Diaphragm,
    chest: Chest,
    organs: Organs,
    bowel: Bowel,
    liver: Liver,
    vessels: LiverVessels,
    additions: Additions,
    texture: Texture,
}

/// Unevenness of all soft tissue.
#[derive(Debug)]
struct Texture {
    noise: ValueNoise,
    coarse: f32,
    fine: f32,
}

impl Anatomy {
    /// The patient of a spec, with tumours where `grid` shows the liver.
    ///
    /// # Errors
    /// When the tumours do not fit in.
    pub(crate) fn new(spec: &PhantomSpec, grid: &Grid) -> Result<Self, SpecError> {
        let seed = spec.seed;
        let pose = Pose::new(seed, spec.body_size as f32);
        let body = Body::new(seed, pose.scale);
        let diaphragm = Diaphragm::new(seed);
        let organs = Organs::new(seed);
        let liver = Liver::new(seed, &body, &diaphragm, &organs);
        let vessels = LiverVessels::new(seed, organs.hilum(), [24.0, -30.0, -42.0]);
        let mut rng = stream(seed, Stream::Texture);
        let texture = Texture {
            noise: ValueNoise::new(rng.random()),
            coarse: range(&mut rng, 2.0, 6.0),
            fine: range(&mut rng, 2.0, 6.0),
        };
        let skeleton = Skeleton::new(seed);
        let mut anatomy = Self {
            pose,
            tumours: Vec::new(),
            tissue: Tissue::new(seed, spec.phase),
            additions: Additions::new(spec, &body, &skeleton),
            body,
            skeleton,
            diaphragm,
            chest: Chest::new(seed),
            organs,
            bowel: Bowel::new(seed),
            liver,
            vessels,
            texture,
        };
        anatomy.tumours = tumours::place(spec, grid, &anatomy)?;
        Ok(anatomy)
    }

    /// Paints the slice at index `k` along z, possibly between voxel centres.
    pub(crate) fn paint(&self, k: f32, grid: &Grid, canvas: &mut Canvas) {
        let tissue = &self.tissue;
        canvas.move_to(k);
        self.body.paint(canvas, tissue, &self.diaphragm);
        self.chest.paint(canvas, tissue, &self.skeleton, &self.body.cavity_bounds(-200.0, 240.0));
        self.organs.paint_posterior_muscles(canvas, tissue, &self.skeleton);
        self.skeleton.paint(canvas, tissue);
        self.organs.paint_below(canvas, tissue);
        self.bowel.paint(canvas, tissue);
        let around = if self.liver.fluid { 10.0 } else { FAT };
        self.liver.paint(canvas, &self.organs, [tissue.liver, around]);
        self.vessels.paint(canvas, tissue);
        for tumour in &self.tumours {
            tumour.paint(canvas);
        }
        self.organs.paint_above(canvas, tissue);
        self.additions.paint(canvas, tissue);
        self.body.paint_couch(grid, canvas);
    }

    /// Unevenness, in HU, of soft tissue at a point of the patient.
    pub(crate) fn texture(&self, point: Point) -> f32 {
        let Texture { noise, coarse, fine } = &self.texture;
        coarse * noise.at(scaled(point, 1.0 / 9.0)) + fine * noise.at(scaled(point, 1.0 / 3.5))
    }

    /// Signed distance of a point of the patient to the liver's surface, negative inside.
    pub(crate) fn liver_distance(&self, point: Point) -> f32 {
        let place = Place { point, wall: self.body.wall(point), above: self.diaphragm.above(point) };
        self.liver.distance(&place, &self.organs)
    }
}
