use std::fmt::Write;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use hepar::assemble::{Description, Runs, assemble};
use hepar::export::export_onnx;
use hepar::import::{KerasFiles, import_keras};
use hepar::network::{StepProfile, profile_network, run_network};
use hepar::output::plan_new_file;
use hepar::{Bundle, exit, open_model};
use hepar_model::stage::{Grid, Stage, StageName};
use hepar_model::topology::Dimensions;

use super::engine::EngineArguments;
use super::{Failure, print, text};

/// Look at models, run and export their networks, import and put them together
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
        #[command(flatten)]
        engine: EngineArguments,
        /// The array, .npy
        #[arg(long, value_name = "X.npy")]
        input: PathBuf,
        /// Where its probabilities go, .npy; must not be there yet
        #[arg(long, value_name = "Y.npy")]
        output: PathBuf,
    },
    /// Show where the time of a network goes, step by step
    Profile {
        /// Folder of the model [default: the one in the program]
        #[arg(long, value_name = "DIR")]
        model: Option<PathBuf>,
        /// Which network
        #[arg(long, value_enum, default_value = "tumour")]
        stage: StageArgument,
        /// Patches or slices that go through it together
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
        batch: u16,
        /// How often it runs; the table has the medians
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
        runs: u16,
    },
    /// Write one network as an ONNX file, for ONNX Runtime, OpenVINO and others
    ///
    /// Input and output are f32, N × 1 × D × H × W (N × 1 × H × W for the localizer), as for `model run`; N and the
    /// sides are open, sides must be multiples of 32.
    Export {
        /// Folder of the model [default: the one in the program]
        #[arg(long, value_name = "DIR")]
        model: Option<PathBuf>,
        /// Which network
        #[arg(long, value_enum)]
        stage: StageArgument,
        /// Which of the networks of an ensemble, from 1
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
        network: u16,
        /// The file; must not be there yet
        #[arg(short, long, value_name = "NET.onnx")]
        output: PathBuf,
    },
    /// Make a model of weights that Keras saved to .h5 (the original program's, for instance)
    ///
    /// Stages for which no file is given are those of --model. Imported stages get the article's settings; edit
    /// model.toml where yours differ. The networks are taken to have been trained on arrays with the axes x, y, z, as
    /// the original's were, and are transposed to hepar's z, y, x.
    #[command(group = ArgGroup::new("files").required(true).multiple(true))]
    ImportKeras {
        /// RA-UNet-I of the localizer
        #[arg(long, value_name = "A.h5", group = "files")]
        localizer: Option<PathBuf>,
        /// RA-UNet-II of the liver stage
        #[arg(long, value_name = "B.h5", group = "files")]
        liver: Option<PathBuf>,
        /// RA-UNet-II of the tumour stage
        #[arg(long, value_name = "C.h5", group = "files")]
        tumour: Option<PathBuf>,
        /// Folder of the model that has the other stages [default: the one in the program]
        #[arg(long, value_name = "DIR")]
        model: Option<PathBuf>,
        /// Folder of the model to be
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
    /// Put the networks of training runs together to a model
    ///
    /// Several runs of one stage, as those of the folds of a cross-validation, become an ensemble: a probability is the
    /// mean of what all of them say.
    Assemble {
        /// Run folder of the localizer; repeatable
        #[arg(long, value_name = "RUN", required = true)]
        localizer: Vec<PathBuf>,
        /// Run folder of the liver stage; repeatable
        #[arg(long, value_name = "RUN", required = true)]
        liver: Vec<PathBuf>,
        /// Run folder of the tumour stage; repeatable
        #[arg(long, value_name = "RUN", required = true)]
        tumour: Vec<PathBuf>,
        /// Name, version, description, licence, limits, [training] and [[score]] of the model, as in model.toml
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
            Command::Run { model, stage, engine, input, output } => {
                plan_new_file(&output)?;
                let engine = engine.open()?;
                run_network(&open_model(model.as_deref())?, stage.into(), engine.as_ref(), &input, &output)?;
            }
            Command::Profile { model, stage, batch, runs } => {
                let model = open_model(model.as_deref())?;
                let steps = profile_network(&model, stage.into(), batch.into(), runs.into())?;
                print(profile(&steps))?;
            }
            Command::Export { model, stage, network, output } => {
                export_onnx(&open_model(model.as_deref())?, stage.into(), usize::from(network) - 1, &output)?;
            }
            Command::ImportKeras { localizer: Some(_), liver: Some(_), tumour: Some(_), model: Some(_), .. } => {
                return Err(Failure::usage(
                    "use --model: each stage has a file, so that nothing would be taken of the model",
                ));
            }
            Command::ImportKeras { localizer, liver, tumour, model, output } => {
                let files = KerasFiles { localizer, liver, tumour };
                print(card(&import_keras(&files, model.as_deref(), &output)?))?;
            }
            Command::Assemble { localizer, liver, tumour, card: description, output } => {
                let description = Description::read(&description)?;
                let bundle = assemble(&Runs { localizer, liver, tumour }, description, &output)?;
                print(card(&bundle))?;
            }
        }
        Ok(exit::DONE)
    }
}

fn card(bundle: &Bundle) -> String {
    let card = bundle.card();
    let mut lines = vec![
        ("model", format!("{} {}", card.name, card.version)),
        ("SHA-256", bundle.hash()),
        ("licence", card.licence.clone()),
        ("about", card.description.clone()),
        ("data", card.training.data.clone()),
        ("method", card.training.method.clone()),
    ];
    lines.extend(card.limits.clone().map(|limits| ("limits", limits)));
    let mut text = text::aligned(&lines);
    for name in StageName::ALL {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{name}\n{}", indented(&text::aligned(&stage(card.stage(name)))));
    }
    if !card.scores.is_empty() {
        text.push('\n');
        let rows = card.scores.iter().map(|s| [format!("{}, {}", s.metric, s.on), s.figure()]);
        text.push_str(&text::table(["score", "value"], rows));
    }
    text
}

fn stage(stage: &Stage) -> Vec<(&'static str, String)> {
    let numbers = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(" × ");
    let sides = |values: &[usize]| values.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ");
    // A bundle that is open has valid stages.
    let parameters = stage.config().map(|config| config.parameter_count()).unwrap_or_default();
    let [low, high] = stage.window.0;
    let exposure = stage.greatest_exposure.map_or_else(String::new, |greatest| {
        format!(", at most {:.0} % of the surface outside of the liver", 100.0 * greatest)
    });
    let sheet = stage.sheet.map_or_else(String::new, |sheet| {
        let [exposed, ball] = [sheet.exposure, sheet.compactness].map(|share| 100.0 * share);
        format!(
            "; no sheets of at most {} mm with more than {exposed:.0} % of the surface outside of the liver and less than \
             {ball:.0} % of the volume in one ball",
            sheet.thickness_mm
        )
    });
    let enclosed = if stage.enclosed { ", also in what the liver encloses" } else { "" };
    let window = match stage.liver_hu {
        Some(hu) => format!("{low} to {high} HU, once the liver has {hu} HU"),
        None => format!("{low} to {high} HU"),
    };
    let votes = if stage.centred_votes { ", centred votes" } else { "" };
    let mirror = if stage.mirror { ", and mirrored" } else { "" };
    let count = match stage.ensemble.len() {
        0 => String::new(),
        others => format!("; the mean of {}", others + 1),
    };
    vec![
        (
            "network",
            match stage.network {
                Dimensions::Planar => format!("RA-UNet-I (slices){count}"),
                Dimensions::Spatial => format!("RA-UNet-II (volumes){count}"),
            },
        ),
        ("widths", format!("{:?}, {parameters} parameters", stage.widths)),
        ("window", window),
        (
            "grid",
            match stage.grid {
                Grid::Native => "the scan's voxels".to_owned(),
                Grid::ResizedInPlane { size } => format!("slices of {} pixels", sides(&size)),
                Grid::Spacing { mm } => format!("{} mm (k × j × i)", numbers(&mm)),
            },
        ),
        ("patch", format!("{} voxels, overlap {:?}{votes}{mirror}", sides(&stage.patch), stage.overlap)),
        ("threshold", format!("{}, at least {} ml{enclosed}{exposure}{sheet}", stage.threshold, stage.least_volume_ml)),
        (
            "margin",
            format!("{} voxels in plane, {} mm across", stage.margin.in_plane_voxels, stage.margin.through_plane_mm),
        ),
    ]
}

/// A table of steps, the slowest kinds first in a second one.
fn profile(steps: &[StepProfile]) -> String {
    let total: f64 = steps.iter().map(|step| step.time.as_secs_f64()).sum();
    let row = |name: String, seconds: f64, flops: u64, bytes: u64| {
        [
            name,
            format!("{:.3}", seconds * 1e3),
            format!("{:.1}", 100.0 * seconds / total),
            format!("{:.1}", flops as f64 / seconds.max(1e-9) / 1e9),
            format!("{:.2}", bytes as f64 / 1e6),
        ]
    };
    let of_step = |step: &StepProfile| {
        let (channels, [d, h, w]) = step.output;
        let name = format!("{} ({}), {channels} × {d}×{h}×{w}", step.name, step.kind);
        row(name, step.time.as_secs_f64(), step.flops, step.bytes)
    };
    let mut kinds: Vec<(&str, f64, u64, u64)> = Vec::new();
    for step in steps {
        let at = kinds.iter().position(|kind| kind.0 == step.kind).unwrap_or_else(|| {
            kinds.push((step.kind, 0.0, 0, 0));
            kinds.len() - 1
        });
        kinds[at].1 += step.time.as_secs_f64();
        kinds[at].2 += step.flops;
        kinds[at].3 += step.bytes;
    }
    kinds.sort_by(|a, b| b.1.total_cmp(&a.1));
    let heads = |first| [first, "ms", "%", "GFLOP/s", "MB"];
    let mut text = text::table(heads("step"), steps.iter().map(of_step));
    let sums = kinds.into_iter().map(|(kind, seconds, flops, bytes)| row(kind.to_owned(), seconds, flops, bytes));
    text.push_str(&text::table(heads("kind"), sums));
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{:.1} ms in all. GFLOP/s are those of the network's definition; the engine needs fewer.",
        total * 1e3
    );
    text
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
