//! A model that was never trained: its weights are written by hand so that the networks tell bands of brightness apart.
//!
//! Good enough to find the bright liver of a portal-venous phantom and the dark tumours in it, and quick.

use std::path::Path;

use hepar_model::bundle::{CARD_FILE, Card, SCHEMA, Training, sha256};
use hepar_model::stage::{BoxMargin, Grid, Stage, StageName, Window};
use hepar_model::tensors::Role;
use hepar_model::topology::{Dimensions, NetworkConfig};
use hepar_model::weights::{Precision, Weights};

/// The narrowest network.
const WIDTHS: [usize; 6] = [4; 6];

/// Hounsfield units that the networks see.
const WINDOW: [f32; 2] = [-100.0, 200.0];

/// How steeply the probability rises at the ends of a band, per unit of the window.
const SLOPE: f32 = 200.0;

/// Weights of a network whose probability passes 0.5 where the mean of a voxel and its neighbours lies in `band`, in
/// Hounsfield units.
///
/// conv1 hands on the mean; conv9 looks at it alone and makes two ramps, from the band's lower end and from its middle;
/// the output is the first less twice the second. All other layers give zero.
pub fn band_weights(dimensions: Dimensions, band: [f32; 2]) -> Weights {
    let config = NetworkConfig::new(dimensions, WIDTHS).unwrap();
    let normalised = |hu: f32| (hu - WINDOW[0]) / (WINDOW[1] - WINDOW[0]);
    let [low, high] = band.map(normalised);
    Weights::from_fn(config, |spec| {
        let mut values = vec![if spec.role == Role::Variance { 1.0 } else { 0.0 }; spec.len()];
        // Kernels are [out, in, d, h, w].
        let taps: usize = spec.shape.get(2..).map_or(1, |sides| sides.iter().product());
        let inputs = spec.shape.get(1).copied().unwrap_or(1);
        let centre = |output: usize, input: usize| (output * inputs + input) * taps + taps / 2;
        match spec.name.as_str() {
            "conv1.norm.gamma" | "conv9.norm.gamma" => values.fill(1.0),
            "conv1.conv.weight" => values[..taps].fill(1.0 / taps as f32),
            "conv9.conv.weight" => {
                // The upsampled maps come first, then those of conv1.
                values[centre(0, WIDTHS[1])] = 1.0;
                values[centre(1, WIDTHS[1])] = 1.0;
            }
            "conv9.conv.bias" => (values[0], values[1]) = (-low, -(low + high) / 2.0),
            "output.weight" => (values[centre(0, 0)], values[centre(0, 1)]) = (SLOPE, -2.0 * SLOPE),
            "output.bias" => values[0] = -0.005 * SLOPE,
            _ => {}
        }
        values
    })
    .unwrap()
}

/// Writes the model into `folder`.
pub fn write(folder: &Path) {
    write_with(folder, |_| {});
}

/// Writes the model with each stage changed.
pub fn write_with(folder: &Path, change: impl Fn(&mut Stage)) {
    std::fs::create_dir_all(folder).unwrap();
    let stages = [
        (StageName::Localizer, Dimensions::Planar, [85.0, 140.0]),
        (StageName::Liver, Dimensions::Spatial, [75.0, 145.0]),
        (StageName::Tumour, Dimensions::Spatial, [-20.0, 88.0]),
    ];
    let [localizer, liver, tumour] = stages.map(|(name, dimensions, band)| {
        let bytes = band_weights(dimensions, band).to_safetensors(Precision::Half).unwrap();
        let file = format!("{name}.safetensors");
        std::fs::write(folder.join(&file), &bytes).unwrap();
        let mut stage = stage(name, dimensions, file, &bytes);
        change(&mut stage);
        stage
    });
    let card = Card {
        schema: SCHEMA,
        name: "placeholder".into(),
        version: "0".into(),
        description: "Weights written by hand that tell bands of brightness apart; of no use for real scans.".into(),
        licence: "MIT OR Apache-2.0".into(),
        limits: None,
        training: Training { data: "none".into(), method: "none".into() },
        scores: Vec::new(),
        localizer,
        liver,
        tumour,
    };
    std::fs::write(folder.join(CARD_FILE), toml::to_string(&card).unwrap()).unwrap();
}

fn stage(name: StageName, network: Dimensions, weights: String, bytes: &[u8]) -> Stage {
    let planar = network == Dimensions::Planar;
    let fine = name == StageName::Tumour;
    Stage {
        network,
        widths: WIDTHS,
        weights,
        sha256: sha256(bytes),
        window: Window(WINDOW),
        grid: match (planar, fine) {
            (true, _) => Grid::ResizedInPlane { size: [64, 64] },
            (_, true) => Grid::Spacing { mm: [4.0; 3] },
            (_, false) => Grid::Spacing { mm: [5.0; 3] },
        },
        patch: if planar { [1, 64, 64] } else { [32, 64, 64] },
        overlap: if planar { [0.0; 3] } else { [0.25; 3] },
        threshold: 0.5,
        least_volume_ml: if fine { 0.0 } else { 200.0 },
        margin: BoxMargin { in_plane_voxels: 10, through_plane_mm: 20.0 },
        mirror: false,
        liver_hu: None,
        greatest_exposure: None,
        sheet: None,
        centred_votes: false,
        enclosed: false,
        ensemble: Vec::new(),
    }
}
