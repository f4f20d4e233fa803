//! The `jobgate` program: reads the command line, hands over, ends with the outcome's code.

mod cli;

use std::process::ExitCode;

use mimalloc::MiMalloc;
use zeroizing_alloc::ZeroAlloc;

/// Wipes all memory that is given back, so that no copy of a token outlives its use, whichever
/// library made it.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<MiMalloc> = ZeroAlloc(MiMalloc);

fn main() -> ExitCode {
    cli::run(cli::Cli::read()).into()
}
