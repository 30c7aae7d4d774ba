//! The engine as `hepar-model` knows it.

use std::time::Duration;

use hepar_model::engine::{Engine, EngineError, Network, Wanted, check_input};
use hepar_model::topology::NetworkConfig;
use hepar_model::weights::Weights;
use ndarray::{Array5, ArrayView5};

use crate::plan::Plan;
use crate::profile::{StepProfile, profiles};
use crate::run::{Runner, Timed};

/// Runs networks on the CPU, on the threads of the current `rayon` pool.
#[derive(Debug, Clone, Copy, Default)]
pub struct CpuEngine;

/// A network that is ready to run.
#[derive(Debug)]
pub struct CpuNetwork {
    config: NetworkConfig,
    runner: Runner,
}

impl CpuNetwork {
    /// Plans the network that the weights belong to.
    ///
    /// # Errors
    /// When the weights lack a tensor, or the topology does something that the engine does not know.
    pub fn new(weights: &Weights) -> Result<Self, EngineError> {
        let plan = Plan::new(weights).map_err(|error| EngineError::Failed(error.to_string()))?;
        let config = *weights.config();
        Ok(Self { config, runner: Runner::new(plan, config.kernel()[0]) })
    }

    /// Runs the network `runs` times, at least once, and says where the time went: for each step the median.
    ///
    /// # Errors
    /// When the network does not take the input.
    pub fn profile(&mut self, input: ArrayView5<'_, f32>, runs: usize) -> Result<Vec<StepProfile>, EngineError> {
        let (batch, _, d, h, w) = input.dim();
        let mut times: Vec<Vec<Duration>> = Vec::new();
        for _ in 0..runs.max(1) {
            self.forward_timed(input, &|_, _| true, &mut |step, time| {
                times.resize(times.len().max(step + 1), Vec::new());
                times[step].push(time);
            })?;
        }
        Ok(profiles(&self.runner, batch, [d, h, w], times))
    }

    fn forward_timed(
        &mut self,
        input: ArrayView5<'_, f32>,
        wanted: &Wanted<'_>,
        timed: Timed<'_>,
    ) -> Result<Array5<f32>, EngineError> {
        check_input(&self.config, &input)?;
        let (batch, _, d, h, w) = input.dim();
        let input = input.as_standard_layout();
        let values = input.as_slice().ok_or_else(|| EngineError::Failed("the input is not contiguous".into()))?;
        let mut output = vec![0.0; values.len()];
        // Inside of the pool, so that nobody has to be woken for each step.
        rayon::scope(|_| self.runner.run(batch, [d, h, w], values, wanted, &mut output, timed));
        Array5::from_shape_vec((batch, 1, d, h, w), output).map_err(|e| EngineError::Failed(e.to_string()))
    }
}

impl Engine for CpuEngine {
    fn name(&self) -> String {
        format!("hepar-engine (CPU, {})", hepar_kernels::isa::name())
    }

    fn load(&self, weights: &Weights) -> Result<Box<dyn Network>, EngineError> {
        Ok(Box::new(CpuNetwork::new(weights)?))
    }
}

impl Network for CpuNetwork {
    fn config(&self) -> &NetworkConfig {
        &self.config
    }

    fn forward(&mut self, input: ArrayView5<'_, f32>) -> Result<Array5<f32>, EngineError> {
        self.forward_timed(input, &|_, _| true, &mut |_, _| {})
    }

    fn forward_wanted(&mut self, input: ArrayView5<'_, f32>, wanted: &Wanted<'_>) -> Result<Array5<f32>, EngineError> {
        self.forward_timed(input, wanted, &mut |_, _| {})
    }
}
