//! RA-UNet as a burn module, for training and for inference on whatever burn runs on.

mod engine;
mod extension;
mod fused;
mod init;
mod layers;
pub mod loss;
mod raunet;

pub use engine::BurnEngine;
pub use raunet::RaUnet;
