use hepar_volume::Geometry;
use rand::Rng;

use crate::grid::Grid;
use crate::phantom::Phantom;
use crate::random::{Stream, chance, range, stream};
use crate::render;

/// No liver has room for more tumours, and each takes time to find that out.
const MOST_TUMOURS: usize = 1000;

/// Pixels of an axial slice at most: each thread draws one, and needs some fifty bytes for each of its pixels.
const MOST_PIXELS: usize = 1 << 26;

/// What to draw.
///
/// Everything that is random is drawn from `seed`: the same spec gives the same voxels for any number of threads.
#[derive(Debug, Clone, PartialEq)]
pub struct PhantomSpec {
    /// Which patient, which tumours and which noise.
    pub seed: u64,
    /// Number of voxels along the stored axes, `[k, j, i]`.
    pub shape: [usize; 3],
    /// Distance of voxel centres along the stored axes, `[k, j, i]`, in millimetres.
    pub spacing: [f64; 3],
    /// Where the stored axes i, j and k point, one letter each: `R` or `L`, `A` or `P`, `S` or `I`; `"LPS"` is the
    /// order of DICOM. Specs that differ only in this (with `shape` and `spacing` in the same new order) hold the same
    /// voxels at the same places of the patient.
    pub orientation: String,
    /// Which part of the body the field of view shows.
    pub body_part: BodyPart,
    /// Shift of the field of view from where the body part puts it, RAS+ millimetres `[x, y, z]`. A large shift along
    /// z cuts the liver, or brings it into a scan of another part.
    pub offset: [f64; 3],
    /// Size of the patient against an average adult, within 0.5..=1.5.
    pub body_size: f64,
    /// When the scan was taken after the contrast agent was given.
    pub phase: Phase,
    /// Number of tumours in the liver, at most 1000; only the abdomen has any.
    pub tumours: usize,
    /// Least and greatest diameter of a tumour in millimetres. Where the liver has no room left, smaller ones are
    /// drawn, down to 4 mm.
    pub tumour_diameter_mm: (f64, f64),
    /// Standard deviation of the noise in HU where the cavity of chest and abdomen ends; 9 mm and more within it, as in
    /// most of the liver, the noise is 1.1 times as much, 36 mm and more outside of it, as in the head, 0.6 times.
    pub noise_hu: f64,
    /// Whether the arms lie beside the body. A field of view of less than about 480 mm cuts them off.
    pub arms: bool,
    /// Whether there are screws in the spine at the height of the liver, with streaks around them.
    pub metal: bool,
}

/// Which part of the body a scan shows. Only the abdomen has a liver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BodyPart {
    /// The liver in the middle of the field of view.
    Abdomen,
    /// From just above the diaphragm upwards.
    Chest,
    /// From just below the liver downwards.
    Pelvis,
    /// From the neck upwards.
    Head,
    /// From below the pelvis to the knees.
    Legs,
}

/// When a scan was taken after the contrast agent was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// No contrast agent.
    NonContrast,
    /// About 30 s after: bright arteries, the liver hardly changed.
    Arterial,
    /// About 70 s after: bright liver, portal and hepatic veins.
    Portal,
}

/// Why a phantom cannot be drawn.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// An axis has no voxels.
    #[error("the shape {0:?} (k, j, i) has an axis without voxels")]
    Empty([usize; 3]),
    /// The scan would have more than 2³¹ voxels, or more than 2²⁶ pixels in an axial slice.
    #[error("the shape {0:?} (k, j, i) has more than 2147483648 voxels, or 67108864 in an axial slice")]
    TooLarge([usize; 3]),
    /// A spacing is not positive, not finite or out of any scanner's range.
    #[error("the spacing {0:?} mm (k, j, i) is not within 0.05 to 100 mm")]
    Spacing([f64; 3]),
    /// The orientation is no permutation of the three axes of the patient.
    #[error("the orientation {0:?} does not name each of R/L, A/P and S/I once")]
    Orientation(String),
    /// The shift of the field of view is not finite or leaves the body far behind.
    #[error("the offset {0:?} mm (x, y, z) is not within -2000 to 2000 mm")]
    Offset([f64; 3]),
    /// No such patient.
    #[error("the body size {0} is not within 0.5 to 1.5")]
    BodySize(f64),
    /// The diameters are no range of sizes that a liver could hold.
    #[error("the tumour diameters {0} to {1} mm are no range within 1 to 200 mm")]
    Diameters(f64, f64),
    /// More tumours than any liver could hold.
    #[error("{0} tumours are more than 1000")]
    Tumours(usize),
    /// The noise has no such standard deviation.
    #[error("the noise of {0} HU is not within 0 to 500 HU")]
    Noise(f64),
    /// The liver within the field of view is too small for the tumours.
    #[error("only {placed} of {asked} tumours fit into the liver within the field of view")]
    NoRoom {
        /// Number of tumours that the spec asks for.
        asked: usize,
        /// Number of tumours that found a place.
        placed: usize,
    },
}

impl Default for PhantomSpec {
    /// A quick portal-venous scan of the abdomen that holds the whole liver, with three tumours of 10 to 40 mm.
    fn default() -> Self {
        Self {
            seed: 0,
            shape: [80, 320, 320],
            spacing: [3.0, 1.2, 1.2],
            orientation: "LPS".to_owned(),
            body_part: BodyPart::Abdomen,
            offset: [0.0; 3],
            body_size: 1.0,
            phase: Phase::Portal,
            tumours: 3,
            tumour_diameter_mm: (10.0, 40.0),
            noise_hu: 12.0,
            arms: false,
            metal: false,
        }
    }
}

impl PhantomSpec {
    /// A spec from a wide range of everything, for training.
    ///
    /// Two in five scans show a part of the body without liver, as hardly any data set of livers does; of the others, one
    /// in three cuts the liver at the top or the bottom. In-plane sizes run from 192 to 512 pixels, slices are 0.8 to 6 mm
    /// apart.
    pub fn random(seed: u64) -> Self {
        let mut rng = stream(seed, Stream::Spec);
        let rng = &mut rng;
        let body_size = f64::from(range(rng, 0.85, 1.15));
        let pixels = [192, 256, 256, 320, 384, 512][rng.random_range(0..6)];
        // Decided by a stream of their own: everything else stays what it was without them.
        let additions = &mut stream(seed, Stream::Additions);
        let (arms, metal) = (chance(additions, 0.15), chance(additions, 0.12));
        let field = f64::from(range(rng, 350.0, 440.0)) * body_size * if arms { 1.25 } else { 1.0 };
        let slice = [0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0][rng.random_range(0..10)];
        let height = f64::from(range(rng, 190.0, 330.0)) * body_size;
        let body_part = match rng.random_range(0..100) {
            0..15 => BodyPart::Chest,
            15..25 => BodyPart::Pelvis,
            25..40 => BodyPart::Head,
            _ => BodyPart::Abdomen,
        };
        let cut = chance(rng, 0.33);
        let shift = f64::from(range(rng, 0.0, 1.0));
        let z = match body_part {
            BodyPart::Abdomen if cut => {
                (if chance(rng, 0.5) { 1.0 } else { -1.0 }) * (height / 2.0 - 60.0 + 60.0 * shift)
            }
            BodyPart::Abdomen => 24.0 * (shift - 0.5),
            BodyPart::Pelvis => -100.0 * shift,
            BodyPart::Chest | BodyPart::Head => 40.0 * shift,
            BodyPart::Legs => -40.0 * shift,
        };
        let phase = match rng.random_range(0..10) {
            0..2 => Phase::NonContrast,
            2..4 => Phase::Arterial,
            _ => Phase::Portal,
        };
        let smallest = f64::from(range(rng, 2.0_f32.ln(), 3.2_f32.ln()).exp()) * 2.0;
        let largest = smallest + f64::from(range(rng, 0.0, 1.0)).powi(2) * (80.0 - smallest);
        let code = |orientation: &str| orientation.to_owned();
        let orientation = match rng.random_range(0..20) {
            0..12 => code("LPS"),
            12..14 => code("RAS"),
            14..16 => code("LAS"),
            16 => code("RPS"),
            17 => code("LPI"),
            18 => code("PSL"),
            _ => code("LSA"),
        };
        let spec = Self {
            seed,
            shape: [((height / slice).round() as usize).max(1), pixels, pixels],
            spacing: [slice, field / pixels as f64, field / pixels as f64],
            orientation: code("LPS"),
            body_part,
            offset: [f64::from(range(rng, -15.0, 15.0)), f64::from(range(rng, -15.0, 15.0)), z],
            body_size,
            phase,
            tumours: if body_part == BodyPart::Abdomen {
                [0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 7, 9, 12][rng.random_range(0..13)]
            } else {
                0
            },
            tumour_diameter_mm: (smallest, largest),
            noise_hu: f64::from(range(rng, 4.0, 28.0)),
            arms,
            metal,
        };
        spec.stored_as(&orientation)
    }

    /// The same scan with its axes stored in another order; `self` and the result hold the same voxels.
    ///
    /// An orientation that is none is kept as it is, for [`PhantomSpec::build`] to refuse.
    pub fn stored_as(&self, orientation: &str) -> Self {
        let mut stored = Self { orientation: orientation.to_owned(), ..self.clone() };
        if let (Some(from), Some(to)) = (axes_of(&self.orientation), axes_of(orientation)) {
            for (axis, (patient_axis, _)) in to.iter().enumerate() {
                if let Some(source) = from.iter().position(|(candidate, _)| candidate == patient_axis) {
                    stored.shape[axis] = self.shape[source];
                    stored.spacing[axis] = self.spacing[source];
                }
            }
        }
        stored
    }

    /// Draws the scan.
    ///
    /// # Errors
    /// When the spec is impossible or the tumours do not fit into the liver; see [`SpecError`].
    pub fn build(&self) -> Result<Phantom, SpecError> {
        let grid = self.check()?;
        render::render(self, &grid)
    }

    /// The grid to draw on, or what is wrong with the spec.
    pub(crate) fn check(&self) -> Result<Grid, SpecError> {
        if self.shape.contains(&0) {
            return Err(SpecError::Empty(self.shape));
        }
        let voxels = self.shape.iter().try_fold(1_usize, |product, &n| product.checked_mul(n));
        if voxels.is_none_or(|n| n > 1 << 31) {
            return Err(SpecError::TooLarge(self.shape));
        }
        if !self.spacing.iter().all(|s| (0.05..=100.0).contains(s)) {
            return Err(SpecError::Spacing(self.spacing));
        }
        if !self.offset.iter().all(|o| (-2000.0..=2000.0).contains(o)) {
            return Err(SpecError::Offset(self.offset));
        }
        if !(0.5..=1.5).contains(&self.body_size) {
            return Err(SpecError::BodySize(self.body_size));
        }
        let (least, greatest) = self.tumour_diameter_mm;
        if !(least >= 1.0 && least <= greatest && greatest <= 200.0) {
            return Err(SpecError::Diameters(least, greatest));
        }
        if self.tumours > MOST_TUMOURS {
            return Err(SpecError::Tumours(self.tumours));
        }
        if !(0.0..=500.0).contains(&self.noise_hu) {
            return Err(SpecError::Noise(self.noise_hu));
        }
        let axes = axes_of(&self.orientation).ok_or_else(|| SpecError::Orientation(self.orientation.clone()))?;
        // Finite positive spacings along three different axes cannot make a singular affine.
        let geometry = self.geometry(axes).map_err(|_| SpecError::Spacing(self.spacing))?;
        let grid = Grid::new(geometry, axes);
        // The product of all three sides was no overflow.
        if grid.shape[1] * grid.shape[2] > MOST_PIXELS {
            return Err(SpecError::TooLarge(self.shape));
        }
        Ok(grid)
    }

    /// Where the stored voxels lie.
    fn geometry(&self, axes: [(usize, f64); 3]) -> Result<Geometry, hepar_volume::GeometryError> {
        let mut affine = [[0.0; 4]; 4];
        affine[3][3] = 1.0;
        let mut height = 0.0;
        for (axis, &(row, sign)) in axes.iter().enumerate() {
            affine[row][2 - axis] = sign * self.spacing[axis];
            if row == 2 {
                height = self.shape[axis] as f64 * self.spacing[axis];
            }
        }
        let centre = [0.0, 0.0, self.body_part.centre(self.body_size, height)];
        for row in 0..3 {
            let half: f64 = (0..3).map(|axis| affine[row][2 - axis] * (self.shape[axis] as f64 - 1.0) / 2.0).sum();
            affine[row][3] = centre[row] + self.offset[row] - half;
        }
        Geometry::new(affine, self.shape)
    }
}

impl BodyPart {
    /// Height in world millimetres of the middle of a field of view `height` mm tall; 0 is the top of the liver.
    ///
    /// The margins of the parts without liver leave room for its tilt and the warp of its surface.
    fn centre(self, body_size: f64, height: f64) -> f64 {
        match self {
            Self::Abdomen => -85.0 * body_size,
            Self::Chest => 25.0 * body_size + height / 2.0,
            Self::Pelvis => -235.0 * body_size - height / 2.0,
            Self::Head => 300.0 * body_size + height / 2.0,
            Self::Legs => -480.0 * body_size - height / 2.0,
        }
    }
}

/// For each stored axis `[k, j, i]` the patient's axis (0 = x, 1 = y, 2 = z) and the sign with which it runs along it.
fn axes_of(orientation: &str) -> Option<[(usize, f64); 3]> {
    let letters: Vec<(usize, f64)> = orientation
        .chars()
        .map(|letter| match letter {
            'R' => Some((0, 1.0)),
            'L' => Some((0, -1.0)),
            'A' => Some((1, 1.0)),
            'P' => Some((1, -1.0)),
            'S' => Some((2, 1.0)),
            'I' => Some((2, -1.0)),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let [i, j, k] = letters.try_into().ok()?;
    let all_different = i.0 != j.0 && j.0 != k.0 && i.0 != k.0;
    all_different.then_some([k, j, i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anatomy::Anatomy;

    #[test]
    fn random_specs_can_be_drawn() {
        for seed in 0..24 {
            let spec = PhantomSpec::random(seed);
            let anatomy = Anatomy::new(&spec, &spec.check().unwrap()).unwrap();
            assert_eq!(anatomy.tumours.len(), spec.tumours, "{spec:?}");
        }
    }

    #[test]
    fn more_tumours_than_memory_holds_are_refused_not_allocated() {
        let spec = |tumours| PhantomSpec { tumours, ..Default::default() };
        assert_eq!(spec(usize::MAX).build().unwrap_err(), SpecError::Tumours(usize::MAX));
        assert!(spec(MOST_TUMOURS).check().is_ok() && spec(MOST_TUMOURS + 1).check().is_err());
    }

    #[test]
    fn axial_slices_that_take_gigabytes_are_refused_however_they_are_stored() {
        let check = |orientation: &str, shape: [usize; 3]| {
            PhantomSpec { orientation: orientation.to_owned(), shape, ..Default::default() }.check().map(drop)
        };
        for (orientation, shape) in [("LPS", [1, 46_000, 46_000]), ("SAL", [46_000, 46_000, 1])] {
            assert_eq!(check(orientation, shape), Err(SpecError::TooLarge(shape)));
        }
        assert_eq!(check("LPS", [1, 8192, 8192]), Ok(()));
        assert_eq!(check("SAL", [1, 46_000, 46_000]), Ok(()), "many slices of one column each");
    }

    #[test]
    fn storing_in_another_order_and_back_gives_the_same_spec() {
        let spec = PhantomSpec { shape: [3, 4, 5], spacing: [3.0, 4.0, 5.0], ..Default::default() };
        let other = spec.stored_as("SAL");
        assert_eq!((other.shape, other.spacing), ([5, 4, 3], [5.0, 4.0, 3.0]));
        assert_eq!(other.stored_as("LPS"), spec);
    }
}
