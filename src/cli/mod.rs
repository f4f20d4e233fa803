//! The command line. The library does not know it.

mod client;
mod demo;
mod duration;
mod exit;
mod failure;
mod get;
mod health;
mod print;
mod render;
mod serve;
mod signals;
mod simulate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::exit::Exit;

/// A gRPC gateway to the job-status API of Huawei-family clouds.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "Every option can also be given by the environment variable that its \
help names. Durations are written like 250ms, 30s or 5m.\n\nBegin with: jobgate demo";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves jobs over gRPC
    Serve(serve::Args),
    /// Watches a backup job on an embedded simulator, to see it all work
    Demo(demo::Args),
    /// Serves the REST API and IAM of a simulated cloud
    Simulate(simulate::Args),
    /// Prints a job
    Get(get::Args),
    /// Asks a gateway's admin port whether it is serving
    Health(health::Args),
}

/// Runs the program.
pub(crate) fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Get(args) => get::run(&args),
        Command::Health(args) => health::run(&args),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            print::error(&failure.to_string());
            Exit::from(&failure).into()
        }
    }
}

/// A runtime on this thread, enough for a client.
fn client_runtime() -> Result<tokio::runtime::Runtime, failure::Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failure::Failure::Runtime)
}
