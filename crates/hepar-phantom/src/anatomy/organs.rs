use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::anatomy::body::paint_over;
use crate::anatomy::skeleton::Skeleton;
use crate::anatomy::tissue::{FAT, GAS, Tissue};
use crate::canvas::{Canvas, Coat, Layer, Place};
use crate::noise::ValueNoise;
use crate::random::{Stream, chance, near, range, stream};
use crate::shape::{Bounds, Ellipsoid, Point, Tube, add, hypot, scaled, smooth_max, smooth_min};
use crate::spec::Phase;

/// The organs of the abdomen around the liver.
#[derive(Debug)]
pub(crate) struct Organs {
    /// Right, left.
    kidneys: [Kidney; 2],
    spleen: Ellipsoid,
    stomach: Stomach,
    /// `None` after it was taken out.
    gallbladder: Option<Ellipsoid>,
    pancreas: Tube,
    duodenum: Tube,
    pub(crate) vena_cava: Tube,
    aorta: Tube,
    /// From the confluence behind the pancreas to the hilum of the liver.
    portal_trunk: Tube,
    roughness: ValueNoise,
}

#[derive(Debug)]
struct Kidney {
    body: Ellipsoid,
    sinus: Ellipsoid,
    /// Thickness of the fat around it.
    fat: f32,
}

#[derive(Debug)]
struct Stomach {
    parts: [Ellipsoid; 3],
    wall: f32,
    /// What the stomach holds, and the height y above which that is gas.
    content: f32,
    level: f32,
}

impl Organs {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = stream(seed, Stream::Organs);
        let rng = &mut rng;
        let hilum = near(rng, [14.0, -4.0, -88.0], 5.0);
        Self {
            kidneys: [kidney(rng, 1.0, -148.0), kidney(rng, -1.0, -136.0)],
            spleen: Ellipsoid::turned(
                near(rng, [-108.0, -52.0, -70.0], 6.0),
                scaled([27.0, 50.0, 56.0], range(rng, 0.82, 1.25)),
                [25.0, 0.0, -22.0],
            ),
            stomach: stomach(rng),
            gallbladder: chance(rng, 0.85).then(|| {
                let size = range(rng, 0.75, 1.3);
                Ellipsoid::turned(
                    near(rng, [44.0, 46.0, -112.0], 9.0),
                    scaled([14.0, 16.0, 32.0], size),
                    [35.0, 12.0, 0.0],
                )
            }),
            pancreas: Tube::through(&[
                (near(rng, [30.0, -2.0, -140.0], 4.0), 13.0),
                (near(rng, [22.0, 6.0, -122.0], 4.0), 12.0),
                (near(rng, [-12.0, 20.0, -108.0], 4.0), 9.0),
                (near(rng, [-48.0, 0.0, -98.0], 5.0), 9.0),
                (near(rng, [-76.0, -28.0, -84.0], 5.0), 10.0),
            ]),
            duodenum: Tube::through(&[
                (near(rng, [32.0, 38.0, -122.0], 4.0), 13.0),
                (near(rng, [50.0, 10.0, -128.0], 4.0), 12.0),
                (near(rng, [50.0, -8.0, -168.0], 4.0), 13.0),
                (near(rng, [0.0, -22.0, -180.0], 3.0), 11.0),
                (near(rng, [-38.0, -8.0, -160.0], 5.0), 11.0),
            ]),
            vena_cava: Tube::through(&[
                ([20.0, 30.0, 5.0], 14.0),
                (near(rng, [22.0, -20.0, -28.0], 3.0), 13.0),
                (near(rng, [23.0, -42.0, -60.0], 3.0), 12.0),
                (near(rng, [24.0, -48.0, -110.0], 3.0), 11.0),
                (near(rng, [22.0, -38.0, -180.0], 3.0), 10.0),
                ([16.0, -32.0, -235.0], 10.0),
                ([45.0, -40.0, -300.0], 7.0),
                ([68.0, 20.0, -420.0], 6.0),
            ]),
            aorta: Tube::through(&[
                ([-22.0, -64.0, 30.0], 12.0),
                (near(rng, [-16.0, -58.0, -30.0], 3.0), 12.0),
                (near(rng, [-8.0, -46.0, -90.0], 3.0), 11.0),
                (near(rng, [-6.0, -36.0, -180.0], 3.0), 9.0),
                ([-4.0, -28.0, -228.0], 8.0),
                ([-40.0, -35.0, -300.0], 5.0),
                ([-66.0, 22.0, -420.0], 5.0),
            ]),
            portal_trunk: Tube::through(&[([-2.0, 2.0, -150.0], 6.0), ([2.0, 4.0, -118.0], 7.0), (hilum, 7.0)]),
            roughness: ValueNoise::new(rng.random()),
        }
    }

    /// Where the portal vein reaches the liver.
    pub(crate) fn hilum(&self) -> Point {
        self.portal_trunk.pieces.last().map_or([0.0; 3], |piece| piece.to)
    }

    /// Signed distance to the nearest organ that the liver gives way to.
    pub(crate) fn neighbour_of_liver(&self, point: Point) -> f32 {
        let kidney = self.kidneys[0].body.distance(point) - self.kidneys[0].fat;
        let gallbladder = self.gallbladder.as_ref().map_or(f32::MAX, |gallbladder| gallbladder.distance(point));
        kidney.min(gallbladder).min(self.vena_cava.distance(point)).min(self.stomach.distance(point))
    }

    /// Paints what lies behind and below the liver; the liver is painted over it.
    pub(crate) fn paint_below(&self, canvas: &mut Canvas, tissue: &Tissue) {
        paint_over(canvas, &self.aorta.bounds, tissue.aorta, |p| self.aorta.distance(p));
        let rough = |p: Point, step: f32| self.roughness.at(scaled(p, 1.0 / step));
        paint_over(canvas, &self.pancreas.bounds.grown(3.0), tissue.pancreas, |p| {
            self.pancreas.distance(p) + 3.0 * rough(p, 6.0)
        });
        let layers = [Layer::even(0.0, tissue.gut_wall), Layer::even(3.5, 18.0)];
        canvas.paint_layers(&self.duodenum.bounds, 1.0, |p| self.duodenum.distance(p.point), &layers);
        for kidney in &self.kidneys {
            kidney.paint(canvas, tissue, &rough);
        }
        let spleen = |p: &Place| {
            if self.spleen.distance(p.point) > 10.0 {
                return 10.0;
            }
            let bulk = self.spleen.distance(p.point) + 3.0 * rough(p.point, 35.0);
            let hull = smooth_max(p.wall + 3.0, p.above + 1.0, 4.0);
            let hollow = 3.0 - self.kidneys[1].body.distance(p.point);
            smooth_max(smooth_max(bulk, hull, 6.0), hollow, 5.0)
        };
        // In the arterial phase the spleen is striped.
        let stripes = if tissue.phase == Phase::Arterial { 28.0 } else { 2.0 };
        canvas.paint(&self.spleen.bounds().grown(3.0), Coat::Over, spleen, |p| {
            tissue.spleen + stripes * rough([p[0], p[1] * 1.6, p[2]], 9.0)
        });
        self.stomach.paint(canvas, tissue, &rough);
        paint_over(canvas, &self.portal_trunk.bounds, tissue.portal_vein, |p| self.portal_trunk.distance(p));
    }

    /// Paints what lies against the liver or in a groove of it, after the liver.
    pub(crate) fn paint_above(&self, canvas: &mut Canvas, tissue: &Tissue) {
        let cava = |[_, _, z]: Point| {
            let mixed = ((z + 150.0) / 20.0).clamp(0.0, 1.0);
            tissue.vena_cava + (tissue.hepatic_vein - tissue.vena_cava) * mixed
        };
        canvas.paint(&self.vena_cava.bounds, Coat::Over, |p| self.vena_cava.distance(p.point), cava);
        if let Some(gallbladder) = &self.gallbladder {
            let layers = [Layer::even(-1.0, tissue.gut_wall), Layer::even(1.0, tissue.bile)];
            canvas.paint_layers(&gallbladder.bounds(), 1.0, |p| gallbladder.distance(p.point), &layers);
        }
    }

    /// The psoas muscles beside the spine, the square muscles behind the kidneys and the crura of the diaphragm.
    pub(crate) fn paint_posterior_muscles(&self, canvas: &mut Canvas, tissue: &Tissue, skeleton: &Skeleton) {
        for side in [-1.0, 1.0] {
            let psoas = Tube::through(&[
                ([28.0 * side, -70.0, -105.0], 9.0),
                ([38.0 * side, -60.0, -170.0], 17.0),
                ([50.0 * side, -48.0, -250.0], 24.0),
                ([72.0 * side, -10.0, -350.0], 20.0),
                ([92.0 * side, 10.0, -430.0], 15.0),
            ]);
            paint_over(canvas, &psoas.bounds, tissue.muscle, |p| psoas.distance(p));
            let square = Ellipsoid::new([66.0 * side, -92.0, -190.0], [26.0, 13.0, 60.0]);
            canvas.paint(&square.bounds(), Coat::Over, |p| square.distance(p.point).max(p.wall), |_| tissue.muscle);
        }
        let crura = Bounds { least: [-40.0, -110.0, -150.0], greatest: [40.0, 0.0, -25.0] };
        let crus = |p: &Place| {
            let [x, y, z] = p.point;
            let ring = hypot((x + 1.0) / 27.0, (y - skeleton.middle(z) - 10.0) / 32.0) - 1.0;
            // They shrink on their way down and lie in front of the spine.
            let thickness = 3.0 + 0.012 * (z + 150.0);
            (ring.abs() * 28.0 - thickness).max(p.wall).max(p.above).max(-148.0 - z).max(skeleton.middle(z) - y)
        };
        canvas.paint(&crura, Coat::Over, crus, |_| tissue.muscle);
    }
}

impl Kidney {
    fn paint(&self, canvas: &mut Canvas, tissue: &Tissue, rough: &impl Fn(Point, f32) -> f32) {
        let bean = |p: Point| smooth_max(self.body.distance(p) + 1.5 * rough(p, 16.0), -self.sinus.distance(p), 3.0);
        let bounds = self.body.bounds().grown(2.0);
        canvas.paint(
            &bounds.grown(self.fat),
            Coat::Over,
            |p| (self.body.distance(p.point) - self.fat).max(p.wall),
            |_| FAT,
        );
        paint_over(canvas, &bounds, tissue.kidney_cortex, bean);
        // Pyramids: the medulla reaches between columns of cortex.
        let medulla = |p: Point| (bean(p) + 7.0).max(self.body.distance(p) + 8.0) + 3.5 * rough(p, 11.0);
        paint_over(canvas, &bounds, tissue.kidney_medulla, medulla);
        let pelvis = |p: Point| self.sinus.distance(p) + 7.0 + 3.0 * rough(p, 7.0);
        paint_over(canvas, &self.sinus.bounds(), 10.0, |p| pelvis(p).max(self.body.distance(p)));
    }
}

impl Stomach {
    /// Signed distance to the outer surface.
    fn distance(&self, point: Point) -> f32 {
        let [fundus, body, antrum] = self.parts.each_ref().map(|part| part.distance(point));
        smooth_min(smooth_min(fundus, body, 18.0), antrum, 12.0)
    }

    fn paint(&self, canvas: &mut Canvas, tissue: &Tissue, rough: &impl Fn(Point, f32) -> f32) {
        let bounds = self
            .parts
            .iter()
            .map(Ellipsoid::bounds)
            .reduce(Bounds::union)
            .unwrap_or_else(Canvas::everywhere)
            .grown(6.0);
        let outer = |p: &Place| {
            if self.distance(p.point) > 10.0 {
                return 10.0;
            }
            smooth_max(self.distance(p.point) + 1.5 * rough(p.point, 22.0), (p.wall + 2.0).max(p.above + 2.0), 6.0)
        };
        let edge = canvas.edge();
        let content = |p: Point| {
            let gas = (0.5 + (p[1] - self.level) / edge).clamp(0.0, 1.0);
            let chyme = self.content + (8.0 + 0.06 * self.content.abs()) * rough(p, 5.0);
            chyme + (GAS - chyme) * gas
        };
        let layers = [Layer::even(-1.0, FAT), Layer::even(0.0, tissue.gut_wall), Layer::of(self.wall, &content)];
        canvas.paint_layers(&bounds, 1.0, outer, &layers);
    }
}

fn kidney(rng: &mut ChaCha8Rng, side: f32, z: f32) -> Kidney {
    let size = range(rng, 0.88, 1.12);
    let centre = near(rng, [69.0 * side, -62.0, z], 6.0);
    let body = Ellipsoid::turned(centre, scaled([27.0, 25.0, 55.0], size), [-12.0, -10.0 * side, 25.0 * side]);
    let sinus = Ellipsoid::new(add(centre, scaled([-17.0 * side, 9.0, 0.0], size)), scaled([20.0, 12.0, 28.0], size));
    Kidney { body, sinus, fat: range(rng, 1.0, 9.0) }
}

fn stomach(rng: &mut ChaCha8Rng) -> Stomach {
    let size = range(rng, 0.7, 1.2);
    let mut part =
        |centre: Point, radii: Point, turn: Point| Ellipsoid::turned(near(rng, centre, 5.0), scaled(radii, size), turn);
    let parts = [
        part([-70.0, -26.0, -50.0], [42.0, 42.0, 42.0], [0.0; 3]),
        part([-66.0, 22.0, -86.0], [36.0, 46.0, 42.0], [-35.0, 0.0, -10.0]),
        part([-12.0, 52.0, -126.0], [46.0, 24.0, 24.0], [0.0, -12.0, 8.0]),
    ];
    let content = if chance(rng, 0.2) { range(rng, 120.0, 320.0) } else { range(rng, 0.0, 55.0) };
    let level = range(rng, 5.0, 90.0);
    Stomach { parts, wall: range(rng, 3.0, 6.5), content, level }
}
