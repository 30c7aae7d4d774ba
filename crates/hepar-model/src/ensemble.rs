//! Several networks that answer as one.

use ndarray::{Array5, ArrayView5};

use crate::engine::{Engine, EngineError, Network, Wanted};
use crate::topology::NetworkConfig;
use crate::weights::Weights;

/// Networks of one topology; a probability is the mean of theirs.
struct Ensemble {
    first: Box<dyn Network>,
    others: Vec<Box<dyn Network>>,
}

/// The networks of a stage as one, which is ready to run: its own alone, or else the mean of its ensemble.
///
/// # Errors
/// When the engine cannot run a network, or there is none.
pub fn load_all(engine: &dyn Engine, weights: &[Weights]) -> Result<Box<dyn Network>, EngineError> {
    ensemble_of(weights.iter().map(|weights| engine.load(weights)).collect::<Result<_, _>>()?)
}

/// One network of all, which have one topology: itself where there is only one, else the mean of what they say.
fn ensemble_of(networks: Vec<Box<dyn Network>>) -> Result<Box<dyn Network>, EngineError> {
    let mut networks = networks.into_iter();
    let first = networks.next().ok_or_else(|| EngineError::Failed("there is no network to run".into()))?;
    let others: Vec<_> = networks.collect();
    Ok(if others.is_empty() { first } else { Box::new(Ensemble { first, others }) })
}

impl Ensemble {
    /// The mean of what `run` gets of each network, always summed in the same order.
    fn mean(
        &mut self,
        mut run: impl FnMut(&mut dyn Network) -> Result<Array5<f32>, EngineError>,
    ) -> Result<Array5<f32>, EngineError> {
        let mut sum = run(self.first.as_mut())?;
        for network in &mut self.others {
            let output = run(network.as_mut())?;
            if output.dim() != sum.dim() {
                let shapes = format!("two networks made {:?} and {:?} of one input", sum.shape(), output.shape());
                return Err(EngineError::Failed(shapes));
            }
            sum += &output;
        }
        let count = (1 + self.others.len()) as f32;
        Ok(sum / count)
    }
}

impl Network for Ensemble {
    fn config(&self) -> &NetworkConfig {
        self.first.config()
    }

    fn forward(&mut self, input: ArrayView5<'_, f32>) -> Result<Array5<f32>, EngineError> {
        self.mean(|network| network.forward(input))
    }

    fn forward_wanted(&mut self, input: ArrayView5<'_, f32>, wanted: &Wanted<'_>) -> Result<Array5<f32>, EngineError> {
        self.mean(|network| network.forward_wanted(input, wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Dimensions;

    /// Says the same of every voxel, and has to be asked for wanted ones where others are.
    struct Says(NetworkConfig, f32);

    impl Network for Says {
        fn config(&self) -> &NetworkConfig {
            &self.0
        }

        fn forward(&mut self, input: ArrayView5<'_, f32>) -> Result<Array5<f32>, EngineError> {
            Ok(Array5::from_elem(input.dim(), self.1))
        }

        fn forward_wanted(&mut self, input: ArrayView5<'_, f32>, _: &Wanted<'_>) -> Result<Array5<f32>, EngineError> {
            Ok(Array5::from_elem(input.dim(), self.1 / 2.0))
        }
    }

    fn says(probabilities: &[f32]) -> Box<dyn Network> {
        let config = NetworkConfig::new(Dimensions::Spatial, [4; 6]).unwrap();
        let network = |&probability: &f32| Box::new(Says(config, probability)) as Box<dyn Network>;
        ensemble_of(probabilities.iter().map(network).collect()).unwrap()
    }

    #[test]
    fn an_ensemble_says_the_mean_of_its_networks_and_asks_them_for_what_is_wanted() {
        let input = Array5::zeros((1, 1, 32, 32, 32));
        assert_eq!(says(&[0.75]).forward(input.view()).unwrap()[[0, 0, 9, 9, 9]], 0.75);
        let mut three = says(&[0.25, 0.5, 0.75]);
        assert_eq!(three.forward(input.view()).unwrap()[[0, 0, 9, 9, 9]], 0.5);
        assert_eq!(three.forward_wanted(input.view(), &|_, _| true).unwrap()[[0, 0, 9, 9, 9]], 0.25);
    }
}
