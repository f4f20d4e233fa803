//! The breaker: an upstream that fails again and again is left alone, but for a probe now and then.
//!
//! It counts failures in a row and knows no rate: of an upstream that is half alive, the half that
//! works is worth having, and the budget for retries keeps them from making it worse. Time and
//! jitter are arguments.

use std::time::Duration;

use tokio::time::Instant;

/// This many failures in a row are no accident.
const MAX_FAILURES: u32 = 10;

/// The waits before a probe: from the first, doubled up to the last, each with up to as much again.
const WAITS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// Whether requests may go to the upstream.
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    /// The number of changes so far. What was sent before the last one says nothing of now.
    period: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// All may go.
    Closed { failures: u32 },
    /// None may go until then.
    Open { until: Instant, wait: Duration },
    /// One has gone, and all others wait for what comes of it.
    Probing { wait: Duration },
}

/// A request that may go. What came of it is to be told, or that nobody waited for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    period: u64,
}

// === impl Breaker ===

impl Breaker {
    pub(super) fn new() -> Self {
        Self { state: State::Closed { failures: 0 }, period: 0 }
    }

    /// Lets a request go, or says how long to wait.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Ticket, Duration> {
        if let Some(wait) = self.refuses(now) {
            return Err(wait);
        }
        if let State::Open { wait, .. } = self.state {
            self.enter(State::Probing { wait });
        }
        Ok(Ticket { period: self.period })
    }

    /// How long to wait, if no request may go at present.
    pub(super) fn refuses(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { until, .. } => {
                Some(until.saturating_duration_since(now)).filter(|left| !left.is_zero())
            }
            // The probe may be back at any moment.
            State::Probing { .. } => Some(WAITS.0),
        }
    }

    /// The upstream has answered. Says whether it had been left alone before.
    pub(super) fn succeeded(&mut self, ticket: Ticket) -> bool {
        if ticket.period != self.period {
            return false;
        }
        match &mut self.state {
            State::Closed { failures } => {
                *failures = 0;
                false
            }
            State::Open { .. } | State::Probing { .. } => {
                self.enter(State::Closed { failures: 0 });
                true
            }
        }
    }

    /// The upstream has failed. Says for how long it is left alone from now on, if so. `jitter` is
    /// from 0 to 1, so that replicas do not come back together.
    pub(super) fn failed(&mut self, ticket: Ticket, now: Instant, jitter: f64) -> Option<Duration> {
        if ticket.period != self.period {
            return None;
        }
        let wait = match &mut self.state {
            State::Closed { failures } => {
                *failures += 1;
                (*failures >= MAX_FAILURES).then_some(WAITS.0)?
            }
            State::Open { wait, .. } | State::Probing { wait } => (*wait * 2).min(WAITS.1),
        };
        let jittered = wait + wait.mul_f64(jitter.clamp(0.0, 1.0));
        self.enter(State::Open { until: now + jittered, wait });
        Some(jittered)
    }

    /// Nobody waited for what comes of the request. If it was a probe, the next one is.
    pub(super) fn abandoned(&mut self, ticket: Ticket, now: Instant) {
        if let State::Probing { wait } = self.state
            && ticket.period == self.period
        {
            self.enter(State::Open { until: now, wait });
        }
    }

    /// For the metric: 0 closed, 1 open, 2 half open.
    pub(super) fn level(&self) -> i64 {
        match self.state {
            State::Closed { .. } => 0,
            State::Open { .. } => 1,
            State::Probing { .. } => 2,
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.period += 1;
    }
}

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
