//! NIfTI-1 and NIfTI-2, after nifti1.h and nifti2.h of the NIfTI Data Format Working Group.

mod encode;
pub(crate) mod forms;
mod header;
mod pair;
mod read;
mod write;

pub(crate) use read::{files, inspect, read_labels, read_scan};
pub(crate) use write::{write_labels, write_probabilities, write_scan};
