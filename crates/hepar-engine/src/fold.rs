//! Layers as the kernels take them: weights by name, normalisations folded in.

use hepar_kernels::block::{BlockLayer, HalvesLayer, PointLayer, WideLayer};
use hepar_kernels::entry::EntryLayer;
use hepar_kernels::exit::{ExitLayer, ExitWeights};
use hepar_model::topology::NORM_EPSILON;
use hepar_model::weights::Weights;

/// Reads layers from a network's weights.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layers<'a>(pub &'a Weights);

/// A convolution's kernels and bias.
#[derive(Debug, Clone)]
struct Convolution {
    weights: Vec<f32>,
    bias: Vec<f32>,
}

/// A normalisation with known statistics: x · scale + shift, a value a channel.
#[derive(Debug, Clone)]
struct Norm {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

/// A tensor that the weights should have.
#[derive(Debug, thiserror::Error)]
#[error("the weights have no tensor {0}")]
pub(crate) struct Missing(String);

impl Convolution {
    /// The convolution followed by the normalisation.
    fn then(mut self, norm: &Norm) -> Self {
        let terms = self.weights.len() / self.bias.len();
        for (c, kernel) in self.weights.chunks_exact_mut(terms).enumerate() {
            kernel.iter_mut().for_each(|weight| *weight *= norm.scale[c]);
            self.bias[c] = self.bias[c] * norm.scale[c] + norm.shift[c];
        }
        self
    }

    /// The columns `from..to` of a matrix with `inputs` columns.
    fn columns(&self, inputs: usize, from: usize, to: usize) -> Vec<f32> {
        self.weights.chunks_exact(inputs).flat_map(|row| &row[from..to]).copied().collect()
    }
}

impl Layers<'_> {
    fn tensor(&self, name: String) -> Result<&[f32], Missing> {
        self.0.get(&name).ok_or(Missing(name))
    }

    fn convolution(&self, name: &str) -> Result<Convolution, Missing> {
        let weights = self.tensor(format!("{name}.weight"))?.to_vec();
        Ok(Convolution { weights, bias: self.tensor(format!("{name}.bias"))?.to_vec() })
    }

    fn norm(&self, name: &str) -> Result<Norm, Missing> {
        let [gamma, beta, mean, variance] = ["gamma", "beta", "mean", "variance"];
        let values = |of: &str| self.tensor(format!("{name}.{of}"));
        let (gamma, beta, mean, variance) = (values(gamma)?, values(beta)?, values(mean)?, values(variance)?);
        let channel = |c: usize| {
            // In f64, so that only the result is rounded.
            let scale = f64::from(gamma[c]) / (f64::from(variance[c]) + NORM_EPSILON).sqrt();
            (scale as f32, (f64::from(beta[c]) - f64::from(mean[c]) * scale) as f32)
        };
        let (scale, shift) = (0..gamma.len()).map(channel).unzip();
        Ok(Norm { scale, shift })
    }

    /// Planes of a wide kernel.
    fn depth(&self) -> usize {
        self.0.config().kernel()[0]
    }

    /// The first layer.
    pub fn entry(&self, name: &str) -> Result<EntryLayer, Missing> {
        let conv = self.convolution(&format!("{name}.conv"))?.then(&self.norm(&format!("{name}.norm"))?);
        Ok(EntryLayer::new(self.depth(), &conv.weights, &conv.bias))
    }

    /// A block whose input's first `upsampled` channels are a map before upsampling.
    pub fn block(&self, name: &str, upsampled: usize) -> Result<(BlockLayer, HalvesLayer), Missing> {
        let of = |part: &str| format!("{name}.{part}");
        let (first, second, third) = (self.norm(&of("norm1"))?, self.norm(&of("norm2"))?, self.norm(&of("norm3"))?);
        let narrow = self.convolution(&of("conv1"))?.then(&second);
        let wide = self.convolution(&of("conv2"))?.then(&third);
        let (last, shortcut) = (self.convolution(&of("conv3"))?, self.convolution(&of("shortcut"))?);
        let inputs = first.scale.len();
        let rows = shortcut.columns(inputs, upsampled, inputs);
        let rows = rows.chunks_exact(inputs - upsampled).zip(last.weights.chunks_exact(narrow.bias.len()));
        let joined: Vec<f32> = rows.flat_map(|(of_input, of_narrow)| [of_input, of_narrow].concat()).collect();
        let bias: Vec<f32> = shortcut.bias.iter().zip(&last.bias).map(|(a, b)| a + b).collect();
        let block = BlockLayer {
            scale: first.scale[upsampled..].to_vec(),
            shift: first.shift[upsampled..].to_vec(),
            narrow: PointLayer::new(&narrow.columns(inputs, upsampled, inputs), &narrow.bias),
            wide: WideLayer::new(self.depth(), &wide.weights, &wide.bias),
            joined: PointLayer::new(&joined, &bias),
        };
        let unbiased =
            |conv: &Convolution| PointLayer::new(&conv.columns(inputs, 0, upsampled), &vec![0.0; conv.bias.len()]);
        let halves = HalvesLayer {
            scale: first.scale[..upsampled].to_vec(),
            shift: first.shift[..upsampled].to_vec(),
            narrow: unbiased(&narrow),
            shortcut: unbiased(&shortcut),
        };
        Ok((block, halves))
    }

    /// Two convolutions of 1³, one after the other with nothing in between, as one.
    pub fn points(&self, first: &str, second: &str) -> Result<PointLayer, Missing> {
        let (a, b) = (self.convolution(first)?, self.convolution(second)?);
        let (inner, inputs) = (a.bias.len(), a.weights.len() / a.bias.len());
        // In f64: the product of the matrices is rounded once.
        let term = |x: f32, y: f32| f64::from(x) * f64::from(y);
        let weight = |o: usize, i: usize| {
            (0..inner).map(|k| term(b.weights[o * inner + k], a.weights[k * inputs + i])).sum::<f64>() as f32
        };
        let bias = |o: usize| {
            let sum = (0..inner).map(|k| term(b.weights[o * inner + k], a.bias[k])).sum::<f64>();
            (sum + f64::from(b.bias[o])) as f32
        };
        let outputs = b.bias.len();
        let weights: Vec<f32> = (0..outputs * inputs).map(|at| weight(at / inputs, at % inputs)).collect();
        Ok(PointLayer::new(&weights, &(0..outputs).map(bias).collect::<Vec<_>>()))
    }

    /// The layers from the last upsampling on; `upsampled` channels come from there.
    pub fn exit(&self, hidden: &str, output: &str, upsampled: usize) -> Result<ExitLayer, Missing> {
        let conv = self.convolution(&format!("{hidden}.conv"))?.then(&self.norm(&format!("{hidden}.norm"))?);
        let last = self.convolution(output)?;
        Ok(ExitLayer::new(&ExitWeights {
            depth: self.depth(),
            upsampled,
            weights: &conv.weights,
            bias: &conv.bias,
            last: &last.weights,
            last_bias: last.bias.first().copied().unwrap_or_default(),
        }))
    }
}
