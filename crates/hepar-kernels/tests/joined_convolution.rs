//! The convolution of an upsampled map joined with another one against the naive one, forward and backward.

use hepar_kernels::convolution::{ConvShape, reference};
use hepar_kernels::joined::{self, JoinedShape};

mod common;
use common::{at, indices, values};

const SHAPES: [JoinedShape; 5] = [
    JoinedShape { batch: 1, upsampled: 3, full: 5, outputs: 6, size: [4, 12, 32], depth: 3 },
    JoinedShape { batch: 2, upsampled: 8, full: 4, outputs: 9, size: [2, 6, 64], depth: 3 },
    JoinedShape { batch: 2, upsampled: 5, full: 6, outputs: 3, size: [1, 20, 32], depth: 1 },
    JoinedShape { batch: 1, upsampled: 1, full: 1, outputs: 1, size: [8, 18, 32], depth: 3 },
    JoinedShape { batch: 1, upsampled: 4, full: 16, outputs: 8, size: [2, 34, 32], depth: 3 },
];

/// An example with everything the convolution reads, and the joined input as the naive one wants it.
struct Case {
    low: Vec<f32>,
    full: Vec<f32>,
    joined: Vec<f32>,
    weights: Vec<f32>,
    bias: Vec<f32>,
    g: Vec<f32>,
}

fn stride(shape: &JoinedShape) -> [usize; 3] {
    [if shape.depth == 3 { 2 } else { 1 }, 2, 2]
}

fn small(shape: &JoinedShape) -> [usize; 3] {
    std::array::from_fn(|axis| shape.size[axis] / stride(shape)[axis])
}

fn naive(shape: &JoinedShape) -> ConvShape {
    let inputs = shape.upsampled + shape.full;
    ConvShape { batch: shape.batch, inputs, outputs: shape.outputs, size: shape.size, kernel: [shape.depth, 3, 3] }
}

fn case(shape: &JoinedShape) -> Case {
    let (voxels, coarse) = (shape.size.iter().product::<usize>(), small(shape).iter().product::<usize>());
    let inputs = shape.upsampled + shape.full;
    let low = values(shape.batch * shape.upsampled * coarse, 1);
    let full = values(shape.batch * shape.full * voxels, 2);
    let [sz, sy, sx] = stride(shape);
    let joined = indices(shape.batch, inputs, shape.size)
        .map(|[n, c, z, y, x]| match c.checked_sub(shape.upsampled) {
            None => low[at([n, c, z / sz, y / sy, x / sx], shape.upsampled, small(shape))],
            Some(c) => full[at([n, c, z, y, x], shape.full, shape.size)],
        })
        .collect();
    Case {
        low,
        full,
        joined,
        weights: values(shape.outputs * inputs * 9 * shape.depth, 3),
        bias: values(shape.outputs, 4),
        g: values(shape.batch * shape.outputs * voxels, 5),
    }
}

fn close(what: &str, shape: &JoinedShape, ours: &[f32], expected: &[f32]) {
    assert_eq!(ours.len(), expected.len(), "{what} of {shape:?}");
    let scale = expected.iter().fold(1.0f32, |most, v| most.max(v.abs()));
    let worst = ours.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= 1e-5 * scale, "{what} of {shape:?}: {worst} of {scale}");
}

#[test]
fn the_forward_pass_equals_the_naive_one() {
    for shape in &SHAPES {
        let case = case(shape);
        let expected = reference::forward(&naive(shape), &case.joined, &case.weights, &case.bias);
        close("output", shape, &joined::forward(shape, &case.low, &case.full, &case.weights, &case.bias), &expected);
    }
}

#[test]
fn the_gradients_equal_the_naive_ones() {
    for shape in &SHAPES {
        let case = case(shape);
        let (dx, dw, db) = reference::gradients(&naive(shape), &case.joined, &case.weights, &case.g);
        let (mut low, mut full) = (vec![0.0; case.low.len()], vec![0.0; case.full.len()]);
        let inputs = shape.upsampled + shape.full;
        let [sz, sy, sx] = stride(shape);
        for (index, gradient) in indices(shape.batch, inputs, shape.size).zip(&dx) {
            let [n, c, z, y, x] = index;
            match c.checked_sub(shape.upsampled) {
                None => low[at([n, c, z / sz, y / sy, x / sx], shape.upsampled, small(shape))] += gradient,
                Some(c) => full[at([n, c, z, y, x], shape.full, shape.size)] += gradient,
            }
        }
        let ours = joined::gradients(shape, &case.low, &case.full, &case.weights, &case.g);
        close("gradient of the low map", shape, &ours.low, &low);
        close("gradient of the other map", shape, &ours.full, &full);
        close("gradient of the kernels", shape, &ours.weights, &dw);
        close("gradient of the bias", shape, &ours.bias, &db);
    }
}

#[test]
fn threads_change_no_bit() {
    let shape = SHAPES[0];
    let case = case(&shape);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| joined::gradients(&shape, &case.low, &case.full, &case.weights, &case.g))
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn shapes_without_whole_blocks_are_not_supported() {
    assert!(SHAPES.iter().all(JoinedShape::is_supported));
    let other = |size| JoinedShape { size, ..SHAPES[0] };
    assert!(![[3, 12, 32], [4, 11, 32], [4, 12, 48]].map(other).iter().any(JoinedShape::is_supported));
}
