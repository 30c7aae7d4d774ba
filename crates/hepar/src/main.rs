//! The program `hepar`: parse, run, exit code.

mod cli;

use std::process::ExitCode;

use clap::Parser;

/// The networks take and give back big buffers at every step; the system's allocator would return their pages each
/// time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let run = || match cli::Cli::try_parse() {
        Ok(cli) => cli.run().unwrap_or_else(|failure| failure.tell()),
        Err(help_or_error) => cli::explain(&help_or_error),
    };
    // What panics has told so on standard error; the exit code is ours.
    ExitCode::from(std::panic::catch_unwind(run).unwrap_or(hepar::exit::INTERNAL))
}
