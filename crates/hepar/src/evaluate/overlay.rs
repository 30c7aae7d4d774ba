//! The slice in which two label volumes differ most.

use hepar_volume::{Volume, VoxelBox};
use ndarray::Axis;

/// Voxels around the labels that are shown with them.
const BORDER: usize = 4;

/// Where a voxel belongs to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// In both volumes.
    Both,
    /// In the prediction alone.
    Prediction,
    /// In the reference alone.
    Reference,
}

/// Voxels of a row that belong to one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The row, from the top of the picture.
    pub row: usize,
    /// The first voxel, from the left of the picture.
    pub start: usize,
    /// How many voxels.
    pub length: usize,
    /// Where they belong.
    pub side: Side,
}

/// One object in the slice where prediction and reference differ in most voxels; the most inferior of equal ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Overlay {
    /// `liver` or `tumour`.
    pub object: &'static str,
    /// How far superior the middle of the slice lies, in RAS+ millimetres.
    pub superior_mm: f64,
    /// Voxels of the picture, `[rows, columns]`.
    pub size: [usize; 2],
    /// Size of a voxel in millimetres, `[rows, columns]`.
    pub spacing: [f64; 2],
    /// What is in it, by rows.
    pub runs: Vec<Run>,
}

impl Overlay {
    /// The overlays of the liver and of the tumours of volumes of one shape; none of an object in which they agree.
    pub(super) fn of(prediction: &Volume<u8>, reference: &Volume<u8>) -> Vec<Self> {
        let liver = Self::of_object("liver", prediction, reference, |label| label >= 1);
        let tumour = Self::of_object("tumour", prediction, reference, |label| label == 2);
        liver.into_iter().chain(tumour).collect()
    }

    fn of_object(
        object: &'static str,
        prediction: &Volume<u8>,
        reference: &Volume<u8>,
        belongs: fn(u8) -> bool,
    ) -> Option<Self> {
        let (predicted, referred) = (prediction.data(), reference.data());
        let slices = predicted.axis_iter(Axis(0)).zip(referred.axis_iter(Axis(0)));
        let differing = |p: &u8, r: &u8| belongs(*p) != belongs(*r);
        let counts = slices.map(|(p, r)| p.iter().zip(r).filter(|(p, r)| differing(p, r)).count());
        let (slice, _) = counts
            .enumerate()
            .filter(|(_, count)| *count > 0)
            .max_by_key(|&(k, count)| (count, std::cmp::Reverse(k)))?;
        let (p, r) =
            (prediction.data().index_axis_move(Axis(0), slice), reference.data().index_axis_move(Axis(0), slice));
        let here = |view: &ndarray::ArrayView2<'_, u8>| {
            VoxelBox::around(view.insert_axis(Axis(0)), |&label| belongs(label)).map(|b| (b.start(), b.end()))
        };
        let boxes = [here(&p), here(&r)];
        let low = |axis: usize| boxes.iter().flatten().map(|(start, _)| start[axis]).min().unwrap_or(0);
        let high = |axis: usize| boxes.iter().flatten().map(|(_, end)| end[axis]).max().unwrap_or(0);
        let start = [low(1).saturating_sub(BORDER), low(2).saturating_sub(BORDER)];
        let end = [(high(1) + BORDER).min(p.dim().0), (high(2) + BORDER).min(p.dim().1)];
        let mut runs: Vec<Run> = Vec::new();
        for row in start[0]..end[0] {
            for column in start[1]..end[1] {
                let side = match (belongs(p[[row, column]]), belongs(r[[row, column]])) {
                    (true, true) => Side::Both,
                    (true, false) => Side::Prediction,
                    (false, true) => Side::Reference,
                    (false, false) => continue,
                };
                let (row, column) = (row - start[0], column - start[1]);
                match runs.last_mut() {
                    Some(run) if run.row == row && run.side == side && run.start + run.length == column => {
                        run.length += 1
                    }
                    _ => runs.push(Run { row, start: column, length: 1, side }),
                }
            }
        }
        let [_, sj, si] = reference.geometry().spacing();
        let [_, rows, columns] = reference.geometry().shape().map(|length| (length - 1) as f64 / 2.0);
        let superior_mm = reference.geometry().to_world([slice as f64, rows, columns]).0[2];
        Some(Self { object, superior_mm, size: [end[0] - start[0], end[1] - start[1]], spacing: [sj, si], runs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_volume::Geometry;

    #[test]
    fn the_slice_with_most_differences_is_shown() {
        let geometry = Geometry::axis_aligned([3, 2, 6], [3.0, 2.0, 1.0]).unwrap();
        let volume = |to: [usize; 3]| Volume::from_fn(geometry.clone(), |[k, _, i]| u8::from(i < to[k]));
        let overlays = Overlay::of(&volume([3, 1, 3]), &volume([3, 4, 2]));
        assert_eq!(overlays.len(), 1);
        let overlay = &overlays[0];
        assert_eq!(
            (overlay.object, overlay.superior_mm, overlay.size, overlay.spacing),
            ("liver", 3.0, [2, 6], [2.0, 1.0])
        );
        assert_eq!(overlay.runs[1], Run { row: 0, start: 1, length: 3, side: Side::Reference });
        assert_eq!(overlay.runs.len(), 4);
    }
}
