use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::anatomy::body::Body;
use crate::anatomy::chest::Diaphragm;
use crate::anatomy::organs::Organs;
use crate::canvas::{Canvas, Coat, Hu, Layer, Place};
use crate::noise::ValueNoise;
use crate::random::{Stream, chance, near, range, stream};
use crate::shape::{Bounds, Capsule, Ellipsoid, scaled, smooth_max, smooth_min};

/// The liver never reaches lower than this, nor farther to the left.
const LOWEST: f32 = -212.0;
const HIGHEST: f32 = 8.0;
const LEFTMOST: f32 = -135.0;
/// Distance of the points on which the volume is measured.
const MEASURE: f32 = 6.0;

/// The liver: what the diaphragm, the wall of the body, its visceral face and its neighbours leave of the space.
#[derive(Debug)]
pub(crate) struct Liver {
    /// Distance to the wall of the cavity.
    inset: f32,
    /// Height of the visceral face at the origin; fitted so that the liver has the volume it should.
    base: f32,
    /// Fall of the visceral face towards the right, farther right, and the front.
    falls: [f32; 3],
    /// Where the posterior face of the left lobe runs: y at x = −10, and its rise for each millimetre to the left.
    back: [f32; 2],
    /// x of the tip of the left lobe.
    tip: f32,
    /// Rounding of the edges.
    rounding: f32,
    /// Amplitude of the swells and hollows of the visceral face.
    swell: f32,
    caudate: Ellipsoid,
    hollows: Vec<Capsule>,
    surface: ValueNoise,
    /// Amplitudes of the surface's unevenness: lobes, and the nodules of cirrhosis.
    unevenness: [f32; 2],
    /// Width of the layer of fat, or of fluid, around the liver.
    pub(crate) margin: f32,
    pub(crate) fluid: bool,
    bounds: Bounds,
}

impl Liver {
    /// A liver of 900 to 2500 ml in an adult of size 1.
    pub(crate) fn new(seed: u64, body: &Body, diaphragm: &Diaphragm, organs: &Organs) -> Self {
        let mut rng = stream(seed, Stream::Liver);
        let rng = &mut rng;
        let cirrhotic = chance(rng, 0.12);
        let fluid = chance(rng, 0.1);
        let mut liver = Self {
            inset: range(rng, 2.0, 4.5),
            base: -75.0,
            falls: [range(rng, 0.05, 0.25), range(rng, 0.6, 1.2), range(rng, -0.05, 0.25)],
            back: [range(rng, -38.0, -20.0), range(rng, 0.55, 1.1)],
            tip: range(rng, -112.0, -38.0),
            rounding: range(rng, 7.0, 13.0),
            swell: range(rng, 4.0, 10.0),
            caudate: Ellipsoid::new(
                near(rng, [10.0, -22.0, -66.0], 4.0),
                scaled([20.0, 20.0, 30.0], range(rng, 0.7, 1.2)),
            ),
            hollows: hollows(rng),
            surface: ValueNoise::new(rng.random()),
            unevenness: [range(rng, 2.0, 5.0), if cirrhotic { range(rng, 1.2, 2.5) } else { 0.4 }],
            margin: if fluid { range(rng, 2.0, 7.0) } else { range(rng, 0.0, 2.5) },
            fluid,
            bounds: body.cavity_bounds(LOWEST, HIGHEST),
        };
        liver.bounds.least[0] = LEFTMOST;
        let wanted = range(rng, 1000.0, 2150.0);
        let (mut low, mut high) = (-160.0, -25.0);
        for _ in 0..7 {
            liver.base = 0.5 * (low + high);
            if liver.volume_ml(body, diaphragm, organs) > wanted { low = liver.base } else { high = liver.base }
        }
        liver
    }

    /// A box that holds the liver.
    pub(crate) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Signed distance, good near the surface.
    pub(crate) fn distance(&self, place: &Place, organs: &Organs) -> f32 {
        let point = place.point;
        let [x, y, z] = point;
        let hull = (place.wall + self.inset).max(place.above + 0.6).max(self.tip - 25.0 - x);
        if hull > 20.0 {
            return hull;
        }
        let hull = hull.max(LOWEST + 5.0 - z);
        let fall = self.falls[0] * x + self.falls[1] * softplus(x - 45.0) + self.falls[2] * y;
        let visceral = (self.base - fall - z) * 0.8 + self.swell * self.surface.at(scaled(point, 1.0 / 62.0));
        let rear = (self.back[0] + self.back[1] * softplus(-10.0 - x) - 2.2 * softplus(x + 10.0) - y) * 0.65;
        // The left lobe ends in a tip that lies at the front.
        let left = (self.tip - x) * 0.8 + 0.006 * (y - 45.0).powi(2);
        let mut inner = smooth_max(visceral, rear, self.rounding + 4.0);
        inner = smooth_max(inner, left, self.rounding + 4.0);
        // The caudate lobe bulges out before the vena cava.
        inner = smooth_min(inner, self.caudate.distance(point).max(visceral - 6.0).max(rear - 16.0), 8.0);
        if inner > 20.0 {
            return inner;
        }
        inner += self.unevenness[0] * self.surface.at(scaled(point, 1.0 / 38.0));
        inner += self.unevenness[1] * self.surface.at(scaled(point, 1.0 / 9.0));
        let mut distance = smooth_max(hull, inner, self.rounding);
        for hollow in &self.hollows {
            distance = smooth_max(distance, -hollow.distance(point), 4.0);
        }
        smooth_max(distance, 1.0 - organs.neighbour_of_liver(point), 3.0)
    }

    /// Paints the liver without its vessels; `hu` is its own and that of the layer around it.
    pub(crate) fn paint(&self, canvas: &mut Canvas, organs: &Organs, hu: [f32; 2]) {
        let own = Layer { depth: 0.0, coat: Coat::Liver, hu: Hu::Even(hu[0]) };
        let distance = |p: &Place| {
            let distance = self.distance(p, organs);
            // The layer around the liver stays within the cavity and below the diaphragm.
            if distance > 0.0 && p.wall.max(p.above) > -0.5 { distance + self.margin } else { distance }
        };
        canvas.paint_layers(&self.bounds, 1.0, distance, &[Layer::even(-self.margin, hu[1]), own]);
    }

    fn volume_ml(&self, body: &Body, diaphragm: &Diaphragm, organs: &Organs) -> f32 {
        let Bounds { least, greatest } = self.bounds;
        let steps: [usize; 3] = std::array::from_fn(|axis| ((greatest[axis] - least[axis]) / MEASURE) as usize);
        let mut inside = 0_usize;
        for k in 0..steps[2] {
            for j in 0..steps[1] {
                for i in 0..steps[0] {
                    let index = [i, j, k];
                    let point = std::array::from_fn(|axis| least[axis] + MEASURE * (index[axis] as f32 + 0.5));
                    let place = Place { point, wall: body.wall(point), above: diaphragm.above(point) };
                    inside += usize::from(self.distance(&place, organs) < 0.0);
                }
            }
        }
        inside as f32 * MEASURE.powi(3) / 1000.0
    }
}

/// The hilum, where the portal vein enters, and the fissure of the round ligament.
fn hollows(rng: &mut ChaCha8Rng) -> Vec<Capsule> {
    let depth = range(rng, -90.0, -72.0);
    let fissure = range(rng, -22.0, 8.0);
    vec![
        Capsule { from: [-12.0, -4.0, depth - 40.0], to: [24.0, 2.0, depth], radii: [16.0, 6.0] },
        Capsule { from: [fissure + 8.0, 12.0, depth], to: [fissure, 95.0, depth - 28.0], radii: [4.0, 7.0] },
        Capsule { from: [fissure + 8.0, 12.0, depth - 10.0], to: [fissure, 95.0, depth - 50.0], radii: [4.0, 9.0] },
    ]
}

/// A smooth version of `max(x, 0)`.
fn softplus(x: f32) -> f32 {
    0.5 * (x + (x * x + 100.0).sqrt())
}
