//! The server: sockets, connections, health, the log of calls, and an orderly end.
//!
//! [`bind`] sets everything up and opens the sockets; [`Bound::run`] serves until it is told to
//! stop, and then drains: not healthy any more, after a while no new connections, running calls
//! finish.

mod access_log;
mod admin;
mod calls;
mod connection;
mod health;
mod preface;
mod services;
pub mod tls;
pub mod ui;
pub mod web;
mod workers;

use std::{io, net::SocketAddr, num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use axum::Router;
use prometheus_client::registry::Registry;
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};
use tower::Layer as _;

pub use self::connection::Limits as ConnectionLimits;
use self::{
    access_log::AccessLogLayer,
    calls::CallMetrics,
    connection::{Connections, Protocol},
    health::Health,
    services::{Services, Surrounded},
    tls::Tls,
    web::{Origins, WebLayer},
    workers::Workers,
};
use crate::{
    access::Access,
    files::{FileError, Reloads},
    grpc,
    telemetry::{self, Tracer},
    upstream::{self, Readiness, Upstream},
};

/// Everything a server needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where gRPC is served.
    pub listen: SocketAddr,
    /// The threads that serve. The runtime of the caller is one of them; more are started.
    pub workers: NonZeroUsize,
    /// Where metrics, probes and plaintext health are served; `None` for nowhere.
    pub admin_listen: Option<SocketAddr>,
    /// How long the server still takes connections and calls once it is told to stop, and says
    /// that it is not healthy: those who send calls here have to hear of it.
    pub drain_delay: Duration,
    /// How long running calls may take to finish after that.
    pub drain_timeout: Duration,
    /// The limits of connections of the gRPC port.
    pub connections: ConnectionLimits,
    /// How calls are served.
    pub grpc: grpc::Config,
    /// How to reach the upstream.
    pub upstream: upstream::Config,
    /// The certificates of the gRPC port; `None` for plaintext.
    pub tls: Option<tls::Config>,
    /// The rules on who may ask about what; `None` for no rules.
    pub callers: Option<PathBuf>,
    /// Whose pages may call by gRPC-Web; `None` for no gRPC-Web.
    pub web: Option<Origins>,
    /// The page at the admin port; `None` for no page.
    pub ui: Option<ui::Config>,
    /// When files are looked at again.
    pub reload: Reloads,
    /// What spans are begun with.
    pub tracer: Tracer,
}

/// A server that can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A socket can't be opened.
    #[error("can't listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file can't be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// No caller could ever be known.
    #[error("all rules of --callers want certificates, which no client shows: add --tls-client-ca")]
    NobodyKnown,
    /// The system has no more threads.
    #[error("can't start the threads that serve")]
    Threads(#[source] io::Error),
    /// The reflection service can't be built.
    #[error("can't set up server reflection")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// Any page that somebody opens could use the gateway's own credentials.
    #[error(
        "any page in a browser that reaches this gateway could use its own credentials: name the \
         origins in place of *, or add --tls-client-ca or --callers"
    )]
    AnyPage,
    /// Anybody could use the gateway's own credentials.
    #[error(
        "on {address}, whoever reaches it could use the gateway's own credentials: add \
         --tls-client-ca or --callers, listen on loopback, or use --credentials passthrough"
    )]
    Unprotected {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The upstream can't be set up.
    #[error("can't set up the upstream")]
    Upstream(#[from] upstream::SetupError),
}

/// A server without sockets: all that it needs is there and good.
pub struct Prepared {
    config: Config,
    registry: Registry,
    calls: AccessLogLayer,
    tls: Option<Tls>,
    upstream: Upstream,
    jobs: grpc::Jobs,
    workers: Workers,
}

/// A server with open sockets that does not serve yet.
pub struct Bound {
    grpc: TcpListener,
    grpc_address: SocketAddr,
    services: Surrounded<grpc::HeaderLimit<Services>>,
    web: Option<Origins>,
    connections: Connections,
    admin: Option<(TcpListener, SocketAddr)>,
    admin_routes: Router,
    drain_delay: Duration,
    drain_timeout: Duration,
    health: Health,
    upstream: Upstream,
    jobs: grpc::Jobs,
    registry: Arc<Registry>,
}

/// Reads all files and sets up all but the sockets. With credentials of its own, the gateway begins
/// to obtain them.
pub async fn prepare(config: Config) -> Result<Prepared, BindError> {
    // Before the credentials are used for the first time.
    let lends = config.upstream.credentials.are_the_gateways();
    let loopback = config.listen.ip().to_canonical().is_loopback();
    if lends && !loopback && !config.authenticates() {
        return Err(BindError::Unprotected { address: config.listen });
    }
    if lends && config.web == Some(Origins::Any) && !config.authenticates() {
        return Err(BindError::AnyPage);
    }
    if !loopback && config.tls.is_none() {
        tracing::warn!("callers' tokens come in without TLS; fine if a mesh encrypts them");
    }
    let workers = Workers::start(config.workers).map_err(BindError::Threads)?;
    let mut registry = Registry::default();
    telemetry::register(&mut registry, workers.runtimes().cloned());
    config.reload.register(&mut registry);
    let tracer = &config.tracer;
    let calls = AccessLogLayer::new(CallMetrics::new(&mut registry), tracer.clone());
    let upstream = Upstream::new(&config.upstream, &config.reload, tracer, &mut registry).await?;
    let access = match &config.callers {
        Some(file) => Access::follow(file.clone(), &config.reload).await?,
        None => Access::open(),
    };
    let certificates = config.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    if access.rules().is_some_and(|rules| !rules.take_tokens()) && !certificates {
        return Err(BindError::NobodyKnown);
    }
    let tls = match config.tls.clone() {
        Some(tls) => Some(Tls::new(tls, &config.reload, &mut registry).await?),
        None => None,
    };
    let jobs = grpc::Jobs::new(config.grpc, access, upstream.clone(), tracer, &mut registry);
    Ok(Prepared { config, registry, calls, tls, upstream, jobs, workers })
}

/// Prepares a server and opens its sockets.
pub async fn bind(config: Config) -> Result<Bound, BindError> {
    prepare(config).await?.bind().await
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), BindError> {
    let open = async {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    open.await.map_err(|source| BindError::Listen { address, source })
}

// === impl Prepared ===

impl Prepared {
    /// The way to the upstream.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Opens the sockets.
    pub async fn bind(self) -> Result<Bound, BindError> {
        let Self { config, mut registry, calls, tls, upstream, jobs, workers } = self;
        let health = Health::new([grpc::SERVICE]);
        let services = jobs.header_limit().layer(Services::new(&jobs, &health)?);
        let (grpc, grpc_address) = listen(config.listen).await?;
        let admin = match config.admin_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let protocol = match (&config.web, &tls) {
            // Without TLS browsers speak HTTP/1.1 only.
            (Some(_), None) => Protocol::Any,
            (Some(_), Some(_)) | (None, _) => Protocol::Http2,
        };
        let page = config
            .ui
            .map(|ui| ui::routes(ui, config.web.as_ref(), grpc_address.port(), tls.is_some()));
        let connections = Connections::new(protocol, tls, config.connections, Some(workers));
        connections.register(&mut registry);
        let registry = Arc::new(registry);
        let admin_routes = admin::routes(&health, Arc::clone(&registry));
        Ok(Bound {
            grpc,
            grpc_address,
            services: services::surround(services, config.grpc.timeout, &calls),
            web: config.web,
            connections,
            admin,
            admin_routes: admin_routes.merge(page.unwrap_or_default()),
            drain_delay: config.drain_delay,
            drain_timeout: config.drain_timeout,
            health,
            upstream,
            jobs,
            registry,
        })
    }
}

// === impl Config ===

impl Config {
    /// Whether nobody can ask without showing who he is.
    pub fn authenticates(&self) -> bool {
        let client_ca = self.tls.as_ref().and_then(|tls| tls.client_ca.as_ref());
        self.callers.is_some() || client_ca.is_some()
    }
}

// === impl Bound ===

impl Bound {
    /// Where gRPC is served.
    pub fn local_addr(&self) -> SocketAddr {
        self.grpc_address
    }

    /// Where the admin services are served.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|(_, address)| *address)
    }

    /// All that is counted.
    pub fn metrics(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }

    /// Serves until `shutdown` is done, then drains for at most delay and timeout together.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let admin_address = self.admin_addr();
        let admin = Connections::new(Protocol::Any, None, ConnectionLimits::none(), None);
        if let Some((listener, _)) = self.admin {
            admin.accept(listener, self.admin_routes);
        }
        let grpc = self.connections;
        match self.web {
            Some(origins) => {
                grpc.accept(self.grpc, WebLayer::new(&origins).layer(self.services));
            }
            None => grpc.accept(self.grpc, self.services),
        }
        let readiness = self.upstream.readiness();
        self.health.serve(readiness);
        let admin_address = admin_address.map(tracing::field::display);
        tracing::info!(grpc = %self.grpc_address, admin = admin_address, "serving");

        tokio::select! {
            () = shutdown => {}
            () = follow(&self.upstream, &self.health, readiness) => {}
        }
        self.health.leave();
        if !self.drain_delay.is_zero() {
            let delay_ms = self.drain_delay.as_millis();
            tracing::info!(connections = grpc.count(), delay_ms, "about to drain");
            sleep(self.drain_delay).await;
        }
        tracing::info!(connections = grpc.count(), "draining");
        self.health.drain();
        self.jobs.drain();
        if timeout(self.drain_timeout, grpc.drain()).await.is_err() {
            tracing::warn!(connections = grpc.count(), "drain timeout: connections were cut");
            grpc.cut().await;
        }
        // Last, so that probes hear of the drain while it lasts.
        admin.cut().await;
        tracing::info!("stopped");
    }
}

/// Keeps the health with the credentials. Never ends.
async fn follow(upstream: &Upstream, health: &Health, mut readiness: Readiness) {
    loop {
        readiness = upstream.readiness_after(readiness).await;
        health.serve(readiness);
    }
}
