use crate::error::ReadErrorKind;
use crate::warning::Warning;

/// A CT with no value below this shows no fat (−100) and no air (−1000): its values are hardly Hounsfield units.
const FAT: i16 = -50;

/// A scan with at most this many different values, all of them labels, is a label volume.
const FEW: usize = 8;

/// What is seen of the intensities of a CT while they are converted.
pub(crate) struct Survey {
    voxels: u64,
    /// Smallest and largest finite intensity.
    range: (f64, f64),
    clipped: u64,
    not_finite: Option<(u64, u64)>,
    fractions: bool,
    /// The different rounded values, up to one more than [`FEW`].
    values: Vec<i16>,
}

impl Survey {
    pub(crate) fn new() -> Self {
        let range = (f64::INFINITY, f64::NEG_INFINITY);
        Self { voxels: 0, range, clipped: 0, not_finite: None, fractions: false, values: Vec::with_capacity(FEW + 1) }
    }

    /// The next voxel in file order: rounded to a whole number, beyond 16 bits the nearest end.
    pub(crate) fn round(&mut self, intensity: f64) -> i16 {
        let rounded = intensity.round();
        if intensity.is_finite() {
            self.range = (self.range.0.min(intensity), self.range.1.max(intensity));
            self.clipped += u64::from(rounded < f64::from(i16::MIN) || rounded > f64::from(i16::MAX));
            self.fractions |= rounded != intensity;
        } else {
            let (count, first) = self.not_finite.unwrap_or((0, self.voxels));
            self.not_finite = Some((count + 1, first));
        }
        self.voxels += 1;
        // A cast from float to integer saturates.
        let value = rounded as i16;
        if self.values.len() <= FEW && !self.values.contains(&value) {
            self.values.push(value);
        }
        value
    }

    /// Takes note of intensities that are whole numbers already; where some were set to an end of the range because
    /// they `may_be_clipped`, those at the ends count as such.
    pub(crate) fn see(&mut self, intensities: &[i16], may_be_clipped: bool) {
        let (min, max) = intensities.iter().fold((i16::MAX, i16::MIN), |(min, max), &v| (min.min(v), max.max(v)));
        self.range = (self.range.0.min(f64::from(min)), self.range.1.max(f64::from(max)));
        if may_be_clipped {
            let at_an_end = |v: &&i16| matches!(**v, i16::MIN | i16::MAX);
            self.clipped += intensities.iter().filter(at_an_end).count() as u64;
        }
        self.voxels += intensities.len() as u64;
        for &value in intensities {
            if self.values.len() > FEW {
                break;
            }
            if !self.values.contains(&value) {
                self.values.push(value);
            }
        }
    }

    /// This survey and that of other voxels of the same scan.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.range = (self.range.0.min(other.range.0), self.range.1.max(other.range.1));
        self.voxels += other.voxels;
        self.clipped += other.clipped;
        self.fractions |= other.fractions;
        self.not_finite = match (self.not_finite, other.not_finite) {
            (Some((a, first)), Some((b, _))) => Some((a + b, first)),
            (a, b) => a.or(b),
        };
        let new = other.values.into_iter().filter(|value| !self.values.contains(value)).collect::<Vec<_>>();
        self.values.extend(new);
        self
    }

    /// What the user should know of the intensities of a scan of `shape`, `[k, j, i]`.
    ///
    /// # Errors
    /// When some were not finite, or when all are labels.
    pub(crate) fn judge(mut self, shape: [usize; 3]) -> Result<Vec<Warning>, ReadErrorKind> {
        if let Some((count, first)) = self.not_finite {
            return Err(ReadErrorKind::NotFinite { count, first: index(first, shape) });
        }
        self.values.sort_unstable();
        let labels: Option<Vec<u8>> = self.values.iter().map(|v| u8::try_from(*v).ok()).collect();
        if let Some(values) = labels.filter(|values| (2..=FEW).contains(&values.len()) && !self.fractions) {
            return Err(ReadErrorKind::LooksLikeLabels { values });
        }
        let (min, max) = self.range;
        let mut warnings = Vec::new();
        if self.clipped > 0 {
            warnings.push(Warning::IntensitiesClipped { count: self.clipped, min, max });
        }
        let (min, max) = (min.round() as i16, max.round() as i16);
        if min == max || min > FAT {
            warnings.push(Warning::NotHounsfield { min, max, rounded: self.fractions });
        }
        Ok(warnings)
    }
}

/// Index `[k, j, i]` of the voxel that is number `position` in the order of the file.
pub(crate) fn index(position: u64, [_, j, i]: [usize; 3]) -> [usize; 3] {
    let (j, i) = (j as u64, i as u64);
    [position / (i * j), position / i % j, position % i].map(|v| v as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(intensities: impl IntoIterator<Item = f64>) -> (Vec<i16>, Result<Vec<Warning>, ReadErrorKind>) {
        let mut survey = Survey::new();
        let voxels: Vec<i16> = intensities.into_iter().map(|v| survey.round(v)).collect();
        let shape = [1, 1, voxels.len()];
        (voxels, survey.judge(shape))
    }

    fn warnings(intensities: impl IntoIterator<Item = f64>) -> Vec<Warning> {
        judged(intensities).1.unwrap()
    }

    #[test]
    fn values_are_rounded_and_clipped_to_16_bits() {
        let (voxels, warnings) = judged([-0.5, 0.49, 1.5, -40000.0, 1e30, -1000.2]);
        assert_eq!(voxels, [-1, 0, 2, i16::MIN, i16::MAX, -1000]);
        assert_eq!(warnings.unwrap(), [Warning::IntensitiesClipped { count: 2, min: -40000.0, max: 1e30 }]);
    }

    #[test]
    fn hounsfield_units_pass_even_when_clipped_to_a_window() {
        assert!(warnings((-1024..3000).map(f64::from)).is_empty());
        assert!(warnings((-160..=240).map(f64::from)).is_empty());
        assert!(warnings((-100..=100).map(f64::from)).is_empty());
    }

    #[test]
    fn pictures_normalised_and_shifted_and_constant_scans_are_no_hounsfield_units() {
        let not_hounsfield = |w: Vec<Warning>| matches!(w[..], [Warning::NotHounsfield { .. }]);
        assert!(not_hounsfield(warnings((0..=255).map(f64::from))));
        assert!(not_hounsfield(warnings((0..=100).map(|v| f64::from(v) / 100.0))));
        assert!(not_hounsfield(warnings((-100..=100).map(|v| f64::from(v) / 25.0))));
        assert!(not_hounsfield(warnings((0..4096).map(f64::from))));
        assert!(not_hounsfield(warnings([-1000.0; 5])));
        assert!(not_hounsfield(warnings([0.0; 5])));
    }

    #[test]
    fn a_few_whole_values_are_labels() {
        let error = judged([0.0, 2.0, 1.0, 0.0]).1.unwrap_err();
        assert_eq!(
            error.to_string(),
            "it holds only the values 0, 1, 2: is it a label volume? A CT in Hounsfield units is needed"
        );
        assert!(judged([0.0, 0.5, 1.0]).1.is_ok(), "fractions are no labels");
        assert!(judged([-1000.0, 40.0]).1.is_ok(), "negative values are no labels");
        assert!(judged((0..9).map(f64::from)).1.is_ok(), "nine values are many");
        assert!(judged((0..8).map(f64::from)).1.is_err(), "eight are few");
    }

    #[test]
    fn voxels_that_are_not_finite_are_counted_and_the_first_is_named() {
        let mut survey = Survey::new();
        for v in [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, f64::NAN, f64::INFINITY, -3.0] {
            survey.round(v);
        }
        let error = survey.judge([2, 2, 3]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "2 voxels are NaN or infinite, the first is (i, j, k) = (0, 1, 1). Replace them, by -1000 (air) say"
        );
    }
}
