//! burn as an inference engine.

use burn::tensor::{Device, Tensor, TensorData};
use hepar_model::engine::{Engine, EngineError, Network, check_input};
use hepar_model::topology::NetworkConfig;
use hepar_model::weights::Weights;
use ndarray::{Array5, ArrayView5, Dimension};

use crate::device::{NoGpu, Place};
use crate::raunet::RaUnet;

/// Runs networks layer by layer through burn.
#[derive(Debug, Clone)]
pub struct BurnEngine {
    place: Place,
    device: Device,
}

impl BurnEngine {
    /// An engine that runs networks there.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn open(place: Place) -> Result<Self, NoGpu> {
        Ok(Self { place, device: place.device()? })
    }
}

impl Engine for BurnEngine {
    fn name(&self) -> String {
        self.place.name().into()
    }

    fn load(&self, weights: &Weights) -> Result<Box<dyn Network>, EngineError> {
        Ok(Box::new(RaUnet::new(weights, &self.device)))
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
        let x = Tensor::<5>::from_data(data, &self.device());
        let output = RaUnet::forward(self, x).into_data();
        let values = output.try_to_vec::<f32>().map_err(|e| EngineError::Failed(format!("{e:?}")))?;
        Array5::from_shape_vec(shape, values).map_err(|e| EngineError::Failed(e.to_string()))
    }
}
