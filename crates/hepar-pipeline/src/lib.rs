//! From a CT to liver, tumours and lesions: the three stages of RA-UNet over any engine.
//!
//! - [`case`]: one scan through all stages, [`Pipeline::segment`];
//! - [`localize`](mod@localize), [`liver`], [`tumour`]: the stages one by one, for validation while training too;
//! - [`probabilities`]: what stages share: a part of the scan on the stage's grid ([`frame`]), cut into [`windows`],
//!   whose votes are averaged and brought back to the scan's own voxels;
//! - [`findings`], [`lesions`]: what a label volume says, for label volumes from elsewhere too.
//!
//! Networks see scans in canonical orientation: k from inferior to superior, j from anterior to posterior, i from the
//! patient's right to the left. Labels go back to the voxels of the scan as it was stored. Nothing here knows a file
//! format or a framework; every constant of a stage comes from the model's card.
//!
//! Source: Jin et al., "RA-UNet: a hybrid deep attention-aware network to extract liver and tumor in CT scans",
//! arXiv 1811.01328. "RECIST" below is Eisenhauer et al., "New response evaluation criteria in solid tumours: revised
//! RECIST guideline (version 1.1)", Eur. J. Cancer 45 (2009).

mod brightness;
pub mod case;
mod cut;
mod error;
mod exposure;
pub mod findings;
pub mod frame;
mod intensity;
pub mod lesions;
pub mod liver;
pub mod localize;
mod object;
pub mod probabilities;
mod probability_map;
mod sheets;
mod surface;
pub mod tumour;
mod vote;
mod watch;
pub mod windows;

pub use brightness::Brightness;
pub use case::{Pipeline, Probabilities, Request, Segmentation};
pub use error::{GridMismatch, PipelineError, check_same_grid};
pub use findings::{Caution, Findings, LastStage, Outcome, Side, describe};
pub use lesions::{Lesion, find_lesions};
pub use object::{Found, ObjectMask, grown};
pub use probabilities::{Skip, StageRun};
pub use probability_map::ProbabilityMap;
pub use watch::{Unwatched, Watch};
