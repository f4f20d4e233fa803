//! What the program tells of itself: log, traces and metrics.
//!
//! What is counted is the business of those who count: each room registers its own metrics.

mod context;
mod export;
mod exposition;
mod line;
mod log;
mod metrics;
mod otlp;
#[cfg(target_os = "linux")]
mod process;
mod runtime;
mod sampling;
mod traces;
mod writer;

use prometheus_client::{
    metrics::{family::Family, histogram::Histogram, info::Info},
    registry::Registry,
};
use tokio::runtime::Handle;

pub use self::{
    context::TraceContext,
    export::{Export, ExportConfig, ExportError, Share},
    exposition::{Format, write},
    log::{Log, LogFormat},
    traces::{Kind, Span, Tracer},
};

/// Histograms of durations, by labels of kind `L`.
pub type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

/// The upper bounds of buckets, in seconds: those of OpenTelemetry's conventions.
const BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Durations of which there are none yet.
pub fn durations<L: Clone + std::hash::Hash + Eq>() -> Durations<L> {
    Family::new_with_constructor(|| Histogram::new(BUCKETS))
}

/// Registers what is known of this process and program, and of its runtimes.
pub fn register(registry: &mut Registry, runtimes: impl IntoIterator<Item = Handle>) {
    let info = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("jobgate_build", "The program", info);
    registry.register_collector(Box::new(writer::LostLines));
    registry.register_collector(Box::new(runtime::Tasks(runtimes.into_iter().collect())));
    #[cfg(target_os = "linux")]
    registry.register_collector(Box::new(process::Process));
}
