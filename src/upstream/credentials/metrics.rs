//! The metrics of the gateway's own credentials.

use std::{
    fmt::{self, Write as _},
    sync::Weak,
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric as _, LabelValueEncoder,
    },
    metrics::{MetricType, counter::Counter, family::Family, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use super::keeper::Shared;
use crate::upstream::{ErrorKind, FetchError};

/// Counts how often credentials were asked for. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Renewals(Family<Labels, Counter>);

/// What a keeper holds at the time of the question.
pub(super) struct Holding {
    /// Whether the upstream can be asked.
    pub(super) ready: bool,
    /// `None` if there is nothing.
    pub(super) age: Option<Duration>,
    /// `None` if its end is not known, or it has none.
    pub(super) left: Option<Duration>,
}

/// Looks at the keeper when somebody asks.
#[derive(Debug)]
struct Look(Weak<Shared>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Outcome {
    Issued,
    Rejected,
    Unavailable,
}

/// Registers the metrics of a keeper.
pub(super) fn register(renewals: &Renewals, keeper: Weak<Shared>, registry: &mut Registry) {
    // From zero on, so that the first one is seen to be one.
    for outcome in [Outcome::Issued, Outcome::Rejected, Outcome::Unavailable] {
        drop(renewals.0.get_or_create(&Labels { outcome }));
    }
    registry.register(
        "jobgate_credentials_renewals",
        "How often credentials were asked for, by what came of it",
        renewals.0.clone(),
    );
    registry.register_collector(Box::new(Look(keeper)));
}

// === impl Renewals ===

impl Renewals {
    pub(super) fn issued(&self) {
        self.count(Outcome::Issued);
    }

    pub(super) fn failed(&self, error: &FetchError) {
        self.count(if error.kind == ErrorKind::GatewayCredentialsRejected {
            Outcome::Rejected
        } else {
            Outcome::Unavailable
        });
    }

    fn count(&self, outcome: Outcome) {
        self.0.get_or_create(&Labels { outcome }).inc();
    }
}

// === impl Look ===

impl Collector for Look {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(Holding { ready, age, left }) = self.0.upgrade().map(|keeper| keeper.holding())
        else {
            return Ok(());
        };
        let mut gauge = |name, help, unit: Option<&Unit>, value: f64| {
            let encoder = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
            ConstGauge::new(value).encode(encoder)
        };
        let ready = if ready { 1.0 } else { 0.0 };
        let help = "Whether the job API can be asked with the gateway's own credentials.";
        gauge("jobgate_credentials_ready", help, None, ready)?;
        let seconds = Some(&Unit::Seconds);
        if let Some(age) = age {
            let help = "How long ago the credentials were issued.";
            gauge("jobgate_credentials_age", help, seconds, age.as_secs_f64())?;
        }
        if let Some(left) = left {
            let help = "How long the credentials are still good for.";
            gauge("jobgate_credentials_time_left", help, seconds, left.as_secs_f64())?;
        }
        Ok(())
    }
}

// === impl Outcome ===

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(match self {
            Self::Issued => "issued",
            Self::Rejected => "rejected",
            Self::Unavailable => "unavailable",
        })
    }
}
