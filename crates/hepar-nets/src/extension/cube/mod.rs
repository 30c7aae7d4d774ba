//! The layers on a GPU, as kernels of our own in CubeCL.
//!
//! They compute in the order that shapes alone decide, so that a device gives the same numbers on every run.

mod convolution;
mod elementwise;
mod launch;
mod norm;
mod resampling;
mod weight_gradient;

use burn::backend::{Cube, TensorMetadata};
use burn_cubecl::tensor::CubeTensor;

use super::{LayerGradients, Layers, NormState, resampled};
use convolution::Convolution;
use launch::{Buffers, values};
use norm::{Maps, Norm};
use resampling::Resampling;
use weight_gradient::add_parts;

/// Along D, H and W.
type Sides = [usize; 3];

fn convolution_of(x: &CubeTensor, weight: &CubeTensor) -> Convolution {
    let ([batch, inputs, d, h, w], [outputs, _, kd, kh, kw]) = (x.shape().dims(), weight.shape().dims());
    Convolution { batch, inputs, outputs, sides: [d, h, w], taps: [kd, kh, kw] }
}

fn maps_of(x: &CubeTensor) -> Maps {
    let [batch, channels, d, h, w] = x.shape().dims();
    Maps { batch, channels, voxels: d * h * w }
}

/// How maps with the large sides `[d, h, w]` are halved or doubled.
fn resampling([n, c, d, h, w]: [usize; 5], is_spatial: bool) -> Resampling {
    Resampling { maps: n * c, large: [d, h, w], stride: [if is_spatial { 2 } else { 1 }, 2, 2] }
}

fn norm_of(state: &NormState<Cube>) -> Norm {
    Norm {
        gamma: values(&state.gamma),
        beta: values(&state.beta),
        mean: values(&state.mean),
        variance: values(&state.variance),
        epsilon: state.epsilon,
    }
}

/// `low`, upsampled, and `full`, one after the other along the channels.
fn joined(low: CubeTensor, full: CubeTensor, is_spatial: bool) -> CubeTensor {
    use burn::backend::ops::FloatTensorOps;
    Cube::float_cat(vec![Cube::layer_upsample(low, is_spatial), full], 1)
}

impl Layers for Cube {
    fn layer_convolution(x: CubeTensor, weight: CubeTensor, bias: CubeTensor) -> CubeTensor {
        let (buffers, convolution) = (Buffers::of(&x), convolution_of(&x, &weight));
        let [d, h, w] = convolution.sides;
        let y = buffers.empty([convolution.batch, convolution.outputs, d, h, w]);
        convolution.forward(&buffers, values(&x), values(&weight), values(&bias), values(&y));
        y
    }

    fn layer_joined_convolution(low: CubeTensor, full: CubeTensor, weight: CubeTensor, bias: CubeTensor) -> CubeTensor {
        let is_spatial = weight.shape()[2] == 3;
        Self::layer_convolution(joined(low, full, is_spatial), weight, bias)
    }

    fn layer_pool(x: CubeTensor, is_spatial: bool) -> CubeTensor {
        let (buffers, dims) = (Buffers::of(&x), x.shape().dims());
        let y = buffers.empty(resampled(dims, is_spatial, |side| side / 2));
        resampling(dims, is_spatial).pool(&buffers, values(&x), values(&y));
        y
    }

    fn layer_upsample(x: CubeTensor, is_spatial: bool) -> CubeTensor {
        let buffers = Buffers::of(&x);
        let large = resampled(x.shape().dims(), is_spatial, |side| side * 2);
        let y = buffers.empty(large);
        resampling(large, is_spatial).repeat(&buffers, values(&x), values(&y));
        y
    }

    fn layer_scale_shift_relu(x: CubeTensor, scale: CubeTensor, shift: CubeTensor) -> CubeTensor {
        let (buffers, dims) = (Buffers::of(&x), x.shape().dims::<5>());
        let y = buffers.empty(dims);
        maps_of(&x).scale_shift_relu(&buffers, values(&x), values(&scale), values(&shift), values(&y));
        y
    }

    fn layer_norm_relu(
        x: CubeTensor,
        gamma: CubeTensor,
        beta: CubeTensor,
        epsilon: f32,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let (buffers, maps) = (Buffers::of(&x), maps_of(&x));
        let sums = buffers.empty([maps.channels, maps.chunks(), 2]);
        let (mean, variance) = (buffers.empty([maps.channels]), buffers.empty([maps.channels]));
        let y = buffers.empty(x.shape().dims::<5>());
        maps.moments(&buffers, values(&x), values(&sums));
        maps.statistics(&buffers, values(&sums), values(&mean), values(&variance));
        let state = NormState { gamma, beta, mean, variance, epsilon };
        maps.norm_relu(&buffers, values(&x), norm_of(&state), values(&y));
        (y, state.mean, state.variance)
    }

    fn layer_blend(x: CubeTensor, y: CubeTensor, of_x: f32, of_y: f32) -> CubeTensor {
        let blended = Buffers::of(&x).like(&x);
        elementwise::blend(&x, &y, &blended, [of_x, of_y]);
        blended
    }

    fn layer_adam(
        parameter: CubeTensor,
        gradient: CubeTensor,
        first: CubeTensor,
        second: CubeTensor,
        betas: [f32; 2],
        step: f32,
        epsilon: f32,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let buffers = Buffers::of(&parameter);
        let after = [&parameter, &first, &second].map(|tensor| buffers.like(tensor));
        elementwise::adam([&parameter, &gradient, &first, &second], &after, betas, step, epsilon);
        let [parameter, first, second] = after;
        (parameter, first, second)
    }
}

impl LayerGradients for Cube {
    fn convolution_gradients(
        x: CubeTensor,
        weight: CubeTensor,
        grad: CubeTensor,
        needs_x: bool,
    ) -> (Option<CubeTensor>, CubeTensor, CubeTensor) {
        let (buffers, convolution) = (Buffers::of(&x), convolution_of(&x, &weight));
        let (x, grad) = (into_c_order(x), into_c_order(grad));
        let dx = needs_x.then(|| {
            let dx = buffers.empty(x.shape().dims::<5>());
            convolution.input_gradient(&buffers, values(&grad), values(&weight), values(&weight), values(&dx));
            dx
        });
        let dw = buffers.empty(weight.shape().dims::<5>());
        let len = weight.shape().num_elements();
        let parts = buffers.empty([convolution.parts(), len]);
        convolution.weight_parts(&buffers, values(&x), values(&grad), values(&parts));
        add_parts(&buffers, values(&parts), values(&dw), [convolution.parts(), len]);
        let maps = maps_of(&grad);
        let sums = buffers.empty([maps.channels, maps.chunks()]);
        let db = buffers.empty([maps.channels]);
        maps.channel_sums(&buffers, values(&grad), values(&sums));
        maps.totals(&buffers, values(&sums), values(&db));
        (dx, dw, db)
    }

    fn joined_gradients([low, full, weight]: [CubeTensor; 3], grad: CubeTensor) -> [CubeTensor; 4] {
        use burn::backend::ops::FloatTensorOps;
        let is_spatial = weight.shape()[2] == 3;
        let [batch, upsampled, ..] = low.shape().dims::<5>();
        let [_, channels, d, h, w] = full.shape().dims::<5>();
        let x = joined(low, full, is_spatial);
        // The input's gradient was asked for.
        let (dx, dw, db) = Self::convolution_gradients(x.clone(), weight, grad, true);
        let part = |from: usize, to: usize| {
            let ranges = [0..batch, from..to, 0..d, 0..h, 0..w].map(Into::into);
            Cube::float_slice(dx.clone().unwrap_or_else(|| x.clone()), &ranges)
        };
        let (dlow, dfull) = (part(0, upsampled), part(upsampled, upsampled + channels));
        [Self::upsample_gradient(is_spatial, dlow), dfull, dw, db]
    }

    fn pool_gradient(x: CubeTensor, is_spatial: bool, grad: CubeTensor) -> CubeTensor {
        let (buffers, dims) = (Buffers::of(&x), x.shape().dims::<5>());
        let dx = buffers.empty(dims);
        resampling(dims, is_spatial).pool_gradient(&buffers, values(&x), values(&grad), values(&dx));
        dx
    }

    fn upsample_gradient(is_spatial: bool, grad: CubeTensor) -> CubeTensor {
        let (buffers, dims) = (Buffers::of(&grad), grad.shape().dims::<5>());
        let dx = buffers.empty(resampled(dims, is_spatial, |side| side / 2));
        resampling(dims, is_spatial).repeat_gradient(&buffers, values(&grad), values(&dx));
        dx
    }

    fn norm_relu_gradients(
        x: CubeTensor,
        state: NormState<Self>,
        grad: CubeTensor,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let (buffers, maps) = (Buffers::of(&x), maps_of(&x));
        let (x, grad) = (into_c_order(x), into_c_order(grad));
        let sums = buffers.empty([maps.channels, maps.chunks(), 2]);
        let (dgamma, dbeta) = (buffers.empty([maps.channels]), buffers.empty([maps.channels]));
        let dx = buffers.empty(x.shape().dims::<5>());
        maps.gradient_moments(&buffers, values(&x), values(&grad), norm_of(&state), values(&sums));
        maps.pairs(&buffers, values(&sums), values(&dgamma), values(&dbeta));
        maps.gradient(
            &buffers,
            values(&x),
            values(&grad),
            norm_of(&state),
            values(&dgamma),
            values(&dbeta),
            values(&dx),
        );
        (dx, dgamma, dbeta)
    }
}

/// The same values in C order, so that kernels which read them in turn need not each copy them.
fn into_c_order(x: CubeTensor) -> CubeTensor {
    burn_cubecl::kernel::into_contiguous(x)
}
