//! How bright a liver is.

use ndarray::Array3;

/// Millimetres of the cubes that voxels are averaged over: of their noise little is left, of most tumours all.
const CELL_MM: f64 = 4.0;

/// Half the width of the triangle that the histogram of cells is smoothed with, in Hounsfield units.
const SMOOTHING_HU: usize = 8;

/// Hounsfield units around the commonest ones in which cells of a liver's own tissue lie.
const TISSUE_HU: usize = 40;

/// Finds the Hounsfield units of a liver's own tissue: of means over cubes of 4 mm the median of those that lie within
/// 40 HU of the commonest.
///
/// The median of all voxels would do for livers with few tumours, of which this is within 5 HU. But tumours that fill a
/// third of a liver darken its median. Without the noise they are a peak of their own, and the tissue's is the higher one.
#[derive(Debug, Clone)]
pub struct Brightness {
    /// Voxels of a cell along each axis, `[k, j, i]`.
    cell: [usize; 3],
    /// Sum and number of the liver's voxels in each cell.
    cells: Array3<(i64, u32)>,
}

impl Brightness {
    /// Of a liver in a grid of `shape`, with voxels of `spacing` millimetres, both `[k, j, i]`.
    pub fn new(shape: [usize; 3], spacing: [f64; 3]) -> Self {
        let cell = spacing.map(|mm| ((CELL_MM / mm).round() as usize).clamp(1, 64));
        let cells: [usize; 3] = std::array::from_fn(|axis| shape[axis].div_ceil(cell[axis]));
        Self { cell, cells: Array3::from_elem(cells, (0, 0)) }
    }

    /// Takes up a voxel of the liver at `[k, j, i]`, in Hounsfield units.
    ///
    /// # Panics
    /// When the grid has no such voxel.
    pub fn add(&mut self, voxel: [usize; 3], hu: i16) {
        let (sum, count) = &mut self.cells[std::array::from_fn::<_, 3, _>(|axis| voxel[axis] / self.cell[axis])];
        (*sum, *count) = (*sum + i64::from(hu), *count + 1);
    }

    /// Hounsfield units of the tissue, whole numbers; `None` before the first voxel. What does not fill half of a cell
    /// counts only where no cell is half full.
    pub fn value(&self) -> Option<f32> {
        let half = self.cell.iter().product::<usize>().div_ceil(2) as u32;
        let most = self.cells.iter().map(|(_, count)| *count).max().unwrap_or_default();
        let counts = histogram(self.cells.iter().filter(|(_, count)| *count >= half.min(most).max(1)));
        let commonest = commonest(&counts)?;
        let first = commonest.saturating_sub(TISSUE_HU);
        let tissue = &counts[first..(commonest + TISSUE_HU + 1).min(counts.len())];
        let total: u64 = tissue.iter().copied().map(u64::from).sum();
        let mut below = 0;
        let median = tissue.iter().position(|&count| {
            below += u64::from(count);
            2 * below >= total && below > 0
        })?;
        Some(((first + median) as i32 + i32::from(i16::MIN)) as f32)
    }
}

/// How often each mean of a cell occurs, rounded to a whole number, from the least 16-bit one on.
fn histogram<'a>(cells: impl Iterator<Item = &'a (i64, u32)>) -> Vec<u32> {
    let mut counts = vec![0; 1 << 16];
    for &(sum, count) in cells {
        let count = i64::from(count);
        let mean = (2 * sum + count).div_euclid(2 * count);
        counts[(mean - i64::from(i16::MIN)) as usize] += 1;
    }
    counts
}

/// Where the smoothed histogram is highest, first of all such places. In whole numbers, so that it is the same on every
/// machine.
fn commonest(counts: &[u32]) -> Option<usize> {
    let first = counts.iter().position(|&count| count > 0)?;
    let last = counts.iter().rposition(|&count| count > 0)?;
    let mut highest = (0, first);
    for at in first..=last {
        let start = at.saturating_sub(SMOOTHING_HU - 1);
        let near = &counts[start..(at + SMOOTHING_HU).min(counts.len())];
        let weighted =
            |(offset, &count): (usize, &u32)| u64::from(count) * (SMOOTHING_HU - (start + offset).abs_diff(at)) as u64;
        let height = near.iter().enumerate().map(weighted).sum::<u64>();
        if height > highest.0 {
            highest = (height, at);
        }
    }
    Some(highest.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Voxels of 1 mm in a row of slices of 20 × 20, each slice with an even value and noise of ±30.
    fn brightness(slices: &[i16]) -> Option<f32> {
        let mut brightness = Brightness::new([slices.len(), 20, 20], [1.0; 3]);
        for (k, &hu) in slices.iter().enumerate() {
            for (j, i) in (0..20).flat_map(|j| (0..20).map(move |i| (j, i))) {
                let noise = if (i + j + k) % 2 == 0 { 30 } else { -30 };
                brightness.add([k, j, i], hu + noise);
            }
        }
        brightness.value()
    }

    #[test]
    fn it_is_the_mean_of_even_tissue() {
        assert_eq!(brightness(&[]), None);
        assert_eq!(brightness(&[103; 8]), Some(103.0));
        assert_eq!(brightness(&[-7; 4]), Some(-7.0));
    }

    #[test]
    fn tumours_that_fill_nearly_half_of_a_liver_do_not_darken_it() {
        let slices: Vec<i16> = (0..40).map(|k| if k % 20 < 8 { 30 } else { 80 }).collect();
        assert_eq!(brightness(&slices), Some(80.0));
    }

    #[test]
    fn a_liver_of_a_few_voxels_has_a_brightness_too() {
        for hu in [i16::MIN, -5, 40, i16::MAX] {
            let mut brightness = Brightness::new([3, 3, 3], [1.0; 3]);
            brightness.add([1, 2, 0], hu);
            assert_eq!(brightness.value(), Some(f32::from(hu)));
        }
        let mut coarse = Brightness::new([2, 2, 2], [9.0; 3]);
        [5, -7, 6].iter().enumerate().for_each(|(i, &hu)| coarse.add([0, i / 2, i % 2], hu));
        assert_eq!(coarse.value(), Some(5.0));
    }
}
