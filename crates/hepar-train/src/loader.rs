//! Batches made while the network computes.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use crate::sample::Sampler;

/// Batches that wait at most; each is two arrays of the batch's size.
const PREFETCHED: usize = 3;

/// The samples of one step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Batch {
    /// Indices of the samples.
    pub samples: Range<u64>,
    /// What the network sees, N × 1 × D × H × W in C order.
    pub input: Vec<f32>,
    /// What it should answer, of the same shape.
    pub target: Vec<f32>,
}

impl Batch {
    /// The batch of step `step`, from 0.
    pub fn make(sampler: &Sampler<'_>, step: u64, size: usize) -> Self {
        let size = size as u64;
        let samples = step * size..(step + 1) * size;
        let (mut input, mut target) = (Vec::new(), Vec::new());
        for sample in samples.clone().map(|index| sampler.sample(index)) {
            input.extend(sample.input);
            target.extend(sample.target);
        }
        Self { samples, input, target }
    }
}

/// Makes the batches of `steps`, in order, on a thread of its own, a few ahead of who takes them.
///
/// The thread ends with the last step, or when the receiver is dropped.
pub(crate) fn prefetch<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    sampler: &'env Sampler<'env>,
    steps: Range<u64>,
    size: usize,
) -> Receiver<Batch> {
    let (sender, receiver): (SyncSender<Batch>, _) = sync_channel(PREFETCHED);
    scope.spawn(move || {
        for step in steps {
            if sender.send(Batch::make(sampler, step, size)).is_err() {
                break;
            }
        }
    });
    receiver
}
