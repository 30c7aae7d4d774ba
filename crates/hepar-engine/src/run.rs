//! Carries a plan out.

use std::time::{Duration, Instant};

use hepar_kernels::block::{Extras, mask};
use hepar_kernels::entry::{EntryLayer, SplitInput};
use hepar_kernels::maps::MapLayout;
use hepar_kernels::pool::pool;
use hepar_model::engine::Wanted;

use crate::arena::Places;
use crate::plan::Plan;
use crate::steps::{BlockInputs, Shape, Value, What};

/// A plan with the memory of its maps, which is kept from one run to the next.
#[derive(Debug)]
pub(crate) struct Runner {
    plan: Plan,
    places: Places,
    memory: Vec<Vec<f32>>,
    /// Planes of a wide kernel.
    depth: usize,
}

/// Called with the number of a step and how long it took.
pub(crate) type Timed<'a> = &'a mut (dyn FnMut(usize, Duration) + Send);

impl Runner {
    /// A runner for a plan of networks whose wide kernels have `depth` planes.
    pub fn new(plan: Plan, depth: usize) -> Self {
        let places = Places::new(&plan);
        let memory = vec![Vec::new(); places.count];
        Self { plan, places, memory, depth }
    }

    /// The steps.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Voxels that an upsampling makes of one.
    pub fn doubled(&self) -> usize {
        if self.depth == 3 { 8 } else { 4 }
    }

    /// Layout of a map when the input has `batch` samples of `size`.
    pub fn layout(&self, shape: Shape, batch: usize, size: [usize; 3]) -> MapLayout {
        let along_z = if self.depth == 3 { 1 << shape.level } else { 1 };
        let in_plane = 1 << shape.level;
        MapLayout { batch, channels: shape.channels, size }.divided([along_z, in_plane, in_plane])
    }

    /// Probabilities of `input`, both N × D × H × W in C order; right where they are `wanted`.
    pub fn run(
        &mut self,
        batch: usize,
        size: [usize; 3],
        input: &[f32],
        wanted: &Wanted<'_>,
        output: &mut [f32],
        timed: Timed<'_>,
    ) {
        self.reserve(batch, size);
        let start = Instant::now();
        let split = SplitInput::new(input, batch, size, self.depth);
        let splitting = start.elapsed();
        let mut entry: Option<&EntryLayer> = None;
        for (at, step) in self.plan.steps.iter().enumerate() {
            let start = Instant::now();
            if let What::Exit(layer, from) = &step.what {
                // The topology has its first layer before its last; a plan without one is refused when it is made.
                if let Some(entry) = entry {
                    let (layout, from) = self.map(*from, batch, size);
                    layer.run(entry, &split, from, layout, wanted, output);
                }
            } else {
                // The place is taken out while it is written, so that all others can be read.
                let place = self.places.of[at];
                let mut to = std::mem::take(&mut self.memory[place]);
                let layout = self.layout(self.plan.shapes[at], batch, size);
                let target = &mut to[..layout.len()];
                match &step.what {
                    What::Entry(layer) => {
                        layer.pool(&split, target);
                        entry = Some(layer);
                    }
                    what => self.compute(what, batch, size, target),
                }
                self.memory[place] = to;
            }
            // Only the first layer and the last ones read what was split; the first one bears it.
            let before = if matches!(step.what, What::Entry(_)) { splitting } else { Duration::ZERO };
            timed(at, before + start.elapsed());
        }
    }

    /// A step that reads maps and writes one.
    fn compute(&self, what: &What, batch: usize, size: [usize; 3], to: &mut [f32]) {
        let map = |value: &Value| self.map(*value, batch, size);
        match what {
            What::Pool(from) => {
                let (layout, from) = map(from);
                pool(&layout, [if self.depth == 3 { 2 } else { 1 }, 2, 2], from, to);
            }
            What::Halves(layer, from) => {
                let (layout, from) = map(from);
                layer.run(layout, from, to);
            }
            What::Mask(layer, from) => {
                let (layout, from) = map(from);
                mask(layer, layout, from, to);
            }
            What::Block(layer, BlockInputs { from, halves, sum, gate }) => {
                let low = |value: &Option<Value>| value.as_ref().map(|value| map(value).1);
                let extras = Extras { halves: low(halves), sum: low(sum), gate: low(gate) };
                let (layout, from) = map(from);
                layer.run(layout, from, extras, to);
            }
            What::Entry(_) | What::Exit(..) => {}
        }
    }

    fn layout_of(&self, value: Value, batch: usize, size: [usize; 3]) -> MapLayout {
        self.layout(self.plan.shapes[value.0], batch, size)
    }

    /// A map that has been computed, and its layout.
    fn map(&self, value: Value, batch: usize, size: [usize; 3]) -> (MapLayout, &[f32]) {
        let layout = self.layout_of(value, batch, size);
        (layout, &self.memory[self.places.of[value.0]][..layout.len()])
    }

    /// Makes every place as large as its largest map.
    fn reserve(&mut self, batch: usize, size: [usize; 3]) {
        let mut sizes = vec![0; self.places.count];
        for (value, place) in self.places.of.iter().enumerate() {
            sizes[*place] = sizes[*place].max(self.layout_of(Value(value), batch, size).len());
        }
        for (memory, size) in self.memory.iter_mut().zip(sizes) {
            if memory.len() < size {
                // Not `resize`, which would copy what nobody needs any more.
                *memory = vec![0.0; size];
            }
        }
    }
}
