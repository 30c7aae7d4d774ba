//! Finds the liver and its tumours in CT scans: RA-UNet in Rust.
//!
//! The jobs of the program `hepar`, for whoever wants to run them without it. [`Segmenter`] holds a model that is ready
//! to run; it reads a scan, segments it, and a [`Destination`](output::Destination) writes what the program writes:
//!
//! ```no_run
//! use std::path::Path;
//!
//! use hepar::{Options, Segmenter, Unwatched, embedded_model, output::ResultFolder};
//!
//! # fn main() -> Result<(), hepar::Error> {
//! let mut segmenter = Segmenter::new(&embedded_model()?)?;
//! let case = segmenter.segment(Path::new("ct.nii.gz"), &Options::default(), &Unwatched)?;
//! println!("liver {:.0} ml, {} lesions", case.findings().liver_ml, case.findings().lesions.len());
//! ResultFolder::plan(Path::new("ct-hepar"), false)?.write(&case, &Unwatched)?;
//! # Ok(())
//! # }
//! ```
//!
//! Scans that are in memory already go through [`Pipeline`] and need no file.
//!
//! - [`segment`], [`cohort`], [`demo`]: one scan, several scans, synthetic scans;
//! - [`report`]: tables, pictures and report again, or of labels from elsewhere;
//! - [`engine`]: what runs the networks;
//! - [`output`], [`manifest`]: what is written where, and when it may be;
//! - [`evaluate`]: labels against a reference;
//! - [`experiment`]: the article's tables over a data set;
//! - [`info`], [`convert`], [`phantom`], [`network`], [`assemble`], [`export`], [`import`]: the smaller jobs;
//! - [`data_set`]: what is wrong with the cases of a data set;
//! - [`train`], [`training_page`]: networks, the models of them, and how a training went, as a page;
//! - [`exit`]: what the program's exit codes mean.

pub mod assemble;
pub mod cases;
mod clock;
pub mod cohort;
pub mod convert;
pub mod data_set;
pub mod demo;
mod embedded;
pub mod engine;
mod error;
pub mod evaluate;
pub mod exit;
pub mod experiment;
pub mod export;
mod hash;
mod identity;
pub mod import;
pub mod info;
pub mod manifest;
pub mod network;
pub mod output;
pub mod phantom;
pub mod report;
pub mod segment;
pub mod train;
pub mod training_page;
mod training_views;
pub mod watch;

pub use embedded::{ModelError, embedded_model, open_model};
pub use error::{Error, ErrorKind, sentence};
pub use hepar_engine::CpuEngine;
pub use hepar_formats::{Scan, ScanOptions, read_labels, read_scan, write_labels};
pub use hepar_model::bundle::Bundle;
pub use hepar_pipeline::{
    Findings, LastStage, Lesion, Outcome, Pipeline, Request, Segmentation, Unwatched, Watch, describe, find_lesions,
};
pub use hepar_volume::{Geometry, Volume};
pub use segment::{Options, SegmentedCase, Segmenter};
