//! RA-UNet as a burn module, for training and for inference on whatever burn runs on.

pub mod device;
mod engine;
mod extension;
mod fused;
mod gradients;
mod init;
mod layers;
pub mod loss;
mod optimiser;
mod raunet;

pub use engine::BurnEngine;
pub use gradients::clipped;
pub use optimiser::Adam;
pub use raunet::RaUnet;
