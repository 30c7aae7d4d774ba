use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::anatomy::tissue::{FAT, GAS, Tissue};
use crate::canvas::{Canvas, Coat, Layer, Place};
use crate::noise::ValueNoise;
use crate::random::{Stream, chance, direction, near, range, stream};
use crate::shape::{Point, Tube, add, normalised, scaled, sub};

/// Small and large bowel, the vessels of the mesentery, and the bladder below them.
#[derive(Debug)]
pub(crate) struct Bowel {
    small: Vec<Loop>,
    large: Vec<Loop>,
    vessels: Vec<Tube>,
    bladder: Tube,
    noise: ValueNoise,
}

#[derive(Debug)]
struct Loop {
    tube: Tube,
    wall: f32,
    content: Content,
}

#[derive(Debug, Clone, Copy)]
enum Content {
    /// Even, of this HU.
    Fluid(f32),
    /// Uneven, with bubbles.
    Stool,
    /// Gas above the height y, fluid of the given HU below.
    Gas { level: f32, fluid: f32 },
}

impl Bowel {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = stream(seed, Stream::Bowel);
        let rng = &mut rng;
        // Contrast agent that the patient drank.
        let oral = chance(rng, 0.25).then(|| range(rng, 150.0, 380.0));
        Self {
            small: (0..range(rng, 34.0, 60.0) as usize).map(|_| small_loop(rng, oral)).collect(),
            large: large_bowel(rng),
            vessels: (0..70).map(|_| mesenteric_vessel(rng)).collect(),
            bladder: Tube::through(&[([0.0, 28.0, -370.0], 26.0), ([0.0, 34.0, -385.0], 30.0)]),
            noise: ValueNoise::new(rng.random()),
        }
    }

    pub(crate) fn paint(&self, canvas: &mut Canvas, tissue: &Tissue) {
        for vessel in &self.vessels {
            canvas.paint(
                &vessel.bounds,
                Coat::Over,
                |p| vessel.distance(p.point).max(p.wall + 3.0),
                |_| tissue.portal_vein,
            );
        }
        for part in self.small.iter().chain(&self.large) {
            self.paint_loop(part, canvas, tissue);
        }
        let layers = [Layer::even(-3.0, tissue.muscle), Layer::even(0.0, 6.0)];
        canvas.paint_layers(&self.bladder.bounds, 1.0, |p| self.bladder.distance(p.point), &layers);
    }

    fn paint_loop(&self, part: &Loop, canvas: &mut Canvas, tissue: &Tissue) {
        let edge = canvas.edge();
        let rough = |p: Point, step: f32| self.noise.at(scaled(p, 1.0 / step));
        let outer = |p: &Place| {
            let smooth = part.tube.distance(p.point);
            if smooth > 6.0 { smooth } else { (smooth + 3.0 * rough(p.point, 14.0)).max(p.wall + 3.0) }
        };
        let content = |p: Point| match part.content {
            Content::Fluid(hu) => hu + 8.0 * rough(p, 5.0),
            Content::Stool => {
                let lump = rough(p, 7.0) + 0.6 * rough(p, 3.5);
                if lump > 0.45 { GAS + 300.0 } else { 20.0 + 70.0 * lump }
            }
            Content::Gas { level, fluid } => {
                let gas = (0.5 + (p[1] - level) / edge).clamp(0.0, 1.0);
                fluid + (GAS - fluid) * gas
            }
        };
        let layers = [Layer::even(-1.5, FAT), Layer::even(0.0, tissue.gut_wall), Layer::of(part.wall, &content)];
        canvas.paint_layers(&part.tube.bounds.grown(3.0), 1.0, outer, &layers);
    }
}

fn small_loop(rng: &mut ChaCha8Rng, oral: Option<f32>) -> Loop {
    // The jejunum lies to the left below the stomach, the ileum in the middle and lower down.
    let (low, high) = if chance(rng, 0.35) {
        ([-105.0, -10.0, -190.0], [-15.0, 75.0, -105.0])
    } else {
        ([-95.0, -15.0, -330.0], [88.0, 84.0, -158.0])
    };
    let mut at: Point = std::array::from_fn(|axis| range(rng, low[axis], high[axis]));
    let radius = range(rng, 10.0, 15.0);
    let mut heading = direction(rng);
    let mut knots = vec![(at, radius)];
    for _ in 0..rng.random_range(2..6) {
        // Away from the borders of the region, otherwise any way.
        let middle: Point = std::array::from_fn(|axis| 0.5 * (low[axis] + high[axis]));
        let inwards = normalised(sub(middle, at));
        heading = normalised(add(add(heading, scaled(direction(rng), 1.3)), scaled(inwards, 0.35)));
        at = add(at, scaled(heading, 24.0));
        knots.push((at, radius));
    }
    let content = match oral {
        Some(hu) if chance(rng, 0.7) => Content::Fluid(hu * range(rng, 0.6, 1.0)),
        _ if chance(rng, 0.15) => Content::Gas { level: at[1] - range(rng, -4.0, 6.0), fluid: 20.0 },
        _ => Content::Fluid(range(rng, 10.0, 60.0)),
    };
    Loop { tube: Tube::through(&knots), wall: range(rng, 2.0, 4.0), content }
}

fn large_bowel(rng: &mut ChaCha8Rng) -> Vec<Loop> {
    let ascending = [[104.0, -18.0, -300.0], [108.0, -22.0, -240.0], [104.0, -8.0, -195.0], [88.0, 22.0, -168.0]];
    let transverse = [[84.0, 40.0, -170.0], [40.0, 72.0, -178.0], [-20.0, 80.0, -176.0], [-72.0, 62.0, -142.0]];
    let flexure = [[-84.0, 48.0, -130.0], [-106.0, 18.0, -112.0], [-116.0, -12.0, -112.0]];
    let descending = [[-118.0, -24.0, -130.0], [-118.0, -34.0, -190.0], [-110.0, -22.0, -260.0], [-95.0, -5.0, -320.0]];
    let sigmoid = [
        [-90.0, 0.0, -325.0],
        [-30.0, 15.0, -345.0],
        [20.0, -10.0, -350.0],
        [0.0, -45.0, -370.0],
        [0.0, -50.0, -430.0],
    ];
    let parts: [(&[Point], f32); 5] =
        [(&ascending, 24.0), (&transverse, 20.0), (&flexure, 18.0), (&descending, 15.0), (&sigmoid, 15.0)];
    parts
        .into_iter()
        .map(|(path, radius)| {
            let radius = radius * range(rng, 0.75, 1.2);
            let knots: Vec<_> =
                path.iter().map(|&knot| (near(rng, knot, 7.0), radius * range(rng, 0.85, 1.15))).collect();
            let middle = knots[knots.len() / 2].0[1];
            let content = match rng.random_range(0..10) {
                0..5 => Content::Stool,
                5..8 => Content::Gas { level: middle + range(rng, -12.0, 6.0), fluid: range(rng, 5.0, 40.0) },
                _ => Content::Fluid(range(rng, 5.0, 50.0)),
            };
            Loop { tube: Tube::through(&knots), wall: range(rng, 2.0, 3.5), content }
        })
        .collect()
}

/// A branch from the root of the mesentery into the belly.
fn mesenteric_vessel(rng: &mut ChaCha8Rng) -> Tube {
    let mut at = {
        let root = [0.0, 5.0, range(rng, -235.0, -135.0)];
        near(rng, root, 10.0)
    };
    let mut heading = normalised([range(rng, -1.0, 1.0), range(rng, 0.1, 1.0), range(rng, -1.0, 0.6)]);
    let mut radius = range(rng, 1.6, 3.0);
    let mut knots = vec![(at, radius)];
    for _ in 0..5 {
        heading = normalised(add(heading, scaled(direction(rng), 0.45)));
        at = add(at, scaled(heading, 18.0));
        radius *= 0.83;
        knots.push((at, radius));
    }
    Tube::through(&knots)
}
