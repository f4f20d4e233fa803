//! How many calls are served at a time, and how long the others wait for it.

use std::{fmt, num::NonZeroUsize, sync::Arc, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{counter::Counter, family::Family, gauge::ConstGauge},
    registry::Registry,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{
    overload::Overload,
    per_caller::{PerCaller, Share, Who},
};

/// How many calls may wait for each one that is served. With a call that takes a tenth of the
/// second it may wait, more than these would wait in vain.
const WAITERS_PER_PLACE: usize = 10;

/// How many calls there may be at a time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most calls served at a time: GetJob to its end, WatchJob to its first state.
    pub calls: usize,
    /// How long a call may wait to be served.
    pub wait: Duration,
    /// The most calls of one caller, with those that wait.
    pub calls_per_caller: Option<NonZeroUsize>,
    /// The most watches of one caller.
    pub watches_per_caller: Option<NonZeroUsize>,
}

/// Gives calls their places. Cheap to clone.
#[derive(Clone)]
pub(super) struct Admission {
    places: Arc<Places>,
    wait: Duration,
    calls: PerCaller,
    watches: PerCaller,
    overloads: Family<Labels, Counter>,
}

/// A call's place. Dropped, it is free for another call.
pub(super) struct Place<'a> {
    _place: SemaphorePermit<'a>,
    _share: Option<Share>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    limit: Overload,
}

#[derive(Debug)]
struct Places {
    calls: usize,
    free: Semaphore,
    waiters: usize,
    free_to_wait: Semaphore,
}

/// Counts places when somebody wants to know.
#[derive(Debug)]
struct Counts(Arc<Places>);

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: 1_000,
            wait: Duration::from_secs(1),
            calls_per_caller: None,
            watches_per_caller: None,
        }
    }
}

// === impl Admission ===

impl Admission {
    pub(super) fn new(limits: Limits, registry: &mut Registry) -> Self {
        let Limits { calls, wait, calls_per_caller, watches_per_caller } = limits;
        let places = Arc::new(Places::new(calls));
        registry.register_collector(Box::new(Counts(Arc::clone(&places))));
        let overloads = Family::default();
        registry.register(
            "jobgate_overloads",
            "Calls refused as OVERLOADED, by the limit that was reached",
            overloads.clone(),
        );
        let (calls, watches) =
            (PerCaller::new(calls_per_caller), PerCaller::new(watches_per_caller));
        Self { places, wait, calls, watches, overloads }
    }

    /// Waits for a place, and for a limited time.
    pub(super) async fn enter(&self, who: &Who) -> Result<Place<'_>, Overload> {
        // Those who wait count too: else one caller could wait on all places to wait.
        let share = self.calls.take(who).map_err(|_| Overload::CallsOfCaller)?;
        let place = match self.places.free.try_acquire() {
            // This overtakes nobody: while somebody waits, nothing is free.
            Ok(place) => place,
            Err(_) => self.queue().await.ok_or(Overload::Calls)?,
        };
        Ok(Place { _place: place, _share: share })
    }

    async fn queue(&self) -> Option<SemaphorePermit<'_>> {
        let _waiting = self.places.free_to_wait.try_acquire().ok()?;
        timeout(self.wait, self.places.free.acquire()).await.ok()?.ok()
    }

    /// One watch more of this caller; without a limit it is not counted.
    pub(super) fn watch(&self, who: &Who) -> Result<Option<Share>, Overload> {
        self.watches.take(who).map_err(|_| Overload::WatchesOfCaller)
    }

    /// Takes note of a refusal.
    pub(super) fn refused(&self, limit: Overload) {
        self.overloads.get_or_create(&Labels { limit }).inc();
    }
}

// === impl Places ===

impl Places {
    fn new(calls: usize) -> Self {
        let calls = calls.min(Semaphore::MAX_PERMITS);
        let waiters = calls.saturating_mul(WAITERS_PER_PLACE).min(Semaphore::MAX_PERMITS);
        let (free, free_to_wait) = (Semaphore::new(calls), Semaphore::new(waiters));
        Self { calls, free, waiters, free_to_wait }
    }
}

// === impl Counts ===

impl Collector for Counts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Places { calls, free, waiters, free_to_wait } = &*self.0;
        let served = calls - free.available_permits();
        let waiting = waiters - free_to_wait.available_permits();
        for (name, help, count) in [
            ("jobgate_calls_served", "Calls that have one of the places of --max-calls", served),
            ("jobgate_calls_waiting", "Calls that wait for such a place", waiting),
        ] {
            let gauge = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, future::join_all};

    use super::*;

    fn admission(calls: usize, per_caller: usize) -> Admission {
        let limits =
            Limits { calls, calls_per_caller: NonZeroUsize::new(per_caller), ..Limits::default() };
        Admission::new(limits, &mut Registry::default())
    }

    fn who(name: &str) -> Who {
        Who::Known(name.into())
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_gets_the_next_place_and_nobody_overtakes() {
        let (admission, who) = (admission(1, 0), who("a"));
        let place = admission.enter(&who).await.unwrap();
        let mut first = Box::pin(admission.enter(&who));
        assert!(first.as_mut().now_or_never().is_none());
        drop(place);
        // The place is free, and has been the waiter's since.
        let mut second = Box::pin(admission.enter(&who));
        assert!(second.as_mut().now_or_never().is_none());
        let place = first.now_or_never().unwrap().unwrap();
        assert!(second.as_mut().now_or_never().is_none());
        drop(place);
        assert!(second.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_longer_than_he_may() {
        let (admission, who) = (admission(1, 0), who("a"));
        let _place = admission.enter(&who).await.unwrap();
        let begun = tokio::time::Instant::now();
        assert_eq!(admission.enter(&who).await.err(), Some(Overload::Calls));
        assert_eq!(begun.elapsed(), Limits::default().wait);
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_wait() {
        let (admission, who) = (admission(2, 0), who("a"));
        let places = [admission.enter(&who).await.unwrap(), admission.enter(&who).await.unwrap()];
        let mut waiting: Vec<_> = (0..20).map(|_| Box::pin(admission.enter(&who))).collect();
        for it in &mut waiting {
            assert!(it.as_mut().now_or_never().is_none());
        }
        let refused = admission.enter(&who).now_or_never();
        assert_eq!(refused.unwrap().err(), Some(Overload::Calls), "at once");
        // Who gives up waiting makes room for another.
        drop(waiting.pop());
        waiting.push(Box::pin(admission.enter(&who)));
        assert!(waiting[19].as_mut().now_or_never().is_none());
        drop(places);
        // Each drops its place when it has had it.
        let all = join_all(waiting.into_iter().map(|it| async { it.await.map(drop) })).await;
        assert!(all.iter().all(Result::is_ok));
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_at_his_limit_hinders_nobody_else() {
        let admission = admission(2, 2);
        let (greedy, modest) = (who("greedy"), who("modest"));
        let place = admission.enter(&greedy).await.unwrap();
        let _kept = admission.enter(&greedy).await.unwrap();
        let refused = admission.enter(&greedy).now_or_never();
        assert_eq!(refused.unwrap().err(), Some(Overload::CallsOfCaller));
        let mut other = Box::pin(admission.enter(&modest));
        assert!(other.as_mut().now_or_never().is_none(), "he waits for a place");
        drop(place);
        assert!(other.await.is_ok());
        assert!(admission.enter(&greedy).await.is_ok(), "his own place is free again");
    }
}
