//! The options for what a server tells of itself: its log, its traces and its metrics.

use std::{env, str::FromStr, time::Duration};

use clap::ValueEnum;
use jobgate::{
    telemetry::{Export, ExportConfig, Log, LogFormat, Share},
    upstream::BaseUrl,
};

use super::{
    console::Console,
    duration::{DurationError, OrOff},
    error::{Error, UsageError},
};

/// The variable by which OpenTelemetry's own libraries know the collector.
const STANDARD_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Metrics are sent as often as this at most: all are sent each time.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// What a server tells of itself.
#[derive(Debug, clap::Args)]
pub(super) struct TelemetryArgs {
    /// How lines of log are written
    #[arg(long, env = "JOBGATE_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    log_format: Format,

    /// The least important lines that are written; calls are logged at info
    #[arg(long, env = "JOBGATE_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    log_level: Level,

    /// Where traces and metrics are sent, by OTLP over gRPC, such as http://localhost:4317; else
    /// OTEL_EXPORTER_OTLP_ENDPOINT; else nowhere
    #[arg(long, env = "JOBGATE_OTLP_ENDPOINT", value_name = "URL", value_parser = BaseUrl::parse)]
    otlp_endpoint: Option<BaseUrl>,

    /// How many of the calls are traced that come without a trace, from 0 to 1; of the others,
    /// those whose caller is
    #[arg(long, env = "JOBGATE_TRACE_SAMPLE", value_name = "RATIO", default_value = "1")]
    trace_sample: Share,

    /// How often metrics are sent to the collector of traces as well, such as 60s; `off` for never:
    /// they can be scraped at the admin port
    #[arg(
        long,
        env = "JOBGATE_OTLP_METRICS_INTERVAL",
        value_name = "DURATION",
        default_value = "off"
    )]
    otlp_metrics_interval: Interval,
}

/// Where traces and metrics go, if anywhere.
#[derive(Debug)]
pub(super) struct Collector(Option<ExportConfig>);

/// A time between sendings, or `off`.
#[derive(Clone, Copy, Debug)]
struct Interval(Option<Duration>);

/// A text that is no [`Interval`].
#[derive(Debug, thiserror::Error)]
enum InvalidInterval {
    #[error(transparent)]
    Duration(#[from] DurationError),
    #[error("must be a second at least")]
    TooShort,
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

// === impl TelemetryArgs ===

impl TelemetryArgs {
    /// Starts the log.
    pub(super) fn start_log(&self, console: Console) -> Result<Log, Error> {
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
        Log::start(format, level, console.colors_stderr()).map_err(Error::Runtime)
    }

    /// The collector, by these options and OpenTelemetry's variable.
    pub(super) fn collector(&self) -> Result<Collector, UsageError> {
        let Interval(metrics_every) = self.otlp_metrics_interval;
        let endpoint = match &self.otlp_endpoint {
            Some(endpoint) => Some(endpoint.clone()),
            None => standard_endpoint()?,
        };
        if metrics_every.is_some() && endpoint.is_none() {
            let (what, flags) =
                ("--otlp-metrics-interval", "--otlp-endpoint or OTEL_EXPORTER_OTLP_ENDPOINT");
            return Err(UsageError::Needs { what, flags });
        }
        let config = |endpoint: BaseUrl| ExportConfig {
            endpoint: endpoint.as_str().to_owned(),
            share: self.trace_sample,
            metrics_every,
        };
        Ok(Collector(endpoint.map(config)))
    }
}

fn standard_endpoint() -> Result<Option<BaseUrl>, UsageError> {
    let Some(value) = env::var_os(STANDARD_ENDPOINT).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let problem = |problem: String| UsageError::Variable { name: STANDARD_ENDPOINT, problem };
    let url = value.to_str().map(BaseUrl::parse);
    let url = url.ok_or_else(|| problem("not UTF-8".to_owned()))?;
    url.map(Some).map_err(|invalid| problem(invalid.to_string()))
}

// === impl Interval ===

impl FromStr for Interval {
    type Err = InvalidInterval;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let OrOff(interval) = text.parse()?;
        if interval.is_some_and(|interval| interval < SHORTEST_INTERVAL) {
            return Err(InvalidInterval::TooShort);
        }
        Ok(Self(interval))
    }
}

// === impl Collector ===

impl Collector {
    /// Begins to send traces, if they go anywhere. Called within the server's runtime.
    pub(super) fn start(self) -> Result<Option<Export>, Error> {
        self.0.map(|config| Export::start(&config)).transpose().map_err(Error::Export)
    }
}
