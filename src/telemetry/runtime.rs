//! What is known of the runtime when somebody asks.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
};
use tokio::runtime::Handle;

/// The tasks of a runtime.
#[derive(Debug)]
pub(super) struct Tasks(Handle);

// === impl Tasks ===

impl Tasks {
    /// Those of the runtime that this is called in.
    pub(super) fn here() -> Self {
        Self(Handle::current())
    }
}

impl Collector for Tasks {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let tasks = self.0.metrics().num_alive_tasks();
        let tasks = ConstGauge::new(u64::try_from(tasks).unwrap_or(u64::MAX));
        let (name, help) = ("jobgate_tasks", "Tasks of the runtime that have not ended.");
        tasks.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
    }
}
