//! Where the voxels of a sample lie in the case that it is taken from.

use hepar_volume::VoxelBox;
use ndarray::Array3;
use rand::Rng;

use crate::config::Augmentation;
use crate::prepare::Part;

/// An affine map from the voxels of a sample to those of a case, both `[k, j, i]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Placement {
    /// Point of the case at the middle of the sample.
    pub centre: [f64; 3],
    /// What a step along the sample's axes (columns) is in voxels of the case (rows).
    pub matrix: [[f64; 3]; 3],
    /// By how much the sample is bent, if it is.
    pub bend: Option<Bend>,
}

/// Displacements of control points that lie evenly over a sample, from corner to corner; between them linear.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bend {
    /// In voxels of the case, `[k, j, i]`; the control points are `[k, j, i]` of the sample.
    displacements: Array3<[f64; 3]>,
}

/// Control points of a bend along each axis.
const CONTROL_POINTS: usize = 5;

impl Bend {
    /// Random displacements of up to `mm` along each axis, in a case with voxels of `spacing` millimetres.
    fn draw(rng: &mut impl Rng, mm: f64, spacing: [f64; 3]) -> Self {
        let mut along = |axis: usize| (rng.random::<f64>() * 2.0 - 1.0) * mm / spacing[axis];
        let shape = [CONTROL_POINTS; 3];
        Self { displacements: Array3::from_shape_simple_fn(shape, || [along(0), along(1), along(2)]) }
    }

    /// The greatest displacement along each axis, in voxels of the case.
    fn greatest(&self) -> [f64; 3] {
        let greatest = |axis: usize| self.displacements.iter().fold(0.0, |most: f64, by| most.max(by[axis].abs()));
        std::array::from_fn(greatest)
    }

    /// The displacements along a row `[d, h]` of a sample of `patch` voxels, at the control points of its columns.
    fn row(&self, [d, h]: [usize; 2], patch: [usize; 3]) -> [[f64; 3]; CONTROL_POINTS] {
        let [(k0, k1, along_k), (j0, j1, along_j)] = [(d, patch[0]), (h, patch[1])].map(|(at, len)| between(at, len));
        let at = |k: usize, j: usize, i: usize| self.displacements[[k, j, i]];
        std::array::from_fn(|i| {
            blend(blend(at(k0, j0, i), at(k0, j1, i), along_j), blend(at(k1, j0, i), at(k1, j1, i), along_j), along_k)
        })
    }
}

/// The control points around voxel `at` of an axis of `len` voxels, and how much the second counts.
fn between(at: usize, len: usize) -> (usize, usize, f64) {
    let position = at as f64 / (len.max(2) - 1) as f64 * (CONTROL_POINTS - 1) as f64;
    let lower = (position as usize).min(CONTROL_POINTS - 2);
    (lower, lower + 1, position - lower as f64)
}

fn blend(a: [f64; 3], b: [f64; 3], weight: f64) -> [f64; 3] {
    std::array::from_fn(|axis| a[axis] + (b[axis] - a[axis]) * weight)
}

/// A sample before its intensities are varied, `[d, h, w]`.
pub(crate) struct Extract {
    /// Hounsfield units.
    pub hu: Array3<f32>,
    /// Labels; 0 beyond the case.
    pub labels: Array3<u8>,
    /// Whether the voxel lies in the case at all.
    pub inside: Array3<bool>,
}

impl Placement {
    /// A random rotation, scaling and mirroring about `centre` of a case with voxels of `spacing` millimetres.
    ///
    /// Angles and magnification are drawn evenly from their ranges. Rotations turn the patient, not the grid: they are
    /// right for voxels that are longer than they are wide.
    pub fn draw(rng: &mut impl Rng, augmentation: &Augmentation, centre: [f64; 3], spacing: [f64; 3]) -> Self {
        let mut angle = |limit: f64| (rng.random::<f64>() * 2.0 - 1.0) * limit.to_radians();
        let angles =
            [angle(augmentation.rotation_degrees), angle(augmentation.tilt_degrees), angle(augmentation.tilt_degrees)];
        let [least, greatest] = augmentation.scale;
        let scale = least + rng.random::<f64>() * (greatest - least);
        let mut mirror = || if rng.random::<bool>() && augmentation.flip { -1.0 } else { 1.0 };
        let sign = [1.0, mirror(), mirror()];
        let rotation = rotation(angles);
        let entry = |row: usize, column: usize| {
            rotation[row][column] * (spacing[column] / spacing[row]) * (sign[column] / scale)
        };
        let matrix = std::array::from_fn(|row| std::array::from_fn(|column| entry(row, column)));
        let mm = augmentation.elastic_mm;
        let bend = (mm > 0.0).then(|| Bend::draw(rng, mm, spacing));
        Self { centre, matrix, bend }
    }

    /// All voxels of a case of `shape` that a sample of `patch` voxels can have anything from, and a few more.
    pub fn reach(&self, patch: [usize; 3], shape: [usize; 3]) -> VoxelBox {
        let corners = (0..8).map(|corner| {
            let index = std::array::from_fn(|axis| if corner >> axis & 1 == 0 { 0 } else { patch[axis] - 1 });
            self.point(index, patch)
        });
        let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
        for corner in corners {
            low = std::array::from_fn(|axis| low[axis].min(corner[axis]));
            high = std::array::from_fn(|axis| high[axis].max(corner[axis]));
        }
        let bent = self.bend.as_ref().map_or([0.0; 3], Bend::greatest);
        // Neighbours of a point lie at most one voxel away, the end is exclusive, and the casts saturate.
        let start = std::array::from_fn(|axis| ((low[axis] - bent[axis] - 1.0) as usize).min(shape[axis] - 1));
        let end = std::array::from_fn(|axis| {
            ((high[axis] + bent[axis] + 2.0).ceil() as usize).clamp(start[axis] + 1, shape[axis])
        });
        VoxelBox::new(start, end).unwrap_or_else(|| unreachable!("each axis has a voxel"))
    }

    /// Point of the case under voxel `index` of a sample of `patch` voxels.
    fn point(&self, index: [usize; 3], patch: [usize; 3]) -> [f64; 3] {
        let offset: [f64; 3] = std::array::from_fn(|axis| index[axis] as f64 - (patch[axis] - 1) as f64 / 2.0);
        std::array::from_fn(|row| {
            self.centre[row] + (0..3).map(|column| self.matrix[row][column] * offset[column]).sum::<f64>()
        })
    }
}

/// Takes `patch` voxels, `[d, h, w]`, from a case: Hounsfield units linearly, labels from the nearest voxel.
///
/// `part` holds what the placement can reach; a voxel is outside when it lies beyond the outer faces of the case, and then
/// has `beyond` Hounsfield units.
pub(crate) fn extract(part: &Part<'_>, placement: &Placement, patch: [usize; 3], beyond: f32) -> Extract {
    let mut sample = Extract {
        hu: Array3::from_elem(patch, beyond),
        labels: Array3::zeros(patch),
        inside: Array3::from_elem(patch, false),
    };
    let voxels = sample.hu.indexed_iter_mut().zip(&mut sample.labels).zip(&mut sample.inside);
    let (mut row, mut bend) = ([0.0; 3], None);
    for ((((d, h, w), value), label), inside) in voxels {
        if w == 0 {
            row = placement.point([d, h, 0], patch);
            bend = placement.bend.as_ref().map(|bend| bend.row([d, h], patch));
        }
        let straight: [f64; 3] = std::array::from_fn(|axis| row[axis] + placement.matrix[axis][2] * w as f64);
        let at = bend.map_or(straight, |bend| {
            let (lower, upper, weight) = between(w, patch[2]);
            let moved = blend(bend[lower], bend[upper], weight);
            std::array::from_fn(|axis| straight[axis] + moved[axis])
        });
        let [Some(k), Some(j), Some(i)] = [0, 1, 2].map(|axis| Tap::new(at[axis], part.shape[axis])) else { continue };
        *value = linear(part, k, j, i);
        *label = part.label_at([k.nearest(), j.nearest(), i.nearest()]);
        *inside = true;
    }
    sample
}

/// Two neighbours along an axis, and how much the upper one counts.
#[derive(Debug, Clone, Copy)]
struct Tap {
    lower: usize,
    upper: usize,
    weight: f32,
}

impl Tap {
    /// The neighbours of a position, or `None` when it is beyond the outer faces.
    fn new(position: f64, len: usize) -> Option<Self> {
        let last = (len - 1) as f64;
        if !(-0.5..=last + 0.5).contains(&position) {
            return None;
        }
        let position = position.clamp(0.0, last);
        let lower = position as usize;
        Some(Self { lower, upper: (lower + 1).min(len - 1), weight: (position - lower as f64) as f32 })
    }

    fn nearest(self) -> usize {
        if self.weight < 0.5 { self.lower } else { self.upper }
    }
}

fn linear(part: &Part<'_>, k: Tap, j: Tap, i: Tap) -> f32 {
    let along_i = |k: usize, j: usize| mix(part.hu_at([k, j, i.lower]), part.hu_at([k, j, i.upper]), i.weight);
    let along_j = |k: usize| mix(along_i(k, j.lower), along_i(k, j.upper), j.weight);
    if k.weight == 0.0 { along_j(k.lower) } else { mix(along_j(k.lower), along_j(k.upper), k.weight) }
}

fn mix(a: f32, b: f32, weight: f32) -> f32 {
    a + (b - a) * weight
}

/// Rotations about the axes k, j and i, one after the other, as a matrix over `[k, j, i]`.
fn rotation([about_k, about_j, about_i]: [f64; 3]) -> [[f64; 3]; 3] {
    let about = |axis: usize, angle: f64| {
        let (a, b) = ((axis + 1) % 3, (axis + 2) % 3);
        let mut matrix = [[0.0; 3]; 3];
        matrix[axis][axis] = 1.0;
        (matrix[a][a], matrix[b][b]) = (angle.cos(), angle.cos());
        (matrix[a][b], matrix[b][a]) = (-angle.sin(), angle.sin());
        matrix
    };
    product(product(about(0, about_k), about(1, about_j)), about(2, about_i))
}

fn product(a: [[f64; 3]; 3], b: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    std::array::from_fn(|row| std::array::from_fn(|column| (0..3).map(|inner| a[row][inner] * b[inner][column]).sum()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    const STRONG: Augmentation = Augmentation {
        rotation_degrees: 40.0,
        tilt_degrees: 20.0,
        scale: [0.7, 1.4],
        flip: true,
        ..Augmentation::NONE
    };

    /// A ball of radius 8 mm about the middle of a grid of 2 × 1 × 1 mm: 100 HU, label 1.
    fn ball() -> (Array3<i16>, Array3<u8>) {
        let labels = Array3::from_shape_fn((20, 40, 40), |(k, j, i)| {
            let at = |index: usize, len: f64, mm: f64| ((index as f64 - (len - 1.0) / 2.0) * mm).powi(2);
            u8::from(at(k, 20.0, 2.0) + at(j, 40.0, 1.0) + at(i, 40.0, 1.0) <= 64.0)
        });
        (labels.mapv(|label| i16::from(label) * 100), labels)
    }

    #[test]
    fn without_augmentation_a_sample_is_the_voxels_themselves() {
        let hu = Array3::from_shape_fn((8, 9, 10), |(k, j, i)| (100 * k + 10 * j + i) as i16);
        let labels = hu.mapv(|v| u8::from(v % 3 == 0));
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        // From voxel (-1, 2, 3) on: the first slice of the sample lies outside.
        let placement = Placement::draw(&mut rng, &Augmentation::NONE, [0.5, 3.5, 5.0], [2.5, 0.7, 0.9]);
        let sample = extract(&Part::whole(hu.view(), labels.view()), &placement, [4, 4, 5], 0.0);
        for ((d, h, w), &value) in sample.hu.indexed_iter() {
            assert_eq!(sample.inside[[d, h, w]], d > 0);
            let expected = if d > 0 { hu[[d - 1, h + 2, w + 3]] } else { 0 };
            assert_eq!(value, f32::from(expected));
            assert_eq!(sample.labels[[d, h, w]] == 1, d > 0 && labels[[d - 1, h + 2, w + 3]] == 1);
        }
    }

    #[test]
    fn a_bent_sample_moves_by_no_more_than_was_asked_for_and_takes_its_labels_along() {
        let (hu, labels) = ball();
        let bent = Augmentation { elastic_mm: 3.0, ..Augmentation::NONE };
        let centre = [9.5, 19.5, 19.5];
        let mut moved = 0;
        for seed in 0..10 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let placement = Placement::draw(&mut rng, &bent, centre, [2.0, 1.0, 1.0]);
            let sample = extract(&Part::whole(hu.view(), labels.view()), &placement, [20, 40, 40], 0.0);
            for ((d, h, w), &label) in sample.labels.indexed_iter() {
                let distance = |index: usize, len: f64, mm: f64| ((index as f64 - (len - 1.0) / 2.0) * mm).powi(2);
                let radius = (distance(d, 20.0, 2.0) + distance(h, 40.0, 1.0) + distance(w, 40.0, 1.0)).sqrt();
                // A displacement of 3 mm along each axis, and half a voxel.
                assert!(if label == 1 { radius < 8.0 + 5.2 + 1.3 } else { radius > 8.0 - 5.2 - 1.3 }, "seed {seed}");
                let value = sample.hu[[d, h, w]];
                assert!(if label == 1 { value > 10.0 } else { value < 90.0 }, "seed {seed}: {value}");
                moved += usize::from(label != labels[[d, h, w]]);
            }
        }
        assert!(moved > 1000, "{moved}");
    }

    #[test]
    fn labels_follow_the_image() {
        let (hu, labels) = ball();
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let centre = [9.5 + rng.random::<f64>(), 19.5, 18.0];
            let placement = Placement::draw(&mut rng, &STRONG, centre, [2.0, 1.0, 1.0]);
            let sample = extract(&Part::whole(hu.view(), labels.view()), &placement, [16, 32, 32], 0.0);
            let (mut wrong, mut inside) = (0, 0);
            for (&value, &label) in sample.hu.iter().zip(&sample.labels) {
                inside += usize::from(label == 1);
                // Nearest and linear disagree only in the mixed voxels of the border.
                wrong += usize::from((label == 1 && value < 10.0) || (label == 0 && value > 90.0));
            }
            assert!(inside > 200 && wrong == 0, "seed {seed}: {wrong} of {inside}");
        }
    }

    #[test]
    fn a_turned_ball_stays_a_ball_on_a_grid_of_long_voxels() {
        let (hu, labels) = ball();
        let turn = Augmentation { rotation_degrees: 180.0, tilt_degrees: 180.0, ..Augmentation::NONE };
        let voxels = labels.iter().filter(|&&label| label == 1).count() as f64;
        for seed in 0..10 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let placement = Placement::draw(&mut rng, &turn, [9.5, 19.5, 19.5], [2.0, 1.0, 1.0]);
            let sample = extract(&Part::whole(hu.view(), labels.view()), &placement, [20, 40, 40], 0.0);
            let overlap = sample.labels.iter().zip(&labels).filter(|(t, l)| **t == 1 && **l == 1).count() as f64;
            assert!(overlap > 0.9 * voxels, "seed {seed}: {overlap} of {voxels}");
        }
    }
}
