use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::anatomy::Anatomy;
use crate::anatomy::tissue::Tissue;
use crate::canvas::{Canvas, Coat, Hu, Layer};
use crate::grid::Grid;
use crate::noise::ValueNoise;
use crate::random::{Stream, chance, range, stream};
use crate::shape::{Bounds, Ellipsoid, Point, length, normalised, scaled, sub};
use crate::spec::{BodyPart, PhantomSpec, Phase, SpecError};

/// Diameter in millimetres down to which tumours shrink where there is no room for greater ones.
const LEAST_DIAMETER: f32 = 4.0;
/// Places that are tried for a tumour of one size, and for one of the least size.
const TRIES: usize = 200;
const LAST_TRIES: usize = 5000;

/// A tumour: an ellipsoid with an uneven surface.
#[derive(Debug)]
pub(crate) struct Blob {
    /// World position, the centre of a voxel.
    pub(crate) centre: Point,
    /// In the patient's millimetres, as all below.
    shape: Ellipsoid,
    radius: f32,
    /// Amplitude of the unevenness against the radius: coarse, fine.
    unevenness: [f32; 2],
    surface: ValueNoise,
    look: Look,
}

/// How a tumour differs from the liver.
#[derive(Debug, Clone)]
struct Look {
    hu: f32,
    /// HU of the rim and its thickness against the radius.
    rim: Option<(f32, f32)>,
    /// HU of the dead core and its radius against the tumour's.
    core: Option<(f32, f32)>,
    /// Amplitude of the unevenness within, HU.
    texture: f32,
    /// How many times as wide as other edges its edge is.
    softness: f32,
}

impl Blob {
    pub(crate) fn paint(&self, canvas: &mut Canvas) {
        let bounds = Bounds::around(self.shape.centre, [self.patient_reach(); 3]);
        let depth = |p: Point| -self.distance(p) / self.radius;
        let hu = |p: Point| {
            let depth = depth(p);
            let mut hu = self.look.hu + self.look.texture * self.surface.at(scaled(p, 1.0 / 4.0));
            if let Some((rim, thickness)) = self.look.rim {
                hu += (rim - hu) * (2.0 - 2.0 * depth / thickness).clamp(0.0, 1.0);
            }
            if let Some((core, radius)) = self.look.core {
                hu += (core - hu) * (4.0 * (depth - (1.0 - radius))).clamp(0.0, 1.0);
            }
            hu
        };
        let layer = Layer { depth: 0.0, coat: Coat::Tumour, hu: Hu::Of(&hu) };
        canvas.paint_layers(&bounds, self.look.softness, |p| self.distance(p.point), &[layer]);
    }

    /// Star-shaped about the centre, so that it is in one piece.
    fn distance(&self, point: Point) -> f32 {
        let smooth = self.shape.distance(point);
        if smooth > self.patient_reach() {
            return smooth;
        }
        let direction = normalised(sub(point, self.shape.centre));
        let [coarse, fine] = self.unevenness;
        let bulge = coarse * self.surface.at(scaled(direction, 1.4)) + fine * self.surface.at(scaled(direction, 4.0));
        smooth - bulge * self.radius
    }

    fn patient_reach(&self) -> f32 {
        let longest = self.shape.radii.into_iter().fold(0.0, f32::max);
        longest + self.radius * (self.unevenness[0] + self.unevenness[1])
    }
}

/// Draws the tumours of a spec and finds places for them in the part of the liver that `grid` shows.
///
/// The greatest are placed first. Between any two stays a gap that their voxels do not bridge.
pub(crate) fn place(spec: &PhantomSpec, grid: &Grid, anatomy: &Anatomy) -> Result<Vec<Blob>, SpecError> {
    if spec.body_part != BodyPart::Abdomen {
        return Ok(Vec::new());
    }
    let mut rng = stream(spec.seed, Stream::Tumours);
    let rng = &mut rng;
    let (least, greatest) = (spec.tumour_diameter_mm.0 as f32, spec.tumour_diameter_mm.1 as f32);
    let mut diameters: Vec<f32> = (0..spec.tumours).map(|_| range(rng, least.ln(), greatest.ln()).exp()).collect();
    diameters.sort_by(|a, b| b.total_cmp(a));
    let look = Look::random(rng, &anatomy.tissue);
    let liver = anatomy.pose.world_bounds(anatomy.liver.bounds());
    let search = Search { grid, anatomy, bounds: liver.intersection(&grid.bounds()) };
    let mut placed: Vec<Blob> = Vec::new();
    for drawn in diameters {
        let mut diameter = drawn;
        let blob = loop {
            let tries = if diameter <= LEAST_DIAMETER { LAST_TRIES } else { TRIES };
            if let Some(blob) = (0..tries).find_map(|_| search.try_place(rng, diameter, &look, &placed)) {
                break blob;
            }
            if diameter <= LEAST_DIAMETER {
                return Err(SpecError::NoRoom { asked: spec.tumours, placed: placed.len() });
            }
            diameter = (diameter * 0.85).max(LEAST_DIAMETER);
        };
        placed.push(blob);
    }
    Ok(placed)
}

struct Search<'a> {
    grid: &'a Grid,
    anatomy: &'a Anatomy,
    /// World box around the part of the liver that the grid shows.
    bounds: Bounds,
}

impl Search<'_> {
    /// A tumour at a random place, if it fits in there.
    fn try_place(&self, rng: &mut ChaCha8Rng, diameter: f32, look: &Look, placed: &[Blob]) -> Option<Blob> {
        let scale = self.anatomy.pose.scale;
        let radius = 0.5 * diameter / scale;
        let wish = std::array::from_fn(|axis| range(rng, self.bounds.least[axis], self.bounds.greatest[axis]));
        // In the middle of a voxel, so that even the smallest tumour shows.
        let centre = self.grid.world(self.grid.voxel(wish)?.map(|index| index as f32));
        let place = self.anatomy.pose.patient(centre);
        if self.anatomy.liver_distance(place) > -(0.6 * radius + 2.0).min(18.0) {
            return None;
        }
        let stretch = [range(rng, 0.85, 1.2), range(rng, 0.85, 1.2)];
        let radii = scaled([stretch[0], stretch[1], 1.0 / (stretch[0] * stretch[1])], radius);
        let turn = std::array::from_fn(|_| range(rng, -90.0, 90.0));
        let blob = Blob {
            centre,
            shape: Ellipsoid::turned(place, radii, turn),
            radius,
            unevenness: [range(rng, 0.04, 0.25), range(rng, 0.0, 0.08)],
            surface: ValueNoise::new(rng.random()),
            look: look.varied(rng),
        };
        let free = placed.iter().all(|other| {
            let (apart, between) = (length(sub(other.shape.centre, place)), normalised(sub(other.centre, centre)));
            // Neighbouring voxels of two solids are as far apart as one voxel reaches in the direction between them,
            // and either may lie half a voxel outside. The warp squeezes by up to a fifth.
            let voxel: f32 = (0..3).map(|axis| between[axis].abs() * self.grid.spacing[2 - axis]).sum();
            apart > other.patient_reach() + blob.patient_reach() + 2.0 + 2.4 * voxel / scale
        });
        free.then_some(blob)
    }
}

impl Look {
    /// The common look of a patient's tumours.
    fn random(rng: &mut ChaCha8Rng, tissue: &Tissue) -> Self {
        let bright = tissue.phase == Phase::Arterial && chance(rng, 0.35);
        let contrast = match tissue.phase {
            _ if bright => -range(rng, 30.0, 80.0),
            Phase::NonContrast => range(rng, 12.0, 32.0),
            Phase::Arterial => range(rng, 18.0, 45.0),
            Phase::Portal => range(rng, 28.0, 70.0),
        };
        let hu = (tissue.liver - contrast).max(-20.0);
        let enhanced = tissue.phase != Phase::NonContrast;
        let rim =
            (enhanced && chance(rng, 0.25)).then(|| (hu + contrast * range(rng, 0.4, 1.2), range(rng, 0.08, 0.2)));
        let core = chance(rng, 0.3).then(|| ((hu - range(rng, 12.0, 35.0)).max(-15.0), range(rng, 0.3, 0.75)));
        Self { hu, rim, core, texture: range(rng, 2.0, 10.0), softness: 1.0 + 3.0 * range(rng, 0.0, 1.0).powi(2) }
    }

    /// The look of one of them.
    fn varied(&self, rng: &mut ChaCha8Rng) -> Self {
        let shift = range(rng, -7.0, 7.0);
        let keep = |rng: &mut ChaCha8Rng, part: Option<(f32, f32)>| {
            part.filter(|_| chance(rng, 0.75)).map(|(hu, size)| (hu + shift, size * range(rng, 0.8, 1.2)))
        };
        let (rim, core) = (keep(rng, self.rim), keep(rng, self.core));
        Self { hu: self.hu + shift, rim, core, ..self.clone() }
    }
}
