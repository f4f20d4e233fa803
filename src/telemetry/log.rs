//! The program's log: lines on standard error, as text or JSON.
//!
//! Credentials can't get here: their types do not print. Other crates' messages are kept to
//! warnings at any level, since they could print headers.

use std::{
    fmt,
    io::{self, BufWriter},
    sync::OnceLock,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};
use tracing::{Level, Subscriber, level_filters::LevelFilter};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{Layer as _, filter::Targets, fmt::MakeWriter, layer::SubscriberExt as _};

use super::line::Line;

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The most lines that wait to be written. Beyond them, lines are lost: a reader of the log who has
/// fallen asleep must not stop the calls.
const MAX_WAITING: usize = 10_000;

/// How many bytes are written at once, when many lines wait.
const BUFFER: usize = 64 << 10;

/// The lines that were lost.
static LOST: OnceLock<ErrorCounter> = OnceLock::new();

/// The log of this process. Dropped, it writes what still waits.
pub struct Log(#[expect(dead_code, reason = "dropped")] WorkerGuard);

/// Counts the lines that were lost.
#[derive(Debug)]
pub(super) struct LostLines;

// === impl Log ===

impl Log {
    /// Starts the log. Does nothing if there is one already.
    ///
    /// Lines are written by a thread of their own.
    #[must_use = "it ends when it is dropped"]
    pub fn start(format: LogFormat, level: Level, color: bool) -> Self {
        let stderr = BufWriter::with_capacity(BUFFER, io::stderr());
        let (writer, guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(MAX_WAITING)
            .thread_name("log")
            .finish(stderr);
        let lost = writer.error_counter();
        let subscriber = subscriber(Line { format, color }, level, writer);
        if tracing::subscriber::set_global_default(subscriber).is_ok() {
            let _ = LOST.set(lost);
        }
        Self(guard)
    }
}

// === impl LostLines ===

impl Collector for LostLines {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let lost = LOST.get().map_or(0, ErrorCounter::dropped_lines);
        let lost = ConstCounter::new(u64::try_from(lost).unwrap_or(u64::MAX));
        let (name, help) = ("jobgate_log_lines_lost", "Lines of log that nobody read in time.");
        lost.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
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
