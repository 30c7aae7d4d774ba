//! Winograd's F(2, 3) along each axis, for an input with an upsampled half and another one.
//!
//! The two halves add into the same sums. A row of an upsampled map is [a, b, b, c], and its transform [a − b, 2b, 0, b
//! − c]: of the 64 products of a block of 2³ voxels only 27 are left for the upsampled half, and they are made from the
//! map before upsampling, whose voxels are the blocks.
//!
//! Sources: S. Winograd, "Arithmetic Complexity of Computations" (1980); A. Lavin and S. Gray, "Fast Algorithms for
//! Convolutional Neural Networks", arXiv 1509.09308.

pub(crate) mod product;
pub(crate) mod transform;
pub(crate) mod weights;
