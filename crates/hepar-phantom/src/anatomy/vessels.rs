use rand_chacha::ChaCha8Rng;

use crate::anatomy::tissue::Tissue;
use crate::canvas::{Canvas, Coat};
use crate::random::{Stream, direction, near, range, stream};
use crate::shape::{Capsule, Point, add, dot, normalised, scaled, sub};

/// Length of a piece of vessel.
const PIECE: f32 = 11.0;
/// Thinner vessels are not drawn.
const THINNEST: f32 = 0.9;

/// The branches of the portal vein and of the hepatic veins within the liver.
#[derive(Debug)]
pub(crate) struct LiverVessels {
    portal: Vec<Capsule>,
    hepatic: Vec<Capsule>,
}

impl LiverVessels {
    /// `hilum` is where the portal vein enters, `outlet` where the hepatic veins join the vena cava.
    pub(crate) fn new(seed: u64, hilum: Point, outlet: Point) -> Self {
        let mut rng = stream(seed, Stream::Vessels);
        let rng = &mut rng;
        let (mut portal, mut hepatic) = (Vec::new(), Vec::new());
        let fork = near(rng, add(hilum, [16.0, 2.0, 4.0]), 3.0);
        grow(rng, &mut portal, hilum, fork, 7.0, 5.8);
        for (target, radius) in [
            ([95.0, -45.0, -95.0], 4.6),
            ([92.0, 40.0, -75.0], 4.6),
            ([100.0, 0.0, -50.0], 4.0),
            ([80.0, -10.0, -125.0], 3.6),
            ([-30.0, 55.0, -62.0], 4.4),
            ([15.0, 60.0, -80.0], 3.2),
        ] {
            let target = near(rng, target, 10.0);
            grow(rng, &mut portal, fork, target, radius, 1.3);
        }
        for (target, radius) in [
            ([110.0, -30.0, -80.0], 5.5),
            ([105.0, 10.0, -55.0], 3.5),
            ([60.0, 65.0, -85.0], 5.0),
            ([40.0, 60.0, -50.0], 3.5),
            ([-35.0, 60.0, -48.0], 4.8),
            ([80.0, -55.0, -120.0], 3.2),
        ] {
            let target = near(rng, target, 10.0);
            grow(rng, &mut hepatic, outlet, target, radius, 1.4);
        }
        Self { portal, hepatic }
    }

    /// Paints the vessels where the liver is.
    pub(crate) fn paint(&self, canvas: &mut Canvas, tissue: &Tissue) {
        for (vessels, hu) in [(&self.portal, tissue.portal_vein), (&self.hepatic, tissue.hepatic_vein)] {
            for vessel in vessels {
                canvas.paint(&vessel.bounds(), Coat::InLiver, |p| vessel.distance(p.point), |_| hu);
            }
        }
    }
}

/// A wavering vessel from `from` to `to` whose radius shrinks from `thick` to `thin`, with its branches.
fn grow(rng: &mut ChaCha8Rng, vessels: &mut Vec<Capsule>, from: Point, to: Point, thick: f32, thin: f32) {
    let way = sub(to, from);
    let pieces = (dot(way, way).sqrt() / PIECE).ceil().max(1.0);
    let mut at = from;
    for piece in 0..pieces as usize {
        let left = pieces - piece as f32;
        let step = scaled(sub(to, at), 1.0 / left);
        let next = if left > 1.5 { add(add(at, step), scaled(direction(rng), 2.6)) } else { to };
        let radius = |at: f32| thick + (thin - thick) * at / pieces;
        let radii = [radius(piece as f32), radius(piece as f32 + 1.0)];
        vessels.push(Capsule { from: at, to: next, radii });
        let branch = radii[1] * range(rng, 0.45, 0.75);
        if branch > THINNEST && piece > 0 {
            let heading = normalised(add(normalised(step), scaled(direction(rng), 0.95)));
            let reach = branch * range(rng, 9.0, 17.0);
            grow(rng, vessels, next, add(next, scaled(heading, reach)), branch, THINNEST * 0.8);
        }
        at = next;
    }
}
