//! Writes a model with the article's widths and generated weights, for benchmarks and checks of numbers:
//! `cargo run --release -p hepar-model --example generated_bundle -- DIR`.

use std::path::PathBuf;

use hepar_model::bundle::{CARD_FILE, Card, SCHEMA, Training, sha256};
use hepar_model::generated::generated;
use hepar_model::stage::{BoxMargin, Grid, Stage, Window};
use hepar_model::topology::NetworkConfig;
use hepar_model::weights::Precision;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("argument: folder of the model")?);
    std::fs::create_dir_all(&folder)?;
    let stage = |name: &str, config: NetworkConfig, grid: Grid, patch: [usize; 3], overlap: [f64; 3]| {
        let bytes = generated(config).to_safetensors(Precision::Full)?;
        let file = format!("{name}.safetensors");
        std::fs::write(folder.join(&file), &bytes)?;
        Ok::<_, Box<dyn std::error::Error>>(Stage {
            network: config.dimensions,
            widths: config.widths,
            weights: file,
            sha256: sha256(&bytes),
            window: Window([-100.0, 200.0]),
            grid,
            patch,
            overlap,
            threshold: 0.5,
            least_volume_ml: 0.0,
            margin: BoxMargin { in_plane_voxels: 10, through_plane_mm: 20.0 },
            mirror: false,
            liver_hu: None,
            greatest_exposure: None,
            sheet: None,
            centred_votes: false,
            enclosed: false,
            ensemble: Vec::new(),
        })
    };
    let resized = |side: usize| Grid::ResizedInPlane { size: [side, side] };
    let card = Card {
        schema: SCHEMA,
        name: "generated".into(),
        version: "0".into(),
        description: "The article's networks with generated weights: it finds nothing that is there.".into(),
        licence: "MIT OR Apache-2.0".into(),
        limits: None,
        training: Training { data: "none".into(), method: "none".into() },
        scores: Vec::new(),
        localizer: stage("localizer", NetworkConfig::RA_UNET_I, resized(256), [1, 256, 256], [0.0; 3])?,
        liver: stage("liver", NetworkConfig::RA_UNET_II, resized(224), [32, 224, 224], [0.375, 0.0, 0.0])?,
        tumour: stage("tumour", NetworkConfig::RA_UNET_II, Grid::Native, [32, 128, 128], [0.25; 3])?,
    };
    std::fs::write(folder.join(CARD_FILE), toml::to_string(&card)?)?;
    Ok(())
}
