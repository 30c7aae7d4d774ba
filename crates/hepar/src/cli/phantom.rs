use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use hepar::exit;
use hepar::phantom::PhantomFiles;
use hepar::watch::Terminal;
use hepar_phantom::{BodyPart, PhantomSpec, Phase};

use super::{Failure, interrupt, print};

const EXAMPLES: &str = "\
Examples:
  hepar phantom                                     phantom-0_ct.nii.gz and phantom-0_label.nii.gz
  hepar phantom -o scans/ --seed 7 --tumours 5
  hepar phantom -o head --part head --orientation RAS";

/// Spacing of a scan with arms, millimetres `[k, j, i]`: 512 mm wide.
const WITH_ARMS: [f64; 3] = [3.0, 1.6, 1.6];

/// Make a synthetic CT with a liver and tumours of known shape
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// How the names of the two files begin, or a folder for them [default: ./phantom-SEED]
    #[arg(short, long, value_name = "PREFIX")]
    output: Option<PathBuf>,
    /// Which patient, tumours and noise; the same seed gives the same bytes
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Voxels: slices, rows, columns
    #[arg(long, value_name = "K,J,I", value_parser = three::<usize>)]
    shape: Option<[usize; 3]>,
    /// Millimetres between slices, rows, columns
    #[arg(long, value_name = "K,J,I", value_parser = three::<f64>)]
    spacing: Option<[f64; 3]>,
    /// Number of tumours, at most 1000 [default: 3 in the abdomen]
    #[arg(long, value_name = "N")]
    tumours: Option<usize>,
    /// Least and greatest diameter of a tumour in millimetres
    #[arg(long, value_name = "A-B", value_parser = range)]
    diameter: Option<(f64, f64)>,
    /// Standard deviation of the noise in HU; deep in the body 1.1 times as much, in the head 0.6 times
    #[arg(long, value_name = "HU")]
    noise: Option<f64>,
    /// Order in which the same voxels are stored: where i, j and k point
    #[arg(long, value_name = "LPS", default_value = "LPS")]
    orientation: String,
    /// Contrast agent
    #[arg(long, value_enum, default_value_t = PhaseName::Portal)]
    phase: PhaseName,
    /// Part of the body; only the abdomen has a liver
    #[arg(long, value_enum, default_value_t = PartName::Abdomen)]
    part: PartName,
    /// Show the arms beside the body, in a wider field of view
    #[arg(long)]
    arms: bool,
    /// Put screws into the spine, with streaks around them
    #[arg(long)]
    metal: bool,
    /// Replace files that hepar wrote
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PhaseName {
    Portal,
    Arterial,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PartName {
    Abdomen,
    Chest,
    Pelvis,
    Head,
    Legs,
}

impl Arguments {
    pub fn run(self) -> Result<u8, Failure> {
        if self.part != PartName::Abdomen && self.tumours.is_some_and(|count| count > 0) {
            return Err(Failure::usage("draw tumours: only the abdomen has a liver"));
        }
        let spec = self.spec();
        let prefix = self.output.unwrap_or_else(|| PathBuf::from(format!("phantom-{}", self.seed)));
        let files = PhantomFiles::plan(&prefix, self.seed, self.force)?;
        let terminal = Terminal::new(interrupt()?, false);
        let phantom = files.draw(&spec, &terminal);
        terminal.clear();
        let count = phantom?.tumours.len();
        print(format_args!("{}\n{}\n  tumours: {count}\n", files.ct.path().display(), files.labels.path().display()))?;
        Ok(exit::DONE)
    }

    fn spec(&self) -> PhantomSpec {
        let usual = PhantomSpec::default();
        let usual_tumours = if self.part == PartName::Abdomen { usual.tumours } else { 0 };
        let spec = PhantomSpec {
            seed: self.seed,
            shape: self.shape.unwrap_or(usual.shape),
            spacing: self.spacing.unwrap_or(if self.arms { WITH_ARMS } else { usual.spacing }),
            body_part: match self.part {
                PartName::Abdomen => BodyPart::Abdomen,
                PartName::Chest => BodyPart::Chest,
                PartName::Pelvis => BodyPart::Pelvis,
                PartName::Head => BodyPart::Head,
                PartName::Legs => BodyPart::Legs,
            },
            phase: match self.phase {
                PhaseName::Portal => Phase::Portal,
                PhaseName::Arterial => Phase::Arterial,
                PhaseName::None => Phase::NonContrast,
            },
            tumours: self.tumours.unwrap_or(usual_tumours),
            tumour_diameter_mm: self.diameter.unwrap_or(usual.tumour_diameter_mm),
            noise_hu: self.noise.unwrap_or(usual.noise_hu),
            arms: self.arms,
            metal: self.metal,
            ..usual
        };
        spec.stored_as(&self.orientation)
    }
}

fn three<T: FromStr>(text: &str) -> Result<[T; 3], String> {
    let numbers: Option<Vec<T>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
    let numbers = numbers.and_then(|numbers| <[T; 3]>::try_from(numbers).ok());
    numbers.ok_or_else(|| "three numbers with commas between them are needed".to_owned())
}

fn range(text: &str) -> Result<(f64, f64), String> {
    let ends = text.split_once('-').and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
    ends.ok_or_else(|| "two numbers with a hyphen between them are needed, as 10-40".to_owned())
}
