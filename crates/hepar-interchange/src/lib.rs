//! Networks in the formats of other programs.
//!
//! - [`onnx`]: a network as an ONNX file, for ONNX Runtime, OpenVINO and whatever else reads it;
//! - [`keras`]: weights out of the HDF5 files that Keras saves;
//! - `runtime`: ONNX Runtime as an engine (feature `onnxruntime`).

pub mod keras;
pub mod onnx;
#[cfg(feature = "onnxruntime")]
pub mod runtime;
