use rand::Rng;

use crate::anatomy::body::paint_over;
use crate::anatomy::skeleton::Skeleton;
use crate::anatomy::tissue::{FAT, GAS, LUNG, Tissue};
use crate::canvas::{Canvas, Coat, Place};
use crate::noise::ValueNoise;
use crate::random::{Stream, direction, range, stream};
use crate::shape::{Bounds, Ellipsoid, Point, Tube, add, hypot, normalised, scaled};

/// Height over which the domes of the diaphragm flow into each other.
const BLEND: f32 = 6.0;

/// A paraboloid that falls off differently to the four sides.
#[derive(Debug, Clone)]
struct Dome {
    peak: Point,
    /// Millimetres of distance squared for a millimetre of fall, towards +x, −x, +y, −y.
    width: [f32; 4],
}

/// The diaphragm as a height over the axial plane: right dome, left dome, and the tendon below the heart.
#[derive(Debug, Clone)]
pub(crate) struct Diaphragm {
    domes: [Dome; 3],
}

impl Diaphragm {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = stream(seed, Stream::Diaphragm);
        let mut vary = |value: f32| value * range(&mut rng, 0.85, 1.18);
        let right = Dome { peak: [70.0, 8.0, 0.0], width: [vary(66.0), vary(150.0), vary(230.0), vary(120.0)] };
        let left =
            Dome { peak: [-76.0, -4.0, vary(-16.0)], width: [vary(150.0), vary(72.0), vary(210.0), vary(120.0)] };
        let tendon = Dome { peak: [-14.0, 42.0, vary(-24.0)], width: [260.0; 4] };
        Self { domes: [right, left, tendon] }
    }

    /// Signed distance to the diaphragm, positive above it; good near it.
    pub(crate) fn above(&self, [x, y, z]: Point) -> f32 {
        let mut sum = 0.0;
        let mut slope = [0.0; 2];
        let faces = self.domes.each_ref().map(|dome| dome.face(x, y));
        let top = faces.iter().map(|face| face.0).fold(f32::MIN, f32::max);
        for (height, gradient) in faces {
            let weight = ((height - top) / BLEND).exp();
            sum += weight;
            slope = [slope[0] + weight * gradient[0], slope[1] + weight * gradient[1]];
        }
        let height = top + BLEND * sum.ln();
        (z - height) / (1.0 + (slope[0] / sum).powi(2) + (slope[1] / sum).powi(2)).sqrt()
    }
}

impl Dome {
    /// Height above `(x, y)` and its gradient.
    fn face(&self, x: f32, y: f32) -> (f32, [f32; 2]) {
        let (dx, dy) = (x - self.peak[0], y - self.peak[1]);
        let (wx, wy) = (self.width[usize::from(dx < 0.0)], self.width[2 + usize::from(dy < 0.0)]);
        (self.peak[2] - dx * dx / wx - dy * dy / wy, [-2.0 * dx / wx, -2.0 * dy / wy])
    }
}

/// Lungs, heart and what lies between them.
#[derive(Debug)]
pub(crate) struct Chest {
    heart: Ellipsoid,
    chambers: [Ellipsoid; 4],
    vessels: Vec<Tube>,
    texture: ValueNoise,
}

impl Chest {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = stream(seed, Stream::Chest);
        let size = range(&mut rng, 0.9, 1.15);
        let part = |centre: Point, radii: Point| {
            let place = std::array::from_fn(|axis| {
                [-24.0, 38.0, 24.0][axis] + size * (centre[axis] - [-24.0, 38.0, 24.0][axis])
            });
            Ellipsoid::turned(place, scaled(radii, size), [0.0, 0.0, 25.0])
        };
        Self {
            heart: part([-26.0, 36.0, 22.0], [62.0, 43.0, 50.0]),
            chambers: [
                part([-50.0, 28.0, 12.0], [24.0, 20.0, 32.0]),
                part([-22.0, 56.0, 12.0], [34.0, 17.0, 30.0]),
                part([18.0, 34.0, 28.0], [19.0, 24.0, 28.0]),
                part([-16.0, 8.0, 42.0], [27.0, 17.0, 20.0]),
            ],
            vessels: lung_vessels(&mut rng),
            texture: ValueNoise::new(rng.random()),
        }
    }

    pub(crate) fn paint(&self, canvas: &mut Canvas, tissue: &Tissue, skeleton: &Skeleton, cavity: &Bounds) {
        let lungs = Bounds {
            least: [cavity.least[0], cavity.least[1], -175.0],
            greatest: [cavity.greatest[0], cavity.greatest[1], 235.0],
        };
        // The muscle of the diaphragm, then the lungs above it.
        canvas.paint(&lungs, Coat::Over, |p| (p.wall + 0.5).max((p.above - 1.0).abs() - 1.6), |_| tissue.muscle);
        let lung = |p: &Place| (p.wall + 1.5).max(2.0 - p.above).max(p.point[2] - 228.0);
        let texture = |p: Point| LUNG + 25.0 * self.texture.at(scaled(p, 0.06)) + 0.25 * (-60.0 - p[1]).max(0.0);
        canvas.paint(&lungs, Coat::Over, lung, texture);
        for vessel in &self.vessels {
            canvas.paint(
                &vessel.bounds,
                Coat::Over,
                |p| vessel.distance(p.point).max(lung(p)),
                |_| 0.7 * tissue.right_heart,
            );
        }
        let between = |p: &Place| {
            let [x, y, z] = p.point;
            let front = hypot((x + 2.0) / 22.0, (y - 50.0) / 75.0);
            let back = hypot(x / 30.0, (y - skeleton.middle(z) - 16.0) / 34.0);
            ((front.min(back) - 1.0) * 24.0).max(z - 232.0).max(0.5 - p.above).max(p.wall + 1.0)
        };
        let whole = Bounds { least: [-40.0, -160.0, -120.0], greatest: [40.0, 130.0, 235.0] };
        canvas.paint(&whole, Coat::Over, between, |_| FAT + 12.0);
        let heart = |p: &Place| self.heart.distance(p.point).max(0.5 - p.above);
        let bounds = self.heart.bounds();
        canvas.paint(&bounds.grown(8.0), Coat::Over, |p| (heart(p) - 6.0).max(0.5 - p.above), |_| FAT + 10.0);
        canvas.paint(&bounds, Coat::Over, heart, |_| tissue.heart_muscle);
        let bloods = [tissue.aorta, tissue.right_heart, tissue.right_heart, tissue.aorta];
        for (chamber, blood) in self.chambers.iter().zip(bloods) {
            canvas.paint(&chamber.bounds(), Coat::Over, |p| chamber.distance(p.point).max(heart(p) + 3.0), |_| blood);
        }
        self.paint_great_vessels(canvas, tissue);
    }

    fn paint_great_vessels(&self, canvas: &mut Canvas, tissue: &Tissue) {
        let arch = Tube::through(&[
            ([2.0, 22.0, 50.0], 15.0),
            ([14.0, 28.0, 95.0], 15.0),
            ([6.0, 8.0, 128.0], 14.0),
            ([-16.0, -40.0, 132.0], 13.0),
            ([-22.0, -62.0, 112.0], 12.5),
            ([-22.0, -64.0, 30.0], 12.0),
        ]);
        let lung_artery =
            Tube::through(&[([-16.0, 42.0, 62.0], 13.0), ([-14.0, 18.0, 90.0], 13.0), ([30.0, -10.0, 88.0], 10.0)]);
        let upper_cava =
            Tube::through(&[([22.0, 22.0, 40.0], 9.0), ([26.0, 8.0, 120.0], 9.0), ([28.0, 15.0, 200.0], 7.0)]);
        let gullet =
            Tube::through(&[([-4.0, -38.0, -40.0], 8.0), ([-2.0, -50.0, 60.0], 7.0), ([-3.0, -42.0, 220.0], 7.0)]);
        let windpipe = Tube::through(&[([0.0, -25.0, 100.0], 9.0), ([0.0, -5.0, 240.0], 9.0)]);
        let bronchi =
            Tube::through(&[([45.0, -30.0, 78.0], 6.0), ([0.0, -25.0, 102.0], 7.0), ([-45.0, -30.0, 78.0], 6.0)]);
        for (tube, hu) in [
            (&lung_artery, tissue.right_heart),
            (&upper_cava, tissue.right_heart),
            (&arch, tissue.aorta),
            (&gullet, tissue.gut_wall),
        ] {
            paint_over(canvas, &tube.bounds, hu, |p| tube.distance(p));
        }
        paint_over(canvas, &gullet.bounds, -500.0, |p| gullet.distance(p) + 4.5);
        for tube in [&windpipe, &bronchi] {
            paint_over(canvas, &tube.bounds.grown(1.5), tissue.muscle, |p| tube.distance(p) - 1.5);
            paint_over(canvas, &tube.bounds, GAS, |p| tube.distance(p));
        }
    }
}

/// Branches from both hila into the lungs.
fn lung_vessels(rng: &mut rand_chacha::ChaCha8Rng) -> Vec<Tube> {
    let mut vessels = Vec::new();
    for side in [-1.0, 1.0] {
        for _ in 0..22 {
            let mut heading = normalised(add(scaled(direction(rng), 0.9), [0.6 * side, 0.0, -0.3]));
            let mut at = [28.0 * side, -15.0, 70.0];
            let mut knots = vec![(at, 4.5)];
            for step in 1..6 {
                heading = normalised(add(heading, scaled(direction(rng), 0.35)));
                at = add(at, scaled(heading, 24.0));
                knots.push((at, 4.5 - 0.75 * step as f32));
            }
            vessels.push(Tube::through(&knots));
        }
    }
    vessels
}
