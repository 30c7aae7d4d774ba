//! How sure figures are, and whether one model is better than another.

mod bootstrap;
mod wilcoxon;

pub use bootstrap::{Bootstrap, Interval};
pub use wilcoxon::{SignedRank, signed_rank};
