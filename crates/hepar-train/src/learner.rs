//! What learns: the network, its optimiser and where the run stands.

use std::ops::Range;
use std::path::Path;

use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use hepar_model::weights::{Weights, WeightsError};
use hepar_nets::loss::{cross_entropy, focal_tversky, soft_dice, tversky};
use hepar_nets::{Adam, RaUnet, clipped};

use crate::checkpoint::{Checkpoint, OwnFolder, State};
use crate::config::{Loss, TrainConfig};
use crate::error::{TrainError, problem};
use crate::loader::{Batch, Batches};
use crate::log::Row;
use crate::schedule::learning_rate;
use crate::validate::Score;

/// Share of the newest loss in the running mean.
const SMOOTHING: f64 = 0.02;

/// What the batches of a step teach.
struct Learned {
    /// Of each batch; their sum is the step's loss.
    losses: Vec<Tensor<1>>,
    /// Of that sum.
    gradients: GradientsParams,
    /// Indices of the samples.
    samples: Range<u64>,
    /// The case that each of them shows.
    cases: Vec<String>,
}

/// What changes from step to step.
pub(crate) struct Learner {
    /// The network, with gradients.
    network: RaUnet,
    optimizer: ModuleOptimizer,
    /// The running mean of the network's weights, where the configuration asks for one.
    average: Option<Weights>,
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
        let optimizer = Adam::optimiser(config.weight_decay);
        let Some(checkpoint) = checkpoint else {
            let network = match start {
                Some(weights) => RaUnet::new(&weights, &device),
                None => RaUnet::untrained(config.network()?, config.seed, &device),
            };
            return Ok(Self { network, optimizer, average: None, state: begin });
        };
        let path = &checkpoint.optimizer;
        let optimizer = optimizer.load(path).map_err(|e| problem(path, &format!("{e:?}")))?;
        let network = RaUnet::new(&checkpoint.weights, &device);
        Ok(Self { network, optimizer, average: checkpoint.average, state: checkpoint.state })
    }

    /// Learns from the batches of one step.
    ///
    /// All steps of a network have to be made by the same thread, not by whichever of a pool: burn keeps what a running
    /// statistic becomes for each thread, and takes the mean of them.
    ///
    /// # Errors
    /// When a batch cannot be made, or the loss is no number.
    pub fn step(
        &mut self,
        config: &TrainConfig,
        batches: impl Iterator<Item = Result<Batch, TrainError>>,
    ) -> Result<(), TrainError> {
        let step = self.state.step;
        let rate = learning_rate(config, self.state.plateau, step);
        let Learned { losses, gradients, samples, cases } = self.learn(config, batches)?;
        self.network = self.optimizer.step(rate, self.network.clone(), gradients);
        // Read last: a GPU would have to wait for whoever reads before it knew of the steps back.
        let value = losses.into_iter().map(value).sum::<f32>();
        if !value.is_finite() {
            return Err(TrainError::Diverged { step, cases, samples, loss: value });
        }
        if config.average > 0.0 {
            self.take_mean(config.average)?;
        }
        let smoothed =
            self.state.smoothed_loss.map_or(f64::from(value), |mean| mean + SMOOTHING * (f64::from(value) - mean));
        self.state.smoothed_loss = Some(smoothed);
        self.state.step = step + 1;
        self.state.recalibrated = false;
        self.state.latest = Some((value, rate));
        Ok(())
    }

    /// What a step's batches teach.
    fn learn(
        &self,
        config: &TrainConfig,
        batches: impl Iterator<Item = Result<Batch, TrainError>>,
    ) -> Result<Learned, TrainError> {
        let mut sum = GradientsAccumulator::new();
        let (mut losses, mut cases, mut samples) = (Vec::new(), Vec::new(), None);
        for batch in batches {
            let batch = batch?;
            let loss = self.loss(config, &batch).div_scalar(config.accumulate as f32);
            let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
            sum.accumulate(&self.network, gradients);
            losses.push(loss);
            cases.extend(batch.cases);
            samples = Some(samples.map_or(batch.samples.start, |first: Range<u64>| first.start)..batch.samples.end);
        }
        let gradients = match config.clip_norm {
            Some(greatest) => clipped(&self.network, sum.grads(), greatest),
            None => sum.grads(),
        };
        Ok(Learned { losses, gradients, samples: samples.unwrap_or(0..0), cases })
    }

    fn loss(&self, config: &TrainConfig, batch: &Batch) -> Tensor<1> {
        let device = self.network.device();
        let tensor = |values: &[f32]| tensor(values, config, &device);
        let probabilities = self.network.forward(tensor(&batch.input));
        let (target, weight) = (tensor(&batch.target), tensor(&batch.weight));
        match config.loss {
            Loss::Dice => soft_dice(probabilities, target, weight),
            Loss::CrossEntropy => cross_entropy(probabilities, target, weight),
            Loss::DiceCrossEntropy => {
                let dice = soft_dice(probabilities.clone(), target.clone(), weight.clone());
                dice.add(cross_entropy(probabilities, target, weight))
            }
            Loss::Tversky => tversky(probabilities, target, weight),
            Loss::FocalTversky => focal_tversky(probabilities, target, weight),
        }
    }

    /// Takes the weights into their running mean, of which `kept` stays; less in the first steps, whose weights are far
    /// from what they will be.
    fn take_mean(&mut self, kept: f64) -> Result<(), TrainError> {
        let now = self.own_weights()?;
        let step = self.state.step as f64;
        let kept = kept.min((1.0 + step) / (10.0 + step));
        match &mut self.average {
            Some(average) => average.blend(&now, 1.0 - kept),
            None => self.average = Some(now),
        }
        Ok(())
    }

    /// Computes the running statistics of what is handed out anew from the batches of as many steps as the configuration
    /// says.
    ///
    /// # Errors
    /// When a batch cannot be made.
    pub fn recalibrate(&mut self, config: &TrainConfig, batches: &mut Batches) -> Result<(), TrainError> {
        let device = self.network.device();
        let count = config.recalibrate * config.accumulate as u64;
        let inputs = (0..count).map(|_| batches.next().map(|batch| tensor(&batch.input, config, &device)));
        match &mut self.average {
            Some(average) => {
                let network = RaUnet::new(average, &device);
                network.recalibrate(inputs)?;
                *average = network.weights().map_err(|source| diverged(&self.state, source))?;
            }
            None => self.network.recalibrate(inputs)?,
        }
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
        folder.save(&self.state, &self.own_weights()?, self.average.as_ref(), optimizer)
    }

    /// The weights to hand out.
    ///
    /// # Errors
    /// When one is no number any more.
    pub fn weights(&self) -> Result<Weights, TrainError> {
        self.average.clone().map_or_else(|| self.own_weights(), Ok)
    }

    /// The weights of the last step.
    fn own_weights(&self) -> Result<Weights, TrainError> {
        self.network.weights().map_err(|source| diverged(&self.state, source))
    }
}

fn diverged(state: &State, source: WeightsError) -> TrainError {
    TrainError::DivergedWeights { step: state.step, source }
}

/// The number in a tensor of one; NaN when it cannot be read.
fn value(loss: Tensor<1>) -> f32 {
    loss.into_data().try_to_vec::<f32>().ok().and_then(|values| values.first().copied()).unwrap_or(f32::NAN)
}

/// The values of a batch as a tensor, N × 1 × D × H × W.
fn tensor(values: &[f32], config: &TrainConfig, device: &Device) -> Tensor<5> {
    let [depth, height, width] = config.patch;
    Tensor::from_data(TensorData::new(values.to_vec(), [config.batch, 1, depth, height, width]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::{Module, ModuleVisitor, Param};
    use hepar_model::stage::StageName;

    /// Takes the gradients of all parameters, one behind the other.
    struct All<'a> {
        gradients: &'a GradientsParams,
        values: Vec<f32>,
    }

    impl ModuleVisitor for All<'_> {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            // Running statistics have none.
            let gradient = self.gradients.get::<D>(parameter.id);
            self.values.extend(gradient.into_iter().flat_map(|g| g.into_data().try_to_vec::<f32>().unwrap()));
        }
    }

    /// Loss and gradients of an untrained network for batches that the `seeds` draw.
    fn gradients(seeds: &[u32]) -> (f32, Vec<f32>) {
        let config = TrainConfig { accumulate: seeds.len(), ..TrainConfig::smoke(StageName::Localizer) };
        let learner = Learner::new(&config, Device::flex(), None, None, State::new(String::new())).unwrap();
        let noise = |seed: u32| (0..2 * 64 * 64).map(move |n: u32| (n.wrapping_mul(2_654_435_761) ^ seed) % 97);
        let batch = |(number, &seed): (usize, &u32)| {
            let input: Vec<f32> = noise(seed * 977).map(|v| v as f32 / 97.0).collect();
            let target: Vec<f32> = input.iter().map(|value| f32::from(u8::from(*value > 0.6))).collect();
            let (weight, first) = (vec![1.0; input.len()], 2 * number as u64);
            let cases = vec![format!("case {number}")];
            Ok(Batch { samples: first..first + 2, cases, input, target, weight })
        };
        let learned = learner.learn(&config, seeds.iter().enumerate().map(batch)).unwrap();
        assert_eq!((learned.samples, learned.cases.len()), (0..2 * seeds.len() as u64, seeds.len()));
        let mut all = All { gradients: &learned.gradients, values: Vec::new() };
        learner.network.visit(&mut all);
        (learned.losses.into_iter().map(value).sum(), all.values)
    }

    #[test]
    fn a_loss_that_is_no_number_is_said_with_its_step_samples_and_cases() {
        let config = TrainConfig::smoke(StageName::Localizer);
        let mut learner = Learner::new(&config, Device::flex(), None, None, State::new(String::new())).unwrap();
        let values = vec![0.5; 2 * 64 * 64];
        let cases = vec!["lits/lits003".to_owned(), "phantom 1".to_owned()];
        let (input, target, weight) = (values.clone(), vec![f32::NAN; values.len()], values);
        let batch = Batch { samples: 6..8, cases, input, target, weight };
        let error = learner.step(&config, [Ok(batch)].into_iter()).unwrap_err().to_string();
        for part in ["step 0", "samples 6 to 7", "lits/lits003, phantom 1", "lower the learning rate"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn the_gradients_of_several_batches_are_the_mean_of_each() {
        let [(a, first), (b, second)] = [gradients(&[1]), gradients(&[2])];
        let (loss, both) = gradients(&[1, 2]);
        assert!((loss - (a + b) / 2.0).abs() < 1e-6 && first != second);
        let largest = both.iter().fold(0f32, |largest, v| largest.max(v.abs()));
        for ((first, second), both) in first.iter().zip(&second).zip(&both) {
            assert!((both - (first + second) / 2.0).abs() < 1e-5 * largest, "{first} {second} {both}");
        }
    }
}
