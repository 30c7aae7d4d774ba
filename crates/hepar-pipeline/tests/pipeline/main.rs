//! The pipeline over networks that are simple functions.

mod around;
mod case;
mod fakes;
mod probabilities;
