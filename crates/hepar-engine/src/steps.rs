//! What a plan consists of.

use hepar_kernels::block::{BlockLayer, HalvesLayer, PointLayer};
use hepar_kernels::entry::EntryLayer;
use hepar_kernels::exit::ExitLayer;

/// A map that a step makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Value(pub usize);

/// What is known of a map before the input's size is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub channels: usize,
    /// How often the input has been halved.
    pub level: u32,
}

/// Something that is computed at once. Each step makes one map, except for the last one, which makes the output.
#[derive(Debug)]
pub(crate) struct Step {
    /// The topology's name of what it computes.
    pub name: String,
    pub what: What,
}

/// What a step computes, from which maps.
#[derive(Debug)]
pub(crate) enum What {
    /// The first layer, pooled; from the input.
    Entry(EntryLayer),
    Pool(Value),
    /// The upsampled part of a decoder's block.
    Halves(HalvesLayer, Value),
    Block(BlockLayer, BlockInputs),
    Mask(PointLayer, Value),
    /// From the decoder's last map and the input, through the first layer once more.
    Exit(ExitLayer, Value),
}

/// What a block reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockInputs {
    pub from: Value,
    pub halves: Option<Value>,
    pub sum: Option<Value>,
    pub gate: Option<Value>,
}

impl BlockInputs {
    pub fn of(from: Value) -> Self {
        Self { from, halves: None, sum: None, gate: None }
    }
}

impl What {
    /// The maps that the step reads.
    pub fn reads(&self) -> Vec<Value> {
        match self {
            Self::Entry(_) => Vec::new(),
            Self::Pool(from) | Self::Halves(_, from) | Self::Mask(_, from) | Self::Exit(_, from) => vec![*from],
            Self::Block(_, BlockInputs { from, halves, sum, gate }) => {
                [Some(*from), *halves, *sum, *gate].into_iter().flatten().collect()
            }
        }
    }
}
