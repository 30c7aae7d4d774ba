//! Volumes on a grid in patient space.
//!
//! A [`Volume`] is a three-dimensional array of voxels with a [`Geometry`] that says where each voxel lies in the
//! patient. Everything that needs to know about directions, distances or neighbourhoods of voxels is here; nothing
//! here knows a file format or a network.
//!
//! Arrays are indexed `[k, j, i]` in C order, so `i` varies fastest in memory. World coordinates are RAS+
//! millimetres at voxel centres: x grows towards the patient's right, y anterior, z superior.

mod area;
mod boxes;
mod components;
mod diameters;
mod distance;
mod geometry;
mod holes;
mod index_map;
mod orientation;
mod resample;
mod runs;
mod volume;

pub use area::{Share, resize_mean};
pub use boxes::{Margin, Reach, VoxelBox};
pub use components::{Components, components, largest_component};
pub use diameters::{Line, Plane, RowSpan, longest, perpendicular};
pub use distance::{squared_distances, squared_distances_at};
pub use geometry::{Geometry, GeometryError, Millimetres};
pub use holes::{fill_holes, fill_slices};
pub use orientation::{Reorientation, orientation_code, stored_like};
pub use resample::{resample_linear, resample_linear_or, resample_nearest, resize_linear};
pub use runs::Connectivity;
pub use volume::{ShapeMismatch, Volume};
