//! Loss functions.

use burn::tensor::Tensor;

/// The original's soft Dice loss, 1 − (2·Σpg + 1) / (Σp + Σg + 1), over the whole batch as one set of voxels.
///
/// # Shapes
/// - `probabilities` and `target`: the same shape, values in 0..1
/// - output: one value, 0 (perfect) to almost 1
pub fn soft_dice(probabilities: Tensor<5>, target: Tensor<5>) -> Tensor<1> {
    let shared = probabilities.clone().mul(target.clone()).sum();
    let total = probabilities.sum().add(target.sum());
    let dice = shared.mul_scalar(2.0).add_scalar(1.0).div(total.add_scalar(1.0));
    dice.neg().add_scalar(1.0)
}
