//! Watches: any number of watchers of a job, at the cost of one poller.
//!
//! Each job that somebody watches with some credential has one poller, which asks the [`Source`]
//! again and again and keeps the latest state in a single slot. Watchers look at the slot when it
//! changes; what happened in between they never see, and a slow one costs nobody anything. The
//! poller is born with its first watcher and dies with its last, or with the job.
//!
//! Nothing here knows how a source asks or how a watcher is told. Time is tokio's, so all of it
//! runs under a paused clock.

mod audience;
mod metrics;
mod poller;
mod registry;
mod schedule;
mod source;
mod watcher;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use prometheus_client::registry::Registry as Metrics;
use tokio::{sync::watch, time::Instant};

use self::{
    metrics::Polls,
    registry::{Place, Registry},
};
pub use self::{
    source::Source,
    watcher::{Event, Watcher},
};
use crate::{
    job::{Job, JobPath},
    telemetry::Tracer,
    upstream::{Credential, FetchError, Fetched, Trace},
};

/// How watches are kept.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The longest silence towards a watcher.
    pub heartbeat: Duration,
    /// The most watchers at a time, of all jobs together.
    pub max_watches: usize,
    /// How long a watch may live, less up to a fifth.
    pub max_age: Duration,
    /// How long faults of the upstream that may pass are borne.
    pub patience: Duration,
    /// The interval of polls after a change.
    pub poll_min: Duration,
    /// The interval of polls when nothing has changed for long.
    pub poll_max: Duration,
}

/// All watches of a gateway. Cheap to clone.
///
/// `V` is what watchers are given of a job. It is made once for each state, whatever the number of
/// watchers.
pub struct Watches<S, V> {
    source: S,
    view: View<V>,
    config: Arc<Config>,
    registry: Registry<V>,
    polls: Polls,
    tracer: Tracer,
}

/// Makes what watchers are given of a job; `None` if the job is too large for them.
pub type View<V> = fn(&Job) -> Option<V>;

/// Which poller: nothing is ever shared across credentials.
type Key = (JobPath, Credential);

/// Why there can be no watch.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// No watch is taken any more.
    Draining,
    /// There are as many watches as there may be.
    Overloaded,
    /// The job could not be fetched.
    Failed(Arc<FetchError>),
    /// The poller is gone for no reason that it gave.
    Lost,
}

/// Why a watch ends.
#[derive(Clone, Debug)]
pub enum End {
    /// The job has ended, and the watcher has seen its last state.
    Completed,
    /// The gateway is about to stop.
    Draining,
    /// The watcher's deadline has passed.
    DeadlineExceeded,
    /// The watch has lived as long as it may.
    Expired,
    /// The upstream gave an error that will not pass.
    Failed(Arc<FetchError>),
    /// The upstream gave errors that may pass for longer than they are borne.
    OutOfPatience(Arc<FetchError>),
    /// The poller is gone for no reason that it gave.
    Lost,
}

/// What a poller has learned, for all who watch.
#[derive(Debug)]
struct Slot<V> {
    /// The last state; `None` before the first.
    state: Option<State<V>>,
    /// What the last poll brought; `None` before the first.
    last: Option<Fetched>,
    /// Until when `last` is news.
    fresh_until: Instant,
    /// How many polls there were.
    polls: u64,
    /// Set once, by the last change of the slot.
    end: Option<End>,
}

/// A state of the job.
#[derive(Clone, Debug)]
struct State<V> {
    view: V,
    /// Another number for another state.
    version: u64,
    /// When the upstream last said so.
    observed: Timestamp,
}

type Reader<V> = watch::Receiver<Slot<V>>;

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(20),
            max_watches: 20_000,
            max_age: Duration::from_hours(1),
            patience: Duration::from_mins(5),
            poll_min: Duration::from_secs(2),
            poll_max: Duration::from_secs(15),
        }
    }
}

// === impl Watches ===

impl<S: Source, V: Clone + Send + Sync + 'static> Watches<S, V> {
    /// Keeps watches on jobs of `source`, of which watchers are given what `view` makes.
    pub fn new(config: Config, source: S, view: View<V>) -> Self {
        Self {
            source,
            view,
            registry: Registry::new(config.max_watches),
            config: Arc::new(config),
            polls: Polls::default(),
            tracer: Tracer::default(),
        }
    }

    /// Gives each poll that nobody waits for a span.
    #[must_use]
    pub fn traced(self, tracer: Tracer) -> Self {
        Self { tracer, ..self }
    }

    /// Registers the metrics.
    pub fn register(&self, registry: &mut Metrics) {
        metrics::register(&self.polls, self.registry.clone(), registry);
    }

    /// Begins a watch. Returns once the state of the job is known, or can't be learned, together
    /// with what the upstream was asked for it.
    ///
    /// The first state is a poll's, or the last one that a poller for the same job and credential
    /// has seen within its interval. An error ends this watch only, however patient others are.
    pub async fn open(
        &self,
        path: &JobPath,
        credential: &Credential,
        trace: &Arc<Trace>,
        deadline: Option<Instant>,
    ) -> (Result<Watcher<V>, Refusal>, Option<Fetched>) {
        let key = (path.clone(), credential.clone());
        let start = |place| self.start(place, Arc::clone(trace));
        let seat = match self.registry.take_seat(key, trace.span.as_ref(), start) {
            Ok(seat) => seat,
            Err(refusal) => return (Err(refusal), None),
        };
        let (result, fetched) = seat.settle().await;
        (result.map(|()| Watcher::new(seat, &self.config, deadline)), fetched)
    }

    /// Ends all watches and takes no more.
    pub fn drain(&self) {
        self.registry.drain();
    }

    fn start(&self, place: Place<V>, trace: Arc<Trace>) {
        let (source, view, config) = (self.source.clone(), self.view, Arc::clone(&self.config));
        let telemetry = (self.polls.clone(), self.tracer.clone());
        tokio::spawn(poller::run(place, source, view, config, telemetry, trace));
    }
}

impl<S: Clone, V> Clone for Watches<S, V> {
    fn clone(&self) -> Self {
        Self {
            source: self.source.clone(),
            view: self.view,
            config: Arc::clone(&self.config),
            registry: self.registry.clone(),
            polls: self.polls.clone(),
            tracer: self.tracer.clone(),
        }
    }
}

// === impl Slot ===

impl<V> Slot<V> {
    fn new() -> Self {
        Self { state: None, last: None, fresh_until: Instant::now(), polls: 0, end: None }
    }

    /// Takes note of a poll.
    fn record(&mut self, fetched: Fetched, fresh_until: Instant) {
        self.last = Some(fetched);
        self.fresh_until = fresh_until;
        self.polls += 1;
    }

    /// Takes note of the state at a time: a new one, or the one that is there.
    fn observe(&mut self, view: Option<V>, at: Timestamp) {
        let last = self.state.take();
        // A clock that was set back does not take the watch back.
        let observed = last.as_ref().map_or(at, |last| last.observed.max(at));
        self.state = match view {
            Some(view) => {
                let version = last.map_or(0, |last| last.version + 1);
                Some(State { view, version, observed })
            }
            None => last.map(|last| State { observed, ..last }),
        };
    }

    /// Why the last poll failed.
    fn trouble(&self) -> Option<&Arc<FetchError>> {
        self.last.as_ref().and_then(|last| last.result.as_ref().err())
    }
}

#[cfg(test)]
mod tests;
