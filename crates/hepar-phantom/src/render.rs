//! From a patient to voxels: slices, noise, labels, and what the labels hold.

use hepar_volume::{Millimetres, Volume};
use ndarray::parallel::prelude::*;
use ndarray::{ArrayView3, ArrayViewMut2, ArrayViewMut3, Axis};
use rand::Rng;

use crate::anatomy::{Anatomy, Blob};
use crate::canvas::Canvas;
use crate::grid::Grid;
use crate::phantom::{Phantom, Tumour};
use crate::random::{Stream, stream};
use crate::spec::{PhantomSpec, SpecError};

const LIVER: u8 = 1;
const TUMOUR: u8 = 2;
/// Tumour that was measured; a label only while a phantom is made.
const MARKED: u8 = 3;
/// Greatest distance in millimetres between the thin slices that a thick one is the mean of, up to `MOST_THIN`.
const THIN: f32 = 1.8;
const MOST_THIN: usize = 4;

/// Draws a spec that was checked, on its grid.
pub(crate) fn render(spec: &PhantomSpec, grid: &Grid) -> Result<Phantom, SpecError> {
    let anatomy = Anatomy::new(spec, grid)?;
    let mut ct = Volume::filled(grid.geometry.clone(), 0_i16);
    let mut labels = Volume::filled(grid.geometry.clone(), 0_u8);
    let (mut ct_view, mut label_view) = (grid.view(&mut ct), grid.view(&mut labels));
    ct_view
        .axis_iter_mut(Axis(0))
        .into_par_iter()
        .zip(label_view.axis_iter_mut(Axis(0)))
        .enumerate()
        .for_each_init(|| Slice::new(spec, grid, &anatomy), |slice, (k, (ct, labels))| slice.draw(k, ct, labels));
    let tumours = anatomy.tumours.iter().map(|blob| measure(blob, grid, ct_view.view(), &mut label_view)).collect();
    // Where the border of the liver cuts off a piece of a tumour, that piece becomes liver.
    labels.data_mut().par_mapv_inplace(|label| match label {
        TUMOUR => LIVER,
        MARKED => TUMOUR,
        label => label,
    });
    Ok(Phantom { ct, labels, tumours })
}

/// The buffers of one axial slice.
struct Slice<'a> {
    spec: &'a PhantomSpec,
    grid: &'a Grid,
    anatomy: &'a Anatomy,
    canvas: Canvas<'a>,
    /// Sums over the thin slices, then means: HU, liver, tumour.
    sums: [Vec<f32>; 3],
    noise: Noise,
}

impl<'a> Slice<'a> {
    fn new(spec: &'a PhantomSpec, grid: &'a Grid, anatomy: &'a Anatomy) -> Self {
        let pixels = grid.shape[1] * grid.shape[2];
        let canvas = Canvas::new(grid, &anatomy.pose);
        Self { spec, grid, anatomy, canvas, sums: [0; 3].map(|_| vec![0.0; pixels]), noise: Noise::new(spec, grid) }
    }

    /// Draws slice `k` along z into rows (y) and columns (x) of the scan and its labels.
    fn draw(&mut self, k: usize, mut ct: ArrayViewMut2<i16>, mut labels: ArrayViewMut2<u8>) {
        let thin = ((self.grid.spacing[0] / THIN).ceil() as usize).clamp(1, MOST_THIN);
        self.sums.iter_mut().for_each(|sum| sum.fill(0.0));
        for part in 0..thin {
            let offset = (part as f32 + 0.5) / thin as f32 - 0.5;
            self.anatomy.paint(k as f32 + offset, self.grid, &mut self.canvas);
            for (sum, painted) in self.sums.iter_mut().zip([&self.canvas.hu, &self.canvas.liver, &self.canvas.tumour]) {
                sum.iter_mut().zip(painted).for_each(|(sum, value)| *sum += value / thin as f32);
            }
        }
        let noise = self.noise.slice(k);
        let [hu, liver, tumour] = &self.sums;
        for (row, (mut ct, mut labels)) in ct.outer_iter_mut().zip(labels.outer_iter_mut()).enumerate() {
            for (column, (ct, label)) in ct.iter_mut().zip(labels.iter_mut()).enumerate() {
                let pixel = row * self.grid.shape[2] + column;
                let place = &self.canvas.places[pixel];
                let texture = if hu[pixel] > -250.0 { self.anatomy.texture(place.point) } else { 0.0 };
                // Fewer photons are lost outside of the middle of the body: what is asked for is the noise at the wall of
                // its cavity; deep within that it is 1.1 times as much, in the head 0.6 times.
                let level = 1.0 - (place.wall / 90.0).clamp(-0.1, 0.4);
                let value = hu[pixel] + texture + self.spec.noise_hu as f32 * level * noise[pixel];
                *ct = value.round().clamp(-1024.0, 3071.0) as i16;
                *label = if tumour[pixel] >= 0.5 { TUMOUR } else { u8::from(liver[pixel] >= 0.5) * LIVER };
            }
        }
    }
}

/// Gaussian noise of standard deviation 1 that is correlated between neighbouring pixels of a slice.
struct Noise {
    seed: u64,
    rows: usize,
    columns: usize,
    /// Weight of the two neighbours against the pixel itself.
    neighbour: f32,
    white: Vec<f32>,
    smooth: Vec<f32>,
}

impl Noise {
    fn new(spec: &PhantomSpec, grid: &Grid) -> Self {
        let [_, rows, columns] = grid.shape;
        // The blur of the scanner reaches farther in small pixels.
        let neighbour = (0.5 / grid.spacing[1].max(grid.spacing[2])).clamp(0.15, 0.9);
        Self {
            seed: spec.seed,
            rows,
            columns,
            neighbour,
            white: vec![0.0; rows * columns],
            smooth: vec![0.0; rows * columns],
        }
    }

    /// The noise of slice `k` along z, rows of y, x fastest.
    fn slice(&mut self, k: usize) -> &[f32] {
        let mut rng = stream(self.seed, Stream::Slice(k));
        for pair in self.white.chunks_mut(2) {
            // Box and Muller: two independent Gaussian numbers from two even ones.
            let radius = (-2.0 * (1.0 - rng.random::<f32>()).ln()).sqrt();
            let (sin, cos) = (std::f32::consts::TAU * rng.random::<f32>()).sin_cos();
            pair.iter_mut().zip([radius * cos, radius * sin]).for_each(|(value, gauss)| *value = gauss);
        }
        let w = self.neighbour;
        let norm = 1.0 / (1.0 + 2.0 * w * w);
        let (rows, columns) = (self.rows, self.columns);
        for row in 0..rows {
            let above = &self.white[row.saturating_sub(1) * columns..][..columns];
            let here = &self.white[row * columns..][..columns];
            let below = &self.white[(row + 1).min(rows - 1) * columns..][..columns];
            let column = |column: usize| here[column] + w * (above[column] + below[column]);
            for (x, smooth) in self.smooth[row * columns..][..columns].iter_mut().enumerate() {
                *smooth = norm * (column(x) + w * (column(x.saturating_sub(1)) + column((x + 1).min(columns - 1))));
            }
        }
        &self.smooth
    }
}

/// Measures a tumour and marks its voxels, which are one component with a voxel at its centre.
///
/// `labels` and `ct` are `[z, y, x]` of the patient.
fn measure(blob: &Blob, grid: &Grid, ct: ArrayView3<i16>, labels: &mut ArrayViewMut3<u8>) -> Tumour {
    let mut open = vec![grid.index(blob.centre).map(|index| index.round() as usize)];
    labels[open[0]] = MARKED;
    let (mut voxels, mut hu, mut position) = (0_u64, 0_i64, [0.0_f64; 3]);
    while let Some(voxel) = open.pop() {
        voxels += 1;
        hu += i64::from(ct[voxel]);
        let world = grid.world(voxel.map(|index| index as f32));
        position.iter_mut().zip(world).for_each(|(sum, coordinate)| *sum += f64::from(coordinate));
        for neighbour in neighbours(voxel, grid.shape) {
            if labels[neighbour] == TUMOUR {
                labels[neighbour] = MARKED;
                open.push(neighbour);
            }
        }
    }
    let volume_ml = voxels as f64 * grid.geometry.voxel_volume() / 1000.0;
    Tumour {
        centre: Millimetres(position.map(|sum| sum / voxels as f64)),
        volume_ml,
        diameter_mm: 2.0 * (volume_ml * 1000.0 * 0.75 / std::f64::consts::PI).cbrt(),
        mean_hu: hu as f64 / voxels as f64,
    }
}

/// The voxels that share a face, an edge or a corner with `voxel`, within `shape`.
fn neighbours(voxel: [usize; 3], shape: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..27).filter_map(move |step: usize| {
        let moves = [step / 9, step / 3 % 3, step % 3];
        let next: [usize; 3] = std::array::from_fn(|axis| (voxel[axis] + moves[axis]).wrapping_sub(1));
        let inside = (0..3).all(|axis| next[axis] < shape[axis]);
        (inside && step != 13).then_some(next)
    })
}
