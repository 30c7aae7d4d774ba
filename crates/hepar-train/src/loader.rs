//! Batches made while the network computes.

use std::any::Any;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use crate::error::{DataError, TrainError};
use crate::sample::Sampler;

/// Batches of a thread that wait at most; each is three arrays of the batch's size.
const PREFETCHED: usize = 2;

/// The samples that go through the network together: those of a step, or a part of them where batches are accumulated.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Batch {
    /// Indices of the samples.
    pub samples: Range<u64>,
    /// The case that each of them shows.
    pub cases: Vec<String>,
    /// What the network sees, N × 1 × D × H × W in C order.
    pub input: Vec<f32>,
    /// What it should answer, of the same shape.
    pub target: Vec<f32>,
    /// How much each voxel counts, of the same shape.
    pub weight: Vec<f32>,
}

/// Batches in their order, or why there is none.
#[derive(Debug)]
pub(crate) struct Batches {
    /// One of each thread; they take turns.
    threads: Vec<Receiver<Result<Batch, TrainError>>>,
    /// Whose turn it is.
    next: usize,
}

impl Batch {
    /// The batch of `size` samples with the number `number`, from 0.
    ///
    /// # Errors
    /// As [`Sampler::sample`].
    pub fn make(sampler: &Sampler<'_>, number: u64, size: usize) -> Result<Self, DataError> {
        let size = size as u64;
        let samples = number * size..(number + 1) * size;
        let (mut cases, mut input, mut target, mut weight) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for index in samples.clone() {
            let sample = sampler.sample(index)?;
            cases.push(sample.case);
            input.extend(sample.input);
            target.extend(sample.target);
            weight.extend(sample.weight);
        }
        Ok(Self { samples, cases, input, target, weight })
    }
}

impl Batches {
    /// The next batch.
    ///
    /// # Errors
    /// Why it could not be made; [`TrainError::Loader`] when there are no more.
    pub fn next(&mut self) -> Result<Batch, TrainError> {
        let batch = self.threads[self.next].recv();
        self.next = (self.next + 1) % self.threads.len();
        batch.unwrap_or_else(|_| Err(TrainError::Loader("no batch is left".into())))
    }
}

/// Calls `make` for `numbers` on `threads` threads that take turns, a few batches ahead of who takes them.
///
/// A thread ends with its last batch, when the batches are dropped, or when `make` fails or panics, which arrives as an
/// error in the place of its batch.
pub(crate) fn prefetch<'scope>(
    scope: &'scope Scope<'scope, '_>,
    threads: NonZeroUsize,
    numbers: Range<u64>,
    make: impl Fn(u64) -> Result<Batch, DataError> + Clone + Send + 'scope,
) -> Batches {
    let thread = |first: usize| {
        let (sender, receiver): (SyncSender<Result<Batch, TrainError>>, _) = sync_channel(PREFETCHED);
        let (make, numbers) = (make.clone(), numbers.clone().skip(first).step_by(threads.get()));
        scope.spawn(move || {
            for number in numbers {
                // What `make` borrows is only read, so a panic leaves nothing half done that anyone would see.
                let batch = match catch_unwind(AssertUnwindSafe(|| make(number))) {
                    Ok(batch) => batch.map_err(TrainError::Data),
                    Err(panic) => Err(TrainError::Loader(said(panic.as_ref()))),
                };
                let is_last = batch.is_err();
                if sender.send(batch).is_err() || is_last {
                    break;
                }
            }
        });
        receiver
    };
    Batches { threads: (0..threads.get()).map(thread).collect(), next: 0 }
}

/// The text of a panic.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a text").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch without values.
    fn empty(step: u64) -> Batch {
        let (cases, none) = (Vec::new(), Vec::new());
        Batch { samples: step..step + 1, cases, input: none.clone(), target: none.clone(), weight: none }
    }

    #[test]
    fn a_panic_arrives_in_the_place_of_its_batch() {
        let make = |step: u64| {
            assert!(step != 7, "step {step} cannot be made");
            Ok(empty(step))
        };
        std::thread::scope(|scope| {
            let mut batches = prefetch(scope, NonZeroUsize::MIN, 5..9, make);
            assert_eq!([batches.next().unwrap(), batches.next().unwrap()].map(|batch| batch.samples.start), [5, 6]);
            let error = batches.next().unwrap_err().to_string();
            assert!(error.contains("step 7 cannot be made"), "{error}");
            assert!(batches.next().is_err());
        });
    }

    #[test]
    fn data_that_cannot_be_read_arrives_as_such() {
        let make = |step: u64| if step == 6 { Err(DataError::NoCases(Vec::new())) } else { Ok(empty(step)) };
        std::thread::scope(|scope| {
            let mut batches = prefetch(scope, NonZeroUsize::MIN, 5..9, make);
            assert!(batches.next().is_ok());
            assert!(matches!(batches.next(), Err(TrainError::Data(DataError::NoCases(_)))));
        });
    }

    #[test]
    fn batches_of_many_threads_come_in_the_order_of_their_steps() {
        let make = |step: u64| {
            std::thread::sleep(std::time::Duration::from_millis(7 * (step % 3)));
            Ok(empty(step))
        };
        std::thread::scope(|scope| {
            let mut batches = prefetch(scope, NonZeroUsize::new(4).unwrap(), 3..16, make);
            assert!((3..16).all(|step| batches.next().unwrap().samples.start == step));
            assert!(batches.next().is_err());
        });
    }
}
