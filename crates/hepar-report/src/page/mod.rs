//! Reports: of a case, of a cohort, and of a training.

mod case;
mod cohort;
mod figures;
mod histograms;
mod lesions;
mod provenance;
mod training;

pub use case::{CaseReport, PICTURED_LESIONS, case_page};
pub use cohort::{CohortEntry, cohort_page, cohort_picture};
pub use provenance::{Identity, ModelFacts, Provenance};
pub use training::{TrainingPicture, TrainingRow, TrainingRun, training_page};
