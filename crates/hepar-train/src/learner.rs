//! What learns: the network, its optimiser and where the run stands.

use std::path::Path;

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use hepar_model::weights::Weights;
use hepar_nets::loss::{cross_entropy, soft_dice};
use hepar_nets::{Adam, RaUnet};

use crate::checkpoint::{Checkpoint, OwnFolder, State};
use crate::config::{Loss, TrainConfig};
use crate::error::{TrainError, problem};
use crate::loader::{Batch, Batches};
use crate::log::Row;
use crate::schedule::learning_rate;
use crate::validate::Score;

/// Share of the newest loss in the running mean.
const SMOOTHING: f64 = 0.02;

/// What changes from step to step.
pub(crate) struct Learner {
    /// The network, with gradients.
    pub network: RaUnet,
    optimizer: ModuleOptimizer,
    /// Where the run stands.
    pub state: State,
}

impl Learner {
    /// The learner of a checkpoint, or one in the state `begin` with the weights `start`, or with random ones.
    pub fn new(
        config: &TrainConfig,
        device: Device,
        checkpoint: Option<Checkpoint>,
        start: Option<Weights>,
        begin: State,
    ) -> Result<Self, TrainError> {
        let device = device.autodiff();
        let optimizer = Adam::optimiser();
        let Some(checkpoint) = checkpoint else {
            let network = match start {
                Some(weights) => RaUnet::new(&weights, &device),
                None => RaUnet::untrained(config.network()?, config.seed, &device),
            };
            return Ok(Self { network, optimizer, state: begin });
        };
        let path = &checkpoint.optimizer;
        let optimizer = optimizer.load(path).map_err(|e| problem(path, &format!("{e:?}")))?;
        Ok(Self { network: RaUnet::new(&checkpoint.weights, &device), optimizer, state: checkpoint.state })
    }

    /// Learns from one batch.
    ///
    /// # Errors
    /// When the loss is no number.
    pub fn step(&mut self, config: &TrainConfig, batch: Batch) -> Result<(), TrainError> {
        let device = self.network.device();
        let tensor = |values: Vec<f32>| tensor(values, config, &device);
        let probabilities = self.network.forward(tensor(batch.input));
        let (target, weight) = (tensor(batch.target), tensor(batch.weight));
        let dice = soft_dice(probabilities.clone(), target.clone(), weight.clone());
        let loss = match config.loss {
            Loss::Dice => dice,
            Loss::DiceCrossEntropy => dice.add(cross_entropy(probabilities, target, weight)),
        };
        let step = self.state.step;
        let rate = learning_rate(config, self.state.plateau, step);
        let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
        self.network = self.optimizer.step(rate, self.network.clone(), gradients);
        // Read last: a GPU would have to wait for whoever reads before it knew of the steps back.
        let value = loss.into_data().try_to_vec::<f32>().ok().and_then(|v| v.first().copied());
        let value = value.unwrap_or(f32::NAN);
        if !value.is_finite() {
            return Err(TrainError::Diverged { step, samples: batch.samples, loss: value });
        }
        let smoothed =
            self.state.smoothed_loss.map_or(f64::from(value), |mean| mean + SMOOTHING * (f64::from(value) - mean));
        self.state.smoothed_loss = Some(smoothed);
        self.state.step = step + 1;
        self.state.recalibrated = false;
        self.state.latest = Some((value, rate));
        Ok(())
    }

    /// Computes the running statistics anew from the next batches, as many as the configuration says.
    ///
    /// # Errors
    /// When a batch cannot be made.
    pub fn recalibrate(&mut self, config: &TrainConfig, batches: &mut Batches) -> Result<(), TrainError> {
        let device = self.network.device();
        let inputs = (0..config.recalibrate).map(|_| batches.next().map(|batch| tensor(batch.input, config, &device)));
        self.network.recalibrate(inputs)?;
        self.state.recalibrated = true;
        Ok(())
    }

    /// What the log says of the last step; `None` before the first.
    pub fn row(&self, score: Option<Score>) -> Option<Row> {
        let (loss, learning_rate) = self.state.latest?;
        let State { step, smoothed_loss, seconds, .. } = self.state;
        Some(Row { step, loss, smoothed_loss: smoothed_loss?, learning_rate, score, seconds })
    }

    /// Leaves a checkpoint.
    pub fn save(&self, folder: &OwnFolder) -> Result<(), TrainError> {
        let optimizer = |path: &Path| self.optimizer.save(path).map_err(|e| format!("{e:?}"));
        folder.save(&self.state, &self.weights()?, optimizer)
    }

    /// The network's weights.
    ///
    /// # Errors
    /// When one is no number any more.
    pub fn weights(&self) -> Result<Weights, TrainError> {
        self.network.weights().map_err(|source| TrainError::DivergedWeights { step: self.state.step, source })
    }
}

/// The values of a batch as a tensor, N × 1 × D × H × W.
fn tensor(values: Vec<f32>, config: &TrainConfig, device: &Device) -> Tensor<5> {
    let [depth, height, width] = config.patch;
    Tensor::from_data(TensorData::new(values, [config.batch, 1, depth, height, width]), device)
}
