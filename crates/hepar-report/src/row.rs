//! What a row of pictures shows: three planes through one place, to one scale.

use hepar_pipeline::Lesion;
use hepar_volume::Millimetres;

use crate::plane::Plane;
use crate::section::{Anatomy, Liver, View};

/// How much is shown around the liver, in millimetres.
const LIVER_MARGIN: f64 = 40.0;

/// How much is shown around a lesion, in millimetres.
const LESION_MARGIN: f64 = 30.0;

/// The least height of a picture of a lesion, in millimetres.
const LEAST_LESION_HEIGHT: f64 = 100.0;

/// The least width of a picture, in millimetres, so that a scan of a few voxels still looks like one.
const LEAST_WIDTH: f64 = 10.0;

/// The least and the greatest height of a picture, as shares of its width.
const PANEL_HEIGHTS: [f64; 2] = [0.59, 1.09];

/// Three pictures side by side, all to the same scale.
pub(crate) struct Row<'a> {
    /// Width of a picture in pixels.
    panel_width: usize,
    /// Canonical indices of the planes across each of the axes `[k, j, i]`.
    slices: [usize; 3],
    /// Canonical index of what is in the middle of the coronal and the sagittal picture.
    centre: [f64; 3],
    /// Canonical index of what is in the middle of the axial picture.
    axial_centre: [f64; 3],
    /// What the pictures should show at least, in millimetres.
    width_mm: f64,
    height_mm: f64,
    /// The lesion through which the planes go.
    pub(crate) lesion: Option<&'a Lesion>,
}

impl<'a> Row<'a> {
    /// The middle of the scan, all of it.
    pub(crate) fn middle(anatomy: &Anatomy, panel_width: usize) -> Self {
        let shape = anatomy.geometry().shape();
        let faces = shape.map(|len| [-0.5, len as f64 - 0.5]);
        Self::showing(anatomy, shape.map(|len| (len - 1) / 2), faces, panel_width)
    }

    /// The slices with the most liver, and what is around it.
    pub(crate) fn through_liver(anatomy: &Anatomy, liver: &Liver, panel_width: usize) -> Self {
        let (shape, spacing) = (anatomy.geometry().shape(), anatomy.geometry().spacing());
        let faces = std::array::from_fn(|axis| {
            let reach = LIVER_MARGIN / spacing[axis];
            let low = liver.bounds.start()[axis] as f64 - 0.5 - reach;
            let high = liver.bounds.end()[axis] as f64 - 0.5 + reach;
            [low.max(-0.5), high.min(shape[axis] as f64 - 0.5)]
        });
        Self::showing(anatomy, liver.fullest, faces, panel_width)
    }

    /// What lies between two faces along each axis, as canonical indices.
    fn showing(anatomy: &Anatomy, slices: [usize; 3], faces: [[f64; 2]; 3], panel_width: usize) -> Self {
        let spacing = anatomy.geometry().spacing();
        let extent: [f64; 3] = std::array::from_fn(|axis| (faces[axis][1] - faces[axis][0]) * spacing[axis]);
        let greatest =
            |axis: fn(Plane) -> usize| Plane::ALL.map(|plane| extent[axis(plane)]).into_iter().fold(0.0, f64::max);
        let centre = faces.map(|[low, high]| (low + high) / 2.0);
        Self {
            panel_width,
            slices,
            centre,
            axial_centre: centre,
            width_mm: greatest(Plane::across),
            height_mm: greatest(Plane::down),
            lesion: None,
        }
    }

    /// The axial slice of the lesion's diameters with these in the middle, and the other planes through its centroid.
    ///
    /// A lesion that leans may lie far from its centroid in a single slice.
    pub(crate) fn through_lesion(anatomy: &Anatomy, lesion: &'a Lesion, panel_width: usize) -> Self {
        let geometry = anatomy.geometry();
        let shape = geometry.shape();
        let inside = |point: Millimetres| -> [f64; 3] {
            let index = geometry.to_index(point);
            std::array::from_fn(|axis| index[axis].clamp(0.0, (shape[axis] - 1) as f64))
        };
        let centre = inside(lesion.centroid);
        let ends: Vec<[f64; 3]> = lesion.long_axis_ends.into_iter().chain(lesion.short_axis_ends).map(inside).collect();
        // Nothing of a lesion is wider in its slice than the long axis is long, so what is centred on both diameters has
        // room for them; centred on the long one alone, the short one of a triangle would reach too far.
        let axial_centre = std::array::from_fn(|axis| {
            let along = || ends.iter().map(|end| end[axis]);
            (along().fold(f64::INFINITY, f64::min) + along().fold(f64::NEG_INFINITY, f64::max)) / 2.0
        });
        let height = (lesion.slices.1.abs_diff(lesion.slices.0) + 1) as f64 * geometry.spacing()[0];
        let height_mm = (lesion.long_axis_mm.max(height) + 2.0 * LESION_MARGIN).max(LEAST_LESION_HEIGHT);
        Self {
            panel_width,
            slices: [ends[0][0], centre[1], centre[2]].map(|index| index.round() as usize),
            centre,
            axial_centre,
            width_mm: 1.2 * height_mm,
            height_mm,
            lesion: Some(lesion),
        }
    }

    /// Height of its pictures in pixels.
    pub(crate) fn panel_height(&self) -> usize {
        let width = self.panel_width as f64;
        let [least, greatest] = PANEL_HEIGHTS.map(|share| share * width);
        (width * self.height_mm / self.width_mm).clamp(least, greatest) as usize
    }

    /// What its picture of a plane shows.
    pub(crate) fn view(&self, plane: Plane) -> View {
        let (width, height) = (self.panel_width, self.panel_height());
        let pixel_mm = (self.width_mm.max(LEAST_WIDTH) / width as f64).max(self.height_mm / height as f64);
        let slice = self.slices[plane.through()];
        let centre = if plane == Plane::Axial { self.axial_centre } else { self.centre };
        View { plane, slice, centre, pixel_mm, width, height }
    }

    /// What stands above its picture of a plane.
    pub(crate) fn caption(&self, anatomy: &Anatomy, plane: Plane) -> String {
        let slice = anatomy.stored_slice(plane, self.slices[plane.through()]);
        match self.lesion {
            Some(lesion) if plane == Plane::Axial => {
                let [long, short] = [lesion.long_axis_mm, lesion.short_axis_mm];
                format!("Lesion {}, {long:.1} x {short:.1} mm: axial, slice {slice}", lesion.id)
            }
            Some(lesion) => format!("Lesion {}: {}, slice {slice}", lesion.id, plane.name().to_lowercase()),
            None => format!("{}, slice {slice}", plane.name()),
        }
    }
}
