//! Training of the three networks: from folders of labelled CT to weights.
//!
//! - [`config`]: everything that decides a run, with presets;
//! - [`dataset`]: which cases there are and whom they show; [`split`]: who is trained on and who is held out;
//! - [`check()`]: what in a data set could mislead a training;
//! - [`prepare`]: cases on the grid of their stage; [`sample`]: which part of which case a sample shows;
//! - [`run`]: the loop, resumable at any step; [`validate`]: Dice on the held-out patients;
//! - [`Packing`]: a compact copy of a data set;
//! - [`export`]: from a run's folder to a stage of a model.
//!
//! Source: Jin et al., "RA-UNet: a hybrid deep attention-aware network to extract liver and tumor in CT scans",
//! arXiv 1811.01328. Patients, not scans, are divided into folds, and every scan is brought into one orientation.

mod augment;
mod check;
mod checkpoint;
pub mod config;
pub mod dataset;
mod error;
mod events;
pub mod export;
mod learner;
mod loader;
mod lock;
mod log;
mod negatives;
mod npy;
mod observe;
mod pack;
mod position;
pub mod prepare;
mod preset;
mod progress;
pub mod run;
pub mod sample;
mod schedule;
pub mod split;
pub mod validate;

pub use check::{CaseReport, Finding, LabelFacts, ScanFacts, check};
pub use checkpoint::{VIEWS, VIEWS_INDEX};
pub use config::{Augmentation, ConfigError, LesionDraw, Loss, Schedule, TrainConfig};
pub use dataset::{Case, PatientId, Source, discover, discover_all};
pub use error::{DataError, StartError, TrainError};
pub use export::{ExportedStage, export_stage};
pub use npy::{NpyError, check_npy};
pub use observe::{Observer, View};
pub use pack::{PackError, Packed, Packing};
pub use prepare::Cache;
pub use run::{Control, DEFAULT_MEMORY, Summary, train};
pub use split::{LeftOut, Split, fold_of};
