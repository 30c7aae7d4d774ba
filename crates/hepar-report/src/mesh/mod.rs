//! The surfaces of liver and lesions, in patient space, and files of them.
//!
//! Surfaces come from naive surface nets (the crate fast-surface-nets) over the voxels and are smoothed after Taubin,
//! which rounds the steps between slices and keeps volumes. They are closed, two triangles meeting at every edge, and their triangles turn counter-clockwise
//! when seen from outside.

mod glb;
mod smooth;
mod stl;
mod surface;

use hepar_volume::{Connectivity, Margin, Reach, Reorientation, Volume, VoxelBox, components};

pub use glb::glb;
pub use stl::stl;
pub use surface::Surface;

use surface::surface;

/// Voxels of a surface's box beyond which blocks of voxels are taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detail {
    /// For the liver.
    pub liver: usize,
    /// For each lesion.
    pub lesion: usize,
}

/// The surfaces of a label volume.
#[derive(Debug, Clone, PartialEq)]
pub struct Surfaces {
    /// Of the liver with its tumours; none without a liver.
    pub liver: Option<Surface>,
    /// Of the lesions, with the number of each: 1 is the largest.
    pub lesions: Vec<(usize, Surface)>,
}

impl Detail {
    /// For files: about half a million triangles for a liver in voxels of 0.8 mm.
    pub const FILE: Self = Self { liver: 24_000_000, lesion: 4_000_000 };
    /// For a page: some tens of thousands of triangles for a liver.
    pub const PAGE: Self = Self { liver: 900_000, lesion: 150_000 };
}

impl Surfaces {
    /// The surfaces of the liver (label ≥ 1) and of the `most` largest lesions (26-connected components of label 2,
    /// numbered as [`find_lesions`](hepar_pipeline::find_lesions) does) of a label volume in any orientation.
    pub fn of(labels: &Volume<u8>, most: usize, detail: Detail) -> Self {
        let to_canonical = Reorientation::to_canonical(labels.geometry());
        let liver = VoxelBox::around(labels.data(), |&label| label >= 1)
            .map(|bounds| to_canonical.apply(&labels.crop(&bounds)))
            .and_then(|part| surface(&part, |&label| label >= 1, detail.liver));
        let lesions = VoxelBox::around(labels.data(), |&label| label == 2).map_or(Vec::new(), |bounds| {
            lesion_surfaces(&to_canonical.apply(&labels.crop(&bounds)), most, detail.lesion)
        });
        Self { liver, lesions }
    }
}

fn lesion_surfaces(part: &Volume<u8>, most: usize, detail: usize) -> Vec<(usize, Surface)> {
    let tumours = components(part.map(|&label| label == 2).data(), Connectivity::Corners26);
    let mut order: Vec<usize> = (0..tumours.count()).collect();
    // A stable sort: equal ones stay in array order, as lesions are numbered.
    order.sort_by_key(|&component| std::cmp::Reverse(tumours.sizes[component]));
    let bounds = boxes(&tumours.labels, tumours.count());
    let Ok(numbered) = Volume::new(tumours.labels, part.geometry().clone()) else { return Vec::new() };
    let of = |(n, component): (usize, usize)| {
        let around = bounds[component]?.padded(Margin([Reach::Voxels(0); 3]), numbered.geometry());
        let surface = surface(&numbered.crop(&around), |&voxel| voxel as usize == component + 1, detail)?;
        Some((n + 1, surface))
    };
    order.into_iter().take(most).enumerate().filter_map(of).collect()
}

/// The box of each component of a labelled array, `[k, j, i]`.
fn boxes(labels: &ndarray::Array3<u32>, count: usize) -> Vec<Option<VoxelBox>> {
    let mut extents = vec![([usize::MAX; 3], [0; 3]); count];
    for ((k, j, i), &component) in labels.indexed_iter().filter(|(_, component)| **component > 0) {
        let (start, end) = &mut extents[component as usize - 1];
        for (axis, index) in [k, j, i].into_iter().enumerate() {
            start[axis] = start[axis].min(index);
            end[axis] = end[axis].max(index + 1);
        }
    }
    extents.into_iter().map(|(start, end)| VoxelBox::new(start, end)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_pipeline::find_lesions;
    use hepar_volume::Geometry;

    /// Balls of tumour in a ball of liver, in slices of 4 mm, axes stored in another order when `turned`.
    fn balls(turned: bool) -> Volume<u8> {
        let affine = match turned {
            false => [[-1.0, 0.0, 0.0, 60.0], [0.0, -1.0, 0.0, 60.0], [0.0, 0.0, 4.0, -60.0], [0.0, 0.0, 0.0, 1.0]],
            true => [[0.0, 0.0, -1.0, 60.0], [0.0, -1.0, 0.0, 60.0], [4.0, 0.0, 0.0, -60.0], [0.0, 0.0, 0.0, 1.0]],
        };
        let shape = if turned { [120, 120, 30] } else { [30, 120, 120] };
        let geometry = Geometry::new(affine, shape).unwrap();
        let place = geometry.clone();
        Volume::from_fn(geometry, |index| {
            let point = place.to_world(index.map(|v| v as f64)).0;
            let within = |centre: [f64; 3], radius: f64| {
                (0..3).map(|axis| (point[axis] - centre[axis]).powi(2)).sum::<f64>() < radius * radius
            };
            match () {
                () if within([10.0, 5.0, 0.0], 9.0) || within([-20.0, 0.0, 8.0], 12.0) => 2,
                () if within([0.0, 0.0, 0.0], 45.0) => 1,
                () => 0,
            }
        })
    }

    #[test]
    fn surfaces_are_closed_face_outwards_and_have_the_volume_and_place_of_their_voxels() {
        for turned in [false, true] {
            let labels = balls(turned);
            let lesions = find_lesions(&labels, &labels.map(|_| 0)).unwrap();
            let surfaces = Surfaces::of(&labels, 9, Detail::FILE);
            assert_eq!(surfaces.lesions.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2]);
            for (lesion, (_, surface)) in lesions.iter().zip(&surfaces.lesions) {
                assert!(surface.is_closed());
                let ml = surface.volume_ml();
                assert!((ml / lesion.volume_ml - 1.0).abs() < 0.12, "{ml} of {}", lesion.volume_ml);
                let centre = surface.centre();
                assert!((0..3).all(|axis| (f64::from(centre[axis]) - lesion.centroid.0[axis]).abs() < 0.7));
            }
            let liver = surfaces.liver.unwrap();
            assert!(liver.is_closed());
            let ml = labels.data().iter().filter(|&&label| label > 0).count() as f64 * 4.0 / 1000.0;
            assert!((liver.volume_ml() / ml - 1.0).abs() < 0.03, "{} of {ml}", liver.volume_ml());
        }
    }

    #[test]
    fn a_surface_of_fewer_blocks_is_closed_and_about_as_large() {
        let labels = balls(false);
        let [fine, coarse] = [1_000_000, 20_000]
            .map(|limit| Surfaces::of(&labels, 0, Detail { liver: limit, lesion: 1 }).liver.unwrap());
        assert!(coarse.is_closed() && coarse.triangles.len() * 3 < fine.triangles.len());
        assert!((coarse.volume_ml() / fine.volume_ml() - 1.0).abs() < 0.05);
    }

    #[test]
    fn parts_that_touch_at_an_edge_or_a_corner_have_a_closed_surface() {
        let geometry = Geometry::axis_aligned([4, 4, 4], [3.0, 1.0, 1.0]).unwrap();
        // All ways to fill the eight voxels in the middle.
        for bits in 0..256u32 {
            let labels = Volume::from_fn(geometry.clone(), |index| {
                let inner = index.iter().all(|&index| (1..3).contains(&index));
                let corner = index.iter().fold(0, |corner, &index| 2 * corner + index % 2);
                2 * u8::from(inner && bits >> corner & 1 == 1)
            });
            let surfaces = Surfaces::of(&labels, 9, Detail::FILE);
            assert!(surfaces.lesions.iter().all(|(_, surface)| surface.is_closed()), "{bits:b}");
            assert!(surfaces.liver.is_none_or(|surface| surface.is_closed()), "{bits:b}");
        }
    }

    #[test]
    fn a_single_voxel_has_a_surface_and_nothing_has_none() {
        let mut labels = Volume::filled(Geometry::axis_aligned([3, 3, 3], [2.0; 3]).unwrap(), 0u8);
        assert_eq!(Surfaces::of(&labels, 9, Detail::FILE), Surfaces { liver: None, lesions: Vec::new() });
        labels.data_mut()[[0, 1, 2]] = 2;
        let surfaces = Surfaces::of(&labels, 9, Detail::FILE);
        assert!(surfaces.lesions[0].1.is_closed() && surfaces.lesions[0].1.volume_ml() > 0.0);
        assert!(surfaces.liver.unwrap().is_closed());
    }
}
