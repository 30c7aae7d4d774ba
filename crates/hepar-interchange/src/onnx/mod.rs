//! RA-UNet as an ONNX model.
//!
//! The file is made of operators that runtimes have had for years: convolution, batch normalisation, ReLU, max pooling,
//! nearest upsampling, addition, multiplication, concatenation and sigmoid. Weights keep their names.

mod graph;
mod proto;

use hepar_model::topology::Dimensions;
use hepar_model::weights::Weights;
use prost::Message;

/// Name of the model's input: f32, N × 1 × D × H × W, or N × 1 × H × W for RA-UNet-I, values in 0..1.
pub const INPUT: &str = "input";

/// Name of the model's output: the probability of the object in 0..1, of the input's shape.
pub const OUTPUT: &str = "probability";

/// The version of the operators.
///
/// ONNX Runtime reads it from 1.12 on, OpenVINO from 2022.3 on.
pub const OPSET: i64 = 17;

/// The version of the file's layout that belongs to [`OPSET`].
const IR_VERSION: i64 = 8;

/// The bytes of an ONNX file with the network of `weights`.
///
/// The number of inputs in a batch and their sides are left open; sides must be multiples of 32. `properties` are names
/// and values that go into the file's metadata. The same weights and properties give the same bytes.
pub fn to_onnx(weights: &Weights, properties: &[(&str, String)]) -> Vec<u8> {
    let name = match weights.config().dimensions {
        Dimensions::Planar => "RA-UNet-I",
        Dimensions::Spatial => "RA-UNet-II",
    };
    let model = proto::Model {
        ir_version: Some(IR_VERSION),
        opset_import: vec![proto::OperatorSet { domain: Some(String::new()), version: Some(OPSET) }],
        producer_name: Some("hepar".into()),
        producer_version: Some(env!("CARGO_PKG_VERSION").into()),
        graph: Some(graph::of(weights, name)),
        metadata_props: properties.iter().map(|(key, value)| proto::Property::new(key, value)).collect(),
    };
    model.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use hepar_model::generated::generated;
    use hepar_model::topology::NetworkConfig;

    fn exported(config: NetworkConfig) -> proto::Graph {
        let bytes = to_onnx(&generated(config), &[("hepar.stage", "liver".into())]);
        proto::Model::decode(bytes.as_slice()).unwrap().graph.unwrap()
    }

    fn narrow(dimensions: Dimensions) -> NetworkConfig {
        NetworkConfig::new(dimensions, [4, 8, 8, 12, 16, 20]).unwrap()
    }

    fn count(graph: &proto::Graph, operator: &str) -> usize {
        graph.node.iter().filter(|node| node.op_type() == operator).count()
    }

    fn sides(value: &proto::ValueInfo) -> Vec<String> {
        let tensor = value.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap();
        assert_eq!(tensor.elem_type(), proto::FLOAT);
        let side = |d: &proto::Dimension| d.dim_value.map_or_else(|| d.dim_param().to_owned(), |n| n.to_string());
        tensor.shape.as_ref().unwrap().dim.iter().map(side).collect()
    }

    #[test]
    fn every_layer_of_the_network_is_a_node() {
        for dimensions in [Dimensions::Planar, Dimensions::Spatial] {
            let graph = exported(narrow(dimensions));
            let counts = ["Conv", "BatchNormalization", "Relu", "MaxPool", "Resize", "Sigmoid", "Concat", "Mul"];
            // Pools: 5 of the encoder and 1 + 2 + 3 + 4 of the masks; as many maps go up again.
            assert_eq!(counts.map(|operator| count(&graph, operator)), [219, 158, 158, 15, 15, 5, 5, 4]);
            // 52 blocks, 0 + 1 + 2 + 3 skips, 4 gates.
            assert_eq!(count(&graph, "Add"), 52 + 6 + 4);
        }
    }

    #[test]
    fn weights_keep_their_names_and_values() {
        let config = narrow(Dimensions::Spatial);
        let (graph, weights) = (exported(config), generated(config));
        for spec in config.tensors() {
            let tensor = graph.initializer.iter().find(|tensor| tensor.name() == spec.name).unwrap();
            assert_eq!(tensor.dims, spec.shape.iter().map(|&n| n as i64).collect::<Vec<_>>());
            let values = tensor.raw_data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            assert!(values.eq(weights.get(&spec.name).unwrap().iter().copied()));
        }
        let extra = graph.initializer.len() - config.tensors().len();
        assert_eq!(extra, 2, "the scales of upsampling and the one of the gates");
    }

    #[test]
    fn batch_and_sides_are_open() {
        let volumes = exported(narrow(Dimensions::Spatial));
        assert_eq!(sides(&volumes.input[0]), ["batch", "1", "depth", "height", "width"]);
        assert_eq!(sides(&volumes.output[0]), sides(&volumes.input[0]));
        let slices = exported(narrow(Dimensions::Planar));
        assert_eq!(sides(&slices.input[0]), ["batch", "1", "height", "width"]);
        assert_eq!((slices.input[0].name(), slices.output[0].name()), (INPUT, OUTPUT));
    }

    #[test]
    fn a_node_uses_only_what_stands_before_it_and_every_value_has_one_name() {
        let graph = exported(narrow(Dimensions::Spatial));
        let mut known: BTreeSet<&str> = graph.initializer.iter().map(proto::Tensor::name).collect();
        known.insert(INPUT);
        let mut names = BTreeSet::new();
        for node in &graph.node {
            assert!(node.input.iter().all(|name| name.is_empty() || known.contains(name.as_str())), "{node:?}");
            assert!(node.output.iter().all(|name| known.insert(name)), "{node:?}");
            assert!(names.insert(node.name()), "{node:?}");
        }
        assert!(known.contains(OUTPUT));
    }

    #[test]
    fn planar_networks_are_two_dimensional() {
        let config = narrow(Dimensions::Planar);
        let graph = exported(config);
        let kernel = graph.initializer.iter().find(|tensor| tensor.name() == "res1.conv2.weight").unwrap();
        assert_eq!(kernel.dims, [2, 2, 3, 3]);
        let pool = graph.node.iter().find(|node| node.op_type() == "MaxPool").unwrap();
        assert_eq!(pool.attribute[0].ints, [2, 2]);
    }

    #[test]
    fn properties_go_into_the_file_and_the_bytes_do_not_change() {
        let weights = generated(narrow(Dimensions::Planar));
        let bytes = || to_onnx(&weights, &[("hepar.stage", "localizer".into())]);
        assert_eq!(bytes(), bytes());
        let model = proto::Model::decode(bytes().as_slice()).unwrap();
        assert_eq!(model.metadata_props, [proto::Property::new("hepar.stage", "localizer")]);
        assert_eq!(model.opset_import[0].version(), OPSET);
    }
}
