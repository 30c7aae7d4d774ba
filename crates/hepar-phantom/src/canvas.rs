//! One infinitely thin axial slice that solids are painted on, one over another.

use crate::anatomy::Pose;
use crate::grid::Grid;
use crate::shape::{Bounds, Point};

/// HU of air.
pub(crate) const AIR: f32 = -1000.0;

/// Where a pixel lies.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    /// In the patient's millimetres.
    pub(crate) point: Point,
    /// Signed distance to the wall of the body's cavity, negative inside.
    pub(crate) wall: f32,
    /// Signed distance to the diaphragm, positive above.
    pub(crate) above: f32,
}

/// What painting a solid does to the labels under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coat {
    /// Covers what is below: no liver any more.
    Over,
    /// Is liver.
    Liver,
    /// Lies within the liver and is a part of it, such as a vessel; nothing is painted outside.
    InLiver,
    /// Lies within the liver and is tumour; nothing is painted outside.
    Tumour,
}

/// A part of a solid that lies deeper in it than `depth` millimetres; less than 0: that reaches beyond it.
pub(crate) struct Layer<'a> {
    pub(crate) depth: f32,
    pub(crate) coat: Coat,
    pub(crate) hu: Hu<'a>,
}

/// What HU a layer has.
pub(crate) enum Hu<'a> {
    /// The same everywhere.
    Even(f32),
    /// That of each point of the patient.
    Of(&'a dyn Fn(Point) -> f32),
}

impl<'a> Layer<'a> {
    /// An even layer that covers what is below.
    pub(crate) fn even(depth: f32, hu: f32) -> Self {
        Self { depth, coat: Coat::Over, hu: Hu::Even(hu) }
    }

    /// A layer of changing HU that covers what is below.
    pub(crate) fn of(depth: f32, hu: &'a dyn Fn(Point) -> f32) -> Self {
        Self { depth, coat: Coat::Over, hu: Hu::Of(hu) }
    }
}

/// A slice that is being painted. All buffers are row by row, x fastest.
#[derive(Debug)]
pub(crate) struct Canvas<'a> {
    grid: &'a Grid,
    pose: &'a Pose,
    /// World height of the slice.
    z: f32,
    /// Width over which edges are soft, in the patient's millimetres.
    edge: f32,
    /// Where each pixel lies. [`Canvas::move_to`] fills in the points, the body that is painted first the rest.
    pub(crate) places: Vec<Place>,
    /// HU.
    pub(crate) hu: Vec<f32>,
    /// Part of each pixel that is liver, tumours included.
    pub(crate) liver: Vec<f32>,
    /// Part of each pixel that is tumour.
    pub(crate) tumour: Vec<f32>,
}

impl<'a> Canvas<'a> {
    pub(crate) fn new(grid: &'a Grid, pose: &'a Pose) -> Self {
        let pixels = grid.shape[1] * grid.shape[2];
        // The blur of a scanner is rarely less than 0.8 mm however small the pixels are.
        let edge = 1.1 * grid.spacing[1].max(grid.spacing[2]).max(0.8) / pose.scale;
        Self {
            grid,
            pose,
            z: 0.0,
            edge,
            places: vec![Place::default(); pixels],
            hu: vec![AIR; pixels],
            liver: vec![0.0; pixels],
            tumour: vec![0.0; pixels],
        }
    }

    /// Wipes the slice and moves it to the height of index `k` along z, possibly between voxel centres.
    pub(crate) fn move_to(&mut self, k: f32) {
        self.z = self.grid.world([k, 0.0, 0.0])[2];
        self.hu.fill(AIR);
        self.liver.fill(0.0);
        self.tumour.fill(0.0);
        self.pose.locate(self.grid, self.z, &mut self.places);
    }

    /// Paints a solid within `bounds` (the patient's millimetres) of the signed `distance` and the value `hu`.
    pub(crate) fn paint(
        &mut self,
        bounds: &Bounds,
        coat: Coat,
        distance: impl Fn(&Place) -> f32,
        hu: impl Fn(Point) -> f32,
    ) {
        self.paint_layers(bounds, 1.0, distance, &[Layer { depth: 0.0, coat, hu: Hu::Of(&hu) }]);
    }

    /// Paints the layers of a solid, the outermost first, with edges `softness` times as wide as usual.
    ///
    /// `bounds` hold the solid itself; layers outside of its surface are allowed for.
    pub(crate) fn paint_layers(
        &mut self,
        bounds: &Bounds,
        softness: f32,
        distance: impl Fn(&Place) -> f32,
        layers: &[Layer],
    ) {
        let edge = self.edge * softness;
        let outermost = layers.iter().map(|layer| -layer.depth).fold(0.0, f32::max) + edge;
        let Some([rows, columns]) = self.pixels_of(&bounds.grown(outermost)) else { return };
        for row in rows {
            for column in columns.clone() {
                let pixel = row * self.grid.shape[2] + column;
                let distance = distance(&self.places[pixel]);
                for layer in layers {
                    let cover = (0.5 - (distance + layer.depth) / edge).clamp(0.0, 1.0);
                    if cover > 0.0 {
                        self.lay(pixel, layer, cover);
                    }
                }
            }
        }
    }

    /// Covers a part of a pixel.
    fn lay(&mut self, pixel: usize, layer: &Layer, cover: f32) {
        let (liver, tumour) = (&mut self.liver[pixel], &mut self.tumour[pixel]);
        let cover = match layer.coat {
            Coat::Over | Coat::Liver => cover,
            Coat::InLiver | Coat::Tumour => cover * *liver,
        };
        match layer.coat {
            Coat::Over => {
                *liver *= 1.0 - cover;
                *tumour *= 1.0 - cover;
            }
            Coat::Liver => *liver += (1.0 - *liver) * cover,
            Coat::InLiver => {}
            Coat::Tumour => *tumour += (1.0 - *tumour) * cover,
        }
        let hu = match layer.hu {
            Hu::Even(hu) => hu,
            Hu::Of(hu) => hu(self.places[pixel].point),
        };
        self.hu[pixel] += (hu - self.hu[pixel]) * cover;
    }

    /// Width over which edges are soft, in the patient's millimetres.
    pub(crate) fn edge(&self) -> f32 {
        self.edge
    }

    /// Everything: for solids that may be anywhere in the slice.
    pub(crate) fn everywhere() -> Bounds {
        Bounds { least: [-1e4; 3], greatest: [1e4; 3] }
    }

    /// Rows and columns that may touch `bounds`, or `None` where the slice does not.
    fn pixels_of(&self, bounds: &Bounds) -> Option<[std::ops::Range<usize>; 2]> {
        let world = self.pose.world_bounds(bounds);
        if self.z < world.least[2] || self.z > world.greatest[2] {
            return None;
        }
        let (least, greatest) = (self.grid.index(world.least), self.grid.index(world.greatest));
        let along = |axis: usize| {
            let start = least[axis].floor().max(0.0) as usize;
            let end = ((greatest[axis].ceil() + 1.0).max(0.0) as usize).min(self.grid.shape[axis]);
            (start < end).then_some(start..end)
        };
        Some([along(1)?, along(2)?])
    }
}
