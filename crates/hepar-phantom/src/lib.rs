//! Synthetic abdominal CT with a liver and tumours of known shape.
//!
//! A [`PhantomSpec`] says what to draw, [`PhantomSpec::build`] draws it: a scan in Hounsfield units with bones,
//! muscles, lungs, vessels and bowel around a liver, noise, and the labels of the liver and its tumours. Everything is
//! drawn from one seed, so the same spec gives the same voxels on every run and for any number of threads.
//!
//! ```
//! use hepar_phantom::PhantomSpec;
//!
//! let mut spec = PhantomSpec { seed: 7, tumours: 2, ..Default::default() };
//! (spec.shape, spec.spacing) = ([20, 64, 64], [12.0, 6.0, 6.0]);
//! let phantom = spec.build()?;
//! assert_eq!(phantom.tumours.len(), 2);
//! assert!(phantom.labels.data().iter().any(|&label| label == 1));
//! # Ok::<(), hepar_phantom::SpecError>(())
//! ```

mod anatomy;
mod canvas;
mod grid;
mod noise;
mod phantom;
mod random;
mod render;
mod shape;
mod spec;

pub use phantom::{Phantom, Tumour};
pub use spec::{BodyPart, PhantomSpec, Phase, SpecError};
