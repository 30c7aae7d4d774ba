//! How samples are varied.

use serde::{Deserialize, Serialize};

/// How samples are varied; a value of zero (or a scale of 1 to 1) leaves its property as it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Greatest rotation within the axial plane, in degrees.
    pub rotation_degrees: f64,
    /// Greatest rotation about each of the two other axes, in degrees; not for the localizer.
    pub tilt_degrees: f64,
    /// Least and greatest magnification.
    pub scale: [f64; 2],
    /// Greatest shift of a slice, as a share of its sides; the localizer's only.
    pub translation: f64,
    /// Whether half of the samples are mirrored from left to right, and half from front to back.
    pub flip: bool,
    /// Greatest relative change of all Hounsfield units.
    pub gain: f32,
    /// Greatest shift of all Hounsfield units.
    pub shift_hu: f32,
    /// Greatest standard deviation of added noise in Hounsfield units.
    pub noise_hu: f32,
    /// Greatest magnitude of the logarithm of the exponent that is applied to normalised values.
    pub gamma: f32,
    /// Share of samples that are blurred.
    pub blur: f64,
    /// Share of samples whose slices are made two or three times as thick; not for the localizer.
    pub thick_slices: f64,
    /// Share of samples whose Hounsfield units are clipped to a narrower range first, as some data sets are.
    pub clip: f64,
    /// Share of samples into whose liver synthetic lesions are painted; not for the localizer.
    ///
    /// The liver stage learns from them that a liver is liver where it is dark, up to its edge: a lesion that it leaves
    /// out is never shown to the tumour stage.
    #[serde(default)]
    pub lesions: f64,
    /// Share of painted lesions that bulge out of the liver where they reach its edge; the others end there.
    #[serde(default)]
    pub bulging: f64,
    /// Share of painted lesions that are nearly as dark as water, as cysts and tissue that has perished are; the others
    /// are at most 75 HU darker than the liver, in a necrotic middle 105 HU.
    #[serde(default)]
    pub fluid: f64,
    /// Share of samples whose own lesions are made darker, at most as dark as water; not for the localizer.
    #[serde(default)]
    pub darkened: f64,
    /// Greatest displacement along each axis by which samples are bent, smoothly, in millimetres; not for the localizer.
    #[serde(default)]
    pub elastic_mm: f64,
}

impl Augmentation {
    /// Samples are left as they are, as in the article.
    pub const NONE: Self = Self {
        rotation_degrees: 0.0,
        tilt_degrees: 0.0,
        scale: [1.0, 1.0],
        translation: 0.0,
        flip: false,
        gain: 0.0,
        shift_hu: 0.0,
        noise_hu: 0.0,
        gamma: 0.0,
        blur: 0.0,
        thick_slices: 0.0,
        clip: 0.0,
        lesions: 0.0,
        bulging: 0.0,
        fluid: 0.0,
        darkened: 0.0,
        elastic_mm: 0.0,
    };

    /// What is wrong with the values, if anything is.
    pub(super) fn problem(&self) -> Option<String> {
        let [least, greatest] = self.scale;
        if !(0.2..=5.0).contains(&least) || !(least..=5.0).contains(&greatest) {
            return Some(format!("the scale {:?} is no range within 0.2..5", self.scale));
        }
        let limits = [
            ("rotation_degrees", self.rotation_degrees, 180.0),
            ("tilt_degrees", self.tilt_degrees, 180.0),
            ("translation", self.translation, 0.5),
            ("gain", f64::from(self.gain), 0.9),
            ("shift_hu", f64::from(self.shift_hu), 1000.0),
            ("noise_hu", f64::from(self.noise_hu), 1000.0),
            ("gamma", f64::from(self.gamma), 2.0),
            ("blur", self.blur, 1.0),
            ("thick_slices", self.thick_slices, 1.0),
            ("clip", self.clip, 1.0),
            ("lesions", self.lesions, 1.0),
            ("bulging", self.bulging, 1.0),
            ("fluid", self.fluid, 1.0),
            ("darkened", self.darkened, 1.0),
            ("elastic_mm", self.elastic_mm, 20.0),
        ];
        let bad = limits.iter().find(|(_, value, limit)| !(0.0..=*limit).contains(value));
        bad.map(|(name, value, limit)| format!("the augmentation's {name} = {value} leaves 0..={limit}"))
    }
}
