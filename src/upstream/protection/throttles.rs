//! Credentials that the upstream wants to hear less of: for a while, or at a lower rate.
//!
//! A `Retry-After` holds the pollers of its credential until then. A refusal for too many requests
//! also limits the rate, of calls and of polls apart: each of the two learns its own, and neither
//! can push the other aside. Who was never refused is not limited.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    super::{
        credentials::{Credential, Fingerprint},
        error::{Answer, ErrorKind, FetchError},
    },
    limit::{Limit, Meter},
};

/// The most credentials that are remembered. Of more than that, some are not limited.
const MAX_KEPT: usize = 10_000;

/// How long a poller would wait for its turn. Pollers come back anyway.
const POLLERS_PATIENCE: Duration = Duration::MAX;

/// Whom a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upstream) enum Lane {
    /// Somebody who waits for the answer.
    Call,
    /// Watches, which have a state already.
    Poll,
}

/// What is known of credentials. The credentials themselves are not kept. Cheap to clone.
#[derive(Clone)]
pub(super) struct Throttles(Arc<Mutex<Table>>);

struct Table {
    meters: PerLane<Meter>,
    throttles: HashMap<Fingerprint, Throttle>,
}

/// What the upstream wants of one credential.
#[derive(Default)]
struct Throttle {
    /// Until when nothing is polled, and why.
    pause: Option<(Instant, Arc<FetchError>)>,
    limits: PerLane<Option<Limited>>,
}

/// A rate, and the last refusal.
struct Limited {
    limit: Limit,
    error: Arc<FetchError>,
}

#[derive(Default)]
struct PerLane<T> {
    calls: T,
    polls: T,
}

// === impl Throttles ===

impl Throttles {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let meters = PerLane { calls: Meter::new(now), polls: Meter::new(now) };
        Self(Arc::new(Mutex::new(Table { meters, throttles: HashMap::new() })))
    }

    /// Lets a request go, or says when its turn is, and why it has to wait: the error of the last
    /// refusal.
    ///
    /// A turn later than `patience` from now is not kept for it.
    pub(super) fn turn(
        &self,
        credential: &Credential,
        lane: Lane,
        patience: Duration,
    ) -> Result<(), (Duration, Arc<FetchError>)> {
        self.with(credential, |throttle, now| {
            let Some(Limited { limit, error }) = throttle.limits.of(lane) else {
                return Ok(());
            };
            limit.turn(now, patience).map_err(|wait| (wait, told(error, wait)))
        })
        .unwrap_or(Ok(()))
    }

    /// Why nothing should be polled with this credential at present, if so. Takes no turn, but who
    /// is told to wait is told another time than all others.
    pub(super) fn paused(&self, credential: &Credential) -> Option<Arc<FetchError>> {
        self.with(credential, |throttle, now| {
            if let Some((until, error)) = &throttle.pause {
                return Some(told(error, *until - now));
            }
            let Limited { limit, error } = throttle.limits.polls.as_mut()?;
            match limit.turn(now, POLLERS_PATIENCE) {
                Ok(()) => {
                    limit.returned();
                    None
                }
                Err(wait) => Some(told(error, wait)),
            }
        })
        .flatten()
    }

    /// Counts a request that is sent now.
    pub(super) fn sends(&self, lane: Lane, now: Instant) {
        self.lock().meters.of(lane).count(now);
    }

    /// Takes note of the answer to a request that was `sent` then: nothing, or an error.
    pub(super) fn answered(
        &self,
        credential: &Credential,
        lane: Lane,
        sent: Instant,
        error: Option<&Arc<FetchError>>,
    ) {
        let refused = error.filter(|error| error.kind == ErrorKind::Throttled);
        let pausing = error.filter(|error| error.retry_after.is_some() && !error.is_lasting());
        let Some(error) = refused.or(pausing) else {
            self.with(credential, |throttle, now| {
                if let Some(limited) = throttle.limits.of(lane) {
                    limited.limit.taken(sent, now);
                }
            });
            return;
        };
        let now = Instant::now();
        let mut table = self.lock();
        let Table { meters, throttles } = &mut *table;
        if throttles.len() >= MAX_KEPT {
            throttles.retain(|_, throttle| throttle.is_left(now));
        }
        let full = throttles.len() >= MAX_KEPT;
        let throttle = match throttles.entry(credential.fingerprint()) {
            Entry::Vacant(_) if full => return,
            Entry::Vacant(entry) => entry.insert(Throttle::default()),
            Entry::Occupied(entry) => entry.into_mut(),
        };
        throttle.is_left(now);
        throttle.pause(error, now);
        if refused.is_some() {
            match throttle.limits.of(lane) {
                Some(limited) => {
                    limited.limit.refused(sent, now);
                    limited.error = Arc::clone(error);
                }
                none @ None => {
                    let limit = Limit::new(meters.of(lane).rate(now), now);
                    *none = Some(Limited { limit, error: Arc::clone(error) });
                }
            }
        }
    }

    /// Does something with what is known of a credential, if something is.
    fn with<T>(
        &self,
        credential: &Credential,
        f: impl FnOnce(&mut Throttle, Instant) -> T,
    ) -> Option<T> {
        let mut table = self.lock();
        // Mostly, nobody is throttled.
        if table.throttles.is_empty() {
            return None;
        }
        let (fingerprint, now) = (credential.fingerprint(), Instant::now());
        let throttle = table.throttles.get_mut(&fingerprint)?;
        if throttle.is_left(now) {
            return Some(f(throttle, now));
        }
        table.throttles.remove(&fingerprint);
        None
    }

    /// The table is whole between any two statements, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Throttle ===

impl Throttle {
    fn pause(&mut self, error: &Arc<FetchError>, now: Instant) {
        let Some(asked) = error.retry_after else {
            return;
        };
        let until = now + asked;
        if self.pause.as_ref().is_none_or(|(paused, _)| *paused < until) {
            self.pause = Some((until, Arc::clone(error)));
        }
    }

    /// Forgets what is over; false if nothing is left.
    fn is_left(&mut self, now: Instant) -> bool {
        let Self { pause, limits: PerLane { calls, polls } } = self;
        pause.take_if(|(until, _)| *until <= now);
        for limited in [&mut *calls, &mut *polls] {
            limited.take_if(|limited| limited.limit.is_over(now));
        }
        pause.is_some() || calls.is_some() || polls.is_some()
    }
}

// === impl PerLane ===

impl<T> PerLane<T> {
    fn of(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Call => &mut self.calls,
            Lane::Poll => &mut self.polls,
        }
    }
}

/// An error told later to somebody else, who has to wait so long. What it says of the request that
/// it came with is not his business.
fn told(error: &Arc<FetchError>, wait: Duration) -> Arc<FetchError> {
    let answer = error.answer.as_ref().map(|answer| Answer {
        http_status: answer.http_status,
        code: answer.code.clone(),
        ..Answer::default()
    });
    let (retry_after, detail) = (Some(wait), String::new());
    Arc::new(FetchError { kind: error.kind, answer, retry_after, detail })
}

#[cfg(test)]
#[path = "throttles_tests.rs"]
mod tests;
