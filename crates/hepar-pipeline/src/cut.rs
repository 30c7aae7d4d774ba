use ndarray::{AxisDescription, Slice};

/// For `slice_each_axis`: from `start` up to but without `end` along each axis.
///
/// ndarray's `s!` would say it shorter, but expands to an exception from the ban on `unsafe`.
pub(crate) fn cut<const N: usize>(start: [usize; N], end: [usize; N]) -> impl Fn(AxisDescription) -> Slice {
    move |axis| Slice::from(start[axis.axis.index()]..end[axis.axis.index()])
}
