/// Mean and standard deviation of Hounsfield units, summed exactly: their order changes nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Intensity {
    count: u64,
    sum: i64,
    squares: u64,
}

impl Intensity {
    pub(crate) fn add(&mut self, hu: i16) {
        self.count += 1;
        self.sum += i64::from(hu);
        self.squares += u64::from(hu.unsigned_abs()).pow(2);
    }

    /// Number of voxels.
    pub(crate) fn count(&self) -> usize {
        self.count as usize
    }

    /// Mean; 0 of no voxels.
    pub(crate) fn mean(&self) -> f64 {
        self.sum as f64 / self.count.max(1) as f64
    }

    /// Standard deviation of the population; 0 of no voxels.
    pub(crate) fn sd(&self) -> f64 {
        // n²·variance as a whole number: nothing cancels.
        let (count, sum) = (i128::from(self.count), i128::from(self.sum));
        let scaled = count * i128::from(self.squares) - sum * sum;
        (scaled as f64).sqrt() / self.count.max(1) as f64
    }
}

/// Finds the median of Hounsfield units.
#[derive(Debug, Clone)]
pub struct Median {
    /// How often each number occurs, from the least on.
    counts: Vec<u32>,
    total: u64,
}

impl Default for Median {
    fn default() -> Self {
        Self { counts: vec![0; 1 << 16], total: 0 }
    }
}

impl Median {
    /// Takes up a number.
    pub fn add(&mut self, hu: i16) {
        self.counts[(i32::from(hu) - i32::from(i16::MIN)) as usize] += 1;
        self.total += 1;
    }

    /// The lower median; `None` before the first number.
    pub fn value(&self) -> Option<f32> {
        let mut below = 0;
        let hu = self.counts.iter().position(|&count| {
            below += u64::from(count);
            2 * below >= self.total && below > 0
        })?;
        Some((hu as i32 + i32::from(i16::MIN)) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_of_a_few_numbers() {
        let mut intensity = Intensity::default();
        assert_eq!((intensity.mean(), intensity.sd()), (0.0, 0.0));
        [2, 4, 4, 4, 5, 5, 7, 9].into_iter().for_each(|hu| intensity.add(hu));
        assert_eq!((intensity.count(), intensity.mean(), intensity.sd()), (8, 5.0, 2.0));
        let mut extreme = Intensity::default();
        [i16::MIN, i16::MAX].into_iter().for_each(|hu| extreme.add(hu));
        assert_eq!((extreme.mean(), extreme.sd()), (-0.5, 32767.5));
    }

    #[test]
    fn the_median_is_the_lower_one_of_two() {
        let median = |numbers: &[i16]| {
            let mut median = Median::default();
            numbers.iter().for_each(|&hu| median.add(hu));
            median.value()
        };
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[i16::MIN]), Some(-32768.0));
        assert_eq!(median(&[5, -7, 100]), Some(5.0));
        assert_eq!(median(&[5, -7, 100, 6]), Some(5.0));
    }
}
