use hepar_model::stage::StageName;

use crate::error::PipelineError;

/// Who wants to know how far a case is, and may call it off.
pub trait Watch: Sync {
    /// A stage begins that has `steps` windows (or slices) to look at.
    fn begin(&self, stage: StageName, steps: usize);
    /// One of the stage's steps is done.
    fn step(&self);
    /// The stage that began last is over, done or not.
    fn end(&self);
    /// Whether to stop as soon as possible; asked before every forward pass.
    fn is_cancelled(&self) -> bool;
}

/// Nobody watches, nobody cancels.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn begin(&self, _: StageName, _: usize) {}
    fn step(&self) {}
    fn end(&self) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// A stage under way: tells the watch when it begins and, however it is left, when it ends.
pub(crate) struct Progress<'a>(&'a dyn Watch);

impl<'a> Progress<'a> {
    pub(crate) fn begin(watch: &'a dyn Watch, stage: StageName, steps: usize) -> Self {
        watch.begin(stage, steps);
        Self(watch)
    }

    pub(crate) fn step(&self) {
        self.0.step();
    }

    /// An error when the watch has called the case off.
    pub(crate) fn check(&self) -> Result<(), PipelineError> {
        if self.0.is_cancelled() { Err(PipelineError::Cancelled) } else { Ok(()) }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
