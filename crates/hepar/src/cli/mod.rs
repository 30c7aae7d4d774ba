//! What was typed, and the job that it asks for.

mod contents;
mod convert;
mod data;
mod demo;
mod engine;
mod evaluate;
mod experiment;
mod info;
mod model;
mod phantom;
mod report;
mod segment;
mod text;
mod train;

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use anyhow::anyhow;
use clap::{Parser, Subcommand};
use hepar::watch::{Interrupt, printable};
use hepar::{Error, exit, sentence};
use hepar_formats::names_a_readable_image;

const EXAMPLES: &str = "\
Examples:
  hepar demo                            try it on a synthetic scan
  hepar segment ct.nii.gz               result in ./ct-hepar/
  hepar segment STUDY                   the same of a DICOM folder or zip archive
  hepar segment scans/*.nii.gz -o out   a folder for each, and out/cohort.html
  hepar evaluate ct-hepar truth.nii.gz

Exit codes: 0 done, 1 internal error, 2 usage, 3 input, 4 model, 5 output,
6 some of several cases failed, 130 interrupted.";

/// Finds the liver and its tumours in CT scans.
#[derive(Debug, Parser)]
#[command(name = "hepar", version, after_help = EXAMPLES, max_term_width = 110, subcommand_required = true)]
#[command(arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Threads to compute with; results do not depend on it [default: one per core]
    #[arg(long, global = true, value_name = "N", display_order = 100)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=MOST_THREADS))]
    threads: Option<u16>,
}

/// More threads than any machine has cores only take their time to start.
const MOST_THREADS: i64 = 1024;

#[derive(Debug, Subcommand)]
enum Command {
    Segment(segment::Arguments),
    Demo(demo::Arguments),
    Info(info::Arguments),
    Report(report::Arguments),
    Convert(convert::Arguments),
    Evaluate(Box<evaluate::Arguments>),
    Experiment(experiment::Arguments),
    Phantom(phantom::Arguments),
    Train(train::Arguments),
    Data(data::Arguments),
    Model(model::Arguments),
}

/// Why the program ends early, and with which exit code.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    error: anyhow::Error,
}

impl Cli {
    /// Runs the command and returns the exit code.
    pub fn run(self) -> Result<u8, Failure> {
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new()
                .num_threads(usize::from(threads))
                .build_global()
                .map_err(Failure::internal)?;
        }
        match self.command {
            Command::Segment(arguments) => arguments.run(),
            Command::Demo(arguments) => arguments.run(),
            Command::Info(arguments) => arguments.run(),
            Command::Report(arguments) => arguments.run(),
            Command::Convert(arguments) => arguments.run(),
            Command::Evaluate(arguments) => arguments.run(),
            Command::Experiment(arguments) => arguments.run(),
            Command::Phantom(arguments) => arguments.run(),
            Command::Train(arguments) => arguments.run(),
            Command::Data(arguments) => arguments.run(),
            Command::Model(arguments) => arguments.run(),
        }
    }
}

impl Failure {
    /// The command line makes no sense; `what` follows "failed to".
    fn usage(what: impl Display) -> Self {
        Self { code: exit::USAGE, error: anyhow!("{what}") }
    }

    fn internal(error: impl Into<anyhow::Error>) -> Self {
        Self { code: exit::INTERNAL, error: error.into().context("prepare the program") }
    }

    /// Tells the user and returns the exit code.
    pub fn tell(&self) -> u8 {
        if self.code == exit::INTERRUPTED {
            warn_of("interrupted");
        } else {
            warn_of(format_args!("failed to {}", sentence(self.error.as_ref())));
        }
        self.code
    }
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        Self { code: error.exit_code(), error: error.into() }
    }
}

/// Prints what the parser has to say, help or an error, and returns the exit code.
pub fn explain(message: &clap::Error) -> u8 {
    // Where nobody reads it, nobody misses it.
    let _ = message.print();
    if message.use_stderr() { exit::USAGE } else { exit::DONE }
}

/// An interrupt that Ctrl-C or SIGTERM sets from now on; a second one ends the program.
fn interrupt() -> Result<Interrupt, Failure> {
    Interrupt::on_ctrl_c().map_err(Failure::internal)
}

/// Refuses `--series` for a scan whose name says that it is no DICOM.
fn check_series(series: Option<&str>, scan: &Path) -> Result<(), Failure> {
    let may_be_dicom = scan.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("dcm"));
    if series.is_some() && names_a_readable_image(scan) && !may_be_dicom {
        return Err(Failure::usage(format_args!("use --series for {}: it is no DICOM", scan.display())));
    }
    Ok(())
}

/// Writes text to standard output. A reader that has gone away, as `head` does, is no error.
fn print(text: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match write!(out, "{}", printable(&text)).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let error = anyhow::Error::from(error).context("write to standard output");
            Err(Failure { code: exit::OUTPUT, error })
        }
        _ => Ok(()),
    }
}

/// Writes a line to standard error.
fn warn_of(what: impl Display) {
    // Where standard error is closed there is nobody to tell.
    let _ = writeln!(io::stderr(), "hepar: {}", printable(&what));
}
