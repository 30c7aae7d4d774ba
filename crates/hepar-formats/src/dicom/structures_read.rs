//! RT structure sets of any program as labels: PS3.3 A.19.

use std::collections::{BTreeMap, BTreeSet};

use dicom_core::PrimitiveValue;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use hepar_volume::{Geometry, Millimetres, Volume};
use ndarray::Array2;

use crate::dicom::codes;
use crate::dicom::compose::Element;
use crate::dicom::error::DicomError;
use crate::dicom::object::{Attributes, Object};
use crate::dicom::outline::fill;
use crate::dicom::segmentation_read::{beyond, holes};
use crate::dicom::slices::Slices;
use crate::dicom::vectors::{Vector, flipped};
use crate::segments::Meaning;
use crate::warning::Warning;

/// How far, in slices, a contour may lie from the slice that it is drawn on: positions are rounded text.
const OFF_SLICE: f64 = 0.1;

/// How far apart, in slices, contours of one plane may lie.
const ONE_PLANE: f64 = 0.05;

/// How far, in slices, the points of one contour may lie from their plane.
const UNEVEN: f64 = 0.1;

/// Which label a structure gives its voxels.
struct Naming {
    /// By the structure's number; those that are left out are not in it.
    labels: Vec<(i64, u8)>,
    warnings: Vec<Warning>,
}

/// What contours were drawn on.
enum Planes<'a> {
    /// The slices of a grid.
    OfGrid(&'a Geometry),
    /// The slices that a volume was made of.
    OfSeries(&'a Slices),
}

/// Whether an object is a structure set.
pub(crate) fn is_structure_set(sop_class: &str) -> bool {
    sop_class == uids::RT_STRUCTURE_SET_STORAGE
}

/// The UID of the first series that contours were made on.
pub(crate) fn series_of(object: &Object) -> Option<String> {
    let reference = object.data.item(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE)?;
    let study = reference.item(tags::RT_REFERENCED_STUDY_SEQUENCE)?;
    study.item(tags::RT_REFERENCED_SERIES_SEQUENCE)?.text(tags::SERIES_INSTANCE_UID)
}

/// The labels that the contours of a structure set give the voxels of `grid`: they are in the planes of its slices, or
/// in those of `slices`, of which the volume of the grid was made.
///
/// A voxel belongs to a structure when its centre lies inside of an odd number of its contours. Where liver and tumour
/// meet, the tumour stays.
///
/// # Errors
/// When a contour is none, lies between or beyond the slices, or all were drawn on thicker ones.
pub(crate) fn read(
    object: &Object,
    grid: &Geometry,
    slices: Option<&Slices>,
) -> Result<(Volume<u8>, Vec<Warning>), DicomError> {
    let Naming { labels, mut warnings } = naming(&object.data)?;
    let labelled = |item: &InMemDicomObject| {
        let roi = item.whole(tags::REFERENCED_ROI_NUMBER);
        labels.iter().find(|(number, _)| Some(*number) == roi).map(|(_, label)| *label)
    };
    let items = object.data.items(tags::ROI_CONTOUR_SEQUENCE).iter();
    let structures: Vec<(&InMemDicomObject, u8)> = items.filter_map(|item| Some((item, labelled(item)?))).collect();
    let lie_in = |slices: &&Slices| structures.iter().all(|(structure, _)| lies_in(structure, slices));
    let planes = slices.filter(lie_in).map_or(Planes::OfGrid(grid), Planes::OfSeries);
    let mut volume = Volume::filled(grid.clone(), 0u8);
    let mut drawn: BTreeSet<usize> = BTreeSet::new();
    for (structure, label) in structures {
        for (n, (_, mask)) in masks(structure, &planes)? {
            drawn.insert(n);
            planes.put(&mut volume, n, &mask, label);
        }
    }
    check_distances(&drawn)?;
    if matches!(planes, Planes::OfGrid(_)) {
        warnings.extend(holes(drawn.iter().map(|k| *k as i64)));
    }
    Ok((volume, warnings))
}

impl Planes<'_> {
    /// How many there are, and their rows and columns.
    fn shape(&self) -> [usize; 3] {
        match self {
            Self::OfGrid(grid) => grid.shape(),
            Self::OfSeries(slices) => slices.shape(),
        }
    }

    /// Plane, row and column of the points of a contour, which may lie between planes.
    fn indices(&self, points: &[Vector]) -> Vec<[f64; 3]> {
        match self {
            Self::OfGrid(grid) => points.iter().map(|point| grid.to_index(Millimetres(flipped(*point)))).collect(),
            Self::OfSeries(slices) => {
                let n = points.first().and_then(|first| slices.at(*first)).unwrap_or_default();
                let index = |point: &Vector| {
                    let [above, row, column] = slices.index(n, *point);
                    [n as f64 + above, row, column]
                };
                points.iter().map(index).collect()
            }
        }
    }

    /// Puts what is inside of the contours in plane `n` into the volume; where two meet, the higher label stays.
    fn put(&self, volume: &mut Volume<u8>, n: usize, mask: &Array2<bool>, label: u8) {
        let mut data = volume.data_mut();
        for ((row, column), _) in mask.indexed_iter().filter(|(_, inside)| **inside) {
            let mut mark = |index: [usize; 3]| data[index] = data[index].max(label);
            match self {
                Self::OfGrid(_) => mark([n, row, column]),
                Self::OfSeries(slices) => slices.voxels(n, [row, column]).for_each(mark),
            }
        }
    }
}

/// Refuses contours that were drawn on thicker slices, each of which happens to lie on one of the grid's.
///
/// `drawn` has the slices with contours of all structures. None of them are neighbours then, and most are equally far
/// apart; lesions far from one another are not, nor is an organ of which slices were skipped. Two slices may be either.
/// A warning would let a third of a liver go into tables and scores, so this is an error.
fn check_distances(drawn: &BTreeSet<usize>) -> Result<(), DicomError> {
    let gaps: Vec<usize> = drawn.iter().zip(drawn.iter().skip(1)).map(|(below, above)| above - below).collect();
    let least = gaps.iter().copied().min().unwrap_or(1);
    let usual = gaps.iter().filter(|gap| **gap == least).count();
    if least == 1 || gaps.len() < 2 || 2 * usual <= gaps.len() {
        return Ok(());
    }
    Err(DicomError::OtherGrid(format!(
        "its contours are {least} slices apart on the grid that they are to be put on, and what lies between would be \
        lost. Take the grid of the CT that they were drawn on, or have the slices between filled where they were drawn"
    )))
}

/// Contours that lie between slices: on the nearest ones they would double or cancel one another.
fn between_slices() -> DicomError {
    let text = "its contours do not lie in the slices of the grid that they are to be put on. Take the grid of the CT \
        that they were drawn on, or its series where its slices are at different distances or its gantry was tilted";
    DicomError::OtherGrid(text.to_owned())
}

/// The labels of structures, by number: by their codes or names, else by number.
fn naming(data: &InMemDicomObject) -> Result<Naming, DicomError> {
    let observations = data.items(tags::RTROI_OBSERVATIONS_SEQUENCE);
    let code = |number: i64| {
        let of_roi = observations.iter().find(|item| item.whole(tags::REFERENCED_ROI_NUMBER) == Some(number))?;
        of_roi.item(tags::RTROI_IDENTIFICATION_CODE_SEQUENCE)?.text(tags::CODE_VALUE)
    };
    let rois: Vec<(i64, String, Option<Meaning>)> = data
        .items(tags::STRUCTURE_SET_ROI_SEQUENCE)
        .iter()
        .filter_map(|item| {
            let number = item.whole(tags::ROI_NUMBER)?;
            let name = item.text(tags::ROI_NAME).unwrap_or_default();
            let meaning = code(number).and_then(|code| codes::meaning_of(&code)).or_else(|| Meaning::of_name(&name));
            Some((number, name, meaning))
        })
        .collect();
    if rois.is_empty() {
        let problem = "describes no structure";
        return Err(DicomError::attribute(tags::STRUCTURE_SET_ROI_SEQUENCE, "StructureSetROISequence", problem));
    }
    if rois.iter().all(|(_, _, meaning)| meaning.is_none()) {
        let label = |(number, ..): &(i64, String, Option<Meaning>)| Some((*number, u8::try_from(*number).ok()?));
        let labels = rois.iter().filter_map(label).collect();
        return Ok(Naming { labels, warnings: vec![Warning::SegmentsByNumber] });
    }
    let left_out: Vec<String> =
        rois.iter().filter(|(_, _, meaning)| meaning.is_none()).map(|(_, name, _)| name.clone()).collect();
    let labels = rois.iter().filter_map(|(number, _, meaning)| Some((*number, meaning.as_ref()?.label()))).collect();
    let warnings = if left_out.is_empty() { Vec::new() } else { vec![Warning::SegmentsLeftOut { names: left_out }] };
    Ok(Naming { labels, warnings })
}

/// The points of the closed contours of a structure.
fn contours(structure: &InMemDicomObject) -> impl Iterator<Item = Result<Vec<Vector>, DicomError>> {
    // Points and open lines surround nothing.
    let is_closed = |contour: &&InMemDicomObject| {
        let kind = contour.text(tags::CONTOUR_GEOMETRIC_TYPE).unwrap_or_default();
        matches!(kind.as_str(), "CLOSED_PLANAR" | "CLOSEDPLANAR_XOR")
    };
    let points = |contour: &InMemDicomObject| -> Result<Vec<Vector>, DicomError> {
        let numbers = contour.get(tags::CONTOUR_DATA).and_then(numbers);
        let numbers = numbers.filter(|numbers| numbers.len() % 3 == 0 && numbers.iter().all(|v| v.is_finite()));
        let problem = "holds no points of three numbers";
        let numbers = numbers.ok_or_else(|| DicomError::attribute(tags::CONTOUR_DATA, "ContourData", problem))?;
        Ok(numbers.as_chunks::<3>().0.to_vec())
    };
    structure.items(tags::CONTOUR_SEQUENCE).iter().filter(is_closed).map(points)
}

/// The numbers of an element of decimal strings, one of more than 65,534 bytes too: where values have a representation,
/// that of such a one is unknown (PS3.5 section 6.2.2).
fn numbers(element: &Element) -> Option<Vec<f64>> {
    let Some(PrimitiveValue::U8(bytes)) = element.value().primitive() else { return element.to_multi_float64().ok() };
    let text = std::str::from_utf8(bytes).ok()?;
    text.split('\\').map(|number| number.trim_matches(['\0', ' ']).parse().ok()).collect()
}

/// Whether all contours of a structure lie in slices of a series, as far as their first points tell.
fn lies_in(structure: &InMemDicomObject, slices: &Slices) -> bool {
    let lies_in_one = |points: Vec<Vector>| points.first().is_none_or(|first| slices.at(*first).is_some());
    contours(structure).all(|points| points.is_ok_and(lies_in_one))
}

/// The pixels of a structure by plane, each with where its contours lie, counted in planes.
fn masks(
    structure: &InMemDicomObject,
    planes: &Planes<'_>,
) -> Result<BTreeMap<usize, (f64, Array2<bool>)>, DicomError> {
    let [slices, rows, columns] = planes.shape();
    let mut masks: BTreeMap<usize, (f64, Array2<bool>)> = BTreeMap::new();
    for points in contours(structure) {
        let points = planes.indices(&points?);
        let Some(first) = points.first() else { continue };
        let k = first[0];
        let slice = k.round();
        if (k - slice).abs() > OFF_SLICE || points.iter().any(|point| (point[0] - k).abs() > UNEVEN) {
            return Err(between_slices());
        }
        if slice < 0.0 || slice >= slices as f64 {
            return Err(beyond());
        }
        // Corners of pixels are at whole numbers there, their centres here.
        let polygon: Vec<[f64; 2]> = points.iter().map(|[_, j, i]| [i + 0.5, j + 0.5]).collect();
        let empty = || (k, Array2::from_elem((rows, columns), false));
        let (plane, mask) = masks.entry(slice as usize).or_insert_with(empty);
        if (k - *plane).abs() > ONE_PLANE {
            return Err(between_slices());
        }
        fill(&polygon, mask);
    }
    Ok(masks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_of_thicker_slices_are_told_from_skipped_slices_and_lesions_far_apart() {
        let fits = |drawn: &[usize]| check_distances(&drawn.iter().copied().collect()).is_ok();
        assert!(fits(&[]) && fits(&[7]) && fits(&[3, 4, 5, 6]));
        assert!(fits(&[3, 4, 6, 7, 8]), "a slice was skipped");
        assert!(fits(&[3, 20]) && fits(&[3, 20, 41, 44]), "lesions of one slice each");
        assert!(fits(&[3, 4, 30, 32, 34]), "some slices are neighbours");
        assert!(!fits(&[0, 3, 6, 9]) && !fits(&[1, 3, 5]));
        assert!(!fits(&[0, 3, 6, 12, 15, 18]), "a thicker slice was skipped");
    }
}
