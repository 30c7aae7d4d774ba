//! Convolutions of 1³ on whole maps, before they are upsampled.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::panels::Panels;
use super::point::{Outputs, PointLayer};
use crate::isa::{FEW, FEW_VECTORS, arch, has_few};
use crate::maps::MapLayout;
use crate::sigmoid::sigmoid;

/// The part of a block that sees an upsampled map, applied before upsampling.
#[derive(Debug, Clone)]
pub struct HalvesLayer {
    /// The map's part of the block's first normalisation.
    pub scale: Vec<f32>,
    /// See [`HalvesLayer::scale`].
    pub shift: Vec<f32>,
    /// To the narrow maps, from the normalised map.
    pub narrow: PointLayer,
    /// To the output, from the map as it is.
    pub shortcut: PointLayer,
}

impl HalvesLayer {
    /// Channels of the result.
    pub fn outputs(&self) -> usize {
        self.narrow.outputs() + self.shortcut.outputs()
    }

    /// Computes what [`super::Extras::halves`] takes from maps of the layout `layout`.
    ///
    /// # Panics
    /// When a length or number of channels does not fit.
    pub fn run(&self, layout: MapLayout, from: &[f32], to: &mut [f32]) {
        let out = layout.with_channels(self.outputs());
        assert_eq!((from.len(), to.len()), (layout.len(), out.len()), "lengths of the maps");
        let inputs = [self.scale.len(), self.shift.len(), self.narrow.inputs(), self.shortcut.inputs()];
        assert_eq!(inputs, [layout.channels; 4], "channels");
        let narrow = self.narrow.outputs() * out.channel();
        to.par_chunks_mut(out.plane()).zip(from.par_chunks(layout.plane())).for_each(|(to, from)| {
            let (first, second) = to.split_at_mut(narrow);
            let norm = Some([&self.scale[..], &self.shift[..]]);
            arch().dispatch(Apply { layer: &self.narrow, norm, layout, from, to: first });
            arch().dispatch(Apply { layer: &self.shortcut, norm: None, layout, from, to: second });
        });
    }
}

/// The logistic function of a convolution of 1³, as [`super::Extras::gate`] takes it; maps of the layout `layout`.
///
/// # Panics
/// When a length or number of channels does not fit.
pub fn mask(layer: &PointLayer, layout: MapLayout, from: &[f32], to: &mut [f32]) {
    let out = layout.with_channels(layer.outputs());
    assert_eq!((from.len(), to.len()), (layout.len(), out.len()), "lengths of the maps");
    assert_eq!(layer.inputs(), layout.channels, "channels");
    to.par_chunks_mut(out.plane()).zip(from.par_chunks(layout.plane())).for_each(|(to, from)| {
        arch().dispatch(Apply { layer, norm: None, layout, from, to });
        arch().dispatch(Logistic(to));
    });
}

/// One plane through a layer.
struct Apply<'a> {
    layer: &'a PointLayer,
    /// Scale and shift of a normalisation with ReLU before it.
    norm: Option<[&'a [f32]; 2]>,
    layout: MapLayout,
    from: &'a [f32],
    to: &'a mut [f32],
}

dispatch!(Apply<'_> => (), few: [4, 2], many: [8, 3]);

impl Apply<'_> {
    #[inline(always)]
    fn run<S: Simd, const C: usize, const V: usize>(self, simd: S) {
        if has_few::<C>(self.layer.outputs()) {
            self.blocks::<S, FEW, FEW_VECTORS>(simd);
        } else {
            self.blocks::<S, C, V>(simd);
        }
    }

    #[inline(always)]
    fn blocks<S: Simd, const C: usize, const V: usize>(self, simd: S) {
        let mut panels = Panels::new(self.layer.inputs(), self.layout.run(), V * S::F32_LANES);
        let channel = self.layout.channel();
        let mut to =
            Outputs { maps: self.to, first_channel: 0, channel, start: 0, is_added: false, is_rectified: false };
        while let Some(panel) = panels.next() {
            let maps = self.from.chunks_exact(channel);
            match self.norm {
                Some(norm) => panels.activate(simd, norm, maps, &panel),
                None => panels.copy(maps, &panel),
            }
            self.layer.panel::<S, C, V>(simd, &panels.values, &panel, &mut to);
        }
    }
}

/// The logistic function of all values.
struct Logistic<'a>(&'a mut [f32]);

impl WithSimd for Logistic<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for value in self.0 {
            *value = sigmoid(*value);
        }
    }
}
