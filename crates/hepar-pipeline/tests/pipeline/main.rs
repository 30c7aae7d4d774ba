//! The pipeline over networks that are simple functions.

mod case;
mod fakes;
mod probabilities;
