//! RA-UNet with groups of layers as one operation each, for training on the CPU.

use burn::tensor::Tensor;
use hepar_model::topology::{Kernel, NetworkConfig, Ops, ra_unet};

use crate::extension::fused::{add, block, first_pool, fold, gate, head, join};
use crate::layers::{Convolution, Normalisation};
use crate::raunet::{Layers, Map as LayerMap};

/// Hands out the layers, gathered into groups.
pub(crate) struct FusedLayers<'a> {
    layers: Layers<'a>,
    /// The network's input: the last layers compute the first one again.
    input: Tensor<5>,
}

/// A map, or what the last layers are made from: between the first layer and the output nothing is made at full
/// resolution.
#[derive(Clone)]
pub(crate) enum Map<'a> {
    Input,
    /// The first layer, as its folded kernels.
    First(Tensor<2>),
    Layer(LayerMap),
    /// The logistic function of this, upsampled.
    Mask(Tensor<5>),
    /// An upsampled map and the first layer.
    Joined(Tensor<5>, Tensor<2>),
    /// conv9 of these.
    Hidden(Tensor<5>, Tensor<2>, &'a Convolution, &'a Normalisation),
    Probabilities(Tensor<5>),
}

impl<'a> FusedLayers<'a> {
    /// Probabilities of the network that the layers belong to, from its input.
    pub fn run(layers: Layers<'a>, config: &NetworkConfig, input: Tensor<5>) -> Tensor<5> {
        let mut layers = Self { layers, input };
        match ra_unet(&mut layers, config, Map::Input) {
            Map::Probabilities(probabilities) => probabilities,
            _ => unreachable!("the topology ends with conv9, a convolution and the logistic function"),
        }
    }

    fn layer(&self, map: Map<'a>) -> LayerMap {
        match map {
            Map::Layer(map) => map,
            _ => unreachable!(
                "the topology pools the first layer, joins it with the decoder's last map and gates trunks"
            ),
        }
    }

    fn made(&self, map: Map<'a>) -> Tensor<5> {
        match self.layer(map) {
            LayerMap::Joined(joined) => {
                let [low, full] = *joined;
                join(low, full)
            }
            map => self.layers.made(map),
        }
    }
}

impl<'a> Ops for FusedLayers<'a> {
    type Map = Map<'a>;

    fn entry(&mut self, name: &str, x: Map<'a>, _channels: usize) -> Map<'a> {
        let (conv, norm) = (self.layers.next_convolution(name), self.layers.next_normalisation(name));
        match x {
            Map::Joined(low, folded) => Map::Hidden(low, folded, conv, norm),
            _ => Map::First(fold(self.input.clone(), conv, norm)),
        }
    }

    fn block(&mut self, name: &str, x: Map<'a>, _channels: usize) -> Map<'a> {
        let norms = [(); 3].map(|()| self.layers.next_normalisation(name));
        let convolutions = [(); 4].map(|()| self.layers.next_convolution(name));
        Map::Layer(LayerMap::Made(block(self.made(x), norms, convolutions)))
    }

    fn convolution(&mut self, name: &str, x: Map<'a>, channels: usize, kernel: Kernel) -> Map<'a> {
        match x {
            Map::Hidden(low, folded, conv, norm) => {
                let last = self.layers.next_convolution(name);
                Map::Probabilities(head(self.input.clone(), folded, low, conv, norm, last))
            }
            x => Map::Layer(self.layers.convolution(name, self.layer(x), channels, kernel)),
        }
    }

    fn norm_relu(&mut self, name: &str, x: Map<'a>) -> Map<'a> {
        Map::Layer(self.layers.norm_relu(name, self.layer(x)))
    }

    fn pool(&mut self, x: Map<'a>) -> Map<'a> {
        Map::Layer(match x {
            Map::First(folded) => LayerMap::Made(first_pool(self.input.clone(), folded)),
            x => self.layers.pool(self.layer(x)),
        })
    }

    fn upsample(&mut self, x: Map<'a>) -> Map<'a> {
        Map::Layer(self.layers.upsample(self.layer(x)))
    }

    fn add(&mut self, a: Map<'a>, b: Map<'a>) -> Map<'a> {
        match self.layer(a) {
            LayerMap::Upsampled(low) => Map::Layer(LayerMap::Made(add(low, self.made(b)))),
            a => Map::Layer(self.layers.add(a, self.layer(b))),
        }
    }

    fn concatenate(&mut self, first: Map<'a>, second: Map<'a>) -> Map<'a> {
        match (first, second) {
            (Map::Layer(LayerMap::Upsampled(low)), Map::First(folded)) => Map::Joined(low, folded),
            (first, second) => Map::Layer(self.layers.concatenate(self.layer(first), self.layer(second))),
        }
    }

    fn sigmoid(&mut self, x: Map<'a>) -> Map<'a> {
        match x {
            probabilities @ Map::Probabilities(_) => probabilities,
            Map::Layer(LayerMap::Upsampled(logits)) => Map::Mask(logits),
            x => Map::Layer(self.layers.sigmoid(self.layer(x))),
        }
    }

    fn gate(&mut self, mask: Map<'a>, trunk: Map<'a>) -> Map<'a> {
        match mask {
            Map::Mask(logits) => Map::Layer(LayerMap::Made(gate(logits, self.made(trunk)))),
            mask => Map::Layer(self.layers.gate(self.layer(mask), self.layer(trunk))),
        }
    }
}
