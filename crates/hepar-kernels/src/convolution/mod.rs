//! Convolution with stride 1 and zero "same" padding.
//!
//! The input is copied once into planes with a border of zeros. In such a plane a tap of the kernel is a fixed
//! distance from the voxel it contributes to, also across the ends of rows, so a whole plane is one long run of
//! vectors: the convolution becomes a list of distances with a weight each, and forward pass and weight gradient are
//! two loops over that list. The positions between rows that this computes in vain are left out when rows are copied
//! back. The gradient of the input is the forward pass with a mirrored kernel.

mod forward;
mod padded;
pub mod reference;
mod weight_gradient;

pub use forward::{forward, input_gradient};
pub use weight_gradient::{bias_gradient, weight_gradient};

/// Sizes of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvShape {
    /// Number of samples.
    pub batch: usize,
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Voxels of a map, `[d, h, w]`.
    pub size: [usize; 3],
    /// Kernel, `[d, h, w]`; odd sides.
    pub kernel: [usize; 3],
}

impl ConvShape {
    /// Voxels of one map.
    pub fn voxels(&self) -> usize {
        self.size.iter().product()
    }

    /// Taps of one kernel.
    pub fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// The convolution that carries gradients from outputs back to inputs.
    pub fn transposed(&self) -> Self {
        Self { inputs: self.outputs, outputs: self.inputs, ..*self }
    }

    fn check(&self, input: usize, weight: usize, output: usize) {
        assert!(self.kernel.iter().all(|side| side % 2 == 1), "the kernel {:?} has an even side", self.kernel);
        assert_eq!(input, self.batch * self.inputs * self.voxels(), "length of the input");
        assert_eq!(weight, self.outputs * self.inputs * self.taps(), "length of the kernels");
        assert_eq!(output, self.batch * self.outputs * self.voxels(), "length of the output");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(len: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as f32 / u32::MAX as f32 - 0.5
        };
        (0..len).map(|_| next()).collect()
    }

    fn close(fast: &[f32], slow: &[f32]) -> Result<(), TestCaseError> {
        let scale = slow.iter().fold(1.0f32, |m, v| m.max(v.abs()));
        for (i, (a, b)) in fast.iter().zip(slow).enumerate() {
            prop_assert!((a - b).abs() <= 2e-6 * scale * (slow.len() as f32).sqrt().max(8.0), "{i}: {a} {b}");
        }
        Ok(())
    }

    fn shapes() -> impl Strategy<Value = ConvShape> {
        let kernel = prop_oneof![Just([1, 1, 1]), Just([3, 3, 3]), Just([1, 3, 3])];
        (1..3usize, 1..11usize, 1..20usize, [1..5usize, 1..9usize, 1..40usize], kernel)
            .prop_map(|(batch, inputs, outputs, size, kernel)| ConvShape { batch, inputs, outputs, size, kernel })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_forward_pass_equals_the_naive_one(shape in shapes()) {
            let x = values(shape.batch * shape.inputs * shape.voxels(), 1);
            let w = values(shape.outputs * shape.inputs * shape.taps(), 2);
            let b = values(shape.outputs, 3);
            close(&forward(&shape, &x, &w, &b), &reference::forward(&shape, &x, &w, &b))?;
        }

        #[test]
        fn the_gradients_equal_the_naive_ones(shape in shapes()) {
            let x = values(shape.batch * shape.inputs * shape.voxels(), 1);
            let w = values(shape.outputs * shape.inputs * shape.taps(), 2);
            let g = values(shape.batch * shape.outputs * shape.voxels(), 3);
            let (dx, dw, db) = reference::gradients(&shape, &x, &w, &g);
            close(&input_gradient(&shape, &w, &g), &dx)?;
            close(&weight_gradient(&shape, &x, &g), &dw)?;
            close(&bias_gradient(&shape, &g), &db)?;
        }
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let shape = ConvShape { batch: 2, inputs: 5, outputs: 9, size: [4, 7, 33], kernel: [3, 3, 3] };
        let x = values(shape.batch * shape.inputs * shape.voxels(), 1);
        let w = values(shape.outputs * shape.inputs * shape.taps(), 2);
        let g = values(shape.batch * shape.outputs * shape.voxels(), 3);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| (forward(&shape, &x, &w, &[0.5; 9]), weight_gradient(&shape, &x, &g)))
        };
        assert_eq!(run(1), run(4));
    }
}
