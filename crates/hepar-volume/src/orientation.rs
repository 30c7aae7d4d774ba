use ndarray::{Array3, ArrayView3, ArrayViewMut3, Axis, Zip};
use rayon::prelude::*;

use crate::{boxes::VoxelBox, geometry::Geometry, volume::Volume};

/// Unit vectors, RAS+, nearest to which the canonical axes `[k, j, i]` lie: k grows from inferior to superior, j from
/// anterior to posterior, i from the patient's right to the left.
const CANONICAL: [[f64; 3]; 3] = [[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]];

/// Letters of the ends of the canonical axes `[k, j, i]`: where they grow, and where they come from.
const LETTERS: [[char; 2]; 3] = [['S', 'I'], ['P', 'A'], ['L', 'R']];

const PERMUTATIONS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// Which axis of a stored volume becomes which, and whether it is turned round.
///
/// Voxels are only moved, never mixed, so that reorienting there and back gives the same volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reorientation {
    /// The axis of the source, 0 to 2 for k, j, i, that becomes axis `[k, j, i]` of the result; a permutation.
    source: [usize; 3],
    /// Whether axis `[k, j, i]` of the result runs against its axis of the source.
    flipped: [bool; 3],
}

impl Reorientation {
    /// How a volume on the grid `geometry` is brought into the canonical orientation.
    ///
    /// There, k grows from inferior to superior, j from anterior to posterior and i from the patient's right to the
    /// left, as far as axes that are not parallel to the patient's can: of all 48 orders and directions of the axes
    /// this is the one with the greatest sum of direction cosines. Where several are as good, because the grid lies
    /// askew by 45°, the choice depends on where the axes point but not on the order in which they are stored.
    pub fn to_canonical(geometry: &Geometry) -> Self {
        let directions = geometry.directions();
        let candidates: Vec<_> = PERMUTATIONS
            .iter()
            .flat_map(|&source| {
                (0..8).map(move |bits| Self { source, flipped: [0, 1, 2].map(|axis| bits >> axis & 1 == 1) })
            })
            .map(|candidate| (candidate, candidate.axes(&directions)))
            .collect();
        let best = candidates.iter().map(|(_, axes)| closeness(axes)).fold(f64::NEG_INFINITY, f64::max);
        let mut chosen = (Self { source: [0, 1, 2], flipped: [false; 3] }, f64::NEG_INFINITY);
        for (candidate, axes) in candidates {
            // Cosines of affines that were rounded to f32 agree to about 1e-7.
            if closeness(&axes) >= best - 1e-6 && preference(&axes) > chosen.1 {
                chosen = (candidate, preference(&axes));
            }
        }
        chosen.0
    }

    /// The reorientation that undoes this one.
    pub fn inverse(self) -> Self {
        let mut inverse = self;
        for axis in 0..3 {
            inverse.source[self.source[axis]] = axis;
            inverse.flipped[self.source[axis]] = self.flipped[axis];
        }
        inverse
    }

    /// Whether every voxel stays where it is.
    pub fn is_identity(self) -> bool {
        self.source == [0, 1, 2] && self.flipped == [false; 3]
    }

    /// The reoriented grid: every voxel keeps its position in the world.
    pub fn geometry(self, geometry: &Geometry) -> Geometry {
        geometry.reoriented(self.source, self.flipped)
    }

    /// The reoriented volume, its voxels in C order.
    pub fn apply<T: Clone + Send + Sync>(self, volume: &Volume<T>) -> Volume<T> {
        Volume::on_grid(in_c_order(self.view(volume)), self.geometry(volume.geometry()))
    }

    /// The voxels in the order of the result, without a copy.
    pub fn view<T>(self, volume: &Volume<T>) -> ArrayView3<'_, T> {
        let mut view = volume.data().permuted_axes(self.source);
        for axis in 0..3 {
            if self.flipped[axis] {
                view.invert_axis(Axis(axis));
            }
        }
        view
    }

    /// As [`Reorientation::apply`], but a volume that needs no change is passed on without a copy.
    pub fn apply_into<T: Clone + Send + Sync>(self, volume: Volume<T>) -> Volume<T> {
        if self.is_identity() && volume.data().is_standard_layout() { volume } else { self.apply(&volume) }
    }

    /// Where voxel `index` of a source of `shape`, both `[k, j, i]`, lands in the result.
    ///
    /// `index` lies within `shape`.
    pub fn index(self, index: [usize; 3], shape: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|axis| {
            let source = self.source[axis];
            if self.flipped[axis] { shape[source] - 1 - index[source] } else { index[source] }
        })
    }

    /// Where the voxels of a box within a source of `shape` `[k, j, i]` land in the result.
    pub fn voxel_box(self, voxels: &VoxelBox, shape: [usize; 3]) -> VoxelBox {
        let [a, b] = [voxels.start(), voxels.end().map(|end| end - 1)].map(|corner| self.index(corner, shape));
        VoxelBox::spanning(a, b)
    }

    /// The directions of the result's axes, given those of the source, both `[k, j, i]`.
    fn axes(self, directions: &[[f64; 3]; 3]) -> [[f64; 3]; 3] {
        std::array::from_fn(|axis| {
            let direction = directions[self.source[axis]];
            if self.flipped[axis] { direction.map(|v| -v) } else { direction }
        })
    }
}

/// A volume with its axes in the order and the directions of those of `grid`, as far as the two are parallel: labels that
/// were stored in another order than their scan.
pub fn stored_like<T: Clone + Send + Sync>(volume: Volume<T>, grid: &Geometry) -> Volume<T> {
    let canonical = Reorientation::to_canonical(volume.geometry()).apply_into(volume);
    Reorientation::to_canonical(grid).inverse().apply_into(canonical)
}

/// The directions in which the axes i, j, k of a grid grow, in this order, as nibabel's `aff2axcodes` gives them.
///
/// The letters are R or L, A or P, S or I, each of the patient's axes once: "RAS", "LPS".
pub fn orientation_code(geometry: &Geometry) -> String {
    let to_canonical = Reorientation::to_canonical(geometry);
    let from_canonical = to_canonical.inverse();
    [2, 1, 0]
        .map(|axis| LETTERS[from_canonical.source[axis]][usize::from(from_canonical.flipped[axis])])
        .iter()
        .collect()
}

/// Sum of the cosines between axes and the canonical ones, at most 3.
fn closeness(axes: &[[f64; 3]; 3]) -> f64 {
    (0..3).map(|axis| dot(axes[axis], CANONICAL[axis])).sum()
}

/// A number that differs between sets of axes that are equally close to the canonical ones.
///
/// It depends on where the axes point alone; the weights are arbitrary, so that no symmetry makes two sets equal.
fn preference(axes: &[[f64; 3]; 3]) -> f64 {
    const WEIGHTS: [[f64; 3]; 3] = [[0.311, 0.127, 0.743], [0.549, 0.871, 0.233], [0.967, 0.419, 0.613]];
    (0..3).map(|axis| dot(axes[axis], WEIGHTS[axis])).sum()
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|axis| a[axis] * b[axis]).sum()
}

/// A copy of `view` in C order, made in parallel.
fn in_c_order<T: Clone + Send + Sync>(view: ArrayView3<T>) -> Array3<T> {
    /// Voxels of a cache line at least, for voxels of two bytes.
    const SLAB: usize = 32;
    let Some(first) = view.first() else { return view.to_owned() };
    let mut copy = Array3::from_elem(view.dim(), first.clone());
    // When the slices follow each other in the source's memory, one slice alone would use one voxel of each cache
    // line that it reads; several at a time use the whole line.
    let across =
        view.strides()[0].unsigned_abs() < view.strides()[2].unsigned_abs().min(view.strides()[1].unsigned_abs());
    let slab = if across { SLAB } else { 1 };
    copy.axis_chunks_iter_mut(Axis(0), slab).into_par_iter().zip(view.axis_chunks_iter(Axis(0), slab)).for_each(
        |(to, from)| {
            if across {
                copy_by_rows(to, from);
            } else {
                Zip::from(to).and(from).for_each(|to, from| *to = from.clone());
            }
        },
    );
    copy
}

/// Copies a slab of slices, row by row of all its slices, so that what is read stays in the cache.
fn copy_by_rows<T: Clone>(mut to: ArrayViewMut3<T>, from: ArrayView3<T>) {
    for (mut to, from) in to.axis_iter_mut(Axis(1)).zip(from.axis_iter(Axis(1))) {
        to.assign(&from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all() -> impl Iterator<Item = Reorientation> {
        PERMUTATIONS.into_iter().flat_map(|source| {
            (0..8).map(move |bits| Reorientation { source, flipped: [0, 1, 2].map(|axis| bits >> axis & 1 == 1) })
        })
    }

    /// A grid whose columns i, j, k have lengths `spacing`, along -x, -y, +z turned about `axis` by `angle` radians.
    fn turned(axis: [f64; 3], angle: f64, spacing: [f64; 3], origin: [f64; 3], shape: [usize; 3]) -> Geometry {
        let length = dot(axis, axis).sqrt();
        let [x, y, z] = axis.map(|v| v / length);
        let cross = [[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]];
        let mut affine = [[0.0; 4]; 4];
        for row in 0..3 {
            for column in 0..3 {
                // Rodrigues' formula.
                let unit = f64::from(u8::from(row == column));
                let outer = [x, y, z][row] * [x, y, z][column];
                let rotation = angle.cos() * unit + angle.sin() * cross[row][column] + (1.0 - angle.cos()) * outer;
                affine[row][column] = rotation * spacing[column] * [-1.0, -1.0, 1.0][column];
            }
            affine[row][3] = origin[row];
        }
        affine[3][3] = 1.0;
        Geometry::new(affine, shape).unwrap()
    }

    fn anatomy(geometry: Geometry) -> Volume<i16> {
        Volume::from_fn(geometry, |[k, j, i]| (100 * k + 10 * j + i) as i16)
    }

    fn largest_difference(a: &Geometry, b: &Geometry) -> f64 {
        let pairs = a.affine().iter().flatten().zip(b.affine().iter().flatten());
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    prop_compose! {
        fn oblique()(
            axis in prop::array::uniform3(0.1..1.0f64),
            angle in -20.0..20.0f64,
            spacing in prop::array::uniform3(0.3..5.0f64),
            origin in prop::array::uniform3(-300.0..300.0f64),
            shape in prop::array::uniform3(1..5usize),
        ) -> Geometry {
            turned(axis, angle.to_radians(), spacing, origin, shape)
        }
    }

    proptest! {
        #[test]
        fn reorienting_there_and_back_gives_the_same_volume(geometry in oblique()) {
            let volume = anatomy(geometry);
            for there in all() {
                let back = there.inverse().apply(&there.apply(&volume));
                prop_assert_eq!(back.data(), volume.data());
                prop_assert!(largest_difference(back.geometry(), volume.geometry()) < 1e-12);
            }
        }

        #[test]
        fn every_voxel_keeps_its_place_in_the_patient(geometry in oblique()) {
            let volume = anatomy(geometry);
            for there in all() {
                let moved = there.apply(&volume);
                for ((k, j, i), value) in volume.data().indexed_iter() {
                    let index = there.index([k, j, i], volume.shape());
                    prop_assert_eq!(moved.data()[index], *value);
                    let before = volume.geometry().to_world([k, j, i].map(|v| v as f64));
                    let after = moved.geometry().to_world(index.map(|v| v as f64));
                    prop_assert!((0..3).all(|axis| (before.0[axis] - after.0[axis]).abs() < 1e-10));
                    let found = moved.geometry().to_index(before);
                    prop_assert!((0..3).all(|axis| (found[axis] - index[axis] as f64).abs() < 1e-9));
                }
            }
        }

        #[test]
        fn all_48_stored_forms_of_an_anatomy_give_the_same_canonical_volume(geometry in oblique()) {
            let canonical = anatomy(geometry);
            prop_assert!(Reorientation::to_canonical(canonical.geometry()).is_identity());
            for stored in all() {
                let stored = stored.apply(&canonical);
                let found = Reorientation::to_canonical(stored.geometry()).apply_into(stored);
                prop_assert_eq!(found.data(), canonical.data());
                prop_assert!(found.data().is_standard_layout());
                prop_assert!(largest_difference(found.geometry(), canonical.geometry()) < 1e-12);
            }
        }
    }

    #[test]
    fn grids_turned_by_45_degrees_have_one_canonical_orientation_for_all_stored_forms() {
        for (axis, angle) in [([0.0, 0.0, 1.0], 45.0), ([1.0, 0.0, 0.0], -45.0), ([1.0, 1.0, 1.0], 60.0)] {
            let first = turned(axis, f64::to_radians(angle), [0.7, 0.8, 2.5], [10.0, 20.0, 30.0], [4, 3, 2]);
            let canonical = Reorientation::to_canonical(&first).geometry(&first);
            for stored in all() {
                let stored = stored.geometry(&first);
                let found = Reorientation::to_canonical(&stored).geometry(&stored);
                assert!(found.matches(&canonical, 1e-9), "{axis:?}: {found:?}");
            }
        }
    }

    #[test]
    fn codes_are_those_of_nibabel() {
        let ras = Geometry::axis_aligned([2, 3, 4], [1.0; 3]).unwrap();
        assert_eq!(orientation_code(&ras), "RAS");
        assert_eq!(orientation_code(&Reorientation::to_canonical(&ras).geometry(&ras)), "LPS");
        // i grows towards the feet, j to the left, k to the front.
        let affine = [[0.0, -1.0, 0.1, 0.0], [0.1, 0.0, 2.0, 0.0], [-3.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        assert_eq!(orientation_code(&Geometry::new(affine, [2, 2, 2]).unwrap()), "ILA");
    }

    #[test]
    fn a_canonical_volume_is_passed_on_without_a_copy() {
        let volume = anatomy(turned([0.0, 0.0, 1.0], 0.1, [1.0; 3], [0.0; 3], [2, 3, 4]));
        let voxels = volume.data().as_ptr();
        let same = Reorientation::to_canonical(volume.geometry()).apply_into(volume);
        assert_eq!(same.data().as_ptr(), voxels);
    }

    #[test]
    fn a_volume_in_fortran_order_is_put_into_c_order() {
        use ndarray::ShapeBuilder;
        let geometry = turned([0.0, 0.0, 1.0], 0.1, [1.0; 3], [0.0; 3], [40, 5, 6]);
        let array = Array3::from_shape_fn((40, 5, 6).f(), |(k, j, i)| (100 * k + 10 * j + i) as i16);
        let volume = Volume::new(array, geometry.clone()).unwrap();
        let same = Reorientation::to_canonical(&geometry).apply_into(volume);
        assert!(same.data().is_standard_layout());
        assert_eq!(same, anatomy(geometry));
    }
}
