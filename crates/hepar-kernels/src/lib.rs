//! CPU kernels of RA-UNet's layers on plain slices, forward and backward.
//!
//! Maps are f32: for training N × C × D × H × W in C order, for inference as [`maps`] lays them out; planar networks
//! have D = 1. Every kernel is compiled for several instruction sets and picks the best one that the processor has
//! ([`isa`]). Results do not depend on the number of threads: whatever is summed is summed in an order that the shapes
//! alone decide.
//!
//! The crate knows no framework, no network and no scan.

#[macro_use]
mod lanes;

pub mod adam;
pub mod block;
pub mod convolution;
pub mod entry;
pub mod exit;
pub mod first;
pub mod head;
pub mod isa;
pub mod joined;
pub mod maps;
mod moments;
pub mod norm;
mod packed;
pub mod pool;
pub mod resampling;
pub mod residual;
mod scratch;
mod sigmoid;
mod tap_sums;
mod upsampled;
mod winograd;

pub use scratch::recycle;
