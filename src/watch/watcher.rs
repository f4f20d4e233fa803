//! One watcher: what it is told, and when.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::{Config, End, registry::Seat};
use crate::upstream::FetchError;

/// A watch that has begun. Dropped, it is over.
pub struct Watcher<V> {
    seat: Seat<V>,
    /// The version of the last state that was told.
    seen: Option<u64>,
    heartbeat: Duration,
    heartbeat_at: Instant,
    expires_at: Instant,
    deadline: Option<Instant>,
}

/// What a watcher is told.
#[derive(Clone, Debug)]
pub enum Event<V> {
    /// The job has changed, or this is its first state.
    Changed {
        /// The job.
        view: V,
        /// When the upstream last said so.
        observed: Timestamp,
    },
    /// Nothing was told for a while.
    Heartbeat {
        /// The state that was told last.
        view: V,
        /// When the upstream last said so.
        observed: Timestamp,
        /// Why no newer state is known.
        trouble: Option<Arc<FetchError>>,
    },
}

// === impl Watcher ===

impl<V: Clone> Watcher<V> {
    pub(super) fn new(seat: Seat<V>, config: &Config, deadline: Option<Instant>) -> Self {
        let now = Instant::now();
        Self {
            seat,
            seen: None,
            heartbeat: config.heartbeat,
            heartbeat_at: now + config.heartbeat,
            expires_at: now + spread(config.max_age),
            deadline,
        }
    }

    /// Ends the watch by then at the latest: what it is told on does not last longer.
    pub fn end_by(&mut self, at: Instant) {
        let now = Instant::now();
        let left = at.saturating_duration_since(now);
        self.expires_at = self.expires_at.min(now + spread(left));
    }

    /// Leaves out the present state if it is `known` to the watcher already.
    pub fn skip(&mut self, known: impl FnOnce(&V) -> bool) {
        let slot = self.seat.reader().borrow();
        let state = slot.state.as_ref().filter(|state| known(&state.view));
        self.seen = state.map(|state| state.version);
    }

    /// Waits for what there is to tell next. The error is the end of the watch.
    ///
    /// Nothing is lost when the wait is given up. After the end there is nothing more to call for.
    pub async fn next(&mut self) -> Result<Event<V>, End> {
        loop {
            if let Some(news) = self.news() {
                return news;
            }
            let alarm = self.heartbeat_at.min(self.expires_at);
            let alarm = self.deadline.map_or(alarm, |deadline| deadline.min(alarm));
            tokio::select! {
                biased;
                changed = self.seat.reader().changed() => {
                    changed.map_err(|_| End::Lost)?;
                }
                () = sleep_until(alarm) => {
                    if let Some(event) = self.alarm(Instant::now())? {
                        return Ok(event);
                    }
                }
            }
        }
    }

    /// A state that was not told yet comes before the end.
    fn news(&mut self) -> Option<Result<Event<V>, End>> {
        let slot = self.seat.reader().borrow_and_update();
        if let Some(state) = &slot.state
            && self.seen != Some(state.version)
        {
            let event = Event::Changed { view: state.view.clone(), observed: state.observed };
            self.seen = Some(state.version);
            drop(slot);
            self.heartbeat_at = Instant::now() + self.heartbeat;
            return Some(Ok(event));
        }
        slot.end.clone().map(Err)
    }

    fn alarm(&mut self, now: Instant) -> Result<Option<Event<V>>, End> {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(End::DeadlineExceeded);
        }
        if self.expires_at <= now {
            return Err(End::Expired);
        }
        if self.heartbeat_at > now {
            return Ok(None);
        }
        self.heartbeat_at = now + self.heartbeat;
        let slot = self.seat.reader().borrow();
        // A state that came just now is told first.
        let told = slot.state.as_ref().filter(|state| self.seen == Some(state.version));
        Ok(told.map(|state| Event::Heartbeat {
            view: state.view.clone(),
            observed: state.observed,
            trouble: slot.trouble().cloned(),
        }))
    }
}

/// The time less up to a fifth: watches that began together do not end together.
fn spread(time: Duration) -> Duration {
    time.mul_f64(1.0 - fastrand::f64() / 5.0)
}
