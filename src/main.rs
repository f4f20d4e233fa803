//! The `jobgate` program: reads the command line, hands over, ends with the outcome's code.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(cli::Cli::read()).into()
}
