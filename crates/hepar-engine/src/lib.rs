//! RA-UNet on the CPU: weights become a plan of fused steps with buffers of its own.
//!
//! The plan is read off the topology by an implementation of [`hepar_model::topology::Ops`] whose maps are not computed
//! but remembered: an upsampling, a sum or a concatenation is only carried out as part of the step that uses it.
//! Normalisations are folded into the convolutions beside them. Maps that are not needed at the same time share memory.

mod arena;
mod engine;
mod fold;
mod plan;
mod profile;
mod run;
mod steps;

pub use engine::{CpuEngine, CpuNetwork};
pub use profile::StepProfile;
