//! Lesions: the connected tumours of a label volume, measured.

use hepar_volume::{
    Connectivity, Geometry, Line, Margin, Millimetres, Plane, Reach, Reorientation, RowSpan, Volume, VoxelBox,
    components, longest, perpendicular,
};
use ndarray::ArrayView3;

use crate::error::{GridMismatch, check_same_grid};
use crate::intensity::Intensity;
use crate::probability_map::ProbabilityMap;

/// The label of tumours.
const TUMOUR: u8 = 2;

/// The confidence below which a lesion is doubtful: nearer to the shipped model's threshold of 0.3 than to certainty.
pub(crate) const LEAST_CONFIDENCE: f64 = 0.65;

/// A 26-connected component of label 2.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesion {
    /// Its number: 1 is the largest.
    pub id: usize,
    /// Its volume in millilitres.
    pub volume_ml: f64,
    /// The longest diameter in any slice nearest to axial, in millimetres, between outer corners of voxels (RECIST).
    pub long_axis_mm: f64,
    /// The longest extent perpendicular to the long axis in the same slice, in millimetres (WHO), within the convex
    /// hull of the lesion there.
    pub short_axis_mm: f64,
    /// Where the long axis ends.
    pub long_axis_ends: [Millimetres; 2],
    /// Where the short axis ends.
    pub short_axis_ends: [Millimetres; 2],
    /// The slice of both axes: 0-based index along the stored axis that is nearest to inferior–superior.
    pub axial_slice: usize,
    /// The first and the last slice of the lesion, along the same axis; first ≤ last.
    pub slices: (usize, usize),
    /// The mean of its voxels' centres.
    pub centroid: Millimetres,
    /// Mean in Hounsfield units.
    pub mean_hu: f64,
    /// Standard deviation (of the population) in Hounsfield units.
    pub sd_hu: f64,
    /// Number of its voxels, at least 1.
    pub voxels: usize,
    /// Whether a voxel of it shares a face with one outside of the liver (label 0).
    pub at_border: bool,
    /// Mean of the tumour network's probabilities of its voxels, 0..=1 in steps of 0.001; `None` for labels that no network
    /// has made.
    ///
    /// It says how sure the network is, not how often it is right: nobody has calibrated it.
    pub confidence: Option<f64>,
}

impl Lesion {
    /// Whether the network is little sure of it.
    pub fn is_doubtful(&self) -> bool {
        self.confidence.is_some_and(|confidence| confidence < LEAST_CONFIDENCE)
    }
}

/// The lesions (26-connected components of label 2) of `labels`, the largest first; of equal ones that whose first
/// voxel is the most inferior, then anterior, then right.
///
/// `scan` holds Hounsfield units on the same grid, in any orientation.
///
/// # Errors
/// When the two are not on the same grid.
pub fn find_lesions(labels: &Volume<u8>, scan: &Volume<i16>) -> Result<Vec<Lesion>, GridMismatch> {
    check_same_grid(scan.geometry(), labels.geometry())?;
    Ok(lesions_of(labels, scan, None))
}

/// As [`find_lesions`], for volumes that are known to share a grid, and with the tumours' probabilities if there are any.
pub(crate) fn lesions_of(labels: &Volume<u8>, scan: &Volume<i16>, probability: Option<&ProbabilityMap>) -> Vec<Lesion> {
    let Some(tumours) = VoxelBox::around(labels.data(), |&label| label == TUMOUR) else { return Vec::new() };
    // With the voxels around them, to see what tumours border on.
    let bounds = tumours.padded(Margin([Reach::Voxels(1); 3]), labels.geometry());
    let to_canonical = Reorientation::to_canonical(labels.geometry());
    let part = to_canonical.apply(&labels.crop(&bounds));
    let hu = to_canonical.apply(&scan.crop(&bounds));
    let [k0, j0, i0] = to_canonical.voxel_box(&bounds, labels.shape()).start();
    let at = |[k, j, i]: [usize; 3]| probability.map_or(0.0, |map| map.at([k0 + k, j0 + j, i0 + i]));
    let mut gathered = gather(&part, &hu, at);
    let is_known = probability.is_some();
    let measure =
        Measure { geometry: part.geometry(), plane: Plane::of(part.geometry()), to_canonical, bounds, is_known };
    // A stable sort: equal ones stay in array order.
    gathered.sort_by_key(|lesion| std::cmp::Reverse(lesion.intensity.count()));
    gathered.iter().enumerate().map(|(n, gathered)| measure.lesion(n + 1, gathered)).collect()
}

/// What one pass over the voxels of a lesion gathers; indices `[k, j, i]` in the canonical part.
#[derive(Debug, Clone, Default)]
struct Gathered {
    /// Sum of the voxels' indices.
    index_sum: [u64; 3],
    intensity: Intensity,
    /// Its rows in array order.
    rows: Vec<RowSpan>,
    at_border: bool,
    /// Sum of its voxels' probabilities.
    probability_sum: f64,
}

/// Goes through a part of a label volume in canonical orientation; lesions in array order of their first voxels.
///
/// `probability` is asked for the voxels `[k, j, i]` of lesions.
fn gather(labels: &Volume<u8>, scan: &Volume<i16>, probability: impl Fn([usize; 3]) -> f64) -> Vec<Gathered> {
    let components = components(labels.map(|&label| label == TUMOUR).data(), Connectivity::Corners26);
    let mut lesions = vec![Gathered::default(); components.count()];
    for (((k, j, i), &component), &hu) in components.labels.indexed_iter().zip(scan.data()) {
        if component == 0 {
            continue;
        }
        let lesion = &mut lesions[component as usize - 1];
        for (sum, index) in lesion.index_sum.iter_mut().zip([k, j, i]) {
            *sum += index as u64;
        }
        lesion.intensity.add(hu);
        lesion.probability_sum += probability([k, j, i]);
        lesion.at_border = lesion.at_border || borders_on_background(labels.data(), [k, j, i]);
        match lesion.rows.last_mut() {
            Some(row) if (row.k, row.j) == (k, j) => row.last = i,
            _ => lesion.rows.push(RowSpan { k, j, first: i, last: i }),
        }
    }
    lesions
}

/// Rounded as tables have it, so that it means the same when it is read from one.
fn thousandths(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// Whether a voxel shares a face with one of the background; beyond the edge of the volume nothing is known.
fn borders_on_background(labels: ArrayView3<'_, u8>, voxel: [usize; 3]) -> bool {
    (0..3).any(|axis| {
        [-1, 1].into_iter().any(|step| {
            let mut neighbour = voxel;
            let Some(moved) = voxel[axis].checked_add_signed(step) else { return false };
            neighbour[axis] = moved;
            labels.get(neighbour) == Some(&0)
        })
    })
}

/// Turns what was gathered into figures of the patient and of the stored volume.
struct Measure<'a> {
    /// The canonical part of the volume.
    geometry: &'a Geometry,
    plane: Plane,
    to_canonical: Reorientation,
    /// The same part in indices of the stored volume.
    bounds: VoxelBox,
    /// Whether probabilities were gathered.
    is_known: bool,
}

impl Measure<'_> {
    fn lesion(&self, id: usize, gathered: &Gathered) -> Lesion {
        let voxels = gathered.intensity.count();
        let (k, long, short) = self.axes(&gathered.rows);
        let ends = |line: Line| line.0.map(|end| self.position(k, end));
        let slices =
            [gathered.rows.first(), gathered.rows.last()].map(|row| self.stored_slice(row.map_or(0, |row| row.k)));
        Lesion {
            id,
            volume_ml: voxels as f64 * self.geometry.voxel_volume() / 1000.0,
            long_axis_mm: long.length(),
            short_axis_mm: short.length(),
            long_axis_ends: ends(long),
            short_axis_ends: ends(short),
            axial_slice: self.stored_slice(k),
            slices: (slices[0].min(slices[1]), slices[0].max(slices[1])),
            centroid: self.geometry.to_world(gathered.index_sum.map(|sum| sum as f64 / voxels as f64)),
            mean_hu: gathered.intensity.mean(),
            sd_hu: gathered.intensity.sd(),
            voxels,
            at_border: gathered.at_border,
            confidence: self.is_known.then(|| thousandths(gathered.probability_sum / voxels as f64)),
        }
    }

    /// The slice with the longest diameter, the most inferior of equal ones, and both diameters there.
    fn axes(&self, rows: &[RowSpan]) -> (usize, Line, Line) {
        let mut best = (0, Line([[0.0; 2]; 2]), Vec::new());
        for slice in rows.chunk_by(|a, b| a.k == b.k) {
            let outline = self.plane.outline(slice);
            let long = longest(&outline);
            if long.length() > best.1.length() {
                best = (slice[0].k, long, outline);
            }
        }
        let (k, long, outline) = best;
        (k, long, perpendicular(&outline, &long))
    }

    fn position(&self, k: usize, point: [f64; 2]) -> Millimetres {
        let (origin, moved) = (self.geometry.to_world([k as f64, 0.0, 0.0]).0, self.plane.displacement(point));
        Millimetres(std::array::from_fn(|axis| origin[axis] + moved[axis]))
    }

    /// Index of the canonical part's slice `k` along the stored axis that became k.
    fn stored_slice(&self, k: usize) -> usize {
        let from_canonical = self.to_canonical.inverse();
        // In a volume of 2³ voxels, the axis along which a step along k leads.
        let [here, there] = [0, 1].map(|k| from_canonical.index([k, 0, 0], [2; 3]));
        let axis = (0..3).find(|&axis| here[axis] != there[axis]).unwrap_or(0);
        self.bounds.start()[axis] + from_canonical.index([k, 0, 0], self.geometry.shape())[axis]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cut::cut;

    fn geometry(shape: [usize; 3]) -> Geometry {
        // LPS-like, as CTs are stored: i to the left, j to the back, k up.
        let affine = [[-0.8, 0.0, 0.0, 100.0], [0.0, -0.8, 0.0, 50.0], [0.0, 0.0, 2.5, -300.0], [0.0, 0.0, 0.0, 1.0]];
        Geometry::new(affine, shape).unwrap()
    }

    fn labels() -> Volume<u8> {
        let mut labels = Volume::filled(geometry([12, 40, 40]), 1u8);
        // A slab of 3 × 4 × 10 voxels with one slice of 3 × 4 × 20, a voxel that touches nothing, one at a corner.
        labels.data_mut().slice_each_axis_mut(cut([3, 10, 5], [6, 14, 15])).fill(2);
        labels.data_mut().slice_each_axis_mut(cut([4, 10, 5], [5, 14, 25])).fill(2);
        labels.data_mut()[[9, 30, 30]] = 2;
        labels.data_mut()[[6, 14, 15]] = 2;
        labels
    }

    fn scan(labels: &Volume<u8>) -> Volume<i16> {
        let mut k = 0;
        labels.map(|&label| {
            k += 1;
            if label == 2 { 50 + (k % 2) * 20 } else { -1000 }
        })
    }

    #[test]
    fn lesions_are_numbered_by_size_and_corners_connect() {
        let labels = labels();
        let lesions = find_lesions(&labels, &scan(&labels)).unwrap();
        assert_eq!(lesions.iter().map(|l| (l.id, l.voxels)).collect::<Vec<_>>(), [(1, 161), (2, 1)]);
        let first = &lesions[0];
        assert_eq!((first.axial_slice, first.slices), (4, (3, 6)));
        assert!((first.volume_ml - 161.0 * 1.6 / 1000.0).abs() < 1e-12);
        assert!((first.long_axis_mm - (16.0f64).hypot(3.2)).abs() < 1e-9);
        assert!(first.mean_hu > 55.0 && first.mean_hu < 65.0 && (first.sd_hu - 10.0).abs() < 0.1);
        let [a, b] = first.long_axis_ends.map(|end| end.0);
        assert_eq!((a[2], b[2]), (-290.0, -290.0));
        let centre = labels.geometry().to_world([9.0, 30.0, 30.0]);
        assert!((0..3).all(|axis| (lesions[1].centroid.0[axis] - centre.0[axis]).abs() < 1e-9));
        assert_eq!((lesions[1].mean_hu - 60.0).abs(), 10.0);
        assert_eq!(lesions[1].sd_hu, 0.0);
    }

    #[test]
    fn slices_count_along_the_stored_axis_that_is_nearest_to_the_bodys() {
        let labels = labels();
        let scan = scan(&labels);
        // The body's axis first becomes i, and runs downwards.
        let affine = [
            [0.0, 0.0, -0.8, 100.0],
            [0.0, -0.8, 0.0, 50.0],
            [-2.5, 0.0, 0.0, -300.0 + 11.0 * 2.5],
            [0.0, 0.0, 0.0, 1.0],
        ];
        let turned = Geometry::new(affine, [40, 40, 12]).unwrap();
        let stored = Volume::from_fn(turned.clone(), |[k, j, i]| labels.data()[[11 - i, j, k]]);
        let stored_scan = Volume::from_fn(turned, |[k, j, i]| scan.data()[[11 - i, j, k]]);
        let mut lesions = find_lesions(&stored, &stored_scan).unwrap();
        assert_eq!((lesions[0].axial_slice, lesions[0].slices), (7, (5, 8)));
        for lesion in &mut lesions {
            lesion.axial_slice = 11 - lesion.axial_slice;
            lesion.slices = (11 - lesion.slices.1, 11 - lesion.slices.0);
        }
        assert_eq!(lesions, find_lesions(&labels, &scan).unwrap());
    }

    #[test]
    fn a_lesion_is_at_the_border_when_a_face_of_it_touches_the_background() {
        let mut labels = labels();
        let at_border = |labels: &Volume<u8>| {
            find_lesions(labels, &scan(labels)).unwrap().iter().map(|lesion| lesion.at_border).collect::<Vec<_>>()
        };
        // The edge of the scan is no border, nor is a corner.
        labels.data_mut()[[11, 0, 0]] = 2;
        labels.data_mut()[[8, 29, 29]] = 0;
        assert_eq!(at_border(&labels), [false, false, false]);
        labels.data_mut()[[9, 30, 31]] = 0;
        assert_eq!(at_border(&labels), [false, true, false]);
    }

    #[test]
    fn the_confidence_is_the_mean_over_the_voxels_of_a_lesion_and_of_nothing_within_its_ring() {
        // Axes of the canonical volume are those of this one.
        let affine = [[-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        let mut labels = Volume::filled(Geometry::new(affine, [3, 9, 9]).unwrap(), 1u8);
        labels.data_mut().slice_each_axis_mut(cut([1, 2, 2], [2, 7, 7])).fill(2);
        labels.data_mut().slice_each_axis_mut(cut([1, 3, 3], [2, 6, 6])).fill(1);
        let mut map = ProbabilityMap::new(VoxelBox::whole(labels.geometry()));
        let ring = labels.data().index_axis(ndarray::Axis(0), 1).map(|&label| if label == 2 { 0.9f32 } else { 0.1 });
        map.set_slice(1, ring.view(), ring.map(|_| true).view());
        let lesions = lesions_of(&labels, &scan(&labels), Some(&map));
        assert_eq!(lesions.iter().map(|l| (l.voxels, l.confidence)).collect::<Vec<_>>(), [(16, Some(0.902))]);
        assert_eq!(lesions_of(&labels, &scan(&labels), None)[0].confidence, None);
    }

    #[test]
    fn a_volume_without_tumours_has_no_lesions() {
        let labels = Volume::filled(geometry([1, 1, 1]), 1u8);
        assert_eq!(find_lesions(&labels, &scan(&labels)), Ok(Vec::new()));
        assert!(find_lesions(&labels, &Volume::filled(geometry([1, 1, 2]), 0)).is_err());
    }
}
