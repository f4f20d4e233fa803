//! One poller: asks, publishes, waits.

use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep_until};

use super::{
    Config, End, Slot, Source, View,
    metrics::{Outcome, Polls},
    registry::Place,
    schedule::{Next, Schedule, Step},
};
use crate::{
    job::Job,
    telemetry::{Span, Tracer},
    upstream::{FetchError, Fetched, Trace},
};

/// A poller at work.
struct Poller<'p, S, V> {
    place: &'p Place<V>,
    source: S,
    view: View<V>,
    schedule: Schedule,
    /// The last state that was published.
    job: Option<Arc<Job>>,
    /// Why the last poll failed.
    trouble: Option<Arc<FetchError>>,
    polls: Polls,
    tracer: Tracer,
}

/// Polls until the job has ended, or the upstream has failed for good, or nobody watches.
///
/// The first poll is made in the name of the call that `trace` belongs to, the others in nobody's.
pub(super) async fn run<S: Source, V: Send + Sync + 'static>(
    place: Place<V>,
    source: S,
    view: View<V>,
    config: Arc<Config>,
    (polls, tracer): (Polls, Tracer),
    trace: Arc<Trace>,
) {
    let mut poller = Poller {
        place: &place,
        source,
        view,
        schedule: Schedule::new(&config),
        job: None,
        trouble: None,
        polls,
        tracer,
    };
    tokio::select! {
        biased;
        // Drops a poll that is under way.
        () = place.dismissed() => {}
        () = poller.work(trace) => {}
    }
}

// === impl Poller ===

impl<S: Source, V> Poller<'_, S, V> {
    async fn work(&mut self, mut trace: Arc<Trace>) {
        let mut span = Span::default();
        while let Some(next) = self.poll(trace, span).await {
            if let (Step::GiveUp, Some(error)) = (self.wait(&next).await, self.trouble.take()) {
                self.place.retire(End::OutOfPatience(error), |_| {});
                return;
            }
            // Part of no call: it may outlive the one that it began with.
            span = self.tracer.root("poll", &self.place.audience());
            trace = Arc::new(Trace { span: span.context(), ..Trace::fresh() });
        }
    }

    /// Asks once, and publishes what it has brought; `None` if it was the last time. Trace, span and
    /// answer are gone before the wait that follows: there may be ten thousand who wait.
    async fn poll(&mut self, trace: Arc<Trace>, mut span: Span) -> Option<Next> {
        let (path, credential) = self.place.key();
        let fetched = match self.source.paused(credential) {
            Some(error) => Fetched::not_asked(error),
            None => self.source.fetch(path, credential, &trace).await,
        };
        if let Err(error) = &fetched.result {
            span.fail(error.kind.name());
        }
        drop(span);
        self.take(fetched)
    }

    /// Publishes what a poll has brought; `None` if it was the last one.
    fn take(&mut self, fetched: Fetched) -> Option<Next> {
        match &fetched.result {
            Ok(job) => self.answered(Arc::clone(job), fetched),
            Err(error) => self.failed(Arc::clone(error), fetched),
        }
    }

    fn answered(&mut self, job: Arc<Job>, fetched: Fetched) -> Option<Next> {
        let now = Instant::now();
        let changed = self.job.as_ref() != Some(&job);
        self.polls.count(if changed { Outcome::Changed } else { Outcome::Unchanged });
        let view = match changed.then(|| (self.view)(&job)) {
            Some(None) => {
                let error = FetchError::too_large(fetched.http_status, fetched.request_id.clone());
                let error = Arc::new(error);
                let fetched = Fetched { result: Err(Arc::clone(&error)), ..fetched };
                self.place.retire(End::Failed(error), |slot| slot.record(fetched, now));
                return None;
            }
            Some(view) => view,
            None => None,
        };
        let next = self.schedule.answered(now, changed);
        let ended = job.status.is_terminal();
        self.job = Some(job);
        self.trouble = None;
        let update = |slot: &mut Slot<V>| {
            slot.observe(view, fetched.at);
            slot.record(fetched, next.fresh_until);
        };
        if ended {
            self.place.retire(End::Completed, update);
            return None;
        }
        self.place.publish(|slot| {
            update(slot);
            changed
        });
        Some(next)
    }

    fn failed(&mut self, error: Arc<FetchError>, fetched: Fetched) -> Option<Next> {
        let now = Instant::now();
        self.polls.count(if fetched.attempts > 0 { Outcome::Failed } else { Outcome::NotSent });
        // Without a first state there is nobody who could be patient.
        if error.is_lasting() || self.job.is_none() {
            self.place.retire(End::Failed(error), |slot| slot.record(fetched, now));
            return None;
        }
        let next = self.schedule.failed(now, error.retry_after, fastrand::f64());
        self.trouble = Some(error);
        self.place.publish(|slot| {
            slot.record(fetched, next.fresh_until);
            false
        });
        Some(next)
    }

    async fn wait(&self, next: &Next) -> Step {
        // Who asked for a poll while there was one has got it.
        let _ = self.place.nudged().now_or_never();
        tokio::select! {
            biased;
            () = sleep_until(next.at) => return next.step,
            () = self.place.nudged() => {}
        }
        sleep_until(next.fresh_until.min(next.at)).await;
        if next.fresh_until < next.at { Step::Poll } else { next.step }
    }
}

#[cfg(test)]
#[path = "poller_tests.rs"]
mod tests;
