//! The topology spelt in nodes.

use std::collections::BTreeMap;

use hepar_model::tensors::{Role, TensorSpec};
use hepar_model::topology::{Dimensions, Kernel, NORM_EPSILON, NetworkConfig, Ops, ra_unet};
use hepar_model::weights::Weights;

use super::proto::{Attribute, Dimension, Graph, Node, Tensor, ValueInfo};
use super::{INPUT, OUTPUT};

/// Constants beside the weights; no layer has such names.
const SCALES: &str = "upsampling.scales";
const ONE: &str = "gate.one";

/// The graph of a network, called `name`.
pub(super) fn of(weights: &Weights, name: &str) -> Graph {
    let config = weights.config();
    let mut nodes = Nodes::new(*config);
    let last = ra_unet(&mut nodes, config, INPUT.to_owned());
    // The only node that gives the network's last value, and that value is nobody's input.
    nodes.list.iter_mut().flat_map(|node| &mut node.output).filter(|o| **o == last).for_each(|o| *o = OUTPUT.into());
    let shape = || {
        let open = if config.dimensions == Dimensions::Planar { &["height", "width"][..] } else { &SIDES };
        let sides = open.iter().map(|side| Dimension::open(side));
        [Dimension::open("batch"), Dimension::fixed(1)].into_iter().chain(sides).collect()
    };
    Graph {
        node: nodes.list,
        name: Some(name.into()),
        initializer: initializers(weights),
        input: vec![ValueInfo::float(INPUT, shape())],
        output: vec![ValueInfo::float(OUTPUT, shape())],
    }
}

const SIDES: [&str; 3] = ["depth", "height", "width"];

/// The weights by their names, and the constants.
fn initializers(weights: &Weights) -> Vec<Tensor> {
    let config = weights.config();
    let tensor = |spec: TensorSpec| {
        let mut dims: Vec<i64> = spec.shape.iter().map(|&n| n as i64).collect();
        if spec.role == Role::Kernel && config.dimensions == Dimensions::Planar {
            // [out, in, 1, h, w]
            dims.remove(2);
        }
        Tensor::float(&spec.name, dims, weights.get(&spec.name).unwrap_or_default())
    };
    let scales: Vec<f32> = [1.0, 1.0].into_iter().chain(vec![2.0; rank(config)]).collect();
    let constants = [Tensor::float(SCALES, vec![scales.len() as i64], &scales), Tensor::float(ONE, vec![], &[1.0])];
    config.tensors().into_iter().map(tensor).chain(constants).collect()
}

/// In how many directions the network looks.
fn rank(config: &NetworkConfig) -> usize {
    match config.dimensions {
        Dimensions::Planar => 2,
        Dimensions::Spatial => 3,
    }
}

/// The nodes so far. A map is the name of the value that a node gives, which is the node's own name too.
struct Nodes {
    list: Vec<Node>,
    rank: usize,
    /// How many nodes without a layer's name there are, by what they are called.
    counts: BTreeMap<&'static str, usize>,
}

impl Nodes {
    fn new(config: NetworkConfig) -> Self {
        Self { list: Vec::new(), rank: rank(&config), counts: BTreeMap::new() }
    }

    fn push(&mut self, name: String, operator: &str, input: Vec<String>, attribute: Vec<Attribute>) -> String {
        let output = vec![name.clone()];
        self.list.push(Node { input, output, name: Some(name.clone()), op_type: Some(operator.into()), attribute });
        name
    }

    /// A node of a step that has no weights and hence no name of its own: `kind1`, `kind2`, …
    fn step(&mut self, kind: &'static str, operator: &str, input: Vec<String>, attribute: Vec<Attribute>) -> String {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let name = format!("{kind}{count}");
        self.push(name, operator, input, attribute)
    }
}

/// The weights of the layer `name`, in this order.
fn with_weights<const N: usize>(x: String, name: &str, roles: [Role; N]) -> Vec<String> {
    [x].into_iter().chain(roles.iter().map(|role| format!("{name}.{}", role.suffix()))).collect()
}

impl Ops for Nodes {
    type Map = String;

    fn convolution(&mut self, name: &str, x: String, _channels: usize, kernel: Kernel) -> String {
        let (side, border) = match kernel {
            Kernel::Point => (1, 0),
            Kernel::Wide => (3, 1),
        };
        let shape = Attribute::ints("kernel_shape", vec![side; self.rank]);
        let pads = Attribute::ints("pads", vec![border; 2 * self.rank]);
        let input = with_weights(x, name, [Role::Kernel, Role::Bias]);
        self.push(name.to_owned(), "Conv", input, vec![shape, pads])
    }

    fn norm_relu(&mut self, name: &str, x: String) -> String {
        let epsilon = Attribute::float("epsilon", NORM_EPSILON as f32);
        let input = with_weights(x, name, [Role::Gamma, Role::Beta, Role::Mean, Role::Variance]);
        let normalised = self.push(name.to_owned(), "BatchNormalization", input, vec![epsilon]);
        self.push(format!("{name}.relu"), "Relu", vec![normalised], vec![])
    }

    fn pool(&mut self, x: String) -> String {
        let twos = || vec![2; self.rank];
        let attributes = vec![Attribute::ints("kernel_shape", twos()), Attribute::ints("strides", twos())];
        self.step("pool", "MaxPool", vec![x], attributes)
    }

    /// Voxel i of the result is voxel ⌊i / 2⌋: every value twice, nothing interpolated.
    fn upsample(&mut self, x: String) -> String {
        let attributes = vec![
            Attribute::text("mode", "nearest"),
            Attribute::text("coordinate_transformation_mode", "asymmetric"),
            Attribute::text("nearest_mode", "floor"),
        ];
        // The second input would be a region of interest.
        self.step("upsample", "Resize", vec![x, String::new(), SCALES.into()], attributes)
    }

    fn add(&mut self, a: String, b: String) -> String {
        self.step("add", "Add", vec![a, b], vec![])
    }

    fn concatenate(&mut self, first: String, second: String) -> String {
        self.step("concatenate", "Concat", vec![first, second], vec![Attribute::int("axis", 1)])
    }

    fn sigmoid(&mut self, x: String) -> String {
        self.step("sigmoid", "Sigmoid", vec![x], vec![])
    }

    fn gate(&mut self, mask: String, trunk: String) -> String {
        let factor = self.step("gate_factor", "Add", vec![mask, ONE.into()], vec![]);
        self.step("gate", "Mul", vec![factor, trunk], vec![])
    }
}
