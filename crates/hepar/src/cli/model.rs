use std::fmt::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use hepar::assemble::{Runs, assemble};
use hepar::network::run_network;
use hepar::output::plan_new_file;
use hepar::{Bundle, exit, open_model};
use hepar_model::stage::{Grid, Stage, StageName};
use hepar_model::topology::Dimensions;

use super::{Failure, print, text};

/// Look at models, run their networks, put them together
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What a model is, where it comes from, how good it is
    Info {
        /// Folder of the model [default: the one in the program]
        model: Option<PathBuf>,
    },
    /// Run one network on an array: f32, N × 1 × D × H × W (N × 1 × H × W for the localizer), values in 0..1
    Run {
        /// Folder of the model [default: the one in the program]
        #[arg(long, value_name = "DIR")]
        model: Option<PathBuf>,
        /// Which network
        #[arg(long, value_enum)]
        stage: StageArgument,
        /// The array, .npy
        #[arg(long, value_name = "X.npy")]
        input: PathBuf,
        /// Where its probabilities go, .npy; must not be there yet
        #[arg(long, value_name = "Y.npy")]
        output: PathBuf,
    },
    /// Put the networks of three training runs together to a model
    Assemble {
        /// Run folder of the localizer
        #[arg(long, value_name = "RUN")]
        localizer: PathBuf,
        /// Run folder of the liver stage
        #[arg(long, value_name = "RUN")]
        liver: PathBuf,
        /// Run folder of the tumour stage
        #[arg(long, value_name = "RUN")]
        tumour: PathBuf,
        /// Name, version, description, licence, [training] and [[score]] of the model, as in model.toml
        #[arg(long, value_name = "CARD.toml")]
        card: PathBuf,
        /// Folder of the model to be
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
}

/// A stage on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum StageArgument {
    /// Finds the liver's box in slices
    Localizer,
    /// Segments the liver in its box
    Liver,
    /// Segments tumours in the liver
    Tumour,
}

impl From<StageArgument> for StageName {
    fn from(stage: StageArgument) -> Self {
        match stage {
            StageArgument::Localizer => Self::Localizer,
            StageArgument::Liver => Self::Liver,
            StageArgument::Tumour => Self::Tumour,
        }
    }
}

impl Arguments {
    pub fn run(self) -> Result<u8, Failure> {
        match self.command {
            Command::Info { model } => print(card(&open_model(model.as_deref())?))?,
            Command::Run { model, stage, input, output } => {
                plan_new_file(&output)?;
                run_network(&open_model(model.as_deref())?, stage.into(), &input, &output)?;
            }
            Command::Assemble { localizer, liver, tumour, card: description, output } => {
                let bundle = assemble(&Runs { localizer, liver, tumour }, &description, &output)?;
                print(card(&bundle))?;
            }
        }
        Ok(exit::DONE)
    }
}

fn card(bundle: &Bundle) -> String {
    let card = bundle.card();
    let mut text = text::aligned(&[
        ("model", format!("{} {}", card.name, card.version)),
        ("SHA-256", bundle.hash()),
        ("licence", card.licence.clone()),
        ("about", card.description.clone()),
        ("data", card.training.data.clone()),
        ("method", card.training.method.clone()),
    ]);
    for name in StageName::ALL {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{name}\n{}", indented(&text::aligned(&stage(card.stage(name)))));
    }
    if !card.scores.is_empty() {
        text.push('\n');
        let rows = card.scores.iter().map(|s| [format!("{}, {}", s.metric, s.on), format!("{:.3}", s.value)]);
        text.push_str(&text::table(["score", "value"], rows));
    }
    text
}

fn stage(stage: &Stage) -> Vec<(&'static str, String)> {
    let numbers = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(" × ");
    let sides = |values: &[usize]| values.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ");
    // A bundle that is open has valid stages.
    let parameters = stage.config().map(|config| config.parameter_count()).unwrap_or_default();
    vec![
        (
            "network",
            match stage.network {
                Dimensions::Planar => "RA-UNet-I (slices)".to_owned(),
                Dimensions::Spatial => "RA-UNet-II (volumes)".to_owned(),
            },
        ),
        ("widths", format!("{:?}, {parameters} parameters", stage.widths)),
        ("window", format!("{} to {} HU", stage.window.0[0], stage.window.0[1])),
        (
            "grid",
            match stage.grid {
                Grid::Native => "the scan's voxels".to_owned(),
                Grid::ResizedInPlane { size } => format!("slices of {} pixels", sides(&size)),
                Grid::Spacing { mm } => format!("{} mm (k × j × i)", numbers(&mm)),
            },
        ),
        ("patch", format!("{} voxels, overlap {:?}", sides(&stage.patch), stage.overlap)),
        ("threshold", format!("{}, at least {} ml", stage.threshold, stage.least_volume_ml)),
        (
            "margin",
            format!("{} voxels in plane, {} mm across", stage.margin.in_plane_voxels, stage.margin.through_plane_mm),
        ),
    ]
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
