use ndarray::{AxisDescription, Slice};

/// For `slice_each_axis`: from `start` up to but without `end` along each axis.
///
/// ndarray's `s!` would say it shorter, but expands to an exception from the ban on `unsafe`.
pub(crate) fn cut<const N: usize>(start: [usize; N], end: [usize; N]) -> impl Fn(AxisDescription) -> Slice {
    move |axis| Slice::from(start[axis.axis.index()]..end[axis.axis.index()])
}

/// The index `[k, j, i]` of a voxel of the scan in an array whose first voxel lies at `start` of it. What lies before the
/// array becomes an index beyond it, so that `get` gives nothing.
pub(crate) fn index_in(start: [usize; 3], voxel: [usize; 3]) -> [usize; 3] {
    std::array::from_fn(|axis| voxel[axis].wrapping_sub(start[axis]))
}
