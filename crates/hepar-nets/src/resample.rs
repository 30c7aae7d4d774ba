//! Pooling and upsampling by 2 along one axis of N × C × D × H × W; burn has neither in three dimensions.

use burn::tensor::Tensor;

/// Maximum of neighbouring pairs along `axis`, whose length is even.
pub(crate) fn halve(x: Tensor<5>, axis: usize) -> Tensor<5> {
    let shape = x.dims();
    let mut halved = shape;
    halved[axis] /= 2;
    let outer: usize = shape[..axis].iter().product();
    let inner: usize = shape[axis + 1..].iter().product();
    let pairs = x.reshape([outer, halved[axis], 2, inner]);
    let (even, odd) = (pairs.clone().narrow(2, 0, 1), pairs.narrow(2, 1, 1));
    // The first of two equal values takes the whole gradient, as pooling layers do; `max_pair` would share it.
    let take_odd = odd.clone().greater(even.clone());
    even.mask_where(take_odd, odd).reshape(halved)
}

/// Every value twice along `axis`.
pub(crate) fn double(x: Tensor<5>, axis: usize) -> Tensor<5> {
    let mut doubled = x.dims();
    let outer: usize = doubled[..axis].iter().product();
    let (length, inner) = (doubled[axis], doubled[axis + 1..].iter().product());
    doubled[axis] *= 2;
    x.reshape([outer, length, 1, inner]).repeat_dim(2, 2).reshape(doubled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn ramp(shape: [usize; 5]) -> Tensor<5> {
        let values: Vec<f32> = (0..shape.iter().product()).map(|v: usize| ((v * 7) % 11) as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::default())
    }

    #[test]
    fn halving_takes_the_greater_of_each_pair() {
        let x =
            Tensor::<5>::from_data(TensorData::new(vec![1.0f32, 5.0, 4.0, 2.0], [1, 1, 1, 2, 2]), &Device::default());
        assert_eq!(halve(x.clone(), 4).into_data().try_to_vec::<f32>().unwrap(), [5.0, 4.0]);
        assert_eq!(halve(x, 3).into_data().try_to_vec::<f32>().unwrap(), [4.0, 5.0]);
    }

    #[test]
    fn halving_undoes_doubling() {
        for axis in 2..5 {
            let x = ramp([2, 3, 4, 2, 5]);
            assert_eq!(halve(double(x.clone(), axis), axis).into_data(), x.into_data());
        }
    }
}
