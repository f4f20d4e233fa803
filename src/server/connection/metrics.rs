//! How many connections there are, and how they end.

use std::fmt::{self, Write as _};

use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric as _, LabelValueEncoder,
    },
    metrics::{counter::Counter, family::Family, gauge::ConstGauge},
    registry::Registry,
};
use tokio_util::task::TaskTracker;

/// What is counted of connections. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Metrics {
    pub(super) refused: Counter,
    ended: Family<Labels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    by: End,
}

/// What ends a connection that its peer does not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum End {
    Age,
    Drain,
    Idle,
    Withdrawals,
}

/// Counts tasks when somebody wants to know.
#[derive(Debug)]
struct Tasks {
    connections: TaskTracker,
    calls: TaskTracker,
}

// === impl Metrics ===

impl Metrics {
    pub(super) fn register(
        &self,
        registry: &mut Registry,
        connections: &TaskTracker,
        calls: &TaskTracker,
    ) {
        registry.register(
            "jobgate_connections_refused",
            "Connections closed at once, because there were too many",
            self.refused.clone(),
        );
        registry.register(
            "jobgate_connections_ended",
            "Connections told to go, by the limit that ended them",
            self.ended.clone(),
        );
        let (connections, calls) = (connections.clone(), calls.clone());
        registry.register_collector(Box::new(Tasks { connections, calls }));
    }

    pub(super) fn ended(&self, end: End) {
        self.ended.get_or_create(&Labels { by: end }).inc();
    }
}

// === impl End ===

impl EncodeLabelValue for End {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(match self {
            Self::Age => "age",
            Self::Drain => "drain",
            Self::Idle => "idle",
            Self::Withdrawals => "withdrawals",
        })
    }
}

// === impl Tasks ===

impl Collector for Tasks {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counts = [
            ("jobgate_connections", "Connections of the gRPC port", &self.connections),
            (
                "jobgate_streams",
                "Calls of the gRPC port that are open, of all services",
                &self.calls,
            ),
        ];
        for (name, help, tasks) in counts {
            let gauge = ConstGauge::new(i64::try_from(tasks.len()).unwrap_or(i64::MAX));
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}
