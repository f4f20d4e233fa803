//! `jobgate simulate`: the REST API and IAM of a simulated cloud.

use std::{net::SocketAddr, path::PathBuf};

use jobgate::simulator::{self, Script};

use super::{console::Console, error::Error, exit::Exit, signals};

/// Serve the REST API and IAM of a simulated cloud
#[derive(Debug, clap::Args)]
pub(crate) struct Simulate {
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

// === impl Simulate ===

impl Simulate {
    /// Serves until a signal comes.
    pub(crate) async fn run(self, console: Console) -> Result<Exit, Error> {
        let Self { listen, script } = self;
        let script = match script {
            Some(path) => Script::load(&path)?,
            None => Script::builtin()?,
        };
        let simulator = simulator::bind(simulator::Config { listen, script }).await?;
        let address = simulator.local_addr();
        console.print(&format!("the REST API is at http://{address}")).map_err(Error::Output)?;
        let served = signals::run_until_signal(|stop| simulator.run(async { drop(stop.await) }));
        served.await?.transpose().map_err(Error::Runtime)?;
        Ok(Exit::Success)
    }
}
