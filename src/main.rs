//! The `jobgate` program: reads the command line, hands over, ends with the outcome's code.

mod cli;

use std::{alloc::System, process::ExitCode};

use zeroizing_alloc::ZeroAlloc;

/// Wipes all memory that is given back, so that no copy of a token outlives its use, whichever
/// library made it.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    cli::run(cli::Cli::read()).into()
}
