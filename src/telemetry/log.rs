//! The program's log: lines on standard error, as text or JSON.
//!
//! Credentials can't get here: their types do not print. Other crates' messages are kept to
//! warnings at any level, since they could print headers.

use std::{io, sync::Arc};

use tracing::{Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer as _, filter::Targets, fmt::MakeWriter, layer::SubscriberExt as _};

use super::{
    line::Line,
    writer::{self, Lines, Waiting},
};

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The log of this process. Dropped, it writes what still waits.
pub struct Log(Arc<Waiting>);

// === impl Log ===

impl Log {
    /// Starts the log. Does nothing if there is one already.
    #[must_use = "it ends when it is dropped"]
    pub fn start(format: LogFormat, level: Level, color: bool) -> io::Result<Self> {
        let waiting = writer::start(io::stderr())?;
        let subscriber = subscriber(Line { format, color }, level, Lines(Arc::clone(&waiting)));
        if tracing::subscriber::set_global_default(subscriber).is_ok() {
            writer::count_of_process(&waiting);
        }
        Ok(Self(waiting))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.0.finish();
    }
}

fn subscriber<W>(line: Line, level: Level, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter =
        Targets::new().with_default(LevelFilter::WARN).with_target(env!("CARGO_CRATE_NAME"), level);
    let layer = tracing_subscriber::fmt::layer().event_format(line).with_writer(writer);
    tracing_subscriber::registry().with(layer.with_filter(filter))
}
