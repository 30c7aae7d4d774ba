//! Pictures' pixels out of volumes: planes of a scan and of its labels with square pixels.

use hepar_volume::{Geometry, GeometryError, Reorientation, Volume, VoxelBox, resample_linear_or};
use ndarray::{Array2, Axis};

use crate::plane::Plane;

/// Hounsfield units outside of the scan; black in any window.
const OUTSIDE: f32 = -32768.0;

/// A scan with its labels, in whatever order they are stored, addressed by canonical indices `[k, j, i]`.
pub(crate) struct Anatomy<'a> {
    scan: &'a Volume<i16>,
    labels: &'a Volume<u8>,
    to_canonical: Reorientation,
    /// The canonical grid of the labels.
    geometry: Geometry,
}

/// Where the liver is, in canonical indices.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Liver {
    pub(crate) bounds: VoxelBox,
    /// The slice with the most liver along each of the axes `[k, j, i]`, the first of equal ones.
    pub(crate) fullest: [usize; 3],
}

/// A rectangle of square pixels in a plane.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) plane: Plane,
    /// Canonical index of the plane along the axis through it.
    pub(crate) slice: usize,
    /// Canonical index, perhaps between voxels, of the middle of the picture.
    pub(crate) centre: [f64; 3],
    /// Edge of a pixel in millimetres.
    pub(crate) pixel_mm: f64,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// What is in a view; arrays are `[y, x]`.
pub(crate) struct Section {
    /// Hounsfield units, linear between voxels.
    pub(crate) hu: Array2<f32>,
    /// How much of the voxels around is liver with its tumours, 0 to 1.
    pub(crate) liver: Array2<f32>,
    /// How much of the voxels around is tumour, 0 to 1.
    pub(crate) tumour: Array2<f32>,
    pub(crate) projection: Projection,
}

/// Maps canonical indices to pixels of a view.
#[derive(Debug, Clone)]
pub(crate) struct Projection {
    plane: Plane,
    /// Voxels along the picture's height.
    rows: usize,
    /// A step along `[down, across]` in the picture, in millimetres `[x, y]`.
    steps: [[f64; 2]; 2],
    /// Position of the first pixel's centre in millimetres from the plane's first voxel.
    first: [f64; 2],
    pixel_mm: f64,
}

impl<'a> Anatomy<'a> {
    /// Of two volumes on the same grid.
    pub(crate) fn new(scan: &'a Volume<i16>, labels: &'a Volume<u8>) -> Self {
        let to_canonical = Reorientation::to_canonical(scan.geometry());
        Self { scan, labels, to_canonical, geometry: to_canonical.geometry(labels.geometry()) }
    }

    /// The canonical grid.
    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Index of a canonical slice along the stored axis that became the plane's.
    pub(crate) fn stored_slice(&self, plane: Plane, slice: usize) -> usize {
        let mut index = [0; 3];
        index[plane.through()] = slice;
        let stored = self.to_canonical.inverse().index(index, self.geometry.shape());
        stored[stored_axis(self.to_canonical, plane.through())]
    }

    /// The liver in a box of the stored volume; `None` when the box lies outside.
    pub(crate) fn liver(&self, stored: &VoxelBox) -> Option<Liver> {
        let stored = stored.intersection(&VoxelBox::whole(self.labels.geometry()))?;
        let bounds = self.to_canonical.voxel_box(&stored, self.labels.shape());
        let counts = liver_in_slices(&self.to_canonical.apply(&self.labels.crop(&stored)));
        let fullest = std::array::from_fn(|axis| bounds.start()[axis] + first_greatest(&counts[axis]));
        Some(Liver { bounds, fullest })
    }

    /// What is in a view.
    ///
    /// # Errors
    /// When two axes of the scan are all but parallel.
    pub(crate) fn section(&self, view: &View) -> Result<Section, GeometryError> {
        let projection = Projection::new(&self.geometry, view);
        let (p, [x, y]) = (view.pixel_mm, projection.first);
        let affine = [[p, 0.0, 0.0, x], [0.0, p, 0.0, y], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        let pixels = Geometry::new(affine, [1, view.height, view.width])?;
        let flat = |volume: Volume<f32>| volume.into_parts().0.index_axis_move(Axis(0), 0);
        let hu = self.slice(self.scan, view)?;
        let labels = self.slice(self.labels, view)?;
        let share = |inside: fn(u8) -> bool| {
            let mask = labels.map(|&label| u8::from(inside(label)));
            flat(resample_linear_or(&mask, &pixels, 0.0))
        };
        Ok(Section {
            hu: flat(resample_linear_or(&hu, &pixels, OUTSIDE)),
            liver: share(|label| label >= 1),
            tumour: share(|label| label == 2),
            projection,
        })
    }

    /// The voxels of a plane as a volume of one slice: rows down the picture, the first voxel at the origin.
    fn slice<T: Copy>(&self, volume: &Volume<T>, view: &View) -> Result<Volume<T>, GeometryError> {
        let (plane, shape) = (view.plane, self.geometry.shape());
        let [[down_x, down_y], [across_x, across_y]] = steps(&self.geometry, plane);
        let affine =
            [[across_x, down_x, 0.0, 0.0], [across_y, down_y, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        let (rows, columns) = (shape[plane.down()], shape[plane.across()]);
        let (data, from_canonical) = (volume.data(), self.to_canonical.inverse());
        let geometry = Geometry::new(affine, [1, rows, columns])?;
        Ok(Volume::from_fn(geometry, |[_, row, column]| {
            let mut index = [0; 3];
            index[plane.through()] = view.slice;
            index[plane.down()] = if plane.upwards() { rows - 1 - row } else { row };
            index[plane.across()] = column;
            data[from_canonical.index(index, shape)]
        }))
    }
}

impl Projection {
    fn new(geometry: &Geometry, view: &View) -> Self {
        let mut projection = Self {
            plane: view.plane,
            rows: geometry.shape()[view.plane.down()],
            steps: steps(geometry, view.plane),
            first: [0.0; 2],
            pixel_mm: view.pixel_mm,
        };
        let half = |pixels: usize| view.pixel_mm * (pixels as f64 - 1.0) / 2.0;
        let [x, y] = projection.millimetres(view.centre);
        projection.first = [x - half(view.width), y - half(view.height)];
        projection
    }

    /// Where a canonical index lies in the picture: pixels `[x, y]` from its upper left corner.
    ///
    /// The centre of the first pixel is at (0.5, 0.5).
    pub(crate) fn pixel(&self, index: [f64; 3]) -> [f32; 2] {
        let position = self.millimetres(index);
        std::array::from_fn(|axis| ((position[axis] - self.first[axis]) / self.pixel_mm + 0.5) as f32)
    }

    fn millimetres(&self, index: [f64; 3]) -> [f64; 2] {
        let down = index[self.plane.down()];
        let row = if self.plane.upwards() { (self.rows - 1) as f64 - down } else { down };
        let column = index[self.plane.across()];
        std::array::from_fn(|axis| row * self.steps[0][axis] + column * self.steps[1][axis])
    }
}

/// The stored axis, 0 to 2 for k, j, i, that becomes canonical axis `axis`.
pub(crate) fn stored_axis(to_canonical: Reorientation, axis: usize) -> usize {
    let from_canonical = to_canonical.inverse();
    // In a volume of 2³ voxels, the stored axis along which a step along the canonical one leads.
    let mut there = [0; 3];
    there[axis] = 1;
    let [here, there] = [[0; 3], there].map(|index| from_canonical.index(index, [2; 3]));
    (0..3).find(|&axis| here[axis] != there[axis]).unwrap_or(axis)
}

/// Steps along the picture's height and width in a plane of a canonical grid, each `[x, y]` in millimetres.
///
/// x runs along the axis across; y is perpendicular to it, so that sheared grids (gantry tilt) keep their shape.
fn steps(geometry: &Geometry, plane: Plane) -> [[f64; 2]; 2] {
    let (directions, spacing) = (geometry.directions(), geometry.spacing());
    let (down, across) = (directions[plane.down()], directions[plane.across()]);
    let sign = if plane.upwards() { -1.0 } else { 1.0 };
    let cosine = sign * (0..3).map(|axis| down[axis] * across[axis]).sum::<f64>();
    let sine = (1.0 - cosine * cosine).max(0.0).sqrt();
    let length = spacing[plane.down()];
    [[length * cosine, length * sine], [spacing[plane.across()], 0.0]]
}

/// Number of voxels of liver in each slice along each of the axes `[k, j, i]`.
fn liver_in_slices(labels: &Volume<u8>) -> [Vec<usize>; 3] {
    let mut counts = labels.shape().map(|len| vec![0; len]);
    for (k, slice) in labels.data().axis_iter(Axis(0)).enumerate() {
        for (j, row) in slice.axis_iter(Axis(0)).enumerate() {
            let mut in_row = 0;
            for (count, &label) in counts[2].iter_mut().zip(row) {
                let liver = usize::from(label >= 1);
                *count += liver;
                in_row += liver;
            }
            counts[0][k] += in_row;
            counts[1][j] += in_row;
        }
    }
    counts
}

fn first_greatest(counts: &[usize]) -> usize {
    let greatest = counts.iter().max();
    counts.iter().position(|count| Some(count) == greatest).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A canonical grid, sheared as by a gantry tilt when `tilt` is not 0.
    fn canonical(shape: [usize; 3], tilt: f64) -> Geometry {
        let affine = [[-1.0, 0.0, 0.0, 9.0], [0.0, -2.0, tilt, 8.0], [0.0, 0.0, 4.0, 7.0], [0.0, 0.0, 0.0, 1.0]];
        Geometry::new(affine, shape).unwrap()
    }

    fn view(plane: Plane) -> View {
        View { plane, slice: 1, centre: [1.0, 1.5, 2.0], pixel_mm: 1.0, width: 9, height: 13 }
    }

    #[test]
    fn pixels_are_the_voxels_that_project_onto_them() {
        for tilt in [0.0, 3.0] {
            let scan = Volume::from_fn(canonical([3, 4, 5], tilt), |[k, j, i]| (100 * k + 10 * j + i) as i16);
            let labels = scan.map(|&hu| u8::from(hu == 121) * 2);
            let anatomy = Anatomy::new(&scan, &labels);
            for plane in Plane::ALL {
                let section = anatomy.section(&view(plane)).unwrap();
                let mut index = [0.0; 3];
                index[plane.through()] = 1.0;
                for (down, across) in [(1usize, 2usize), (2, 1), (1, 1)] {
                    index[plane.down()] = down as f64;
                    index[plane.across()] = across as f64;
                    let [x, y] = section.projection.pixel(index);
                    let expected = scan.data()[index.map(|v| v as usize)];
                    // Between the four pixels around the voxel's centre the value changes linearly.
                    let (x0, y0) = ((x - 0.5).floor(), (y - 0.5).floor());
                    let (fx, fy) = (x - 0.5 - x0, y - 0.5 - y0);
                    let at = |dy: usize, dx: usize| {
                        let (y, x) = (y0 as usize + dy, x0 as usize + dx);
                        section.hu[[y.min(12), x.min(8)]]
                    };
                    let found = (at(0, 0) * (1.0 - fx) + at(0, 1) * fx) * (1.0 - fy)
                        + (at(1, 0) * (1.0 - fx) + at(1, 1) * fx) * fy;
                    assert!((found - f32::from(expected)).abs() < 0.01, "{plane:?}: {found}, {expected}");
                }
            }
            assert!(anatomy.section(&view(Plane::Axial)).unwrap().tumour.iter().any(|&share| share > 0.5));
        }
    }

    #[test]
    fn the_head_and_the_front_are_on_top_and_the_right_is_on_the_left() {
        let geometry = canonical([3, 4, 5], 0.0);
        let origin = |plane| Projection::new(&geometry, &view(plane)).pixel([0.0; 3]);
        let moved = |plane, index| {
            let [[x0, y0], [x, y]] = [origin(plane), Projection::new(&geometry, &view(plane)).pixel(index)];
            [x - x0, y - y0]
        };
        let (head, back, left) = ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]);
        assert_eq!([moved(Plane::Axial, back), moved(Plane::Axial, left)], [[0.0, 2.0], [1.0, 0.0]]);
        assert_eq!([moved(Plane::Coronal, head), moved(Plane::Coronal, left)], [[0.0, -4.0], [1.0, 0.0]]);
        assert_eq!([moved(Plane::Sagittal, head), moved(Plane::Sagittal, back)], [[0.0, -4.0], [2.0, 0.0]]);
    }

    #[test]
    fn a_tilted_gantry_leans_the_sagittal_picture_and_keeps_lengths() {
        let geometry = canonical([3, 4, 5], 3.0);
        let projection = Projection::new(&geometry, &view(Plane::Sagittal));
        let [[x0, y0], [x1, y1]] = [[0.0; 3], [1.0, 0.0, 0.0]].map(|index| projection.pixel(index));
        assert!(((x1 - x0).hypot(y1 - y0) - 5.0).abs() < 1e-5);
        // Slices move 3 mm to the front on 4 mm to the head.
        assert!((x1 - x0 + 3.0).abs() < 1e-5 && (y1 - y0 + 4.0).abs() < 1e-5);
    }

    #[test]
    fn the_fullest_slices_and_their_stored_numbers_are_found_in_any_order_of_axes() {
        // i runs down the body, j to the front, k to the patient's right.
        let affine = [[0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        let mut labels = Volume::filled(Geometry::new(affine, [6, 7, 8]).unwrap(), 0u8);
        for index in [[1, 2, 3], [1, 2, 4], [1, 3, 4], [2, 2, 4]] {
            labels.data_mut()[index] = 1;
        }
        let scan = labels.map(|_| 0i16);
        let anatomy = Anatomy::new(&scan, &labels);
        let stored = VoxelBox::around(labels.data(), |&label| label >= 1).unwrap();
        let liver = anatomy.liver(&stored).unwrap();
        assert_eq!((liver.bounds.start(), liver.bounds.end()), ([3, 3, 3], [5, 5, 5]));
        assert_eq!(liver.fullest, [3, 4, 4]);
        let numbers = Plane::ALL.map(|plane| anatomy.stored_slice(plane, liver.fullest[plane.through()]));
        assert_eq!(numbers, [4, 2, 1]);
    }
}
