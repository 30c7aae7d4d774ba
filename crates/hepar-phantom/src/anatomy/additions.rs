//! What disturbs a scan of the trunk: arms that could not be raised, and screws in the spine with their streaks.

use crate::anatomy::body::{Body, paint_over};
use crate::anatomy::skeleton::Skeleton;
use crate::anatomy::tissue::{FAT, Tissue};
use crate::canvas::{Canvas, Coat, Layer};
use crate::random::{Stream, chance, range, stream};
use crate::shape::{Bounds, Point, Tube};
use crate::spec::PhantomSpec;

/// HU of metal; a scan holds at most 3071.
const METAL: f32 = 8000.0;

/// How far from a screw along z its streaks reach, and over which distance in plane they fade, in millimetres.
const STREAKS_MM: [f32; 2] = [6.0, 80.0];

/// Arms and screws; empty where the spec has none.
#[derive(Debug)]
pub(crate) struct Additions {
    arms: Vec<Arm>,
    screws: Vec<Tube>,
    /// Strength of the screws' streaks in HU, and how many there are around a screw.
    streaks: [f32; 2],
}

#[derive(Debug)]
struct Arm {
    skin: Tube,
    bone: Tube,
    fat: f32,
}

impl Additions {
    pub(crate) fn new(spec: &PhantomSpec, body: &Body, skeleton: &Skeleton) -> Self {
        let mut rng = stream(spec.seed, Stream::AdditionShapes);
        let mut arm = |side: f32| {
            let (radius, fat) = (range(&mut rng, 34.0, 46.0), range(&mut rng, 4.0, 12.0));
            let gap = range(&mut rng, 2.0, 14.0);
            let path: [Point; 4] = [(190.0, -20.0), (40.0, -24.0), (-90.0, -10.0), (-330.0, 30.0)]
                .map(|(z, y)| [side * (body.half_width(z) + radius + gap), y, z]);
            let along = |radii: [f32; 4]| Tube::through(&std::array::from_fn::<_, 4, _>(|at| (path[at], radii[at])));
            let skin = along([1.2, 1.0, 0.95, 0.75].map(|share| share * radius));
            Arm { skin, bone: along([12.0, 10.5, 11.0, 8.0]), fat }
        };
        let arms = [1.0, -1.0].map(&mut arm);
        // Two vertebrae one above the other at the height of the liver, two screws in each.
        let low = range(&mut rng, -110.0, -40.0);
        let heights = if chance(&mut rng, 0.5) { vec![low] } else { vec![low, low + 34.0] };
        let screw = |z: f32, side: f32| {
            let y = skeleton.middle(z);
            Tube::through(&[
                ([side * 22.0, y - 42.0, z], 4.5),
                ([side * 17.0, y - 28.0, z], 3.0),
                ([side * 8.0, y + 8.0, z], 2.6),
            ])
        };
        let screws = heights.iter().flat_map(|z| [screw(*z, 1.0), screw(*z, -1.0)]).collect();
        let streaks = [range(&mut rng, 120.0, 300.0), range(&mut rng, 5.0, 11.0)];
        Self {
            arms: if spec.arms { arms.into() } else { Vec::new() },
            screws: if spec.metal { screws } else { Vec::new() },
            streaks,
        }
    }

    pub(crate) fn paint(&self, canvas: &mut Canvas, tissue: &Tissue) {
        for arm in &self.arms {
            let layers =
                [Layer::even(0.0, tissue.skin), Layer::even(2.0, FAT), Layer::even(2.0 + arm.fat, tissue.muscle)];
            canvas.paint_layers(&arm.skin.bounds, 1.0, |place| arm.skin.distance(place.point), &layers);
            paint_over(canvas, &arm.bone.bounds, 1100.0, |point| arm.bone.distance(point));
            paint_over(canvas, &arm.bone.bounds, 60.0, |point| arm.bone.distance(point) + 4.0);
        }
        for screw in &self.screws {
            self.streak(canvas, screw);
            canvas.paint(&screw.bounds, Coat::Over, |place| screw.distance(place.point), |_| METAL);
        }
    }

    /// Bright and dark rays around a screw, in the slices that it touches: a scanner sees nothing through metal.
    fn streak(&self, canvas: &mut Canvas, screw: &Tube) {
        let Bounds { least, greatest } = screw.bounds;
        let middle: Point = std::array::from_fn(|axis| 0.5 * (least[axis] + greatest[axis]));
        let ([reach, fade], [strength, count]) = (STREAKS_MM, self.streaks);
        for (place, hu) in canvas.places.iter().zip(&mut canvas.hu) {
            let [x, y, z]: Point = std::array::from_fn(|axis| place.point[axis] - middle[axis]);
            let beside = (z.abs() - (greatest[2] - least[2]) / 2.0).max(0.0);
            if beside < reach && *hu > -900.0 {
                let (distance, angle) = (x.hypot(y), y.atan2(x));
                let near = (1.0 - beside / reach) * (-distance / fade).exp();
                *hu += strength * near * (count.round() * angle).cos() - 0.3 * strength * near;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_a_random_patient_has_arms_does_not_say_how_thick_they_are() {
        let mut thickest = [0.0_f32; 2];
        for seed in 0..2000 {
            let spec = PhantomSpec::random(seed);
            if spec.arms {
                let additions = Additions::new(&spec, &Body::new(seed, 1.0), &Skeleton::new(seed));
                for (thickest, arm) in thickest.iter_mut().zip(&additions.arms) {
                    // The shoulder is 1.2 times as thick.
                    *thickest = thickest.max(arm.skin.pieces[0].radii[0] / 1.2);
                }
            }
        }
        assert!(thickest.iter().all(|radius| *radius > 40.0), "{thickest:?}");
    }
}
