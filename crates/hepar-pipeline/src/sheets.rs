//! Thin sheets along the liver's border that were taken for tumours.
//!
//! Where a cyst of the kidney, the gall bladder or fat borders on the liver, a voxel between the two holds some of both and
//! is as dark as a lesion. A layer of such voxels follows the border: half of its surface borders on what is not liver,
//! and the largest ball that fits into it is tiny beside it. A lesion at the border is a lump.

use std::f64::consts::PI;

use hepar_model::stage::Sheet;
use hepar_volume::{Components, Connectivity, Geometry, VoxelBox, components, squared_distances};
use ndarray::Array3;

use crate::cut::cut;
use crate::object::ObjectMask;
use crate::surface::surfaces;

/// Tumours without thin sheets along the border of the liver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WithoutSheets {
    pub tumour: Option<ObjectMask>,
    /// How many sheets there were.
    pub sheets: usize,
    /// Voxels of the sheets.
    pub voxels: usize,
}

/// The `tumour`s (26-connected components) less those that are thin sheets along the border of the `liver`, to which all
/// tumours belong, in the scan of this geometry; `None` when there is no sheet.
pub(crate) fn without_sheets(
    liver: &ObjectMask,
    tumour: &ObjectMask,
    geometry: &Geometry,
    sheet: Sheet,
) -> Option<WithoutSheets> {
    let tumours = components(tumour.mask(), Connectivity::Corners26);
    let surfaces = surfaces(&tumours, tumour.bounds().start(), liver, geometry);
    let boxes = tumours.boxes();
    let is_sheet: Vec<bool> = (0..tumours.count())
        .map(|index| {
            surfaces[index].is_exposed_by_more_than(sheet.exposure)
                && is_thin(&tumours, index, &boxes[index], geometry, sheet)
        })
        .collect();
    let sheets = is_sheet.iter().filter(|&&is_sheet| is_sheet).count();
    if sheets == 0 {
        return None;
    }
    let stays = tumours.labels.mapv(|tumour| tumour > 0 && !is_sheet[tumour as usize - 1]);
    let sizes = tumours.sizes.iter().zip(&is_sheet);
    Some(WithoutSheets {
        tumour: ObjectMask::new(tumour.bounds().start(), stays.view()),
        sheets,
        voxels: sizes.filter(|(_, is_sheet)| **is_sheet).map(|(voxels, _)| voxels).sum(),
    })
}

/// Whether the largest ball inside a component is as thin as in a sheet, and has as small a share of its volume. The ball's
/// radius is the greatest distance of a voxel's centre to one outside, so that it can have more than all.
fn is_thin(tumours: &Components, index: usize, bounds: &VoxelBox, geometry: &Geometry, sheet: Sheet) -> bool {
    let shape = bounds.shape();
    // A layer around the box, so that there is an outside on every side.
    let mut outside = Array3::from_elem(shape.map(|length| length + 2), true);
    let mut within = outside.slice_each_axis_mut(cut([1; 3], shape.map(|length| length + 1)));
    within.zip_mut_with(&tumours.labels.slice_each_axis(cut(bounds.start(), bounds.end())), |outside, &tumour| {
        *outside = tumour as usize != index + 1;
    });
    let radius = squared_distances(outside.view(), geometry.spacing()).into_iter().fold(0.0, f64::max).sqrt();
    let compactness = 4.0 / 3.0 * PI * radius.powi(3) / (tumours.sizes[index] as f64 * geometry.voxel_volume());
    2.0 * radius <= sheet.thickness_mm && compactness < sheet.compactness
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHEET: Sheet = Sheet { exposure: 0.3, compactness: 0.2, thickness_mm: 6.0 };

    /// A liver of 30 of 40 columns of a scan of 40³ voxels, and the tumours where `inside` says, which are liver.
    fn liver_and_tumour(inside: impl Fn([usize; 3]) -> bool) -> [ObjectMask; 2] {
        let array =
            |inside: &dyn Fn([usize; 3]) -> bool| Array3::from_shape_fn((40, 40, 40), |(k, j, i)| inside([k, j, i]));
        let masks = [array(&|voxel| voxel[2] < 30 || inside(voxel)), array(&inside)];
        masks.map(|mask| ObjectMask::new([0; 3], mask.view()).unwrap())
    }

    fn sheets_of(inside: impl Fn([usize; 3]) -> bool) -> Option<WithoutSheets> {
        let [liver, tumour] = liver_and_tumour(inside);
        without_sheets(&liver, &tumour, &Geometry::axis_aligned([40; 3], [1.0; 3]).unwrap(), SHEET)
    }

    /// Two voxels thick, at the border.
    fn is_layer([k, j, i]: [usize; 3]) -> bool {
        (5..25).contains(&k) && (5..25).contains(&j) && (28..30).contains(&i)
    }

    fn is_in_ball([k, j, i]: [usize; 3], middle: [f64; 3], radius: f64) -> bool {
        let apart = [k, j, i].into_iter().zip(middle).map(|(at, middle)| (at as f64 - middle).powi(2));
        apart.sum::<f64>() <= radius * radius
    }

    #[test]
    fn a_layer_at_the_border_is_a_sheet_and_a_lump_there_is_none() {
        let apart = sheets_of(is_layer).unwrap();
        assert_eq!((apart.tumour, apart.sheets, apart.voxels), (None, 1, 20 * 20 * 2));
        // Half of it bulges out of the liver.
        assert_eq!(sheets_of(|voxel| is_in_ball(voxel, [20.0, 20.0, 30.0], 6.0)), None);
    }

    #[test]
    fn a_layer_within_the_liver_is_no_sheet() {
        assert_eq!(sheets_of(|[k, j, i]| is_layer([k, j, i + 10])), None);
    }

    #[test]
    fn each_tumour_is_judged_by_itself() {
        let ball = |voxel| is_in_ball(voxel, [33.0, 33.0, 20.0], 4.0);
        let apart = sheets_of(|voxel| is_layer(voxel) || ball(voxel)).unwrap();
        let [_, alone] = liver_and_tumour(ball);
        assert_eq!((apart.tumour, apart.sheets, apart.voxels), (Some(alone), 1, 20 * 20 * 2));
    }

    #[test]
    fn thickness_is_measured_in_millimetres() {
        let [liver, tumour] = liver_and_tumour(is_layer);
        let sheets = |across: f64| {
            let geometry = Geometry::axis_aligned([40; 3], [1.0, 1.0, across]).unwrap();
            without_sheets(&liver, &tumour, &geometry, Sheet { exposure: 0.1, ..SHEET }).map(|apart| apart.sheets)
        };
        // Of 20 × 20 mm, and 2 mm or 16 mm thick.
        assert_eq!([1.0, 8.0].map(sheets), [Some(1), None]);
    }

    #[test]
    fn a_slab_is_no_sheet_however_wide_it_is() {
        // 36 × 36 × 8 mm: a ball of 8 mm has a fortieth of its volume.
        let slab = |[k, j, i]: [usize; 3]| (2..38).contains(&k) && (2..38).contains(&j) && (22..30).contains(&i);
        assert_eq!(sheets_of(slab), None);
        let [liver, tumour] = liver_and_tumour(slab);
        let geometry = Geometry::axis_aligned([40; 3], [1.0; 3]).unwrap();
        let thicker = Sheet { thickness_mm: 8.0, ..SHEET };
        assert!(without_sheets(&liver, &tumour, &geometry, thicker).is_some());
    }
}
