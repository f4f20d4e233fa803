//! The options of a gateway, for all commands that set one up.

mod credentials;
mod inbound;
mod limits;
mod upstream;
mod watch;
mod web;

use std::{net::SocketAddr, num::NonZeroUsize, str::FromStr, time::Duration};

use jobgate::{files::Reloads, grpc, server, telemetry::Tracer};

pub(crate) use self::credentials::SECRET_VARIABLES;
use self::{
    credentials::CredentialArgs, inbound::InboundArgs, limits::LimitArgs, upstream::UpstreamArgs,
    watch::WatchArgs, web::WebArgs,
};
use super::{
    duration::{self, OrOff},
    error::UsageError,
};

/// A gateway.
#[derive(Debug, clap::Args)]
pub(crate) struct Gateway {
    #[command(flatten)]
    upstream: UpstreamArgs,

    /// Where gRPC is served
    #[arg(long, env = "JOBGATE_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:50051")]
    listen: SocketAddr,

    /// Where metrics, probes and plaintext health are served; `off` for nowhere
    #[arg(
        long,
        env = "JOBGATE_ADMIN_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:9090"
    )]
    admin_listen: AdminListen,

    #[command(flatten)]
    inbound: InboundArgs,

    #[command(flatten)]
    web: WebArgs,

    #[command(flatten)]
    credentials: CredentialArgs,

    /// How often files are looked at again: certificates, rules, secrets; SIGHUP does it at once
    #[arg(
        long,
        env = "JOBGATE_RELOAD_INTERVAL",
        value_name = "DURATION",
        default_value = "10s",
        value_parser = duration::parse
    )]
    reload_interval: Duration,

    /// The time for a call that brings no deadline
    #[arg(long, env = "JOBGATE_TIMEOUT", default_value = "30s", value_parser = duration::parse)]
    timeout: Duration,

    /// How long calls are still taken after SIGTERM or Ctrl-C, with health saying NOT_SERVING: until
    /// all who send calls here have heard of it; `off` for no such time
    #[arg(long, env = "JOBGATE_DRAIN_DELAY", value_name = "DURATION", default_value = "5s")]
    drain_delay: OrOff,

    /// How long running calls may take to finish after that
    #[arg(
        long,
        env = "JOBGATE_DRAIN_TIMEOUT",
        value_name = "DURATION",
        default_value = "20s",
        value_parser = duration::parse
    )]
    drain_timeout: Duration,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    watch: WatchArgs,
}

/// The admin port's address, or none.
#[derive(Clone, Copy, Debug)]
struct AdminListen(Option<SocketAddr>);

impl FromStr for AdminListen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self(None));
        }
        let address = text.parse().map_err(|_| "write an address like 127.0.0.1:9090, or off")?;
        Ok(Self(Some(address)))
    }
}

// === impl Gateway ===

impl Gateway {
    /// What the library is told.
    pub(crate) fn config(self, workers: NonZeroUsize) -> Result<server::Config, UsageError> {
        // Whole, so that no flag is forgotten.
        let Self {
            upstream,
            listen,
            admin_listen: AdminListen(admin_listen),
            inbound,
            web,
            credentials,
            reload_interval,
            timeout,
            drain_delay: OrOff(drain_delay),
            drain_timeout,
            limits,
            watch,
        } = self;
        let (tls, callers) = inbound.config();
        let (web, ui) = web.config(admin_listen.is_some())?;
        let (limits, connections) = limits.config();
        Ok(server::Config {
            listen,
            workers,
            admin_listen,
            drain_delay: drain_delay.unwrap_or_default(),
            drain_timeout,
            connections,
            grpc: grpc::Config { timeout, limits, watch: watch.config() },
            upstream: upstream.config(credentials.config()?),
            tls,
            callers,
            web,
            ui,
            reload: Reloads::new(reload_interval),
            tracer: Tracer::default(),
        })
    }
}
