//! Loss functions.

use burn::tensor::Tensor;

/// The original's soft Dice loss, 1 − (2·Σwpg + 1) / (Σwp + Σwg + 1), over the whole batch as one set of voxels.
///
/// # Shapes
/// - `probabilities` p, `target` g and `weight` w: the same shape, values in 0..1; the original's weight is 1
/// - output: one value, 0 (perfect) to almost 1
pub fn soft_dice(probabilities: Tensor<5>, target: Tensor<5>, weight: Tensor<5>) -> Tensor<1> {
    let target = target.mul(weight.clone());
    let shared = sum(probabilities.clone().mul(target.clone()));
    let total = sum(probabilities.mul(weight)).add(sum(target));
    let dice = shared.mul_scalar(2.0).add_scalar(1.0).div(total.add_scalar(1.0));
    dice.neg().add_scalar(1.0)
}

/// Weighted mean over all voxels of the binary cross entropy −(g·ln p + (1 − g)·ln(1 − p)).
///
/// # Shapes
/// - `probabilities` p, `target` g and `weight`: the same shape, values in 0..1
/// - output: one value, 0 (perfect) to 69 (all missed); a voxel that is found wrongly costs 17 at most
pub fn cross_entropy(probabilities: Tensor<5>, target: Tensor<5>, weight: Tensor<5>) -> Tensor<1> {
    // What is bounded has no slope. Each logarithm is bounded by itself, and where numbers of 32 bits end, so that a
    // voxel which was missed with all confidence is still learnt from.
    const LEAST_RIGHT: f32 = 1e-30;
    // The least that 1 − p can be, but for 0.
    const LEAST_WRONG: f32 = f32::EPSILON / 2.0;
    let right = probabilities.clone().clamp_min(LEAST_RIGHT).log().mul(target.clone());
    let wrong = probabilities.neg().add_scalar(1.0).clamp_min(LEAST_WRONG).log();
    let wrong = wrong.mul(target.neg().add_scalar(1.0));
    sum(right.add(wrong).mul(weight.clone())).div(sum(weight).add_scalar(1e-7)).neg()
}

/// Tversky loss, 1 − (Σpg + 1) / (Σpg + 0.3·Σp(1 − g) + 0.7·Σ(1 − p)g + 1), every sum weighted by w: what is missed costs
/// more than what is found wrongly.
///
/// # Shapes
/// - `probabilities` p, `target` g and `weight` w: the same shape, values in 0..1
/// - output: one value, 0 (perfect) to almost 1
///
/// Source: Salehi, Erdogmus and Gholipour, "Tversky loss function for image segmentation using 3D fully convolutional
/// deep networks", arXiv 1706.05721, with the constants that served best there.
pub fn tversky(probabilities: Tensor<5>, target: Tensor<5>, weight: Tensor<5>) -> Tensor<1> {
    const WRONG: f32 = 0.3;
    const MISSED: f32 = 0.7;
    let target = target.mul(weight.clone());
    let shared = sum(probabilities.clone().mul(target.clone()));
    let wrong = sum(probabilities.mul(weight)).sub(shared.clone());
    let missed = sum(target).sub(shared.clone());
    let shared = shared.add_scalar(1.0);
    let total = shared.clone().add(wrong.mul_scalar(WRONG)).add(missed.mul_scalar(MISSED));
    shared.div(total).neg().add_scalar(1.0)
}

/// Focal Tversky loss, [`tversky`] to the power of 3/4: small objects, which are seldom right, count more.
///
/// Source: Abraham and Khan, "A novel focal Tversky loss function with improved attention U-Net for lesion
/// segmentation", arXiv 1810.07842, with its γ of 4/3.
pub fn focal_tversky(probabilities: Tensor<5>, target: Tensor<5>, weight: Tensor<5>) -> Tensor<1> {
    // At 0 the root has no slope.
    tversky(probabilities, target, weight).clamp_min(1e-6).powf_scalar(0.75)
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
    use burn::tensor::activation::sigmoid;

    fn value(loss: Tensor<1>) -> f32 {
        loss.into_data().try_to_vec::<f32>().unwrap()[0]
    }

    #[test]
    fn the_loss_is_zero_for_the_target_itself_and_almost_one_for_its_opposite() {
        let device = Device::flex();
        let target = Tensor::<5>::ones([2, 1, 2, 3, 4], &device);
        assert!(value(soft_dice(target.clone(), target.clone(), target.clone())).abs() < 1e-6);
        let none = Tensor::<5>::zeros([2, 1, 2, 3, 4], &device);
        assert!((value(soft_dice(none.clone(), target.clone(), target.clone())) - (1.0 - 1.0 / 49.0)).abs() < 1e-6);
        assert!(value(soft_dice(none.clone(), none, target)).abs() < 1e-6, "nothing to be found, nothing found");
    }
    #[test]
    fn cross_entropy_is_the_weighted_mean_of_logarithms() {
        let device = Device::flex();
        let row = |values: [f32; 4]| Tensor::<5>::from_data([[[[values]]]], &device);
        let loss = cross_entropy(row([0.9, 0.2, 0.5, 0.0]), row([1.0, 0.0, 1.0, 1.0]), row([1.0, 1.0, 0.5, 0.0]));
        let expected = -(0.9f32.ln() + 0.8f32.ln() + 0.5 * 0.5f32.ln()) / 2.5;
        assert!((value(loss) - expected).abs() < 1e-6);
        let missed = cross_entropy(row([0.0; 4]), row([1.0; 4]), row([1.0; 4]));
        assert!((value(missed) - 69.078).abs() < 1e-2, "a wrong voxel costs much, but never everything");
        let wrong = cross_entropy(row([1.0; 4]), row([0.0; 4]), row([1.0; 4]));
        assert!((value(wrong) - 16.636).abs() < 1e-2);
    }

    #[test]
    fn cross_entropy_learns_from_a_voxel_that_was_missed_with_all_confidence() {
        let device = Device::flex().autodiff();
        let row = |values: [f32; 4]| Tensor::<5>::from_data([[[[values]]]], &device);
        let logits = row([-20.0, -60.0, 5.0, 0.0]).require_grad();
        let loss = cross_entropy(sigmoid(logits.clone()), row([1.0, 1.0, 0.0, 1.0]), row([1.0, 2.0, 1.0, 0.0]));
        let slopes = logits.grad(&loss.backward()).unwrap().into_data().try_to_vec::<f32>().unwrap();
        // (p − g)·w / Σw.
        for (slope, expected) in slopes.iter().zip([-0.25f32, -0.5, 0.25 * 0.993_307, 0.0]) {
            assert!((slope - expected).abs() < 1e-4, "{slopes:?}");
        }
    }

    #[test]
    fn a_missed_voxel_costs_more_than_a_wrong_one_in_tverskys_loss() {
        let device = Device::flex();
        let row = |values: [f32; 3]| Tensor::<5>::from_data([[[[values]]]], &device);
        let of = |probabilities, target| value(tversky(row(probabilities), row(target), row([1.0; 3])));
        assert!(of([1.0, 1.0, 0.0], [1.0, 1.0, 0.0]).abs() < 1e-6);
        let (wrong, missed) = (of([1.0, 1.0, 0.0], [1.0, 0.0, 0.0]), of([1.0, 0.0, 0.0], [1.0, 1.0, 0.0]));
        assert!((wrong - (1.0 - 2.0 / 2.3)).abs() < 1e-6 && (missed - (1.0 - 2.0 / 2.7)).abs() < 1e-6);
        let focal = value(focal_tversky(row([1.0, 0.0, 0.0]), row([1.0, 1.0, 0.0]), row([1.0; 3])));
        assert!((focal - missed.powf(0.75)).abs() < 1e-6);
        let half = value(tversky(row([0.5, 0.5, 1.0]), row([1.0, 0.0, 0.0]), row([1.0, 1.0, 0.0])));
        assert!((half - (1.0 - 1.5 / (1.5 + 0.15 + 0.35))).abs() < 1e-6, "the third voxel has no weight");
    }

    #[test]
    fn voxels_without_weight_do_not_count() {
        let device = Device::flex();
        let row = |values: [f32; 2]| Tensor::<5>::from_data([[[[values]]]], &device);
        let part = soft_dice(row([0.7, 0.9]), row([1.0, 0.0]), row([1.0, 0.0]));
        assert!((value(part) - (1.0 - 2.4 / 2.7)).abs() < 1e-6);
    }
}
