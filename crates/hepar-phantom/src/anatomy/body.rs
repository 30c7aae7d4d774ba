use rand::Rng;

use crate::anatomy::chest::Diaphragm;
use crate::anatomy::tissue::{FAT, Tissue};
use crate::canvas::{Canvas, Coat};
use crate::grid::Grid;
use crate::noise::ValueNoise;
use crate::random::{Stream, chance, range, stream};
use crate::shape::{Bounds, Curve, Point, hypot, scaled};

/// Line along which the body is widest, y of the patient.
const WIDEST: f32 = -10.0;
const SKIN: f32 = 2.0;

/// The cavity of chest and abdomen: half width, reach to the front, reach to the back of the widest line.
const CAVITY: [(f32, [f32; 3]); 14] = [
    (-640.0, [10.0, 10.0, 10.0]),
    (-440.0, [70.0, 55.0, 45.0]),
    (-380.0, [92.0, 70.0, 58.0]),
    (-310.0, [116.0, 84.0, 74.0]),
    (-240.0, [132.0, 92.0, 84.0]),
    (-180.0, [139.0, 100.0, 92.0]),
    (-110.0, [144.0, 108.0, 103.0]),
    (-40.0, [144.0, 110.0, 108.0]),
    (40.0, [140.0, 106.0, 108.0]),
    (120.0, [127.0, 92.0, 102.0]),
    (190.0, [96.0, 68.0, 85.0]),
    (240.0, [48.0, 40.0, 50.0]),
    (290.0, [40.0, 45.0, 45.0]),
    (520.0, [30.0, 40.0, 45.0]),
];

/// The wall of muscle and bone around the cavity: thickness at the side, in front, behind.
const WALL: [(f32, [f32; 3]); 11] = [
    (-620.0, [95.0, 40.0, 60.0]),
    (-440.0, [88.0, 30.0, 70.0]),
    (-330.0, [36.0, 12.0, 48.0]),
    (-230.0, [15.0, 9.0, 34.0]),
    (-60.0, [12.0, 9.0, 24.0]),
    (60.0, [16.0, 11.0, 22.0]),
    (170.0, [40.0, 18.0, 30.0]),
    (240.0, [45.0, 22.0, 30.0]),
    (290.0, [16.0, 16.0, 18.0]),
    (420.0, [38.0, 50.0, 52.0]),
    (520.0, [10.0, 10.0, 10.0]),
];

/// Share of the patient's fat under the skin.
const FAT_SHARE: [(f32, [f32; 1]); 5] =
    [(-320.0, [1.35]), (-150.0, [1.0]), (60.0, [0.7]), (200.0, [0.45]), (300.0, [0.15])];

/// Height at which the trunk ends and the legs begin.
const CROTCH: f32 = -465.0;
/// A leg: distance of its middle from the patient's, half width with muscles.
const LEG: [(f32, [f32; 2]); 4] =
    [(-465.0, [92.0, 78.0]), (-600.0, [90.0, 68.0]), (-760.0, [86.0, 50.0]), (-900.0, [84.0, 42.0])];

/// The layers of the trunk and the legs: skin, fat, muscle, and the cavity within.
#[derive(Debug)]
pub(crate) struct Body {
    /// Outlines of cavity, muscle and skin: half width, reach to the front, reach to the back of the widest line.
    outlines: Curve<9>,
    /// Distance of a leg's middle from the patient's, its half width with muscles and with skin.
    legs: Curve<3>,
    /// Bends the layers of the wall's muscles.
    layers: ValueNoise,
    /// Depth of the couch's top at its middle, world millimetres; `None` where the scan shows no couch.
    couch: Option<f32>,
}

impl Body {
    pub(crate) fn new(seed: u64, scale: f32) -> Self {
        let mut rng = stream(seed, Stream::Body);
        let (width, depth) = (range(&mut rng, 0.93, 1.06), range(&mut rng, 0.9, 1.05));
        let stoutness = range(&mut rng, 0.0, 1.0).powi(2);
        let fat: [f32; 3] = [6.0, 7.0, 7.0].map(|lean| lean + stoutness * range(&mut rng, 18.0, 38.0));
        let thickness = range(&mut rng, 0.8, 1.2);
        let (wall, share) = (Curve::through(&WALL), Curve::through(&FAT_SHARE));
        let outlines = Curve::through(&CAVITY).map(|z, [side, front, back]| {
            let cavity = [side * width, front * depth, back * (0.5 + 0.5 * depth)];
            let muscle: [f32; 3] = std::array::from_fn(|to| cavity[to] + wall.at(z)[to] * thickness);
            let skin: [f32; 3] = std::array::from_fn(|to| muscle[to] + fat[to] * share.at(z)[0] + SKIN);
            std::array::from_fn(|value| [cavity, muscle, skin][value / 3][value % 3])
        });
        let thigh = fat[0] * 0.8 + SKIN;
        let legs =
            Curve::through(&LEG).map(|_, [middle, muscle]| [middle * width, muscle * width, muscle * width + thigh]);
        let couch = chance(&mut rng, 0.85).then_some((WIDEST - outlines.greatest()[8]) * scale - 6.0);
        Self { outlines, legs, layers: ValueNoise::new(rng.random()), couch }
    }

    /// Signed distance to the wall of the cavity, negative inside.
    pub(crate) fn wall(&self, point: Point) -> f32 {
        self.distances(point)[0]
    }

    /// Paints the layers of the trunk and notes every pixel's distance to the wall of the cavity and the diaphragm.
    pub(crate) fn paint(&self, canvas: &mut Canvas, tissue: &Tissue, diaphragm: &Diaphragm) {
        let edge = canvas.edge();
        let cover = |distance: f32| (0.5 - distance / edge).clamp(0.0, 1.0);
        for (place, hu) in canvas.places.iter_mut().zip(&mut canvas.hu) {
            let point = place.point;
            let [cavity, muscle, skin] = self.distances(point);
            place.wall = cavity;
            // Far from it only the side matters.
            place.above = if cavity > edge { point[2].signum() * 100.0 } else { diaphragm.above(point) };
            if skin > edge {
                continue;
            }
            let mut lay = |distance: f32, value: f32| *hu += (value - *hu) * cover(distance);
            lay(skin, tissue.skin);
            lay(skin + SKIN, FAT);
            if muscle < edge && cavity > -edge {
                lay(muscle.max(skin + SKIN), tissue.muscle - 70.0 * self.fat_between_muscles(point, cavity));
            }
            lay(cavity, FAT);
        }
    }

    /// How much of a point in the wall is fat between two of its muscles, 0..=1.
    fn fat_between_muscles(&self, point: Point, depth: f32) -> f32 {
        let bent = depth + 5.0 * self.layers.at(scaled(point, 1.0 / 26.0));
        let from_layer = ((bent / 8.0).fract() - 0.5).abs() * 8.0;
        if depth > 3.0 { (1.2 - from_layer).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Paints the couch: two thin shells with foam between, bent up at the sides. It lies still in the world.
    pub(crate) fn paint_couch(&self, grid: &Grid, canvas: &mut Canvas) {
        let Some(top) = self.couch else { return };
        let edge = 1.1 * grid.spacing[1].max(grid.spacing[2]);
        for row in 0..grid.shape[1] {
            for column in 0..grid.shape[2] {
                let [x, y, _] = grid.world([0.0, row as f32, column as f32]);
                let depth = top + x * x / 1100.0 - y;
                let inside = (-depth).max(depth - 28.0 + x * x / 2200.0).max(x.abs() - 205.0);
                let cover = |distance: f32| (0.5 - distance / edge).clamp(0.0, 1.0);
                let pixel = row * grid.shape[2] + column;
                let hu = &mut canvas.hu[pixel];
                if inside < edge && *hu < -900.0 {
                    let shell = cover(inside) * (1.0 - cover(inside + 3.0));
                    *hu += (-60.0 - *hu) * shell;
                    *hu += (-935.0 - *hu) * cover(inside + 3.0);
                }
            }
        }
    }

    /// From the body's middle to the skin at its side, at a height `z` of the trunk.
    pub(crate) fn half_width(&self, z: f32) -> f32 {
        self.outlines.at(z)[6]
    }

    /// A box that holds the cavity between two heights.
    pub(crate) fn cavity_bounds(&self, lowest: f32, highest: f32) -> Bounds {
        let [side, front, back, ..] = self.outlines.greatest();
        Bounds { least: [-side, WIDEST - back, lowest], greatest: [side, WIDEST + front, highest] }
    }

    /// Signed distances to the outlines of the cavity, the muscles and the skin; a leg has no cavity.
    fn distances(&self, point: Point) -> [f32; 3] {
        if point[2] < CROTCH {
            let [middle, muscle, skin] = self.legs.at(point[2]);
            let from_middle = hypot(point[0].abs() - middle, point[1] - WIDEST);
            return [from_middle, from_middle - muscle, from_middle - skin];
        }
        let values = self.outlines.at(point[2]);
        let outline = |layer: usize| outline(point, [values[3 * layer], values[3 * layer + 1], values[3 * layer + 2]]);
        [outline(0).max(point[2] - 240.0), outline(1), outline(2).max(point[2] - 535.0)]
    }
}

/// Signed distance, good near the outline, to a superellipse of exponent 2.5 about the widest line.
fn outline(point: Point, [side, front, back]: [f32; 3]) -> f32 {
    let y = point[1] - WIDEST;
    let depth = if y > 0.0 { front } else { back };
    let (u, v) = (point[0].abs() / side, y.abs() / depth);
    let (u15, v15) = (u * u.sqrt(), v * v.sqrt());
    let slope = 2.5 * ((u15 / side).powi(2) + (v15 / depth).powi(2)).sqrt();
    ((u15 * u + v15 * v - 1.0) / slope.max(1e-4)).max(-side.min(depth))
}

/// Paints solid things over everything below them.
pub(crate) fn paint_over(canvas: &mut Canvas, bounds: &Bounds, hu: f32, distance: impl Fn(Point) -> f32) {
    canvas.paint(bounds, Coat::Over, |place| distance(place.point), |_| hu);
}
