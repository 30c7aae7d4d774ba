//! Networks in the formats of other programs.
//!
//! - [`onnx`]: a network as an ONNX file, for ONNX Runtime, OpenVINO and whatever else reads it.

pub mod onnx;
