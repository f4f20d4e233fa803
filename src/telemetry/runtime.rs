//! What is known of the runtimes when somebody asks.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
};
use tokio::runtime::Handle;

/// The tasks of some runtimes.
#[derive(Debug)]
pub(super) struct Tasks(pub(super) Vec<Handle>);

// === impl Tasks ===

impl Collector for Tasks {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let tasks: usize = self.0.iter().map(|it| it.metrics().num_alive_tasks()).sum();
        let tasks = ConstGauge::new(u64::try_from(tasks).unwrap_or(u64::MAX));
        let (name, help) = ("jobgate_tasks", "Tasks of the runtimes that have not ended.");
        tasks.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
    }
}
