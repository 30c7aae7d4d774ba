//! Masses beside the liver that were taken for tumours in it.
//!
//! A cyst of the kidney or the bed of the gall bladder lies against the liver, and where the liver stage takes it for
//! liver, the tumour stage takes it for a tumour. A tumour of the liver is surrounded by liver, at least for the greater
//! part; such a mass is not. Nor is a tumour that replaces a lobe, which is why a mass has to be smaller than what it lies
//! beside: the liver's own tissue.

use hepar_volume::{Connectivity, Geometry, components, largest_component};

use crate::object::ObjectMask;
use crate::surface::{Surface, surfaces};

/// Liver and tumours without the masses that lie beside the liver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetApart {
    /// In one piece, as the liver stage has it.
    pub liver: ObjectMask,
    pub tumour: Option<ObjectMask>,
    /// How many masses were taken out of both.
    pub masses: usize,
    /// Voxels of the masses.
    pub voxels: usize,
    /// Voxels of what hung on the liver by the masses alone, and is no liver any more either.
    pub hanging_voxels: usize,
    /// Tumours in what hung on the liver by the masses alone.
    pub hanging_tumours: usize,
}

/// The `liver` and the `tumour`s in it, in the scan of this geometry, less all masses beside the liver; `None` when there is
/// none. Of a liver that falls apart without them the largest piece (26-connected) stays, with the tumours in it.
///
/// A mass beside the liver is a tumour (26-connected component) of whose surface a share of more than `greatest` borders
/// on what is not liver, and that has fewer voxels than the liver has outside of all tumours.
///
/// The surface is that of voxels, in mm². Beyond the edge of the scan nothing is known: faces there do not count.
pub(crate) fn set_apart(
    liver: &ObjectMask,
    tumour: &ObjectMask,
    geometry: &Geometry,
    greatest: f64,
) -> Option<SetApart> {
    let tumours = components(tumour.mask(), Connectivity::Corners26);
    let surfaces = surfaces(&tumours, tumour.bounds().start(), liver, geometry);
    let tissue = liver.voxels().filter(|&voxel| !tumour.contains(voxel)).count();
    let is_mass = |(surface, &voxels): (&Surface, &usize)| {
        // What is larger than all else of the liver is no appendage of it, but what has become of it.
        surface.is_exposed_by_more_than(greatest) && voxels < tissue
    };
    let is_beside: Vec<bool> = surfaces.iter().zip(&tumours.sizes).map(is_mass).collect();
    let masses = is_beside.iter().filter(|&&beside| beside).count();
    if masses == 0 {
        return None;
    }
    let beside = tumours.labels.mapv(|tumour| tumour > 0 && is_beside[tumour as usize - 1]);
    let stays = tumours.labels.mapv(|tumour| tumour > 0 && !is_beside[tumour as usize - 1]);
    let beside = ObjectMask::new(tumour.bounds().start(), beside.view())?;
    let rest = liver.only(|voxel| !beside.contains(voxel)).and_then(|rest| largest_piece(&rest))?;
    let stays = ObjectMask::new(tumour.bounds().start(), stays.view());
    let in_rest = stays.and_then(|tumour| tumour.only(|voxel| rest.contains(voxel)));
    // A tumour is connected, so all of it lies in one piece of the liver.
    let left = in_rest.as_ref().map_or(0, |tumour| components(tumour.mask(), Connectivity::Corners26).count());
    let count = |object: &ObjectMask| object.voxels().count();
    let voxels = count(&beside);
    Some(SetApart {
        tumour: in_rest,
        masses,
        voxels,
        hanging_voxels: count(liver) - count(&rest) - voxels,
        hanging_tumours: tumours.count() - masses - left,
        liver: rest,
    })
}

/// The largest of the pieces that an object consists of.
fn largest_piece(object: &ObjectMask) -> Option<ObjectMask> {
    let piece = largest_component(object.mask(), Connectivity::Corners26);
    ObjectMask::new(object.bounds().start(), piece.view())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cut::cut;
    use ndarray::Array3;

    /// A scan of 20³ voxels with a liver of 10 of its 20 columns and a cube of tumour that begins at column `i`.
    fn liver_and_tumour(i: usize) -> [ObjectMask; 2] {
        let mut liver = Array3::from_elem((20, 20, 20), false);
        liver.slice_each_axis_mut(cut([2, 2, 0], [18, 18, 10])).fill(true);
        let mut tumour = Array3::from_elem((20, 20, 20), false);
        tumour.slice_each_axis_mut(cut([8, 8, i], [12, 12, i + 4])).fill(true);
        // As the stages have it: a tumour is liver.
        liver.zip_mut_with(&tumour, |liver, tumour| *liver |= tumour);
        [liver, tumour].map(|mask| ObjectMask::new([0; 3], mask.view()).unwrap())
    }

    fn geometry(spacing: [f64; 3]) -> Geometry {
        Geometry::axis_aligned([20; 3], spacing).unwrap()
    }

    #[test]
    fn a_mass_that_hangs_on_the_liver_by_one_face_is_set_apart_and_one_inside_stays() {
        let cubic = geometry([1.0; 3]);
        let [liver, inside] = liver_and_tumour(4);
        assert_eq!(set_apart(&liver, &inside, &cubic, 0.0), None);
        let [liver, at_edge] = liver_and_tumour(6);
        // One face of six is exposed.
        assert_eq!(set_apart(&liver, &at_edge, &cubic, 0.17), None);
        assert!(set_apart(&liver, &at_edge, &cubic, 0.16).is_some());
        let [liver, outside] = liver_and_tumour(10);
        // Five of six.
        assert_eq!(set_apart(&liver, &outside, &cubic, 0.84), None);
        let apart = set_apart(&liver, &outside, &cubic, 0.8).unwrap();
        assert_eq!((apart.masses, apart.voxels, apart.hanging_voxels, apart.tumour), (1, 64, 0, None));
        let rest = apart.liver;
        assert_eq!(rest.voxels().count(), liver.voxels().count() - 64);
        assert!(outside.voxels().all(|voxel| !rest.contains(voxel)));
    }

    #[test]
    fn faces_count_by_their_area() {
        let [liver, at_edge] = liver_and_tumour(6);
        // Voxels are 4 mm deep and wide, 1 mm long along i: the exposed face has 16 of 16 + 16 + 4 · 4 mm² a voxel.
        let flat = geometry([4.0, 4.0, 1.0]);
        assert_eq!(set_apart(&liver, &at_edge, &flat, 0.34), None);
        assert!(set_apart(&liver, &at_edge, &flat, 0.33).is_some());
    }

    #[test]
    fn beyond_the_edge_of_the_scan_nothing_is_known() {
        // At column 0 the liver reaches the edge, and so does the tumour.
        let [liver, cut_off] = liver_and_tumour(0);
        assert_eq!(set_apart(&liver, &cut_off, &geometry([1.0; 3]), 0.0), None);
    }

    #[test]
    fn what_hangs_on_the_liver_by_a_mass_alone_goes_with_it() {
        let [liver, mass] = liver_and_tumour(10);
        let mut beyond = Array3::from_elem((20, 20, 20), false);
        beyond.slice_each_axis_mut(cut([8, 8, 14], [12, 12, 18])).fill(true);
        let all = Array3::from_shape_fn((20, 20, 20), |(k, j, i)| liver.contains([k, j, i]) || beyond[[k, j, i]]);
        let all = ObjectMask::new([0; 3], all.view()).unwrap();
        let apart = set_apart(&all, &mass, &geometry([1.0; 3]), 0.6).unwrap();
        assert_eq!((apart.masses, apart.voxels), (1, 64));
        assert_eq!((apart.hanging_voxels, apart.hanging_tumours), (64, 0));
        assert_eq!(apart.liver.voxels().count(), 16 * 16 * 10);
    }

    #[test]
    fn each_mass_is_judged_by_itself() {
        let [liver, inside] = liver_and_tumour(3);
        let [_, outside] = liver_and_tumour(10);
        let mut both = Array3::from_elem((20, 20, 20), false);
        let mut with_mass = both.clone();
        inside.voxels().chain(outside.voxels()).for_each(|voxel| both[voxel] = true);
        liver.voxels().chain(outside.voxels()).for_each(|voxel| with_mass[voxel] = true);
        let [both, with_mass] = [both, with_mass].map(|mask| ObjectMask::new([0; 3], mask.view()).unwrap());
        let apart = set_apart(&with_mass, &both, &geometry([1.0; 3]), 0.45).unwrap();
        assert_eq!((apart.tumour, apart.liver, apart.masses), (Some(inside), liver, 1));
    }

    #[test]
    fn a_tumour_larger_than_the_liver_left_is_no_mass_beside_it() {
        let ball = Array3::from_shape_fn((20, 20, 20), |(k, j, i)| {
            [k, j, i].iter().map(|&at| (at as f64 - 9.5).powi(2)).sum::<f64>() <= 64.0
        });
        let masses = |first: usize| {
            let tumour = Array3::from_shape_fn((20, 20, 20), |(k, j, i)| ball[[k, j, i]] && i >= first);
            let [liver, tumour] = [&ball, &tumour].map(|mask| ObjectMask::new([0; 3], mask.view()).unwrap());
            set_apart(&liver, &tumour, &geometry([1.0; 3]), 0.6).map_or(0, |apart| apart.masses)
        };
        // Of the surface of a half, three quarters are exposed, and of the whole all.
        assert_eq!([0, 8, 10].map(masses), [0; 3]);
        assert_eq!(masses(11), 1, "smaller than the half that is left");
    }
}
