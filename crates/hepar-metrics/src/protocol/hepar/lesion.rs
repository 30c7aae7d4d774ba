//! One lesion, and how large it is.

use std::collections::BTreeMap;

use hepar_volume::{Geometry, Plane, RowSpan, longest};
use ndarray::Axis;

use crate::lesions::Lesions;

/// A lesion of a prediction or of a reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lesion {
    /// Number of its voxels, at least 1.
    pub voxels: usize,
    /// Volume in millilitres.
    pub volume_ml: f64,
    /// The longest diameter in any slice along k, in millimetres, between outer corners of voxels (as RECIST).
    pub long_axis_mm: f64,
}

/// A class of lesions by size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeClass {
    /// Less than 1 ml.
    Below1Ml,
    /// 1 to 5 ml, both included.
    From1To5Ml,
    /// More than 5 ml.
    Above5Ml,
    /// A long axis of less than 10 mm.
    Below10Mm,
    /// A long axis of 10 to 20 mm, both included.
    From10To20Mm,
    /// A long axis of more than 20 mm.
    Above20Mm,
}

/// All classes; those by volume and those by diameter each hold every lesion once.
pub const SIZE_CLASSES: [SizeClass; 6] = [
    SizeClass::Below1Ml,
    SizeClass::From1To5Ml,
    SizeClass::Above5Ml,
    SizeClass::Below10Mm,
    SizeClass::From10To20Mm,
    SizeClass::Above20Mm,
];

impl SizeClass {
    /// Whether the class holds a lesion.
    pub fn holds(self, lesion: &Lesion) -> bool {
        let (ml, mm) = (lesion.volume_ml, lesion.long_axis_mm);
        match self {
            Self::Below1Ml => ml < 1.0,
            Self::From1To5Ml => (1.0..=5.0).contains(&ml),
            Self::Above5Ml => ml > 5.0,
            Self::Below10Mm => mm < 10.0,
            Self::From10To20Mm => (10.0..=20.0).contains(&mm),
            Self::Above20Mm => mm > 20.0,
        }
    }
}

/// The numbers of the components and their lesions, the largest first; of equal ones the first in the array.
pub(crate) fn ranked(components: &Lesions, geometry: &Geometry) -> (Vec<usize>, Vec<Lesion>) {
    let axes = long_axes(components, geometry);
    let mut numbers: Vec<usize> = (1..=components.count()).collect();
    numbers.sort_by_key(|number| std::cmp::Reverse(components.sizes[number - 1]));
    let lesion = |&number: &usize| Lesion {
        voxels: components.sizes[number - 1],
        volume_ml: components.sizes[number - 1] as f64 * geometry.voxel_volume() / 1000.0,
        long_axis_mm: axes[number - 1],
    };
    let lesions = numbers.iter().map(lesion).collect();
    (numbers, lesions)
}

/// The long axis of each component in millimetres.
fn long_axes(components: &Lesions, geometry: &Geometry) -> Vec<f64> {
    let plane = Plane::of(geometry);
    let mut axes = vec![0.0f64; components.count()];
    for (k, slice) in components.labels.axis_iter(Axis(0)).enumerate() {
        let mut rows: BTreeMap<u32, Vec<RowSpan>> = BTreeMap::new();
        for (j, row) in slice.rows().into_iter().enumerate() {
            for (i, &label) in row.iter().enumerate().filter(|(_, label)| **label > 0) {
                let rows = rows.entry(label).or_default();
                match rows.last_mut() {
                    Some(row) if row.j == j => row.last = i,
                    _ => rows.push(RowSpan { k, j, first: i, last: i }),
                }
            }
        }
        for (label, rows) in rows {
            let axis = &mut axes[label as usize - 1];
            *axis = axis.max(longest(&plane.outline(&rows)).length());
        }
    }
    axes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lesion_is_in_one_class_by_volume_and_in_one_by_diameter() {
        for (volume_ml, long_axis_mm) in [(0.99, 9.9), (1.0, 10.0), (5.0, 20.0), (5.1, 20.1)] {
            let lesion = Lesion { voxels: 1, volume_ml, long_axis_mm };
            let holds: Vec<bool> = SIZE_CLASSES.iter().map(|class| class.holds(&lesion)).collect();
            assert_eq!(holds.iter().filter(|v| **v).count(), 2, "{lesion:?}");
            assert_eq!(holds[..3], holds[3..]);
        }
    }
}
