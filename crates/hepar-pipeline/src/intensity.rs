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
}
