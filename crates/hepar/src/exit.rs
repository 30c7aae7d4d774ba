//! What the program's exit codes mean.

/// Everything was done.
pub const DONE: u8 = 0;
/// Something went wrong that is not the user's fault.
pub const INTERNAL: u8 = 1;
/// The command line makes no sense.
pub const USAGE: u8 = 2;
/// An input cannot be used.
pub const INPUT: u8 = 3;
/// The model cannot be used.
pub const MODEL: u8 = 4;
/// A result cannot be written.
pub const OUTPUT: u8 = 5;
/// Some of several cases failed; the others were done.
pub const SOME_FAILED: u8 = 6;
/// The user interrupted the program (128 + SIGINT).
pub const INTERRUPTED: u8 = 130;
