//! One case, from its files to its scores.

use std::path::Path;

use hepar_formats::{
    Labels, MOST_VOXELS, ReadError, labels_need_grid, read_labels, read_labels_like, read_labels_truncated,
};
use hepar_metrics::Figure;
use hepar_metrics::protocol::hepar::Hepar;
use hepar_metrics::protocol::lits2017::Lits2017;
use hepar_volume::{Geometry, Reorientation};

use crate::evaluate::grid::on_one_grid;
use crate::evaluate::overlay::Overlay;
use crate::evaluate::{EvaluateError, LabelMap, Options, Pair, Protocol};

/// Two grids are covered by one of so many voxels however few they have themselves: 4096 slices of 512 × 512.
const ANY_SCAN: usize = 1 << 30;

/// The scores of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseScores {
    /// Every figure, in the order of the JSON layout; the same ones for every case of a protocol.
    pub figures: Vec<Figure>,
    /// The scores that [`Protocol::Hepar`] gives, with its lesions.
    pub details: Option<Hepar>,
    /// The slices where liver and tumour differ most, if they were asked for.
    pub overlays: Vec<Overlay>,
    /// What is odd about the case, in sentences.
    pub notes: Vec<String>,
}

impl CaseScores {
    /// The figure at a place of the JSON layout, as `liver/dice`; `None` when it is undefined or is none of the
    /// protocol.
    pub fn value(&self, path: &str) -> Option<f64> {
        self.figures.iter().find(|figure| figure.path == path).and_then(Figure::value)
    }

    /// Scores the files of a case.
    ///
    /// # Errors
    /// When a file cannot be read, holds unknown labels or lies on another grid than the other, or the protocol's
    /// scorer would stop.
    pub(crate) fn of(pair: &Pair, options: &Options) -> Result<Self, EvaluateError> {
        match options.protocol {
            Protocol::Hepar => Self::by_hepar(pair, options),
            Protocol::Lits2017 => Self::by_lits2017(pair, options),
        }
    }

    fn by_hepar(pair: &Pair, options: &Options) -> Result<Self, EvaluateError> {
        let (prediction, reference) = read_pair(pair, read_labels);
        let prediction =
            prediction.and_then(|labels| mapped(&pair.prediction, labels, options.prediction_map.as_ref()));
        let reference = reference.and_then(|labels| mapped(&pair.reference, labels, options.reference_map.as_ref()));
        let of_grid = |difference| EvaluateError::Grid {
            prediction: pair.prediction.clone(),
            reference: pair.reference.clone(),
            difference,
        };
        let (prediction, reference) = on_one_grid(prediction?.volume, reference?.volume).map_err(of_grid)?;
        let details = Hepar::of(prediction.data(), reference.data(), reference.geometry())
            .map_err(|error| of_grid(crate::evaluate::GridDifference::Other(error.to_string())))?;
        let overlays = if options.overlays { Overlay::of(&prediction, &reference) } else { Vec::new() };
        Ok(Self { figures: details.figures(), notes: notes(&details), details: Some(details), overlays })
    }

    fn by_lits2017(pair: &Pair, options: &Options) -> Result<Self, EvaluateError> {
        // Of DICOM, whose labels are whole numbers, nothing can be cut off.
        let (prediction, reference) = read_pair(pair, read_labels_truncated);
        let prediction = mapped_if_asked(&pair.prediction, prediction?, options.prediction_map.as_ref())?;
        let reference = mapped_if_asked(&pair.reference, reference?, options.reference_map.as_ref())?;
        let scores = Lits2017::of(prediction.volume.data(), reference.volume.data(), reference.grid.stated_spacing())
            .map_err(|source| {
            let (prediction, reference) = (pair.prediction.clone(), pair.reference.clone());
            EvaluateError::Lits2017 { prediction, reference, source }
        })?;
        let same_grid = options.overlays && prediction.volume.shape() == reference.volume.shape();
        let overlays = if same_grid {
            // Voxels are compared as they are stored, as the scorer does, but shown as they lie in the patient.
            let turn = Reorientation::to_canonical(reference.volume.geometry());
            Overlay::of(&turn.apply_into(prediction.volume), &turn.apply_into(reference.volume))
        } else {
            Vec::new()
        };
        Ok(Self { figures: scores.figures(), details: None, overlays, notes: Vec::new() })
    }
}

/// Reads both, files with a grid by `reader`; DICOM objects, which have none of their own, are put on that of the other.
fn read_pair(
    pair: &Pair,
    reader: fn(&Path) -> Result<Labels, ReadError>,
) -> (Result<Labels, EvaluateError>, Result<Labels, EvaluateError>) {
    let read = |path: &Path| reader(path).map_err(EvaluateError::from);
    let on_grid_of = |path: &Path, other: &Result<Labels, EvaluateError>| match other {
        Ok(other) => read_labels_like(path, other.volume.geometry()).map_err(EvaluateError::from),
        Err(_) => read(path),
    };
    match (labels_need_grid(&pair.prediction), labels_need_grid(&pair.reference)) {
        (false, false) => rayon::join(|| read(&pair.prediction), || read(&pair.reference)),
        (true, false) => {
            let reference = read(&pair.reference);
            (on_grid_of(&pair.prediction, &reference), reference)
        }
        (false, true) => {
            let prediction = read(&pair.prediction);
            let reference = on_grid_of(&pair.reference, &prediction);
            (prediction, reference)
        }
        (true, true) => {
            let (prediction, reference) = rayon::join(|| read(&pair.prediction), || read(&pair.reference));
            let (Ok(prediction), Ok(reference)) = (prediction, reference) else {
                // Contours without their series have no grid unless the other file gives one.
                let prediction = read(&pair.prediction);
                let reference = on_grid_of(&pair.reference, &prediction);
                return (prediction, reference);
            };
            let both = covering(prediction.volume.geometry(), reference.volume.geometry());
            let on_both = |path: &Path| read_labels_like(path, &both).map_err(EvaluateError::from);
            (on_both(&pair.prediction), on_both(&pair.reference))
        }
    }
}

/// The first grid, extended by whole voxels until it covers the second too; as it is when the result would be no grid,
/// or one of far more voxels than both.
fn covering(first: &Geometry, second: &Geometry) -> Geometry {
    let last = second.shape().map(|voxels| (voxels - 1) as f64);
    let corners = [[0.0; 3], last].map(|corner| first.to_index(second.to_world(corner)));
    let least = |axis: usize| corners[0][axis].min(corners[1][axis]).round().min(0.0) as i64;
    let greatest =
        |axis: usize| corners[0][axis].max(corners[1][axis]).round().max((first.shape()[axis] - 1) as f64) as i64;
    let start = [0, 1, 2].map(least);
    let shape = [0, 1, 2].map(|axis| greatest(axis).saturating_sub(start[axis]).saturating_add(1).max(1) as usize);
    let voxels = |shape: [usize; 3]| shape.into_iter().fold(1, usize::saturating_mul);
    // Grids that lie far from each other are of no one patient; reading will say so.
    let of_both = voxels(first.shape()).saturating_add(voxels(second.shape()));
    let is_sane = voxels(shape) <= of_both.saturating_mul(8).clamp(ANY_SCAN, MOST_VOXELS);
    if is_sane { first.window(start, shape).unwrap_or_else(|_| first.clone()) } else { first.clone() }
}

/// Gives labels their meaning.
fn mapped(path: &Path, mut labels: Labels, map: Option<&LabelMap>) -> Result<Labels, EvaluateError> {
    let unknown = |(label, voxels)| EvaluateError::Label { path: path.to_owned(), label, voxels };
    map.copied().unwrap_or_default().apply(&mut labels.volume).map_err(unknown)?;
    Ok(labels)
}

/// Labels as the challenge's scorer takes them: every label of 1 and above for the liver, unless a map says otherwise.
fn mapped_if_asked(path: &Path, labels: Labels, map: Option<&LabelMap>) -> Result<Labels, EvaluateError> {
    match map {
        Some(_) => mapped(path, labels, map),
        None => Ok(labels),
    }
}

/// What a reader should know who sees undefined figures.
fn notes(scores: &Hepar) -> Vec<String> {
    let sides = |object: &str, predicted: u64, reference: u64| match (predicted, reference) {
        (0, 0) => Some(format!("neither volume has a voxel of the {object}: Dice is 1, distances are undefined")),
        (0, _) => Some(format!("the prediction has no voxel of the {object}: Dice is 0, distances are undefined")),
        (_, 0) => Some(format!("the reference has no voxel of the {object}: Dice is 0, distances are undefined")),
        _ => None,
    };
    let (liver, tumour) = (&scores.liver.overlap, &scores.tumour.overlap);
    let of_liver = sides("liver", liver.predicted, liver.reference);
    // Many livers have no tumour, and finding none there is no oddity.
    let of_tumour = if tumour.is_empty() { None } else { sides("tumour", tumour.predicted, tumour.reference) };
    let shear = "the axes of the grid are not at right angles: distances and surface Dice are undefined";
    let of_grid = scores.sheared.then(|| shear.to_owned());
    of_liver.into_iter().chain(of_tumour).chain(of_grid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_formats::{GridHeader, write_labels};
    use hepar_volume::Volume;

    #[test]
    fn undefined_distances_on_a_sheared_grid_are_not_left_unexplained() {
        let of = |slide: f64| {
            let affine = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, slide, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
            let labels = ndarray::Array3::ones((2, 2, 2));
            let geometry = Geometry::new(affine, [2, 2, 2]).unwrap();
            notes(&Hepar::of(labels.view(), labels.view(), &geometry).unwrap())
        };
        assert!(of(0.3)[0].contains("not at right angles"));
        assert!(of(0.0).is_empty());
    }

    #[test]
    fn a_grid_that_covers_two_holds_the_voxels_of_both() {
        let whole = Geometry::axis_aligned([40, 30, 20], [5.0, 0.7, 0.8]).unwrap();
        let (a, b) = (whole.window([3, 0, 0], [10, 30, 20]).unwrap(), whole.window([20, 0, 0], [6, 30, 20]).unwrap());
        let both = covering(&a, &b);
        assert_eq!(both.shape(), [23, 30, 20]);
        let expected = whole.window([3, 0, 0], [23, 30, 20]).unwrap();
        assert!(both.matches(&expected, 1e-6));
        assert!(covering(&b, &a).matches(&expected, 1e-6), "whichever is first");
        assert_eq!(covering(&whole, &a), whole);
    }

    #[test]
    fn grids_far_apart_are_not_covered_by_one_that_no_memory_holds() {
        let whole = Geometry::axis_aligned([4000, 512, 512], [1.0; 3]).unwrap();
        let slice = |k: i64| whole.window([k, 0, 0], [1, 512, 512]).unwrap();
        assert_eq!(covering(&slice(0), &slice(3999)).shape(), [4000, 512, 512], "two slices of a scan");
        for start in [[4000; 3], [0, 0, -1 << 40], [i64::MAX; 3]] {
            let far = whole.window(start, [2, 2, 2]).unwrap();
            assert_eq!(covering(&slice(0), &far), slice(0));
        }
    }

    #[test]
    fn the_challenges_pictures_are_axial_however_the_volumes_are_stored() {
        let grid = Geometry::axis_aligned([6, 5, 8], [5.0, 2.0, 1.0]).unwrap();
        let canonical = Reorientation::to_canonical(&grid).geometry(&grid);
        // i grows towards the head, j to the front, k to the right.
        let affine = [[0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        let to_stored = Reorientation::to_canonical(&Geometry::new(affine, [2; 3]).unwrap()).inverse();
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, columns: [usize; 2]| {
            let liver = |[k, j, i]: [usize; 3]| u8::from(j > 1 && i < columns[usize::from(k == 4)]);
            let stored = to_stored.apply(&Volume::from_fn(canonical.clone(), liver));
            let path = folder.path().join(name);
            write_labels(&path, &stored, &GridHeader::from_geometry(stored.geometry())).unwrap();
            path
        };
        let (prediction, reference) = (write("p.nii", [3, 6]), write("r.nii", [3, 3]));
        let pair = Pair { case: "a".to_owned(), prediction, reference };
        let overlay = |protocol| {
            let options = Options { protocol, overlays: true, ..Options::default() };
            let scores = CaseScores::of(&pair, &options).unwrap();
            let [overlay] = &scores.overlays[..] else { panic!("the liver alone: {:?}", scores.overlays) };
            (overlay.superior_mm, overlay.spacing, overlay.runs.iter().map(|run| run.length).collect::<Vec<_>>())
        };
        assert_eq!(overlay(Protocol::Lits2017), (20.0, [2.0, 1.0], [3; 6].to_vec()));
        assert_eq!(overlay(Protocol::Lits2017), overlay(Protocol::Hepar));
    }
}
