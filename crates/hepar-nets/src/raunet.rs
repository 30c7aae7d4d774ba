//! RA-UNet as a burn module.

use std::collections::BTreeMap;

use burn::module::{Module, Param, RunningState};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Gradients, Tensor};
use hepar_model::tensors::{Role, TensorSpec};
use hepar_model::topology::{Dimensions, Kernel, NetworkConfig, Ops, ra_unet};
use hepar_model::weights::{Weights, WeightsError};

use crate::extension::{fused, pool, upsample};
use crate::fused::FusedLayers;
use crate::init::untrained_weights;
use crate::layers::{Convolution, Normalisation, parameter, statistic};

/// RA-UNet-I or RA-UNet-II with its weights on a device.
///
/// The layers stand in the order in which [`ra_unet`] applies them. On a device with autodiff the network trains:
/// batches are normalised by their own statistics and the running ones move along.
#[derive(Module, Debug)]
pub struct RaUnet {
    convolutions: Vec<Convolution>,
    normalisations: Vec<Normalisation>,
    #[module(skip)]
    config: NetworkConfig,
}

impl RaUnet {
    /// A network with the given weights.
    pub fn new(weights: &Weights, device: &Device) -> Self {
        let config = *weights.config();
        let (mut convolutions, mut normalisations) = (Vec::new(), Vec::new());
        let specs = config.tensors();
        let values = |spec: &TensorSpec| weights.get(&spec.name).unwrap_or_default();
        let mut index = 0;
        while let Some(spec) = specs.get(index) {
            // The tensors of a layer follow each other: kernel, bias; gamma, beta, mean, variance.
            let tensor = |offset: usize| (index as u64 + offset as u64, values(&specs[index + offset]));
            if spec.role == Role::Kernel {
                let ((weight_id, weight), (bias_id, bias)) = (tensor(0), tensor(1));
                convolutions.push(Convolution {
                    weight: parameter(weight_id, weight, &spec.shape, device),
                    bias: parameter(bias_id, bias, &specs[index + 1].shape, device),
                });
                index += 2;
            } else {
                let [gamma, beta, mean, variance] = [0, 1, 2, 3].map(tensor);
                normalisations.push(Normalisation {
                    gamma: parameter(gamma.0, gamma.1, &spec.shape, device),
                    beta: parameter(beta.0, beta.1, &spec.shape, device),
                    mean: statistic(mean.0, mean.1, device),
                    variance: statistic(variance.0, variance.1, device),
                });
                index += 4;
            }
        }
        Self { convolutions, normalisations, config }
    }

    /// A network that has learnt nothing: Glorot-uniform kernels, zero biases, unit normalisations, from a seed.
    ///
    /// Source: Glorot and Bengio 2010; the initialisation of the original.
    pub fn untrained(config: NetworkConfig, seed: u64, device: &Device) -> Self {
        Self::new(&untrained_weights(config, seed), device)
    }

    /// Which network this is.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// Where its weights are; with automatic differentiation when it trains.
    pub fn device(&self) -> Device {
        self.convolutions.first().map_or_else(Device::flex, |first| first.bias.val().device())
    }

    /// Probabilities of the object.
    ///
    /// Trained on the CPU, the network runs several layers as one operation. These give no gradient of `x`: where that is
    /// wanted, `x` has to be a leaf that requires it, and the network runs layer by layer.
    ///
    /// # Shapes
    /// - `x`: N × 1 × D × H × W, sides multiples of 32 (D = 1 for RA-UNet-I)
    /// - output: the same, 0..1
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let mut layers = self.layers();
        if fused::is_possible(&self.config, &x) {
            return FusedLayers::run(layers, &self.config, x);
        }
        let output = ra_unet(&mut layers, &self.config, Map::Made(x));
        layers.made(output)
    }

    /// Makes the running statistics those of `batches` alone: for the weights as they are now, where the running ones
    /// still remember the weights that there were.
    ///
    /// Each batch is N × 1 × D × H × W; later ones count a little more. On a device without automatic differentiation, or
    /// without a batch, nothing changes.
    ///
    /// # Errors
    /// The first that `batches` gives; the statistics are then of no use.
    pub fn recalibrate<E>(&self, batches: impl Iterator<Item = Result<Tensor<5>, E>>) -> Result<(), E> {
        let mut batches = batches.peekable();
        if !self.device().is_autodiff() || batches.peek().is_none() {
            return Ok(());
        }
        self.normalisations.iter().for_each(Normalisation::forget);
        // Shares the statistics. Nothing is kept for gradients that nobody will ask for.
        let without_gradients = self.clone().no_grad();
        let mut count = 0;
        for batch in batches {
            // What it answers does not matter.
            without_gradients.forward(batch?);
            count += 1;
        }
        self.normalisations.iter().for_each(|layer| layer.settle(count));
        Ok(())
    }

    /// A copy of the weights.
    ///
    /// # Errors
    /// When a weight is not finite: the training has diverged.
    pub fn weights(&self) -> Result<Weights, WeightsError> {
        let values = |tensor: LayerTensor<'_>| match tensor {
            LayerTensor::Kernel(kernel) => vector(kernel.val()),
            LayerTensor::Vector(values) => vector(values.val()),
            LayerTensor::Statistic(state) => vector(state.value_sync()),
        };
        let mut tensors: BTreeMap<String, Vec<f32>> =
            self.tensors().map(|(name, tensor)| (name, values(tensor))).collect();
        Weights::from_fn(self.config, |spec| tensors.remove(&spec.name).unwrap_or_default())
    }

    /// The gradients of the trainable tensors by name, values in C order; tensors without one are left out.
    pub fn gradients(&self, gradients: &Gradients) -> BTreeMap<String, Vec<f32>> {
        let values = |tensor: LayerTensor<'_>| match tensor {
            LayerTensor::Kernel(kernel) => kernel.val().grad(gradients).map(vector),
            LayerTensor::Vector(values) => values.val().grad(gradients).map(vector),
            LayerTensor::Statistic(_) => None,
        };
        self.tensors().filter_map(|(name, tensor)| Some((name, values(tensor)?))).collect()
    }

    /// Every tensor of the network with its name.
    fn tensors(&self) -> impl Iterator<Item = (String, LayerTensor<'_>)> {
        let (mut convolutions, mut normalisations) = (self.convolutions.iter(), self.normalisations.iter());
        let mut layer = Vec::new();
        self.config.tensors().into_iter().map_while(move |spec| {
            if layer.is_empty() {
                layer = if spec.role == Role::Kernel {
                    let next = convolutions.next()?;
                    vec![LayerTensor::Vector(&next.bias), LayerTensor::Kernel(&next.weight)]
                } else {
                    let next = normalisations.next()?;
                    let [mean, variance] = [&next.mean, &next.variance].map(LayerTensor::Statistic);
                    vec![variance, mean, LayerTensor::Vector(&next.beta), LayerTensor::Vector(&next.gamma)]
                };
            }
            Some((spec.name, layer.pop()?))
        })
    }

    fn layers(&self) -> Layers<'_> {
        let is_spatial = self.config.dimensions == Dimensions::Spatial;
        Layers { convolutions: self.convolutions.iter(), normalisations: self.normalisations.iter(), is_spatial }
    }
}

/// A tensor of a layer.
enum LayerTensor<'a> {
    Kernel(&'a Param<Tensor<5>>),
    Vector(&'a Param<Tensor<1>>),
    Statistic(&'a RunningState<Tensor<1>>),
}

/// The values of a tensor in C order; every tensor of a network is f32.
fn vector<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().unwrap_or_default()
}

/// Hands out the layers in the order in which the topology asks for them.
pub(crate) struct Layers<'a> {
    convolutions: std::slice::Iter<'a, Convolution>,
    normalisations: std::slice::Iter<'a, Normalisation>,
    is_spatial: bool,
}

/// A map, or how it comes about: conv9 needs neither the upsampled nor the joined map.
#[derive(Clone)]
pub(crate) enum Map {
    Made(Tensor<5>),
    Upsampled(Tensor<5>),
    /// An upsampled map, then another one.
    Joined(Box<[Tensor<5>; 2]>),
}

impl<'a> Layers<'a> {
    pub fn made(&self, map: Map) -> Tensor<5> {
        match map {
            Map::Made(map) => map,
            Map::Upsampled(low) => upsample(low, self.is_spatial),
            Map::Joined(joined) => {
                let [low, full] = *joined;
                Tensor::cat(vec![upsample(low, self.is_spatial), full], 1)
            }
        }
    }

    pub fn next_convolution(&mut self, name: &str) -> &'a Convolution {
        self.convolutions.next().unwrap_or_else(|| unreachable!("{name}: the topology made the layers"))
    }

    pub fn next_normalisation(&mut self, name: &str) -> &'a Normalisation {
        self.normalisations.next().unwrap_or_else(|| unreachable!("{name}: the topology made the layers"))
    }
}

impl Ops for Layers<'_> {
    type Map = Map;

    fn convolution(&mut self, name: &str, x: Map, _channels: usize, kernel: Kernel) -> Map {
        let layer = self.next_convolution(name);
        match x {
            // The same before upsampling as behind it.
            Map::Upsampled(low) if kernel == Kernel::Point => Map::Upsampled(layer.forward(low)),
            Map::Joined(joined) => {
                let output = layer.forward_joined(&joined);
                Map::Made(output.unwrap_or_else(|| layer.forward(self.made(Map::Joined(joined)))))
            }
            x => Map::Made(layer.forward(self.made(x))),
        }
    }

    fn norm_relu(&mut self, name: &str, x: Map) -> Map {
        Map::Made(self.next_normalisation(name).forward(self.made(x)))
    }

    fn pool(&mut self, x: Map) -> Map {
        Map::Made(pool(self.made(x), self.is_spatial))
    }

    fn upsample(&mut self, x: Map) -> Map {
        Map::Upsampled(self.made(x))
    }

    fn add(&mut self, a: Map, b: Map) -> Map {
        Map::Made(self.made(a).add(self.made(b)))
    }

    fn concatenate(&mut self, first: Map, second: Map) -> Map {
        match first {
            Map::Upsampled(low) => Map::Joined(Box::new([low, self.made(second)])),
            first => Map::Made(Tensor::cat(vec![self.made(first), self.made(second)], 1)),
        }
    }

    fn sigmoid(&mut self, x: Map) -> Map {
        match x {
            Map::Upsampled(low) => Map::Upsampled(sigmoid(low)),
            x => Map::Made(sigmoid(self.made(x))),
        }
    }

    fn gate(&mut self, mask: Map, trunk: Map) -> Map {
        Map::Made(self.made(mask).add_scalar(1.0).mul(self.made(trunk)))
    }

    fn decode(&mut self, name: &str, x: Map, skip: Map, channels: usize) -> Map {
        // Its block looks at the joined map twice.
        let joined = Map::Joined(Box::new([self.made(x), self.made(skip)]));
        let joined = Map::Made(self.made(joined));
        self.block(name, joined, channels)
    }
}
