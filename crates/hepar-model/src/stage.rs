//! What one stage of the pipeline needs to know, as `model.toml` states it.

use serde::{Deserialize, Serialize};

use crate::topology::{Dimensions, NetworkConfig, SIDE_MULTIPLE};

/// The longest side of a window, in voxels.
const LONGEST_SIDE: usize = 4096;

/// The most voxels of a window; of the first maps of the article's networks, as many would take 8 GiB.
const MOST_VOXELS: u64 = 1 << 26;

/// Which of the three networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageName {
    /// Finds the liver's box in axial slices.
    Localizer,
    /// Segments the liver in its box.
    Liver,
    /// Segments tumours in the liver's box.
    Tumour,
}

impl StageName {
    /// All stages, in the order in which they run.
    pub const ALL: [Self; 3] = [Self::Localizer, Self::Liver, Self::Tumour];

    /// The stage's name in files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Localizer => "localizer",
            Self::Liver => "liver",
            Self::Tumour => "tumour",
        }
    }
}

impl std::fmt::Display for StageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Hounsfield units that a network sees: `[low, high]` becomes 0..1, what lies outside is clipped.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Window(pub [f32; 2]);

impl Window {
    /// (clip(`hu`, low, high) − low) / (high − low).
    pub fn apply(self, hu: f32) -> f32 {
        let [low, high] = self.0;
        (hu.clamp(low, high) - low) / (high - low)
    }

    fn is_valid(self) -> bool {
        let [low, high] = self.0;
        low.is_finite() && high.is_finite() && low < high
    }
}

/// On which grid a stage looks at its part of the scan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Grid {
    /// The scan's own voxels.
    Native,
    /// Slices resized to `size`, `[j, i]` pixels; the number of slices stays (the article's liver stage).
    ResizedInPlane {
        /// Pixels along `[j, i]`.
        size: [usize; 2],
    },
    /// Resampled to about this spacing; the outer faces stay, so the true spacing is that of the nearest whole
    /// number of voxels.
    Spacing {
        /// Millimetres along `[k, j, i]`.
        mm: [f64; 3],
    },
}

impl Grid {
    /// Number of voxels, `[k, j, i]`, that a part of `shape` voxels of `spacing` millimetres has on this grid.
    pub fn shape(self, shape: [usize; 3], spacing: [f64; 3]) -> [usize; 3] {
        match self {
            Self::Native => shape,
            Self::ResizedInPlane { size: [j, i] } => [shape[0], j, i],
            Self::Spacing { mm } => {
                std::array::from_fn(|axis| ((shape[axis] as f64 * spacing[axis] / mm[axis]).round() as usize).max(1))
            }
        }
    }
}

/// How far the liver's box is grown on every side before a network looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoxMargin {
    /// Voxels of the scan within the slice.
    pub in_plane_voxels: usize,
    /// Millimetres across slices.
    pub through_plane_mm: f64,
}

/// Which tumours are thin sheets along the liver's border.
///
/// Where something dark borders on the liver, a voxel between the two is as dark as a lesion, and a layer of them is taken
/// for one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sheet {
    /// More of a sheet's surface than this share, 0..=1, borders on what is not liver.
    pub exposure: f64,
    /// The largest ball inside a sheet has less than this share, 0..=1, of its volume.
    pub compactness: f64,
    /// The largest ball inside a sheet is no thicker than this, in millimetres.
    pub thickness_mm: f64,
}

impl Sheet {
    /// Whether the shares are shares and the thickness is one.
    fn is_valid(self) -> bool {
        let are_shares = [self.exposure, self.compactness].iter().all(|share| (0.0..=1.0).contains(share));
        are_shares && self.thickness_mm.is_finite() && self.thickness_mm >= 0.0
    }
}

/// A file of weights beside `model.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightsFile {
    /// Its name.
    pub weights: String,
    /// Its SHA-256, 64 hexadecimal digits.
    pub sha256: String,
}

/// One network, or several of one kind, and everything that must be known to use it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Planar (`ra-unet-i`) or spatial (`ra-unet-ii`).
    pub network: Dimensions,
    /// Channels of conv1, res1, res2, res3, res4 and res5.
    pub widths: [usize; 6],
    /// File of the weights, beside `model.toml`.
    pub weights: String,
    /// SHA-256 of that file, 64 hexadecimal digits.
    pub sha256: String,
    /// Hounsfield units that the network sees.
    pub window: Window,
    /// Grid on which it looks.
    pub grid: Grid,
    /// Voxels of one window, `[d, h, w]`; multiples of 32 (d = 1 for planar networks).
    pub patch: [usize; 3],
    /// Share of a window that its neighbour covers too, `[d, h, w]`, each in 0..1.
    pub overlap: [f64; 3],
    /// A voxel belongs to the object when its probability is greater.
    pub threshold: f32,
    /// An object smaller than this, in millilitres, is none.
    pub least_volume_ml: f64,
    /// How the liver's box is grown before this stage looks at it; the localizer looks at whole slices.
    #[serde(default)]
    pub margin: BoxMargin,
    /// More networks of the same kind, e.g. those of the other folds of a cross-validation: a probability is the mean of
    /// what all of them say, and they take as many times as long.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ensemble: Vec<WeightsFile>,
    /// Whether each probability is the mean over a window and its three mirror images in plane: four times the work, and
    /// right only for networks that were trained on mirrored samples.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mirror: bool,
    /// Whether a window's votes for a voxel count the less the nearer it lies to the window's sides, where the network sees
    /// only half of what is around it. False: all count alike, the article's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub centred_votes: bool,
    /// Hounsfield units that the liver's own tissue, where the stage before found the liver, has after all intensities were
    /// shifted: scans with little and with much contrast agent then look alike. None: intensities are as they are, the
    /// article's, and the localizer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liver_hu: Option<f32>,
    /// Share of a tumour's surface, 0..=1, that may border on what is not liver; the tumour stage's. What borders on it with
    /// more, and is smaller than the liver is without tumours, is a mass beside the liver that was taken for a part of it,
    /// and neither tumour nor liver. None: all are tumours, the article's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub greatest_exposure: Option<f64>,
    /// Which tumours are thin sheets along the liver's border, where it borders on something darker, and no tumours; the
    /// tumour stage's. None: all are tumours, whatever their shape, the article's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheet: Option<Sheet>,
    /// Whether tumours are looked for in what the liver encloses within a slice of any direction, too: the liver stage leaves
    /// out lesions that are nearly as dark as water, and what is found there belongs to the liver. The tumour stage's.
    /// False: in the liver alone, the article's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub enclosed: bool,
}

impl Stage {
    /// The network's topology.
    ///
    /// # Errors
    /// When a value of the stage makes no sense; the text says which.
    pub fn config(&self) -> Result<NetworkConfig, StageError> {
        let config = NetworkConfig::new(self.network, self.widths).map_err(|e| StageError(e.to_string()))?;
        let refuse = |what: String| Err(StageError(what));
        if !config.accepts(self.patch) {
            return refuse(format!("the patch {:?} has a side that is no multiple of {SIDE_MULTIPLE}", self.patch));
        }
        if self.patch.iter().any(|&side| side > LONGEST_SIDE) {
            return refuse(format!("the patch {:?} has a side of more than {LONGEST_SIDE} voxels", self.patch));
        }
        if self.patch.iter().map(|&side| side as u64).product::<u64>() > MOST_VOXELS {
            return refuse(format!("the patch {:?} has more than {MOST_VOXELS} voxels", self.patch));
        }
        if !self.window.is_valid() {
            return refuse(format!("the window {:?} is empty", self.window.0));
        }
        if self.liver_hu.is_some_and(|hu| !(-200.0..=400.0).contains(&hu)) {
            return refuse(format!("liver_hu = {:?} leaves -200..400", self.liver_hu.unwrap_or_default()));
        }
        if self.overlap.iter().any(|o| !(0.0..=0.95).contains(o)) {
            return refuse(format!("the overlap {:?} leaves 0..0.95", self.overlap));
        }
        if !(0.0..=1.0).contains(&self.threshold) {
            return refuse(format!("the threshold {} leaves 0..1", self.threshold));
        }
        if !(self.least_volume_ml >= 0.0 && self.margin.through_plane_mm >= 0.0) {
            return refuse("least_volume_ml or through_plane_mm is negative".into());
        }
        if let Some(exposure) = self.greatest_exposure.filter(|exposure| !(0.0..=1.0).contains(exposure)) {
            return refuse(format!("greatest_exposure = {exposure} leaves 0..1"));
        }
        if let Some(sheet) = self.sheet.filter(|sheet| !sheet.is_valid()) {
            return refuse(format!("sheet = {sheet:?} has a share beyond 0..1 or a negative thickness"));
        }
        match self.grid {
            Grid::Spacing { mm } if mm.iter().any(|v| !(0.1..=50.0).contains(v)) => {
                refuse(format!("the spacing {mm:?} leaves 0.1..50 mm"))
            }
            Grid::ResizedInPlane { size } if size.iter().any(|&n| n == 0 || n > 4096) => {
                refuse(format!("the slice size {size:?} leaves 1..4096"))
            }
            _ => Ok(config),
        }
    }

    /// The same stage for a scan whose liver is as bright as `brightness`, in Hounsfield units.
    ///
    /// Where intensities are relative to the liver, its window is moved instead of all intensities.
    pub fn for_liver(&self, brightness: f32) -> Self {
        let shift = self.liver_hu.map_or(0.0, |hu| brightness - hu);
        Self { window: Window(self.window.0.map(|end| end + shift)), ..self.clone() }
    }

    /// The files of its networks: its own, and those of its ensemble.
    pub fn files(&self) -> Vec<WeightsFile> {
        let own = WeightsFile { weights: self.weights.clone(), sha256: self.sha256.clone() };
        std::iter::once(own).chain(self.ensemble.iter().cloned()).collect()
    }

    /// Distance of neighbouring windows' starts, `[d, h, w]`; at least 1.
    pub fn step(&self) -> [usize; 3] {
        std::array::from_fn(|axis| {
            let step = self.patch[axis] as f64 * (1.0 - self.overlap[axis]);
            (step.round() as usize).max(1)
        })
    }
}

/// A stage's values contradict each other or the networks' limits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StageError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_maps_its_ends_to_0_and_1_and_clips_the_rest() {
        let window = Window([-100.0, 200.0]);
        assert_eq!([-2000.0, -100.0, 50.0, 200.0, 3000.0].map(|hu| window.apply(hu)), [0.0, 0.0, 0.5, 1.0, 1.0]);
    }

    #[test]
    fn a_spacing_grid_has_the_nearest_whole_number_of_voxels() {
        let grid = Grid::Spacing { mm: [3.0, 2.5, 2.5] };
        assert_eq!(grid.shape([40, 300, 10], [5.0, 0.8, 0.1]), [67, 96, 1]);
    }
}
