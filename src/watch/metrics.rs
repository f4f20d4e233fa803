//! The metrics of watches.

use std::fmt::{self, Write as _};

use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric as _, LabelValueEncoder,
    },
    metrics::{MetricType, counter::Counter, family::Family, gauge::ConstGauge},
    registry::Registry as Metrics,
};

use super::registry::Registry;

/// Counts polls. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Polls(Family<Labels, Counter>);

/// What came of a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    /// A state that is another one than the last.
    Changed,
    /// An error.
    Failed,
    /// Nothing, since nothing could be or should be sent.
    NotSent,
    /// The same state.
    Unchanged,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: Outcome,
}

/// Looks at the registry when somebody asks.
struct Look<V>(Registry<V>);

/// Registers the metrics of all watches of a registry.
pub(super) fn register<V>(polls: &Polls, registry: Registry<V>, metrics: &mut Metrics)
where
    V: Send + Sync + 'static,
{
    // From zero on, so that the first one is seen to be one.
    for outcome in [Outcome::Changed, Outcome::Failed, Outcome::NotSent, Outcome::Unchanged] {
        drop(polls.0.get_or_create(&Labels { outcome }));
    }
    metrics.register("jobgate_polls", "Polls for watches, by what came of them", polls.0.clone());
    metrics.register_collector(Box::new(Look(registry)));
}

// === impl Polls ===

impl Polls {
    pub(super) fn count(&self, outcome: Outcome) {
        self.0.get_or_create(&Labels { outcome }).inc();
    }
}

// === impl Look ===

impl<V: Send + Sync + 'static> Collector for Look<V> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (watchers, pollers) = self.0.count();
        let mut gauge = |name, help, count: usize| {
            let encoder = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(u64::try_from(count).unwrap_or(u64::MAX)).encode(encoder)
        };
        gauge("jobgate_watchers", "Watches that are open.", watchers)?;
        gauge("jobgate_pollers", "Jobs that are polled for them, with some credential.", pollers)
    }
}

impl<V> fmt::Debug for Look<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Look")
    }
}

// === impl Outcome ===

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(match self {
            Self::Changed => "changed",
            Self::Failed => "failed",
            Self::NotSent => "not_sent",
            Self::Unchanged => "unchanged",
        })
    }
}
