//! The REST API of a cloud, simulated: jobs with a life, IAM tokens, signed requests,
//! temporary keys of a machine, and every way of failing.
//!
//! It follows a [`Script`] and the clock. It shares nothing with the client of the REST API in
//! this crate, so that the two can't make the same mistake.

mod admission;
mod api;
mod faults;
#[cfg(any(test, fuzzing, feature = "measuring"))]
pub(crate) mod fuzzing;
mod iam;
mod identity;
mod keys;
mod life;
mod metadata;
mod script;
mod signature;
mod throttle;
mod tokens;
mod world;

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;

pub use self::script::{Script, ScriptError};
use self::world::World;

/// How long requests under way may take to finish.
const DRAIN: Duration = Duration::from_secs(1);

/// Where the simulator listens and what it plays.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the REST API and IAM are served.
    pub listen: SocketAddr,
    /// What is played.
    pub script: Script,
}

/// The simulator can't listen.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {address}")]
pub struct BindError {
    address: SocketAddr,
    #[source]
    source: io::Error,
}

/// A simulator with an open socket that does not serve yet.
pub struct Simulator {
    listener: TcpListener,
    address: SocketAddr,
    script: Script,
}

/// Opens the socket.
pub async fn bind(config: Config) -> Result<Simulator, BindError> {
    let Config { listen, script } = config;
    let open = async {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    let (listener, address) = open.await.map_err(|source| BindError { address: listen, source })?;
    Ok(Simulator { listener, address, script })
}

// === impl Simulator ===

impl Simulator {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is done, and lets requests under way take a moment more. The jobs of
    /// the script begin now.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> io::Result<()> {
        let world = Arc::new(World::new(self.script, self.address));
        let stopping = CancellationToken::new();
        let stopped = stopping.clone().cancelled_owned();
        let serving =
            axum::serve(self.listener, api::routes(world)).with_graceful_shutdown(stopped);
        let mut serving = pin!(serving.into_future());
        tokio::select! {
            result = &mut serving => return result,
            () = shutdown => stopping.cancel(),
        }
        // A latency of the script, or a connection kept alive, is not worth waiting for.
        timeout(DRAIN, serving).await.unwrap_or(Ok(()))
    }
}
