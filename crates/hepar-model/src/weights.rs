//! Weights as named tensors, and the safetensors files that hold them.
//!
//! Names and shapes are those of [`NetworkConfig::tensors`]. Kernels and biases may be stored as f16; the statistics
//! and the affine part of normalisations stay f32, since a variance may be smaller than f16 can hold.

use std::borrow::Cow;
use std::collections::BTreeMap;

use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, View};

use crate::tensors::{Role, TensorSpec};
use crate::topology::NetworkConfig;

/// All tensors of one network, complete and finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    config: NetworkConfig,
    tensors: BTreeMap<String, Vec<f32>>,
}

/// How the values of kernels and biases are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits: nothing is lost; for checkpoints.
    Full,
    /// 16 bits (IEEE half): for models that are handed out.
    Half,
}

/// Why tensors are no weights of a network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The bytes are no safetensors file.
    #[error("the weights are no safetensors file ({0})")]
    Format(#[from] safetensors::SafeTensorError),
    /// A tensor that the network has is not there.
    #[error("the weights lack the tensor {0}")]
    Missing(String),
    /// A tensor that the network does not have is there.
    #[error("the weights hold the tensor {0}, which this network does not have")]
    Unknown(String),
    /// A tensor has another shape than the network's.
    #[error("the tensor {name} has shape {found:?}, the network needs {expected:?}")]
    Shape {
        /// Name of the tensor.
        name: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape that the network's configuration asks for.
        expected: Vec<usize>,
    },
    /// A tensor is stored in a type that weights do not have.
    #[error("the tensor {name} is stored as {dtype:?}; F32 and F16 are read")]
    Type {
        /// Name of the tensor.
        name: String,
        /// Its type.
        dtype: Dtype,
    },
    /// A value is NaN or infinite.
    #[error("the tensor {name} holds {value}, which is no finite number")]
    NotFinite {
        /// Name of the tensor.
        name: String,
        /// The first bad value.
        value: f32,
    },
    /// A running variance is negative.
    #[error("the tensor {name} holds the variance {value}")]
    NegativeVariance {
        /// Name of the tensor.
        name: String,
        /// The first bad value.
        value: f32,
    },
}

impl Weights {
    /// Weights of a network, made tensor by tensor.
    ///
    /// `values` returns the tensor's values in C order, as many as [`TensorSpec::len`].
    ///
    /// # Errors
    /// When a tensor has another length, holds NaN or infinity, or a variance is negative.
    pub fn from_fn(
        config: NetworkConfig,
        mut values: impl FnMut(&TensorSpec) -> Vec<f32>,
    ) -> Result<Self, WeightsError> {
        let mut tensors = BTreeMap::new();
        for spec in config.tensors() {
            let data = values(&spec);
            check(&spec, &data)?;
            tensors.insert(spec.name, data);
        }
        Ok(Self { config, tensors })
    }

    /// Weights of a network from the bytes of a safetensors file.
    ///
    /// # Errors
    /// When the file is broken, a tensor is missing, unknown, of another shape or type, or not finite.
    pub fn from_safetensors(config: NetworkConfig, bytes: &[u8]) -> Result<Self, WeightsError> {
        let file = SafeTensors::deserialize(bytes)?;
        let specs = config.tensors();
        let known: std::collections::BTreeSet<&str> = specs.iter().map(|s| s.name.as_str()).collect();
        if let Some(unknown) = file.names().into_iter().find(|name| !known.contains(name)) {
            return Err(WeightsError::Unknown(unknown.to_owned()));
        }
        let mut tensors = BTreeMap::new();
        for spec in specs {
            let view = file.tensor(&spec.name).map_err(|_| WeightsError::Missing(spec.name.clone()))?;
            if view.shape() != spec.shape {
                return Err(WeightsError::Shape {
                    name: spec.name,
                    found: view.shape().to_vec(),
                    expected: spec.shape,
                });
            }
            let data = decode(&spec.name, view.dtype(), view.data())?;
            check(&spec, &data)?;
            tensors.insert(spec.name, data);
        }
        Ok(Self { config, tensors })
    }

    /// The bytes of a safetensors file; the same weights give the same bytes.
    ///
    /// # Errors
    /// When the weights cannot be laid out (they always can on machines of today).
    pub fn to_safetensors(&self, precision: Precision) -> Result<Vec<u8>, WeightsError> {
        let views = self.config.tensors().into_iter().map(|spec| {
            let data = &self.tensors[&spec.name];
            (spec.name.clone(), Stored::new(&spec, data, precision))
        });
        Ok(safetensors::serialize(views, None)?)
    }

    /// Moves the weights towards `other`, those of the same network, by the `share` of the way, 0..=1.
    pub fn blend(&mut self, other: &Self, share: f64) {
        for (own, other) in self.tensors.values_mut().zip(other.tensors.values()) {
            for (value, other) in own.iter_mut().zip(other) {
                *value += (share * (f64::from(*other) - f64::from(*value))) as f32;
            }
        }
    }

    /// The network that the weights belong to.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// Values of the tensor `name` in C order, or `None` if the network has no such tensor.
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        self.tensors.get(name).map(Vec::as_slice)
    }
}

/// A tensor as it lies in the file.
struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Stored {
    fn new(spec: &TensorSpec, data: &[f32], precision: Precision) -> Self {
        let half = precision == Precision::Half && matches!(spec.role, Role::Kernel | Role::Bias);
        let (dtype, bytes) = if half {
            (Dtype::F16, data.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect())
        } else {
            (Dtype::F32, data.iter().flat_map(|v| v.to_le_bytes()).collect())
        };
        Self { dtype, shape: spec.shape.clone(), bytes }
    }
}

impl View for Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

fn decode(name: &str, dtype: Dtype, bytes: &[u8]) -> Result<Vec<f32>, WeightsError> {
    match dtype {
        Dtype::F32 => Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()),
        Dtype::F16 => Ok(bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()),
        dtype => Err(WeightsError::Type { name: name.to_owned(), dtype }),
    }
}

fn check(spec: &TensorSpec, data: &[f32]) -> Result<(), WeightsError> {
    if data.len() != spec.len() {
        return Err(WeightsError::Shape {
            name: spec.name.clone(),
            found: vec![data.len()],
            expected: spec.shape.clone(),
        });
    }
    if let Some(&value) = data.iter().find(|v| !v.is_finite()) {
        return Err(WeightsError::NotFinite { name: spec.name.clone(), value });
    }
    if spec.role == Role::Variance
        && let Some(&value) = data.iter().find(|&&v| v < 0.0)
    {
        return Err(WeightsError::NegativeVariance { name: spec.name.clone(), value });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::generated;
    use crate::topology::Dimensions;

    fn narrow() -> Weights {
        let config = NetworkConfig::new(Dimensions::Planar, [4, 4, 8, 8, 8, 8]).unwrap();
        generated(config)
    }

    #[test]
    fn full_precision_survives_a_file() {
        let weights = narrow();
        let bytes = weights.to_safetensors(Precision::Full).unwrap();
        assert_eq!(Weights::from_safetensors(*weights.config(), &bytes).unwrap(), weights);
    }

    #[test]
    fn weights_move_towards_others_by_a_share_of_the_way() {
        let (from, config) = (narrow(), *narrow().config());
        let to = Weights::from_fn(config, |spec| vec![2.0; from.get(&spec.name).unwrap().len()]).unwrap();
        let mut weights = from.clone();
        weights.blend(&to, 0.25);
        let (before, after) = (from.get("conv9.conv.weight").unwrap(), weights.get("conv9.conv.weight").unwrap());
        assert!(before.iter().zip(after).all(|(a, b)| (b - (0.75 * a + 0.5)).abs() < 1e-6));
    }

    #[test]
    fn half_precision_rounds_kernels_and_keeps_statistics() {
        let weights = narrow();
        let bytes = weights.to_safetensors(Precision::Half).unwrap();
        let read = Weights::from_safetensors(*weights.config(), &bytes).unwrap();
        assert_eq!(read.get("res1.norm1.variance"), weights.get("res1.norm1.variance"));
        let (before, after) = (weights.get("res1.conv2.weight").unwrap(), read.get("res1.conv2.weight").unwrap());
        assert!(before.iter().zip(after).all(|(a, b)| (a - b).abs() <= a.abs() * 5e-4));
        assert!(before != after);
    }

    #[test]
    fn files_of_the_fuzzers_corpus_are_refused() {
        let folder = format!("{}/../../fuzz/corpus/weights", env!("CARGO_MANIFEST_DIR"));
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() > 1);
        for path in files {
            let bytes = std::fs::read(&path).unwrap();
            assert!(Weights::from_safetensors(*narrow().config(), &bytes).is_err(), "{}", path.display());
            let card = crate::bundle::Bundle::from_memory(&String::from_utf8_lossy(&bytes), &[]).unwrap_err();
            let is_card = path.extension().is_some_and(|ending| ending == "toml");
            assert_eq!(format!("{card:?}").contains("localizer.safetensors"), is_card, "{card:?}");
        }
    }

    #[test]
    fn weights_of_another_network_are_refused_by_name() {
        let bytes = narrow().to_safetensors(Precision::Full).unwrap();
        let other = NetworkConfig::new(Dimensions::Planar, [4, 4, 8, 8, 8, 16]).unwrap();
        let error = Weights::from_safetensors(other, &bytes).unwrap_err().to_string();
        assert!(error.contains("res5a"), "{error}");
    }

    #[test]
    fn broken_files_and_values_are_refused() {
        let weights = narrow();
        let bytes = weights.to_safetensors(Precision::Full).unwrap();
        assert!(Weights::from_safetensors(*weights.config(), &bytes[..bytes.len() / 2]).is_err());
        assert!(Weights::from_safetensors(*weights.config(), b"").is_err());
        let nan = Weights::from_fn(*weights.config(), |spec| vec![f32::NAN; spec.len()]);
        assert!(matches!(nan, Err(WeightsError::NotFinite { .. })));
        let negative = Weights::from_fn(*weights.config(), |spec| vec![-1.0; spec.len()]);
        assert!(matches!(negative, Err(WeightsError::NegativeVariance { .. })));
    }
}
