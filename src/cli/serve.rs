//! `jobgate serve`: the gateway.

use std::{net::SocketAddr, num::NonZeroUsize, str::FromStr, time::Duration};

use clap::ValueEnum;
use jobgate::{
    grpc, server,
    telemetry::{self, LogFormat},
    upstream::{self, BaseUrl},
    watch,
};

use super::{console::Console, duration, error::Error, exit::Exit, signals};

/// Serve jobs over gRPC
///
/// Answers GetJob with what the REST API says, asked with the caller's own token.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Where the REST API is, such as https://vbs.eu-de.otc.t-systems.com; without the version
    #[arg(long, env = "JOBGATE_UPSTREAM", value_name = "URL", value_parser = BaseUrl::parse)]
    upstream: BaseUrl,

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

    /// Threads that serve; by default one per core
    #[arg(long, env = "JOBGATE_WORKERS", value_name = "N")]
    workers: Option<NonZeroUsize>,

    /// The time for a call that brings no deadline
    #[arg(long, env = "JOBGATE_TIMEOUT", default_value = "30s", value_parser = duration::parse)]
    timeout: Duration,

    /// The time for one attempt upstream, from the connection to the last byte of the answer
    #[arg(
        long,
        env = "JOBGATE_ATTEMPT_TIMEOUT",
        value_name = "DURATION",
        default_value = "8s",
        value_parser = duration::parse
    )]
    attempt_timeout: Duration,

    /// The time for a new connection upstream, TLS included
    #[arg(
        long,
        env = "JOBGATE_CONNECT_TIMEOUT",
        value_name = "DURATION",
        default_value = "3s",
        value_parser = duration::parse
    )]
    connect_timeout: Duration,

    /// How long running calls may take to finish after SIGTERM or Ctrl-C
    #[arg(
        long,
        env = "JOBGATE_DRAIN_TIMEOUT",
        value_name = "DURATION",
        default_value = "20s",
        value_parser = duration::parse
    )]
    drain_timeout: Duration,

    #[command(flatten)]
    watch: WatchArgs,

    #[command(flatten)]
    log: LogArgs,
}

/// How watches are kept.
#[derive(Debug, clap::Args)]
struct WatchArgs {
    /// The longest silence on a watch; then a heartbeat is sent
    #[arg(
        long,
        env = "JOBGATE_HEARTBEAT",
        value_name = "DURATION",
        default_value = "20s",
        value_parser = duration::parse
    )]
    heartbeat: Duration,

    /// The interval of polls for a watched job after it has changed
    #[arg(
        long,
        env = "JOBGATE_POLL_MIN",
        value_name = "DURATION",
        default_value = "2s",
        value_parser = duration::parse
    )]
    poll_min: Duration,

    /// The interval of polls up to which it grows while nothing changes
    #[arg(
        long,
        env = "JOBGATE_POLL_MAX",
        value_name = "DURATION",
        default_value = "15s",
        value_parser = duration::parse
    )]
    poll_max: Duration,

    /// How long a watch bears faults of the upstream that may pass
    #[arg(
        long,
        env = "JOBGATE_WATCH_PATIENCE",
        value_name = "DURATION",
        default_value = "5m",
        value_parser = duration::parse
    )]
    watch_patience: Duration,

    /// How long a watch may live, less up to a fifth; then the client watches again
    #[arg(
        long,
        env = "JOBGATE_WATCH_MAX_AGE",
        value_name = "DURATION",
        default_value = "1h",
        value_parser = duration::parse
    )]
    watch_max_age: Duration,

    /// The most watches at a time, of all jobs and callers together
    #[arg(long, env = "JOBGATE_MAX_WATCHES", value_name = "N", default_value = "20000")]
    max_watches: NonZeroUsize,
}

/// How a server logs.
#[derive(Debug, clap::Args)]
struct LogArgs {
    /// How lines of log are written
    #[arg(long, env = "JOBGATE_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    log_format: Format,

    /// The least important lines that are written; calls are logged at info
    #[arg(long, env = "JOBGATE_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    log_level: Level,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
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

// === impl WatchArgs ===

impl WatchArgs {
    fn config(self) -> watch::Config {
        let Self { heartbeat, poll_min, poll_max, watch_patience, watch_max_age, max_watches } =
            self;
        watch::Config {
            heartbeat,
            max_watches: max_watches.get(),
            max_age: watch_max_age,
            patience: watch_patience,
            poll_min,
            poll_max,
        }
    }
}

// === impl LogArgs ===

impl LogArgs {
    fn start(&self, console: Console) {
        let format = match self.log_format {
            Format::Text => LogFormat::Text,
            Format::Json => LogFormat::Json,
        };
        let level = match self.log_level {
            Level::Error => tracing::Level::ERROR,
            Level::Warn => tracing::Level::WARN,
            Level::Info => tracing::Level::INFO,
            Level::Debug => tracing::Level::DEBUG,
        };
        telemetry::start_log(format, level, console.colors_stderr());
    }
}

// === impl Serve ===

impl Serve {
    /// Serves until a signal comes.
    pub(crate) fn run(self, console: Console) -> Result<Exit, Error> {
        // Whole, so that no flag is forgotten.
        let Self {
            upstream: base,
            listen,
            admin_listen: AdminListen(admin_listen),
            workers,
            timeout,
            attempt_timeout,
            connect_timeout,
            drain_timeout,
            watch,
            log,
        } = self;
        log.start(console);
        let config = server::Config {
            listen,
            admin_listen,
            drain_timeout,
            grpc: grpc::Config { timeout, watch: watch.config() },
            upstream: upstream::Config { base, attempt_timeout, connect_timeout },
        };
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        if let Some(workers) = workers {
            runtime.worker_threads(workers.get());
        }
        let runtime = runtime.enable_all().build().map_err(Error::Runtime)?;
        let outcome = runtime.block_on(async {
            let bound = server::bind(config).await?;
            let stopped = |stop| async {
                let _: Result<(), _> = { stop as tokio::sync::oneshot::Receiver<()> }.await;
            };
            signals::run_until_signal(|stop| bound.run(stopped(stop))).await
        });
        // A lookup of a name may still sit in a thread; nothing waits for it.
        runtime.shutdown_background();
        outcome.map(|_| Exit::Success)
    }
}
