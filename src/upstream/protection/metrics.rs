//! Numbers on what keeps the upstream from harm.

use std::fmt::{self, Write as _};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The numbers. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Metrics {
    /// See `Breaker::level`.
    pub(super) breaker: Gauge,
    pub(super) throttled: Counter,
    held_back: Family<HeldBackLabels, Counter>,
    retries: Family<RetryLabels, Counter>,
}

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum HeldBack {
    Breaker,
    Overload,
    Throttle,
}

/// What came of a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Retry {
    /// It was not sent: the budget is spent.
    Denied,
    Failed,
    Succeeded,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HeldBackLabels {
    by: HeldBack,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RetryLabels {
    outcome: Retry,
}

// === impl Metrics ===

impl Metrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "jobgate_upstream_breaker_state",
            "Whether the upstream is left alone: 0 no, 1 yes, 2 but for one probe under way",
            self.breaker.clone(),
        );
        registry.register(
            "jobgate_upstream_throttled",
            "Requests that the upstream refused as too many",
            self.throttled.clone(),
        );
        registry.register(
            "jobgate_upstream_held_back",
            "Requests that the gateway did not send, to keep the upstream or itself from harm",
            self.held_back.clone(),
        );
        registry.register(
            "jobgate_upstream_retries",
            "Repeated requests by what came of them, and those that the budget did not allow",
            self.retries.clone(),
        );
    }

    pub(super) fn held_back(&self, by: HeldBack) {
        self.held_back.get_or_create(&HeldBackLabels { by }).inc();
    }

    pub(super) fn retried(&self, outcome: Retry) {
        self.retries.get_or_create(&RetryLabels { outcome }).inc();
    }
}

impl EncodeLabelValue for HeldBack {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(match self {
            Self::Breaker => "breaker",
            Self::Overload => "overload",
            Self::Throttle => "throttle",
        })
    }
}

impl EncodeLabelValue for Retry {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(match self {
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Succeeded => "succeeded",
        })
    }
}
