//! How the intensities of liver and tumours are spread.

use hepar_volume::Volume;
use ndarray::Zip;

use crate::charts::{Bins, histogram};

/// Hounsfield units of the lower end of the first bin, of the upper end of the last, and between.
const LOWEST: i16 = -100;
const HIGHEST: i16 = 260;
const WIDTH: i16 = 6;

/// A chart of the voxels of the liver outside tumours, and of tumours; nothing without a liver.
pub(super) fn chart(scan: &Volume<i16>, labels: &Volume<u8>) -> String {
    let count = usize::try_from((HIGHEST - LOWEST) / WIDTH).unwrap_or(1);
    let mut counts = [vec![0u64; count], vec![0u64; count]];
    Zip::from(labels.data()).and(scan.data()).for_each(|&label, &hu| {
        if label > 0 {
            // What lies beyond is counted at the ends.
            let bin = (hu.clamp(LOWEST, HIGHEST - 1) - LOWEST) / WIDTH;
            counts[usize::from(label > 1)][usize::try_from(bin).unwrap_or(0)] += 1;
        }
    });
    let bins = |name: &str, colour, counts| Bins {
        name: name.to_owned(),
        colour,
        first: f64::from(LOWEST),
        width: f64::from(WIDTH),
        counts,
    };
    let [liver, tumour] = counts;
    let groups = [bins("liver outside tumours", "#1f78a8", liver), bins("tumours", "#b34700", tumour)];
    histogram("Intensities of liver and tumours, percent of their voxels", "Hounsfield units", &groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_volume::Geometry;

    #[test]
    fn intensities_beyond_the_ends_are_counted_there() {
        let geometry = Geometry::axis_aligned([1, 1, 4], [1.0; 3]).unwrap();
        let scan = Volume::from_fn(geometry.clone(), |[_, _, i]| [i16::MIN, i16::MAX, 50, 50][i]);
        let labels = Volume::from_fn(geometry, |[_, _, i]| [1u8, 1, 2, 0][i]);
        let chart = chart(&scan, &labels);
        assert!(chart.contains("liver outside tumours") && chart.contains(">tumours<"));
        assert_eq!(super::chart(&scan, &labels.map(|_| 0)), "");
    }
}
