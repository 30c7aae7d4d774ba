use rand::Rng;

use crate::canvas::Place;
use crate::grid::Grid;
use crate::noise::ValueNoise;
use crate::random::{Stream, range, stream};
use crate::shape::{Bounds, Point, add, apply, rotation, scaled, sub};

/// Farthest that the warp moves a point along an axis, in the patient's millimetres.
const WARP: f32 = 5.0;
/// Distance over which the warp changes.
const WARP_LENGTH: f32 = 75.0;
/// Distance in world millimetres at which the warp is computed; between, it is interpolated.
const LATTICE: f32 = 8.0;

/// How the patient lies in the scanner, and how this one differs in shape from the drawing.
///
/// The drawing is of an average adult in RAS+ millimetres: x = 0 is the median plane, y = 0 about the middle of the
/// liver, z = 0 the top of the right dome of the diaphragm. "The patient's millimetres" are those of the drawing.
#[derive(Debug)]
pub(crate) struct Pose {
    /// World millimetres for each of the patient's.
    pub(crate) scale: f32,
    /// World to patient, without scale.
    turn: [Point; 3],
    warp: ValueNoise,
}

impl Pose {
    pub(crate) fn new(seed: u64, scale: f32) -> Self {
        let mut rng = stream(seed, Stream::Pose);
        let turn = rotation([range(&mut rng, -2.0, 2.0), range(&mut rng, -2.0, 2.0), range(&mut rng, -4.0, 4.0)]);
        Self { scale, turn, warp: ValueNoise::new(rng.random()) }
    }

    /// Where a world position lies in the patient.
    pub(crate) fn patient(&self, world: Point) -> Point {
        add(self.rigid(world), self.shift(world))
    }

    /// Fills in for every pixel of the slice at world height `z` where it lies in the patient.
    pub(crate) fn locate(&self, grid: &Grid, z: f32, places: &mut [Place]) {
        let [_, rows, columns] = grid.shape;
        let step: [f32; 2] = [1, 2].map(|axis| (LATTICE / grid.spacing[axis]).max(1.0));
        let nodes = |row: usize| -> Vec<Point> {
            (0..=(columns as f32 / step[1]) as usize + 1)
                .map(|column| {
                    let [x, y, _] = grid.world([0.0, row as f32 * step[0], column as f32 * step[1]]);
                    self.shift([x, y, z])
                })
                .collect()
        };
        let (mut below, mut above, mut lattice_row) = (nodes(0), nodes(1), 0);
        for row in 0..rows {
            let at = row as f32 / step[0];
            while at as usize > lattice_row {
                lattice_row += 1;
                below = std::mem::replace(&mut above, nodes(lattice_row + 1));
            }
            let v = at - lattice_row as f32;
            let [x, y, _] = grid.world([0.0, row as f32, 0.0]);
            let start = self.rigid([x, y, z]);
            let stride = sub(self.rigid([x + grid.spacing[2], y, z]), start);
            for (column, place) in places[row * columns..][..columns].iter_mut().enumerate() {
                let at = column as f32 / step[1];
                let (node, u) = (at as usize, at - (at as usize) as f32);
                place.point = std::array::from_fn(|axis| {
                    let low = below[node][axis] + (below[node + 1][axis] - below[node][axis]) * u;
                    let high = above[node][axis] + (above[node + 1][axis] - above[node][axis]) * u;
                    start[axis] + stride[axis] * column as f32 + low + (high - low) * v
                });
            }
        }
    }

    /// A world box that holds everything that lies within `bounds` of the patient.
    pub(crate) fn world_bounds(&self, bounds: &Bounds) -> Bounds {
        let bounds = bounds.grown(WARP);
        let (centre, half) = (bounds.centre(), scaled(sub(bounds.greatest, bounds.least), 0.5));
        let back = |v: Point, absolute: bool| -> Point {
            std::array::from_fn(|axis| {
                (0..3)
                    .map(|row| if absolute { self.turn[row][axis].abs() } else { self.turn[row][axis] } * v[row])
                    .sum::<f32>()
            })
        };
        Bounds::around(scaled(back(centre, false), self.scale), scaled(back(half, true), self.scale))
    }

    fn rigid(&self, world: Point) -> Point {
        scaled(apply(&self.turn, world), 1.0 / self.scale)
    }

    fn shift(&self, world: Point) -> Point {
        scaled(self.warp.vector_at(scaled(world, 1.0 / (WARP_LENGTH * self.scale))), WARP)
    }
}
