use std::path::PathBuf;

use clap::{Args, Subcommand};
use hepar::ErrorKind;
use hepar_train::{Packing, discover};

use super::{Failure, print};

const EXAMPLES: &str = "\
Examples:
  hepar data pack lits ircad -o packed     then: hepar train tumour --data packed --run runs/tumour";

/// Prepare data sets for training
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copy scans and labels, compact: the liver's surroundings on a coarser grid, in steps of a few HU
    Pack {
        /// Folder of labelled scans, as for hepar train
        #[arg(required = true, value_name = "DIR")]
        data: Vec<PathBuf>,
        /// Folder of the copies
        #[arg(short, long, value_name = "OUT")]
        output: PathBuf,
        /// Distance of voxels in millimetres: slices, rows, columns; a coarser scan stays as it is
        #[arg(long, value_name = "MM", num_args = 3, value_parser = positive)]
        spacing: Option<Vec<f64>>,
    },
}

impl Arguments {
    pub fn run(self) -> Result<u8, Failure> {
        let Command::Pack { data, output, spacing } = self.command;
        let mut packing = Packing::STANDARD;
        if let Some(&[k, j, i]) = spacing.as_deref() {
            packing.spacing = [k, j, i];
        }
        let doing = || format!("pack into {}", output.display());
        let failed = |source: hepar_train::PackError| ErrorKind::Pack { doing: doing(), source };
        let cases = discover(&data).map_err(|error| failed(error.into()))?;
        let count = packing.write(&cases, &output).map_err(failed)?;
        print(format_args!("{}: {count} scans\n", output.display()))?;
        Ok(hepar::exit::DONE)
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|v: &f64| *v >= 0.1 && *v <= 100.0);
    number.ok_or_else(|| "a number of millimetres, 0.1 to 100, is needed".to_owned())
}
