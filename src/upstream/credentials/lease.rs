//! A pass for some time, and what the upstream has said of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{sync::Semaphore, time::Instant};

use super::Pass;
use crate::upstream::FetchError;

/// A pass for some time. Cheap to clone.
#[derive(Clone)]
pub(in crate::upstream) struct Lease(Arc<Inner>);

struct Inner {
    pass: Pass,
    number: u64,
    begun: Instant,
    ends: Option<Instant>,
    said: Mutex<Said>,
    /// For the one request at a time that it is tried with.
    trial: Arc<Semaphore>,
}

/// What the upstream has said.
#[derive(Default)]
struct Said {
    /// When the latest of those requests was sent for which it was taken.
    taken: Option<Instant>,
    /// Trials that showed nothing, and why the last one did not.
    undecided: u64,
    why: Option<Arc<FetchError>>,
}

// === impl Lease ===

impl Lease {
    pub(super) fn new(pass: Pass, number: u64, begun: Instant, ends: Option<Instant>) -> Self {
        let (said, trial) = (Mutex::default(), Arc::new(Semaphore::new(1)));
        Self(Arc::new(Inner { pass, number, begun, ends, said, trial }))
    }

    pub(in crate::upstream) fn pass(&self) -> &Pass {
        &self.0.pass
    }

    pub(in crate::upstream) fn number(&self) -> u64 {
        self.0.number
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.number == other.0.number
    }

    pub(super) fn is_key(&self) -> bool {
        match &self.0.pass {
            Pass::Token(_) => false,
            Pass::Key(_) => true,
        }
    }

    pub(super) fn begun(&self) -> Instant {
        self.0.begun
    }

    pub(super) fn ends(&self) -> Option<Instant> {
        self.0.ends
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.0.ends.is_some_and(|ends| ends <= now)
    }

    pub(super) fn trial(&self) -> &Arc<Semaphore> {
        &self.0.trial
    }

    /// Whether the upstream has taken it.
    pub(super) fn is_proven(&self) -> bool {
        self.said().taken.is_some()
    }

    /// Whether the upstream has taken it for a request that was sent after this time.
    pub(super) fn was_taken_after(&self, sent: Instant) -> bool {
        self.said().taken.is_some_and(|taken| taken > sent)
    }

    /// The upstream has taken it for a request that was sent at this time.
    pub(super) fn taken(&self, sent: Instant) {
        let mut said = self.said();
        said.taken = said.taken.max(Some(sent));
    }

    /// It is as if the upstream had never taken it.
    pub(super) fn doubt(&self) {
        self.said().taken = None;
    }

    /// A trial has shown nothing.
    pub(super) fn undecided(&self, why: &Arc<FetchError>) {
        let mut said = self.said();
        said.undecided += 1;
        said.why = Some(Arc::clone(why));
    }

    /// How many trials have shown nothing.
    pub(super) fn trials(&self) -> u64 {
        self.said().undecided
    }

    /// Why the last trial has shown nothing, if it was later than the first `trials`.
    pub(super) fn undecided_since(&self, trials: u64) -> Option<Arc<FetchError>> {
        let said = self.said();
        said.why.clone().filter(|_| said.undecided > trials)
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
