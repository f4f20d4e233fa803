//! The `jobgate` program: reads its arguments and hands over.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
