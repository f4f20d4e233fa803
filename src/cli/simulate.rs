//! `jobgate simulate`: the REST API and IAM of a simulated cloud.

use std::{net::SocketAddr, path::PathBuf};

use jobgate::simulator::{self, Script};

use super::{
    exit::Exit,
    failure::Failure,
    print::{self, Color},
    signals,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the REST API and IAM are served
    #[arg(
        long,
        env = "JOBGATE_SIMULATE_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8080"
    )]
    listen: SocketAddr,

    /// What is played; without it, the built-in script
    #[arg(long, env = "JOBGATE_SIMULATE_SCRIPT", value_name = "FILE")]
    script: Option<PathBuf>,
}

/// Serves until a signal comes.
pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let Args { listen, script } = args;
    let script = match script {
        Some(path) => Script::load(path)?,
        None => Script::builtin()?,
    };
    let config = simulator::Config {
        listen: *listen,
        script,
    };
    super::client_runtime()?.block_on(async {
        let simulator = simulator::bind(config).await?;
        let address = simulator.local_addr();
        print::out(
            &format!("the REST API is at http://{address}\n"),
            Color::Auto,
        )?;
        let served = signals::run_until_signal(|stop| {
            simulator.run(async {
                let _ = stop.await;
            })
        });
        served.await?.transpose().map_err(Failure::Runtime)?;
        Ok(Exit::Success)
    })
}
