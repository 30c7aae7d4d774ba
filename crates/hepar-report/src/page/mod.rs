//! Reports: of a case, and of a cohort.

mod case;
mod cohort;
mod figures;
mod histograms;
mod lesions;
mod provenance;

pub use case::{CaseReport, PICTURED_LESIONS, case_page};
pub use cohort::{CohortEntry, cohort_page, cohort_picture};
pub use provenance::{Identity, ModelFacts, Provenance};
