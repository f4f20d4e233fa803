//! The `jobgate` program: reads the command line, hands over, ends with the outcome's code.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    cli::run(cli::Cli::parse()).into()
}
