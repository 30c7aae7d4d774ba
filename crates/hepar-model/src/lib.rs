//! What a model is.
//!
//! - [`topology`]: RA-UNet written down once, for whatever implements [`topology::Ops`];
//! - [`tensors`], [`weights`]: the named tensors of a network and their safetensors files;
//! - [`stage`], [`bundle`]: the self-describing folder `model.toml` + weights;
//! - [`engine`]: the trait of whatever runs a network; [`ensemble`]: several that answer as one.
//!
//! Nothing here computes a convolution or knows a scan.

pub mod bundle;
pub mod engine;
pub mod ensemble;
pub mod generated;
pub mod stage;
pub mod tensors;
pub mod topology;
pub mod weights;
