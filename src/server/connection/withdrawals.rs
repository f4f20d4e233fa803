//! Calls that are taken back at once, and peers who live on that.
//!
//! The HTTP/2 library limits calls that are taken back before they are looked at. One that comes a
//! little later has cost a request to the upstream, and its connection (CVE-2023-44487 again).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// Shorter than any deadline somebody may have for a job.
const AT_ONCE: Duration = Duration::from_millis(100);

/// How many there may be.
const MAX: u64 = 500;

/// How many calls of a connection were taken back at once. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Withdrawals(Arc<Inner>);

#[derive(Default)]
struct Inner {
    calls: AtomicU64,
    withdrawn: AtomicU64,
    too_many: Notify,
}

/// A call without an answer yet. Dropped before it has one, it was taken back.
pub(super) struct Unanswered {
    withdrawals: Withdrawals,
    begun: Instant,
    answered: bool,
}

// === impl Withdrawals ===

impl Withdrawals {
    pub(super) fn begin(&self) -> Unanswered {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        Unanswered { withdrawals: self.clone(), begun: Instant::now(), answered: false }
    }

    /// Ready once there were too many: so many, and more than half of all calls.
    pub(super) async fn too_many(&self) {
        self.0.too_many.notified().await;
    }
}

// === impl Unanswered ===

impl Unanswered {
    pub(super) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if self.answered || self.begun.elapsed() >= AT_ONCE {
            return;
        }
        let Inner { calls, withdrawn, too_many } = &*self.withdrawals.0;
        let withdrawn = withdrawn.fetch_add(1, Ordering::Relaxed) + 1;
        if withdrawn >= MAX && withdrawn > calls.load(Ordering::Relaxed) / 2 {
            too_many.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_that_are_most_are_too_many() {
        for (answered, at_once, later, expected) in [
            (0, MAX, 0, true),
            (0, MAX - 1, 0, false),
            (MAX - 1, MAX, 0, true),
            (MAX, MAX, 0, false),
            (0, MAX - 1, MAX, false),
            (0, MAX, MAX, false),
            (3 * MAX, 2 * MAX, 0, false),
        ] {
            let withdrawals = Withdrawals::default();
            for _ in 0..answered {
                withdrawals.begin().answered();
            }
            let slow: Vec<_> = (0..later).map(|_| withdrawals.begin()).collect();
            advance(AT_ONCE).await;
            drop(slow);
            for _ in 0..at_once {
                drop(withdrawals.begin());
            }
            let too_many = withdrawals.too_many().now_or_never().is_some();
            assert_eq!(too_many, expected, "{answered} {at_once} {later}");
        }
    }
}
