//! The layers on the CPU, through `hepar-kernels`.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::TensorData;
use hepar_kernels::adam::Adam;
use hepar_kernels::convolution::{self, ConvShape};
use hepar_kernels::joined;
use hepar_kernels::norm::{self, MapShape, Norm};
use hepar_kernels::resampling::Resampling;

use super::{LayerGradients, Layers, NormState, joined_shape, resampled};

type FlexTensor = FloatTensor<Flex>;

/// Lets a later result lie in the pages of a tensor that nobody else needs.
pub(super) fn recycle(tensor: FlexTensor) {
    if tensor.is_unique()
        && let Ok(values) = tensor.into_data().try_into_vec::<f32>()
    {
        hepar_kernels::recycle(values);
    }
}

/// The values of a tensor in C order, read in place where it lies so.
pub(super) struct Values(FlexTensor);

impl Values {
    pub fn of(tensor: &FlexTensor) -> Self {
        Self(tensor.to_contiguous())
    }

    /// The same where the tensor is not needed any more: nobody shares it if nobody did before.
    fn taken(tensor: FlexTensor) -> Self {
        if tensor.is_contiguous() { Self(tensor) } else { Self(tensor.to_contiguous()) }
    }

    pub fn slice(&self) -> &[f32] {
        // A contiguous tensor always has a slice.
        self.0.as_slice::<f32>().unwrap_or_else(|| unreachable!("the tensor was just made contiguous"))
    }
}

pub(super) fn tensor(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
}

fn conv_shape(x: &FlexTensor, weight: &FlexTensor) -> ConvShape {
    let ([batch, inputs, d, h, w], [outputs, _, kd, kh, kw]) = (x.shape().dims(), weight.shape().dims());
    ConvShape { batch, inputs, outputs, size: [d, h, w], kernel: [kd, kh, kw] }
}

fn map_shape(x: &FlexTensor) -> MapShape {
    let [batch, channels, d, h, w] = x.shape().dims();
    MapShape { batch, channels, voxels: d * h * w }
}

/// How maps with the large sides `[d, h, w]` are halved or doubled.
pub(super) fn resampling([n, c, d, h, w]: [usize; 5], is_spatial: bool) -> Resampling {
    Resampling { maps: n * c, size: [d, h, w], stride: [if is_spatial { 2 } else { 1 }, 2, 2] }
}

impl Layers for Flex {
    fn layer_convolution(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let shape = conv_shape(&x, &weight);
        let (x, weight, bias) = (Values::of(&x), Values::of(&weight), Values::of(&bias));
        let y = convolution::forward(&shape, x.slice(), weight.slice(), bias.slice());
        let [d, h, w] = shape.size;
        tensor(y, &[shape.batch, shape.outputs, d, h, w])
    }

    fn layer_joined_convolution(low: FlexTensor, full: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let shape = joined_shape(low.shape().dims(), full.shape().dims(), weight.shape().dims());
        let [low, full, weight, bias] = [&low, &full, &weight, &bias].map(Values::of);
        let y = joined::forward(&shape, low.slice(), full.slice(), weight.slice(), bias.slice());
        let [d, h, w] = shape.size;
        tensor(y, &[shape.batch, shape.outputs, d, h, w])
    }

    fn layer_pool(x: FlexTensor, is_spatial: bool) -> FlexTensor {
        let dims: [usize; 5] = x.shape().dims();
        let y = resampling(dims, is_spatial).pool(Values::of(&x).slice());
        tensor(y, &resampled(dims, is_spatial, |side| side / 2))
    }

    fn layer_upsample(x: FlexTensor, is_spatial: bool) -> FlexTensor {
        let large = resampled(x.shape().dims(), is_spatial, |side| side * 2);
        tensor(resampling(large, is_spatial).repeat(Values::of(&x).slice()), &large)
    }

    fn layer_scale_shift_relu(x: FlexTensor, scale: FlexTensor, shift: FlexTensor) -> FlexTensor {
        let (shape, dims) = (map_shape(&x), x.shape());
        let (x, scale, shift) = (Values::of(&x), Values::of(&scale), Values::of(&shift));
        tensor(norm::scale_shift_relu(&shape, x.slice(), scale.slice(), shift.slice()), &dims.to_vec())
    }

    fn layer_norm_relu(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f32,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (shape, dims) = (map_shape(&x), x.shape());
        let (x, gamma, beta) = (Values::of(&x), Values::of(&gamma), Values::of(&beta));
        let (mean, variance) = norm::statistics(&shape, x.slice());
        let norm = Norm { gamma: gamma.slice(), beta: beta.slice(), mean: &mean, variance: &variance, epsilon };
        let (scale, shift) = norm.scale_and_shift();
        let y = norm::scale_shift_relu(&shape, x.slice(), &scale, &shift);
        (tensor(y, &dims.to_vec()), tensor(mean, &[shape.channels]), tensor(variance, &[shape.channels]))
    }

    fn layer_blend(x: FlexTensor, y: FlexTensor, of_x: f32, of_y: f32) -> FlexTensor {
        let dims = x.shape();
        let (x, y) = (Values::of(&x), Values::of(&y));
        let blended = x.slice().iter().zip(y.slice()).map(|(x, y)| x * of_x + y * of_y).collect();
        tensor(blended, &dims.to_vec())
    }

    fn layer_adam(
        parameter: FlexTensor,
        gradient: FlexTensor,
        first: FlexTensor,
        second: FlexTensor,
        betas: [f32; 2],
        step: f32,
        epsilon: f32,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let dims = parameter.shape().to_vec();
        let [parameter, gradient, first, second] = [parameter, gradient, first, second].map(Values::taken);
        let after = Adam { betas, step, epsilon }.moved(
            gradient.slice(),
            parameter.slice(),
            [&first, &second].map(Values::slice),
        );
        [parameter, gradient, first, second].into_iter().for_each(|values| recycle(values.0));
        after.map(|values| tensor(values, &dims)).into()
    }
}

impl LayerGradients for Flex {
    fn convolution_gradients(
        x: FlexTensor,
        weight: FlexTensor,
        grad: FlexTensor,
        needs_x: bool,
    ) -> (Option<FlexTensor>, FlexTensor, FlexTensor) {
        let (shape, x_dims, weight_dims) = (conv_shape(&x, &weight), x.shape(), weight.shape());
        let (x, weight, grad) = (Values::of(&x), Values::of(&weight), Values::of(&grad));
        let dx = needs_x
            .then(|| tensor(convolution::input_gradient(&shape, weight.slice(), grad.slice()), &x_dims.to_vec()));
        let dw = convolution::weight_gradient(&shape, x.slice(), grad.slice());
        let db = convolution::bias_gradient(&shape, grad.slice());
        (dx, tensor(dw, &weight_dims.to_vec()), tensor(db, &[shape.outputs]))
    }

    fn joined_gradients([low, full, weight]: [FlexTensor; 3], grad: FlexTensor) -> [FlexTensor; 4] {
        let shape = joined_shape(low.shape().dims(), full.shape().dims(), weight.shape().dims());
        let dims = [low.shape(), full.shape(), weight.shape()].map(|shape| shape.to_vec());
        let [low, full, weight, grad] = [&low, &full, &weight, &grad].map(Values::of);
        let gradients = joined::gradients(&shape, low.slice(), full.slice(), weight.slice(), grad.slice());
        [
            tensor(gradients.low, &dims[0]),
            tensor(gradients.full, &dims[1]),
            tensor(gradients.weights, &dims[2]),
            tensor(gradients.bias, &[shape.outputs]),
        ]
    }

    fn pool_gradient(x: FlexTensor, is_spatial: bool, grad: FlexTensor) -> FlexTensor {
        let dims: [usize; 5] = x.shape().dims();
        let (x, grad) = (Values::taken(x), Values::taken(grad));
        let dx = resampling(dims, is_spatial).pool_gradient(x.slice(), grad.slice());
        [x, grad].into_iter().for_each(|values| recycle(values.0));
        tensor(dx, &dims)
    }

    fn upsample_gradient(is_spatial: bool, grad: FlexTensor) -> FlexTensor {
        let dims: [usize; 5] = grad.shape().dims();
        let grad = Values::taken(grad);
        let dx = resampling(dims, is_spatial).repeat_gradient(grad.slice());
        recycle(grad.0);
        tensor(dx, &resampled(dims, is_spatial, |side| side / 2))
    }

    fn norm_relu_gradients(
        x: FlexTensor,
        state: NormState<Self>,
        grad: FlexTensor,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (shape, dims) = (map_shape(&x), x.shape());
        let [x, gamma, beta, mean, variance, grad] =
            [&x, &state.gamma, &state.beta, &state.mean, &state.variance, &grad].map(Values::of);
        let norm = Norm {
            gamma: gamma.slice(),
            beta: beta.slice(),
            mean: mean.slice(),
            variance: variance.slice(),
            epsilon: state.epsilon,
        };
        let (dx, dgamma, dbeta) = norm::gradients(&shape, x.slice(), &norm, grad.slice());
        (tensor(dx, &dims.to_vec()), tensor(dgamma, &[shape.channels]), tensor(dbeta, &[shape.channels]))
    }
}
