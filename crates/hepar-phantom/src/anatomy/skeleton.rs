use std::f32::consts::PI;

use crate::anatomy::body::paint_over;
use crate::anatomy::tissue::{CARTILAGE, COMPACT_BONE, DISC, SPINAL_CANAL, SPONGY_BONE, Tissue};
use crate::canvas::{Canvas, Layer, Place};
use crate::random::{Stream, range, stream};
use crate::shape::{Bounds, Capsule, Curve, Ellipsoid, Point, hypot};

/// Middle of the vertebral bodies, y, at heights z.
const SPINE: [(f32, [f32; 1]); 8] = [
    (-330.0, [-82.0]),
    (-250.0, [-60.0]),
    (-180.0, [-63.0]),
    (-100.0, [-75.0]),
    (0.0, [-85.0]),
    (90.0, [-90.0]),
    (170.0, [-80.0]),
    (260.0, [-50.0]),
];
/// Ends of the right iliac wing in axial slices: front x, y, back x, y.
const WING: [(f32, [f32; 4]); 5] = [
    (-390.0, [88.0, 22.0, 84.0, -30.0]),
    (-345.0, [104.0, 38.0, 62.0, -80.0]),
    (-300.0, [122.0, 40.0, 46.0, -100.0]),
    (-250.0, [124.0, 22.0, 62.0, -82.0]),
    (-225.0, [108.0, -8.0, 88.0, -45.0]),
];
/// Heights of the discs: below L5, then above each vertebra up to the skull.
const LUMBAR: f32 = 34.0;
const LOWEST_DISC: f32 = -266.0;
/// Height of the twelfth thoracic vertebra's middle and the distance of the ribs' heads.
const TWELFTH: f32 = -80.0;
const RIB_PITCH: f32 = 26.0;

/// Spine, ribs, breast bone, pelvis and skull.
#[derive(Debug)]
pub(crate) struct Skeleton {
    course: Curve<1>,
    /// Height of the discs, from the lowest up.
    discs: Vec<f32>,
    compact: f32,
    spongy: f32,
    /// How far a rib has come down at the front.
    rib_drop: f32,
    /// Distance from the wall of the cavity to the middle of a rib.
    rib_depth: f32,
    wing: Curve<4>,
}

impl Skeleton {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = stream(seed, Stream::Skeleton);
        let mut discs = vec![LOWEST_DISC + range(&mut rng, -8.0, 8.0)];
        for vertebra in 0..24 {
            let height = (LUMBAR - 1.0 * vertebra as f32).max(16.0);
            discs.push(discs[vertebra] + height);
        }
        Self {
            course: Curve::through(&SPINE),
            wing: Curve::through(&WING),
            discs,
            compact: COMPACT_BONE * range(&mut rng, 0.75, 1.3),
            spongy: SPONGY_BONE * range(&mut rng, 0.6, 1.4),
            rib_drop: range(&mut rng, 85.0, 115.0),
            rib_depth: range(&mut rng, 5.0, 7.0),
        }
    }

    pub(crate) fn paint(&self, canvas: &mut Canvas, tissue: &Tissue) {
        self.paint_back_muscles(canvas, tissue);
        self.paint_ribs(canvas);
        self.paint_breast_bone(canvas);
        self.paint_spine(canvas);
        self.paint_pelvis(canvas);
        self.paint_skull(canvas);
    }

    fn paint_back_muscles(&self, canvas: &mut Canvas, tissue: &Tissue) {
        for side in [-1.0, 1.0] {
            let bounds = Bounds { least: [-80.0, -190.0, -320.0], greatest: [80.0, -60.0, 240.0] };
            let muscle = |[x, y, z]: Point| {
                let middle = self.middle(z) - 44.0;
                (hypot((x - 31.0 * side) / 30.0, (y - middle) / 19.0) - 1.0) * 19.0
            };
            let layers = [Layer::even(-1.2, tissue.muscle - 70.0), Layer::even(0.0, tissue.muscle)];
            canvas.paint_layers(&bounds, 1.0, |p| muscle(p.point), &layers);
        }
    }

    fn paint_spine(&self, canvas: &mut Canvas) {
        let bounds = Bounds { least: [-50.0, -170.0, -330.0], greatest: [50.0, -15.0, 310.0] };
        let column = |[x, y, z]: Point| hypot(x / self.width(z), (y - self.middle(z)) / (0.74 * self.width(z))) - 1.0;
        paint_over(canvas, &bounds, DISC, |p| column(p) * 17.0);
        let vertebral_body = |p: Point| {
            let (_, from_disc) = self.vertebra(p[2]);
            // The bodies have a waist and end plates.
            (column(p) * 17.0 + 0.09 * (from_disc - 2.5).clamp(0.0, 14.0)).max(2.5 - from_disc)
        };
        paint_over(canvas, &bounds, self.compact, vertebral_body);
        paint_over(canvas, &bounds, self.spongy, |p| vertebral_body(p) + 1.8);
        let canal = |[x, y, z]: Point| (hypot(x / 12.0, (y - self.middle(z) + 26.0) / 9.0) - 1.0) * 10.0;
        let process = |p: Point| {
            let [x, y, z] = p;
            let (middle, _) = self.vertebra(z);
            let (dy, dz) = (y - self.middle(z), z - middle);
            let arch = (canal(p) - 5.0).max(dz.abs() - 9.0);
            let spinous =
                (x.abs() - 3.5).max(-dy - 62.0).max(dy + 33.0).max((dz + 5.0 - 0.25 * (dy + 33.0)).abs() - 9.0);
            let across = hypot(dy + 24.0 + 0.15 * x.abs(), dz).max(x.abs() - 36.0) - 5.0;
            arch.min(spinous).min(across.max(dy + 16.0))
        };
        self.paint_bone(canvas, &bounds, process);
        paint_over(canvas, &bounds, SPINAL_CANAL, canal);
    }

    /// Ribs follow the wall of the cavity and come down on their way to the front, where they turn into cartilage.
    fn paint_ribs(&self, canvas: &mut Canvas) {
        let bounds = Bounds { least: [-200.0, -200.0, -190.0], greatest: [200.0, 180.0, 225.0] };
        // 0 at the spine, 1 at the breast bone.
        let turn = |x: f32, y: f32| x.abs().atan2(-(y + 30.0)) / PI;
        let rib = |place: &Place| {
            let ([x, y, z], wall) = (place.point, place.wall);
            let depth = wall - self.rib_depth;
            if depth.abs() > 9.0 {
                return 9.0;
            }
            let turn = turn(x, y);
            let fallen = self.rib_drop * (turn / 0.8).min(1.0).powf(0.8) - 260.0 * (turn - 0.8).max(0.0);
            let level = (z + fallen - TWELFTH - 8.0) / RIB_PITCH;
            let number = level.round();
            let end = match number {
                ..-0.5 => 0.0,
                ..0.5 => 0.42,
                ..1.5 => 0.58,
                ..2.5 => 0.78,
                ..3.5 => 0.86,
                _ => 0.97,
            };
            let across = hypot(depth / 4.0, (level - number) * RIB_PITCH * 0.85 / 6.0);
            ((across - 1.0) * 4.0).max((turn - end) * 100.0).max((0.07 - turn) * 100.0)
        };
        let bone_or_cartilage = |bone: f32| move |[x, y, _]: Point| if turn(x, y) > 0.77 { CARTILAGE } else { bone };
        let (outside, inside) = (bone_or_cartilage(self.compact), bone_or_cartilage(self.spongy));
        canvas.paint_layers(&bounds, 1.0, rib, &[Layer::of(0.0, &outside), Layer::of(1.8, &inside)]);
    }

    fn paint_breast_bone(&self, canvas: &mut Canvas) {
        let bounds = Bounds { least: [-30.0, 20.0, -25.0], greatest: [30.0, 180.0, 190.0] };
        let depth = self.rib_depth;
        let bone = |place: &Place| {
            let ([x, y, z], wall) = (place.point, place.wall);
            // The wall behind the belly has no breast bone.
            if y < 0.0 {
                return 9.0;
            }
            let half = if z > 140.0 { 26.0 } else { 13.0 + (z * 0.2).clamp(-6.0, 4.0) };
            ((wall - depth).abs() - 5.0).max(x.abs() - half).max((z - 80.0).abs() - 102.0)
        };
        let layers = [Layer::even(0.0, self.compact * 0.7), Layer::even(2.0, self.spongy * 0.7)];
        canvas.paint_layers(&bounds, 1.0, bone, &layers);
    }

    fn paint_pelvis(&self, canvas: &mut Canvas) {
        let sacrum = Ellipsoid::turned([0.0, -82.0, -318.0], [46.0, 19.0, 58.0], [-20.0, 0.0, 0.0]);
        self.paint_bone(canvas, &sacrum.bounds(), |p| sacrum.distance(p));
        for side in [-1.0, 1.0] {
            let bounds = Bounds { least: [-145.0, -125.0, -400.0], greatest: [145.0, 60.0, -215.0] };
            self.paint_bone(canvas, &bounds, |[x, y, z]| {
                let [x0, y0, x1, y1] = self.wing.at(z);
                let flat = Capsule { from: [x0 * side, y0, 0.0], to: [x1 * side, y1, 0.0], radii: [7.0, 8.0] };
                flat.distance([x, y, 0.0]).max(z + 222.0)
            });
            let socket = Ellipsoid::new([82.0 * side, -8.0, -398.0], [36.0, 34.0, 34.0]);
            self.paint_bone(canvas, &socket.bounds(), |p| socket.distance(p));
            let head = Ellipsoid::new([90.0 * side, -6.0, -404.0], [24.0; 3]);
            paint_over(canvas, &head.bounds().grown(3.0), 60.0, |p| head.distance(p) - 2.5);
            self.paint_bone(canvas, &head.bounds(), |p| head.distance(p));
            for (from, to, radius) in [
                ([92.0, -6.0, -405.0], [140.0, -14.0, -440.0], 15.0),
                ([140.0, -14.0, -432.0], [118.0, -5.0, -700.0], 15.0),
                ([118.0, -5.0, -700.0], [100.0, 0.0, -900.0], 15.0),
                ([14.0, 48.0, -425.0], [70.0, 18.0, -400.0], 9.0),
            ] {
                let bone = Capsule {
                    from: [from[0] * side, from[1], from[2]],
                    to: [to[0] * side, to[1], to[2]],
                    radii: [radius; 2],
                };
                self.paint_bone(canvas, &bone.bounds(), |p| bone.distance(p));
            }
        }
    }

    fn paint_skull(&self, canvas: &mut Canvas) {
        let skull = Ellipsoid::new([0.0, -8.0, 440.0], [76.0, 94.0, 82.0]);
        let bounds = skull.bounds();
        paint_over(canvas, &bounds, self.compact * 1.4, |p| skull.distance(p));
        paint_over(canvas, &bounds, 8.0, |p| skull.distance(p) + 7.0);
        paint_over(canvas, &bounds, 36.0, |p| (skull.distance(p) + 10.0).max(1.5 - p[0].abs()));
        for side in [-1.0, 1.0] {
            let ventricle = Ellipsoid::turned([14.0 * side, -5.0, 450.0], [6.0, 32.0, 10.0], [0.0, 0.0, 12.0 * side]);
            paint_over(canvas, &ventricle.bounds(), 6.0, |p| ventricle.distance(p));
            let jaw = Capsule { from: [10.0 * side, 62.0, 318.0], to: [48.0 * side, 10.0, 345.0], radii: [9.0, 8.0] };
            self.paint_bone(canvas, &jaw.bounds(), |p| jaw.distance(p));
        }
        let airway = Capsule { from: [0.0, 25.0, 350.0], to: [0.0, 5.0, 240.0], radii: [9.0; 2] };
        paint_over(canvas, &airway.bounds(), -990.0, |p| airway.distance(p));
    }

    /// A bone with a compact shell.
    fn paint_bone(&self, canvas: &mut Canvas, bounds: &Bounds, distance: impl Fn(Point) -> f32) {
        let layers = [Layer::even(0.0, self.compact), Layer::even(2.5, self.spongy)];
        canvas.paint_layers(bounds, 1.0, |p| distance(p.point), &layers);
    }

    /// y of the middle of the vertebral bodies at height `z`.
    pub(crate) fn middle(&self, z: f32) -> f32 {
        self.course.at(z)[0]
    }

    /// Half width of the vertebral bodies.
    fn width(&self, z: f32) -> f32 {
        24.0 - (z + 250.0).max(0.0) * 0.016
    }

    /// Height of the middle of the vertebra at height `z`, and the distance to its nearer disc.
    fn vertebra(&self, z: f32) -> (f32, f32) {
        let above = self.discs.partition_point(|disc| *disc <= z).clamp(1, self.discs.len() - 1);
        let (low, high) = (self.discs[above - 1], self.discs[above]);
        (0.5 * (low + high), (z - low).abs().min((high - z).abs()))
    }
}
