//! burn as an inference engine.

use burn::tensor::{Device, Tensor, TensorData};
use hepar_model::engine::{Engine, EngineError, Network, check_input};
use hepar_model::topology::NetworkConfig;
use hepar_model::weights::Weights;
use ndarray::{Array5, ArrayView5, Dimension};

use crate::raunet::RaUnet;

/// Runs networks through burn on the CPU (its `flex` backend).
#[derive(Debug, Clone, Copy, Default)]
pub struct BurnEngine;

impl Engine for BurnEngine {
    fn name(&self) -> String {
        "burn flex (CPU)".into()
    }

    fn load(&self, weights: &Weights) -> Result<Box<dyn Network>, EngineError> {
        Ok(Box::new(RaUnet::new(weights, &Device::default())))
    }
}

impl Network for RaUnet {
    fn config(&self) -> &NetworkConfig {
        self.config()
    }

    /// For networks on a device without autodiff, such as `Module::valid` gives: the running statistics are used.
    fn forward(&mut self, input: ArrayView5<'_, f32>) -> Result<Array5<f32>, EngineError> {
        check_input(self.config(), &input)?;
        let shape = input.raw_dim();
        let data = TensorData::new(input.iter().copied().collect::<Vec<f32>>(), shape.slice().to_vec());
        let x = Tensor::<5>::from_data(data, &Device::default());
        let output = RaUnet::forward(self, x).into_data();
        let values = output.try_to_vec::<f32>().map_err(|e| EngineError::Failed(format!("{e:?}")))?;
        Array5::from_shape_vec(shape, values).map_err(|e| EngineError::Failed(e.to_string()))
    }
}
