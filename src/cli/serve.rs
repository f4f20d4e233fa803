//! `jobgate serve`: the gateway.

use std::{num::NonZeroUsize, thread};

use jobgate::{
    server,
    telemetry::{Export, Tracer},
};

use super::{
    console::Console, error::Error, exit::Exit, gateway::Gateway, signals, telemetry::TelemetryArgs,
};

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
    telemetry: TelemetryArgs,
}

// === impl Serve ===

impl Serve {
    /// What is served, and what is told of it.
    pub(super) fn parts(self) -> (Gateway, TelemetryArgs) {
        (self.gateway, self.telemetry)
    }

    /// Serves until a signal comes.
    pub(crate) fn run(self, console: Console) -> Result<Exit, Error> {
        // Whole, so that no flag is forgotten.
        let Self { gateway, workers, telemetry } = self;
        let collector = telemetry.collector()?;
        // Until the end, which it tells of.
        let _log = telemetry.start_log(console)?;
        let workers = workers.or_else(|| thread::available_parallelism().ok());
        let config = gateway.config(workers.unwrap_or(NonZeroUsize::MIN))?;
        let reload = config.reload.clone();
        // The first of the workers; the server starts the others.
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().map_err(Error::Runtime)?;
        let outcome = runtime.block_on(async {
            // From the start: by itself the signal would end the process.
            let hangups = signals::Hangups::listen()?;
            let mut export = collector.start()?;
            let tracer = export.as_ref().map_or_else(Tracer::default, Export::tracer);
            let bound = server::bind(server::Config { tracer, ..config }).await?;
            if let Some(export) = &mut export {
                export.send_metrics(bound.metrics());
            }
            let stopped = |stop| async {
                let _: Result<(), _> = { stop as tokio::sync::oneshot::Receiver<()> }.await;
            };
            let serve = async |stop| {
                bound.run(stopped(stop)).await;
                if let Some(export) = export {
                    export.finish().await;
                }
            };
            tokio::select! {
                ended = signals::run_until_signal(serve) => ended,
                never = hangups.each(|| reload.now()) => match never {},
            }
        });
        // A lookup of a name may still sit in a thread; nothing waits for it.
        runtime.shutdown_background();
        outcome.map(|_| Exit::Success)
    }
}
