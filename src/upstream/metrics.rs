//! The metrics of fetches: what came of them, and how many calls did without one of their own.

use std::{fmt, sync::Arc};

use prometheus_client::{
    encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::{ErrorKind, FetchError};
use crate::job::Job;

/// Counts fetches. Cheap to clone.
#[derive(Clone)]
pub(super) struct FetchMetrics {
    fetches: Family<Outcome, Counter>,
    shared: Counter,
}

/// A fetch under way. Dropped before its end, it was cancelled.
pub(super) struct Counted {
    fetches: Family<Outcome, Counter>,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Outcome {
    Cancelled,
    Failed(ErrorKind),
    Ok,
}

// === impl FetchMetrics ===

impl FetchMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let (fetches, shared) = (Family::default(), Counter::default());
        registry.register(
            "jobgate_upstream_fetches",
            "Fetches of jobs with all their attempts, by what came of them",
            Family::clone(&fetches),
        );
        registry.register(
            "jobgate_shared_calls",
            "Calls and polls that took part in another one's fetch",
            Counter::clone(&shared),
        );
        // From zero on, so that the first one is seen to be one.
        drop(fetches.get_or_create(&Outcome::Ok));
        Self { fetches, shared }
    }

    pub(super) fn begin(&self) -> Counted {
        Counted { fetches: self.fetches.clone(), outcome: Outcome::Cancelled }
    }

    pub(super) fn shared(&self) {
        self.shared.inc();
    }
}

// === impl Counted ===

impl Counted {
    pub(super) fn end(mut self, result: &Result<Arc<Job>, Arc<FetchError>>) {
        self.outcome = match result {
            Ok(_) => Outcome::Ok,
            Err(error) => Outcome::Failed(error.kind),
        };
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.fetches.get_or_create(&self.outcome).inc();
    }
}

// === impl Outcome ===

impl EncodeLabelSet for Outcome {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let (outcome, reason) = match self {
            Self::Cancelled => ("cancelled", None),
            Self::Failed(kind) => ("error", Some(kind.name())),
            Self::Ok => ("ok", None),
        };
        ("outcome", outcome).encode(encoder.encode_label())?;
        match reason {
            Some(reason) => ("reason", reason).encode(encoder.encode_label()),
            None => Ok(()),
        }
    }
}
