//! Voxels that are wanted are the same, bit for bit, whether all are or not.

use std::ops::Range;

use hepar_engine::CpuEngine;
use hepar_model::engine::Engine;
use hepar_model::generated::{generated, uniform};
use hepar_model::topology::{Dimensions, NetworkConfig};
use ndarray::Array5;

/// Voxels that are wanted, `[k, j, i]`; on no border of a tile.
const WANTED: [Range<usize>; 3] = [9..21, 37..50, 70..91];

#[test]
fn voxels_that_are_wanted_do_not_depend_on_what_else_is() {
    let config = NetworkConfig::new(Dimensions::Spatial, [8, 8, 16, 16, 16, 16]).unwrap();
    let shape = (2, 1, 32, 64, 128);
    let values = uniform("wanted", 2 * 32 * 64 * 128).map(|u| u as f32).collect();
    let input = Array5::from_shape_vec(shape, values).unwrap();
    let mut network = CpuEngine.load(&generated(config)).unwrap();
    let whole = network.forward(input.view()).unwrap();
    // Of the second sample nothing is.
    let is_wanted = |sample: usize, part: [Range<usize>; 3]| {
        let overlap =
            |(part, wanted): (&Range<usize>, &Range<usize>)| part.start < wanted.end && wanted.start < part.end;
        sample == 0 && part.iter().zip(&WANTED).all(overlap)
    };
    let some = network.forward_wanted(input.view(), &is_wanted).unwrap();
    let is_in = |voxel: [usize; 3]| voxel.iter().zip(&WANTED).all(|(at, wanted)| wanted.contains(at));
    for ((sample, _, k, j, i), probability) in whole.indexed_iter() {
        if sample == 0 && is_in([k, j, i]) {
            assert_eq!(probability.to_bits(), some[[0, 0, k, j, i]].to_bits(), "{k} {j} {i}");
        }
    }
    assert_ne!(whole, some, "what nobody wants is not computed");
}
