//! Loss functions.

use burn::tensor::Tensor;

/// The original's soft Dice loss, 1 − (2·Σpg + 1) / (Σp + Σg + 1), over the whole batch as one set of voxels.
///
/// # Shapes
/// - `probabilities` and `target`: the same shape, values in 0..1
/// - output: one value, 0 (perfect) to almost 1
pub fn soft_dice(probabilities: Tensor<5>, target: Tensor<5>) -> Tensor<1> {
    let shared = sum(probabilities.clone().mul(target.clone()));
    let total = sum(probabilities).add(sum(target));
    let dice = shared.mul_scalar(2.0).add_scalar(1.0).div(total.add_scalar(1.0));
    dice.neg().add_scalar(1.0)
}

/// Sum of all values: row by row, then of the rows, so that no 32-bit sum is long and none depends on the threads.
fn sum(x: Tensor<5>) -> Tensor<1> {
    let [n, c, d, h, w] = x.dims();
    x.reshape([n * c * d * h, w]).sum_dim(1).reshape([n * c * d, h]).sum_dim(1).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn value(loss: Tensor<1>) -> f32 {
        loss.into_data().try_to_vec::<f32>().unwrap()[0]
    }

    #[test]
    fn the_loss_is_zero_for_the_target_itself_and_almost_one_for_its_opposite() {
        let device = Device::default();
        let target = Tensor::<5>::ones([2, 1, 2, 3, 4], &device);
        assert!(value(soft_dice(target.clone(), target.clone())).abs() < 1e-6);
        let none = Tensor::<5>::zeros([2, 1, 2, 3, 4], &device);
        assert!((value(soft_dice(none.clone(), target)) - (1.0 - 1.0 / 49.0)).abs() < 1e-6);
        assert!(value(soft_dice(none.clone(), none)).abs() < 1e-6, "nothing to be found, nothing found");
    }
}
