//! Networks that are simple functions, and scans that they can segment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hepar_model::engine::{EngineError, Network, Wanted, check_input};
use hepar_model::stage::{BoxMargin, Grid, Stage, Window};
use hepar_model::topology::{Dimensions, NetworkConfig};
use hepar_pipeline::Pipeline;
use hepar_volume::{Geometry, Volume};
use ndarray::{Array5, ArrayView5};

/// Hounsfield units outside the liver, of the liver, and of tumours: 0, 0.6 and 0.9 in the stages' window.
pub const OUTSIDE: i16 = -100;
pub const LIVER: i16 = 80;
pub const TUMOUR: i16 = 170;

/// What a fake network answers.
pub type Answer = fn(ArrayView5<'_, f32>) -> Array5<f32>;

/// A network that is a function; counts its windows.
pub struct Fake {
    config: NetworkConfig,
    answer: Answer,
    windows: Arc<AtomicUsize>,
}

impl Network for Fake {
    fn config(&self) -> &NetworkConfig {
        &self.config
    }

    fn forward(&mut self, input: ArrayView5<'_, f32>) -> Result<Array5<f32>, EngineError> {
        check_input(&self.config, &input)?;
        assert!(input.iter().all(|v| (0.0..=1.0).contains(v)), "inputs are normalised");
        self.windows.fetch_add(input.dim().0, Ordering::Relaxed);
        Ok((self.answer)(input))
    }

    /// Says 1 wherever nobody wants to know.
    fn forward_wanted(&mut self, input: ArrayView5<'_, f32>, wanted: &Wanted<'_>) -> Result<Array5<f32>, EngineError> {
        let mut output = self.forward(input)?;
        let (samples, _, depth, height, width) = output.dim();
        let parts = |side: usize| (0..side).step_by(PART).map(move |start| start..(start + PART).min(side));
        for n in 0..samples {
            for (k, j) in parts(depth).flat_map(|k| parts(height).map(move |j| (k.clone(), j))) {
                for i in parts(width).filter(|i| !wanted(n, [k.clone(), j.clone(), i.clone()])) {
                    let part = [n..n + 1, 0..1, k.clone(), j.clone(), i];
                    output.slice_each_axis_mut(|axis| part[axis.axis.index()].clone().into()).fill(1.0);
                }
            }
        }
        Ok(output)
    }
}

/// Sides of the parts of a window that may be left out.
const PART: usize = 3;

impl Fake {
    pub fn new(dimensions: Dimensions, answer: Answer) -> Self {
        Self { config: NetworkConfig::new(dimensions, [4; 6]).unwrap(), answer, windows: Arc::default() }
    }

    /// How many windows it has seen.
    pub fn windows(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.windows)
    }
}

/// The probability is the input itself.
pub fn pointwise(input: ArrayView5<'_, f32>) -> Array5<f32> {
    input.to_owned()
}

/// Depends on the neighbour before along each axis and on the place within the window: no direction is like another.
pub fn asymmetric(input: ArrayView5<'_, f32>) -> Array5<f32> {
    let at = |n, c, k: usize, j: usize, i: usize, [dk, dj, di]: [usize; 3]| {
        input[[n, c, k.saturating_sub(dk), j.saturating_sub(dj), i.saturating_sub(di)]]
    };
    Array5::from_shape_fn(input.dim(), |(n, c, k, j, i)| {
        let value = 0.4 * at(n, c, k, j, i, [0; 3])
            + 0.3 * at(n, c, k, j, i, [0, 0, 3])
            + 0.2 * at(n, c, k, j, i, [0, 2, 0])
            + 0.1 * at(n, c, k, j, i, [1, 0, 0]);
        value + 0.001 * ((k + 3 * j + 7 * i) % 13) as f32
    })
}

pub fn localizer() -> Stage {
    Stage {
        network: Dimensions::Planar,
        widths: [4; 6],
        weights: "none".into(),
        sha256: String::new(),
        window: Window([-100.0, 200.0]),
        grid: Grid::ResizedInPlane { size: [32, 32] },
        patch: [1, 32, 32],
        overlap: [0.0; 3],
        threshold: 0.4,
        least_volume_ml: 0.0,
        margin: BoxMargin { in_plane_voxels: 3, through_plane_mm: 6.0 },
        mirror: false,
        liver_hu: None,
        greatest_exposure: None,
        sheet: None,
        centred_votes: false,
        enclosed: false,
        ensemble: Vec::new(),
    }
}

pub fn liver() -> Stage {
    Stage {
        network: Dimensions::Spatial,
        grid: Grid::Native,
        patch: [32; 3],
        overlap: [0.5, 0.25, 0.25],
        threshold: 0.5,
        ..localizer()
    }
}

pub fn tumour() -> Stage {
    Stage { threshold: 0.8, ..liver() }
}

pub fn pipeline_of([localizer, liver, tumour]: [Stage; 3], answer: Answer) -> Pipeline {
    let with = |stage: Stage| {
        let network: Box<dyn Network> = Box::new(Fake::new(stage.network, answer));
        (stage, network)
    };
    Pipeline::new(with(localizer), with(liver), with(tumour))
}

pub fn pipeline(answer: Answer) -> Pipeline {
    pipeline_of([localizer(), liver(), tumour()], answer)
}

/// A grid in canonical orientation: i to the left, j to the back, k up.
pub fn canonical(shape: [usize; 3], [k, j, i]: [f64; 3]) -> Geometry {
    let affine = [[-i, 0.0, 0.0, 80.0], [0.0, -j, 0.0, 60.0], [0.0, 0.0, k, -200.0], [0.0, 0.0, 0.0, 1.0]];
    Geometry::new(affine, shape).unwrap()
}

/// An ellipsoid of liver with half axes of `radius` voxels around `centre`, both `[k, j, i]`.
pub fn ellipsoid(index: [usize; 3], centre: [f64; 3], radius: [f64; 3]) -> bool {
    (0..3).map(|axis| ((index[axis] as f64 - centre[axis]) / radius[axis]).powi(2)).sum::<f64>() <= 1.0
}

/// A scan of `[24, 60, 70]` voxels with a liver and two tumours, one of which only partly lies in it; and its labels.
pub fn phantom() -> (Volume<i16>, Volume<u8>) {
    let geometry = canonical([24, 60, 70], [2.5, 1.0, 1.0]);
    let labels = Volume::from_fn(geometry, |index| {
        if !ellipsoid(index, [11.0, 28.0, 26.0], [8.0, 17.0, 19.0]) {
            0
        } else if ellipsoid(index, [12.0, 30.0, 18.0], [3.0, 6.0, 5.0])
            || ellipsoid(index, [8.0, 22.0, 34.0], [2.0, 3.0, 3.0])
        {
            2
        } else {
            1
        }
    });
    (labels.map(|&label| [OUTSIDE, LIVER, TUMOUR][usize::from(label)]), labels)
}
