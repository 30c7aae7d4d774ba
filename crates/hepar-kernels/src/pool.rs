//! Maximum over blocks of two voxels along each axis.

use rayon::prelude::*;

use crate::isa::arch;
use crate::maps::MapLayout;

/// Halves maps along every axis on which `stride` is 2, keeping each block's greatest value.
///
/// `from` has the layout `layout`; `to` gets that of `layout.divided(stride)`.
///
/// # Panics
/// When a length does not fit.
pub fn pool(layout: &MapLayout, stride: [usize; 3], from: &[f32], to: &mut [f32]) {
    let small = layout.divided(stride);
    assert_eq!((from.len(), to.len()), (layout.len(), small.len()), "lengths of the maps");
    to.par_chunks_mut(small.plane()).enumerate().for_each(|(plane, to)| {
        let from = &from[plane * stride[0] * layout.plane()..][..stride[0] * layout.plane()];
        arch().dispatch(
            #[inline(always)]
            || pool_plane(layout, &small, from, to),
        );
    });
}

#[inline(always)]
fn pool_plane(layout: &MapLayout, small: &MapLayout, from: &[f32], to: &mut [f32]) {
    let [_, h, w] = small.size;
    let mut tallest = vec![0.0f32; 2 * w];
    for (c, to) in to.chunks_exact_mut(small.channel()).enumerate() {
        for y in 0..h {
            tallest.fill(f32::NEG_INFINITY);
            for plane in from.chunks_exact(layout.plane()) {
                for row in [2 * y, 2 * y + 1] {
                    let values = &plane[c * layout.channel() + row * layout.row()..][..2 * w];
                    tallest.iter_mut().zip(values).for_each(|(most, value)| *most = most.max(*value));
                }
            }
            let row = &mut to[y * small.row()..][..w];
            row.iter_mut().zip(tallest.chunks_exact(2)).for_each(|(to, pair)| *to = pair[0].max(pair[1]));
        }
    }
}
