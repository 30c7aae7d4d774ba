//! What is scored, and how what is odd is treated.

pub mod hepar;
pub mod lits2017;
