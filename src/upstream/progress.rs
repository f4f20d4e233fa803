//! How far a fetch has come, for those who must tell before it ends.

use std::sync::{
    Arc,
    atomic::{AtomicU16, AtomicU32, Ordering},
};

/// How far the fetch has come that a call began. A call that joins another's sees nothing here.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<State>);

#[derive(Debug, Default)]
struct State {
    attempts: AtomicU32,
    http_status: AtomicU16,
}

// === impl Progress ===

impl Progress {
    /// How many requests were sent.
    pub fn attempts(&self) -> Option<u32> {
        Some(self.0.attempts.load(Ordering::Relaxed)).filter(|attempts| *attempts > 0)
    }

    /// The HTTP status of the last answer.
    pub fn http_status(&self) -> Option<u16> {
        Some(self.0.http_status.load(Ordering::Relaxed)).filter(|status| *status > 0)
    }

    pub(super) fn sends(&self) {
        self.0.attempts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn answered(&self, http_status: u16) {
        self.0.http_status.store(http_status, Ordering::Relaxed);
    }
}
