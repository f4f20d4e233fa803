//! `jobgate serve`: the gateway.

use std::num::NonZeroUsize;

use clap::ValueEnum;
use jobgate::{
    server,
    telemetry::{self, LogFormat},
};

use super::{console::Console, error::Error, exit::Exit, gateway::Gateway, signals};

/// Serve jobs over gRPC
///
/// Answers GetJob and WatchJob with what the REST API says, asked with the caller's own token or
/// with credentials of the gateway.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    gateway: Gateway,

    /// Threads that serve; by default one per core
    #[arg(long, env = "JOBGATE_WORKERS", value_name = "N")]
    workers: Option<NonZeroUsize>,

    #[command(flatten)]
    log: LogArgs,
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
    /// What is served.
    pub(crate) fn gateway(self) -> Gateway {
        self.gateway
    }

    /// Serves until a signal comes.
    pub(crate) fn run(self, console: Console) -> Result<Exit, Error> {
        // Whole, so that no flag is forgotten.
        let Self { gateway, workers, log } = self;
        log.start(console);
        let config = gateway.config()?;
        let reload = config.reload.clone();
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        if let Some(workers) = workers {
            runtime.worker_threads(workers.get());
        }
        let runtime = runtime.enable_all().build().map_err(Error::Runtime)?;
        let outcome = runtime.block_on(async {
            // From the start: by itself the signal would end the process.
            let hangups = signals::Hangups::listen()?;
            let bound = server::bind(config).await?;
            let stopped = |stop| async {
                let _: Result<(), _> = { stop as tokio::sync::oneshot::Receiver<()> }.await;
            };
            tokio::select! {
                ended = signals::run_until_signal(|stop| bound.run(stopped(stop))) => ended,
                never = hangups.each(|| reload.now()) => match never {},
            }
        });
        // A lookup of a name may still sit in a thread; nothing waits for it.
        runtime.shutdown_background();
        outcome.map(|_| Exit::Success)
    }
}
