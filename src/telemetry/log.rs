//! The program's log: lines on standard error, as text or JSON.
//!
//! Credentials can't get here: their types do not print. Other crates' messages are kept to
//! warnings at any level, since they could print headers.

use std::io;

use tracing::{Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer as _, filter::Targets, layer::SubscriberExt as _};

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts the log of this process. Does nothing if there is one already.
pub fn start_log(format: LogFormat, level: Level, color: bool) {
    let _ = tracing::subscriber::set_global_default(subscriber(format, level, color, io::stderr));
}

fn subscriber<W>(
    format: LogFormat,
    level: Level,
    color: bool,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> tracing_subscriber::fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    let filter =
        Targets::new().with_default(LevelFilter::WARN).with_target(env!("CARGO_CRATE_NAME"), level);
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let layer = match format {
        LogFormat::Text => layer.with_ansi(color).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_current_span(false).boxed(),
    };
    Box::new(tracing_subscriber::registry().with(layer.with_filter(filter)))
}
