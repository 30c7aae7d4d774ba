//! Networks in the formats of other programs.
//!
//! - [`onnx`]: a network as an ONNX file, for ONNX Runtime, OpenVINO and whatever else reads it;
//! - [`keras`]: weights out of the HDF5 files that Keras saves.

pub mod keras;
pub mod onnx;
