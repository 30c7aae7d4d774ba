//! Stored samples to Hounsfield units.

use crate::dicom::instance::Samples;
use crate::survey::Survey;

/// What stands where nothing was measured: air.
pub(crate) const AIR: i16 = -1000;

/// A padding value that would be an intensity above this lies among those of the body and is kept: some programs name
/// a padding value of 0 for images that have none.
const BODY: f64 = -500.0;

/// Intensities of all stored numbers.
pub(crate) struct Table {
    rescale: (f64, f64),
    samples: Samples,
    /// By the bits as they are stored.
    intensities: Vec<i16>,
    /// Whether some numbers become intensities beyond 16 bits.
    clips: bool,
    /// The same as arithmetic, for whole intercepts and a slope of 1: several times as fast as looking up.
    sum: Option<Sum>,
}

/// Intensities as sums of stored numbers and an intercept.
#[derive(Debug, Clone, Copy)]
struct Sum {
    samples: Samples,
    intercept: i32,
    /// First and last number that are air; an empty range for none.
    padding: (i32, i32),
}

impl Sum {
    /// Without branches, so that it is computed for many pixels at once.
    #[inline]
    fn intensity(self, bits: u16) -> i16 {
        let number = self.samples.number(bits);
        let is_padding = (number >= self.padding.0) & (number <= self.padding.1);
        let intensity = (number + self.intercept).clamp(i32::from(i16::MIN), i32::from(i16::MAX));
        if is_padding { AIR } else { intensity as i16 }
    }
}

/// A padding value that is ignored, as an intensity.
pub(crate) fn odd_padding(samples: Samples, (slope, intercept): (f64, f64)) -> Option<f64> {
    let (low, high) = samples.padding?;
    let greatest = [low, high].map(|number| slope * f64::from(number) + intercept).into_iter().fold(f64::MIN, f64::max);
    (greatest > BODY).then_some(greatest)
}

impl Table {
    pub(crate) fn new(samples: Samples, rescale: (f64, f64)) -> Self {
        let (slope, intercept) = rescale;
        let padding = samples.padding.filter(|_| odd_padding(samples, rescale).is_none());
        let bits = 0..1usize << samples.allocated;
        let mut clips = false;
        let intensities = bits
            .map(|bits| {
                let number = samples.number(bits as u16);
                if padding.is_some_and(|(low, high)| (low..=high).contains(&number)) {
                    return AIR;
                }
                let intensity = (slope * f64::from(number) + intercept).round();
                clips |= intensity < f64::from(i16::MIN) || intensity > f64::from(i16::MAX);
                // A cast from float to integer saturates.
                intensity as i16
            })
            .collect();
        let is_sum = slope == 1.0 && intercept == intercept.round() && intercept.abs() <= 65536.0;
        let sum = Sum { samples, intercept: intercept as i32, padding: padding.unwrap_or((1, 0)) };
        Self { rescale, samples, intensities, clips, sum: is_sum.then_some(sum) }
    }

    /// Whether this is the table of these samples.
    pub(crate) fn is_of(&self, samples: Samples, rescale: (f64, f64)) -> bool {
        (self.samples, self.rescale) == (samples, rescale)
    }

    /// Looks up the samples of a frame, little-endian, and takes note of them.
    pub(crate) fn convert(&self, samples: &[u8], to: &mut [i16], survey: &mut Survey) {
        if self.samples.allocated == 8 {
            to.iter_mut().zip(samples).for_each(|(to, byte)| *to = self.intensities[usize::from(*byte)]);
        } else if let Some(sum) = self.sum {
            let words = samples.as_chunks::<2>().0.iter().map(|bytes| u16::from_le_bytes(*bytes));
            to.iter_mut().zip(words).for_each(|(to, word)| *to = sum.intensity(word));
        } else {
            let words = samples.as_chunks::<2>().0.iter().map(|bytes| usize::from(u16::from_le_bytes(*bytes)));
            to.iter_mut().zip(words).for_each(|(to, word)| *to = self.intensities[word]);
        }
        survey.see(to, self.clips);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLES: Samples = Samples { allocated: 16, stored: 16, high_bit: 15, signed: true, padding: None };

    fn converted(samples: Samples, rescale: (f64, f64), numbers: &[i16]) -> Vec<i16> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        let mut to = vec![0; numbers.len()];
        Table::new(samples, rescale).convert(&bytes, &mut to, &mut Survey::new());
        to
    }

    #[test]
    fn numbers_become_hounsfield_units_by_slope_and_intercept() {
        assert_eq!(converted(SAMPLES, (1.0, -1024.0), &[0, 1024, -5]), [-1024, 0, -1029]);
        assert_eq!(converted(SAMPLES, (0.5, 0.0), &[3, -3, 5]), [2, -2, 3], "halves away from zero");
        assert_eq!(converted(SAMPLES, (10.0, 0.0), &[4000, -4000]), [i16::MAX, i16::MIN]);
    }

    #[test]
    fn sums_are_what_is_looked_up() {
        for (stored, high_bit, signed) in [(16, 15, true), (16, 15, false), (12, 11, false), (12, 15, true)] {
            let padding = Some((-2000, -1900));
            let samples = Samples { stored, high_bit, signed, padding, ..SAMPLES };
            let table = Table::new(samples, (1.0, -1024.0));
            let sum = table.sum.unwrap();
            for bits in 0..=u16::MAX {
                assert_eq!(sum.intensity(bits), table.intensities[usize::from(bits)], "{stored} bits, {bits:#06x}");
            }
        }
        assert!(Table::new(SAMPLES, (1.0, 0.0)).sum.is_some() && Table::new(SAMPLES, (2.0, 0.0)).sum.is_none());
    }

    #[test]
    fn padding_becomes_air_unless_it_lies_in_the_body() {
        let padded = |low, high| Samples { padding: Some((low, high)), ..SAMPLES };
        assert_eq!(converted(padded(-2000, -2000), (1.0, -1024.0), &[-2000, -1999]), [AIR, -3023]);
        assert_eq!(converted(padded(-2000, -1500), (1.0, 0.0), &[-1700, -1499]), [AIR, -1499]);
        assert_eq!(converted(padded(0, 0), (1.0, 0.0), &[0, 1]), [0, 1]);
        assert_eq!(odd_padding(padded(0, 0), (1.0, 0.0)), Some(0.0));
        assert_eq!(odd_padding(padded(0, 0), (1.0, -1024.0)), None);
    }
}
