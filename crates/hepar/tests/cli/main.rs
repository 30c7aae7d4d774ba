//! The program as a user runs it, on phantoms and with a model that needs no training.

mod browser;
mod data;
mod demo;
mod determinism;
mod dicom;
mod engine;
mod errors;
mod evaluate;
mod experiment;
mod files;
mod info;
mod interrupt;
mod keras;
mod model;
mod phantom;
mod program;
mod real_lesions;
mod report;
mod segment;
#[cfg(feature = "embedded-model")]
mod shipped_model;
mod tiny_model;
mod train;
