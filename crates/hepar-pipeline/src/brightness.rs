//! How bright a liver is.

/// Half the width of the triangle that a histogram is smoothed with, in Hounsfield units: a standard deviation of 8.
const SMOOTHING_HU: usize = 20;

/// Hounsfield units around the commonest ones in which a liver's own tissue lies.
const TISSUE_HU: usize = 40;

/// Finds the Hounsfield units of a liver's own tissue, exactly: the median of what lies within 40 HU of the commonest
/// values.
///
/// The median of all of it would do for livers with few tumours, of which it is within a few Hounsfield units. But
/// tumours that fill a third of a liver darken its median, though not the commonest values.
#[derive(Debug, Clone)]
pub struct Brightness {
    /// How often each number occurs, from the least on.
    counts: Vec<u32>,
}

impl Default for Brightness {
    fn default() -> Self {
        Self { counts: vec![0; 1 << 16] }
    }
}

impl Brightness {
    /// Takes up a voxel of the liver, in Hounsfield units.
    pub fn add(&mut self, hu: i16) {
        self.counts[(i32::from(hu) - i32::from(i16::MIN)) as usize] += 1;
    }

    /// Hounsfield units of the tissue, of two medians the lower one; `None` before the first voxel.
    pub fn value(&self) -> Option<f32> {
        let commonest = self.commonest()?;
        let first = commonest.saturating_sub(TISSUE_HU);
        let tissue = &self.counts[first..(commonest + TISSUE_HU + 1).min(self.counts.len())];
        let total: u64 = tissue.iter().copied().map(u64::from).sum();
        let mut below = 0;
        let median = tissue.iter().position(|&count| {
            below += u64::from(count);
            2 * below >= total && below > 0
        })?;
        Some(((first + median) as i32 + i32::from(i16::MIN)) as f32)
    }

    /// Where the smoothed histogram is highest, first of all such places. In whole numbers, so that it is the same on
    /// every machine.
    fn commonest(&self) -> Option<usize> {
        let first = self.counts.iter().position(|&count| count > 0)?;
        let last = self.counts.iter().rposition(|&count| count > 0)?;
        let mut highest = (0, first);
        for at in first..=last {
            let start = at.saturating_sub(SMOOTHING_HU - 1);
            let near = &self.counts[start..(at + SMOOTHING_HU).min(self.counts.len())];
            let weighted = |(offset, &count): (usize, &u32)| {
                u64::from(count) * (SMOOTHING_HU - (start + offset).abs_diff(at)) as u64
            };
            let height = near.iter().enumerate().map(weighted).sum::<u64>();
            if height > highest.0 {
                highest = (height, at);
            }
        }
        Some(highest.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brightness(voxels: impl IntoIterator<Item = (i16, usize)>) -> Option<f32> {
        let mut brightness = Brightness::default();
        voxels.into_iter().for_each(|(hu, times)| (0..times).for_each(|_| brightness.add(hu)));
        brightness.value()
    }

    /// Tissue around `mean` with a triangle of noise.
    fn tissue(mean: i16, share: usize) -> impl Iterator<Item = (i16, usize)> {
        (-50..=50i16).map(move |noise| (mean + noise, share * (51 - usize::from(noise.unsigned_abs()))))
    }

    #[test]
    fn it_is_the_median_of_even_tissue() {
        assert_eq!(brightness([]), None);
        assert_eq!(brightness([(i16::MIN, 1)]), Some(-32768.0));
        assert_eq!(brightness([(i16::MAX, 3)]), Some(32767.0));
        assert_eq!(brightness([(5, 1), (-7, 1), (6, 1)]), Some(5.0));
        assert_eq!(brightness([(5, 1), (-7, 1), (7, 1), (6, 1)]), Some(5.0));
        assert_eq!(brightness(tissue(103, 4)), Some(103.0));
    }

    #[test]
    fn tumours_that_fill_a_third_of_a_liver_hardly_darken_it() {
        // As in LiTS 4: the median of all voxels is 16 HU darker than that of the liver's own.
        let found = brightness(tissue(80, 2).chain(tissue(28, 1))).unwrap();
        assert!((74.0..=80.0).contains(&found), "{found}");
    }

    #[test]
    fn voxels_in_steps_of_six_are_as_bright_as_others() {
        let coarse = tissue(100, 1).map(|(hu, times)| (hu / 6 * 6, times));
        let found = brightness(coarse).unwrap();
        assert!((94.0..=102.0).contains(&found), "{found}");
    }
}
