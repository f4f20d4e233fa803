//! What keeps the upstream from harm by the gateway, and the gateway from harm by the upstream.
//!
//! Each request passes here before it is sent: it waits for its turn if its credential is throttled,
//! then for one of the places of requests under way, and goes if the breaker is closed. Retries need
//! the leave of a budget. Logins at IAM do not pass here: their keeper has waits of its own.

mod breaker;
mod limit;
mod metrics;
mod throttles;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::registry::Registry;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout_at},
};
use tower::retry::budget::{Budget as _, TpsBudget};

pub(super) use self::throttles::Lane;
use self::{
    breaker::{Breaker, Ticket},
    metrics::{HeldBack, Metrics, Retry},
    throttles::Throttles,
};
use super::{
    credentials::Credential,
    error::{ErrorKind, FetchError},
};

/// The longest time that a request waits here. What takes longer is the caller's business.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// When to come again, if there was no place in that time.
const OVERLOADED_RETRY: Duration = Duration::from_secs(1);

/// The share of requests that may be repeated, as the average of [`BUDGET_WINDOW`]...
const RETRY_SHARE: f32 = 0.2;

/// ... and how many more, in each second of it. They may all be used at once.
const RETRIES_PER_SECOND: u32 = 1;

const BUDGET_WINDOW: Duration = Duration::from_secs(10);

/// The protection. Cheap to clone.
#[derive(Clone)]
pub(super) struct Protection {
    breaker: Arc<Mutex<Breaker>>,
    budget: Arc<TpsBudget>,
    places: Arc<Semaphore>,
    throttles: Throttles,
    metrics: Metrics,
}

/// A request that may be sent. Dropped, it gives its place back.
pub(super) struct Passage<'p> {
    protection: &'p Protection,
    lane: Lane,
    sent: Instant,
    /// Taken when it is known what came of the request.
    ticket: Option<Ticket>,
    _place: OwnedSemaphorePermit,
}

// === impl Protection ===

impl Protection {
    /// At most so many requests are under way at a time.
    pub(super) fn new(max_requests: usize, registry: &mut Registry) -> Self {
        let metrics = Metrics::default();
        metrics.register(registry);
        Self {
            breaker: Arc::new(Mutex::new(Breaker::new())),
            budget: Arc::new(TpsBudget::new(BUDGET_WINDOW, RETRIES_PER_SECOND, RETRY_SHARE)),
            places: Arc::new(Semaphore::new(max_requests.min(Semaphore::MAX_PERMITS))),
            throttles: Throttles::new(),
            metrics,
        }
    }

    /// Waits until a request may be sent: a second at most, and not past `deadline`. The error is
    /// what its caller is told instead of an answer.
    pub(super) async fn admit(
        &self,
        credential: &Credential,
        lane: Lane,
        deadline: Instant,
    ) -> Result<Passage<'_>, Arc<FetchError>> {
        let now = Instant::now();
        let until = deadline.min(now + LONGEST_WAIT);
        // Who can't be sent anyway has nothing to wait for.
        if let Some(wait) = self.breaker(|breaker| breaker.refuses(now)) {
            return Err(self.left_alone(wait));
        }
        self.turn(credential, lane, until).await?;
        let place = self.place(until).await?;
        let sent = Instant::now();
        let ticket =
            self.breaker(|breaker| breaker.admit(sent)).map_err(|wait| self.left_alone(wait))?;
        self.throttles.sends(lane, sent);
        Ok(Passage { protection: self, lane, sent, ticket: Some(ticket), _place: place })
    }

    /// Why nothing should be polled with this credential at present.
    pub(super) fn paused(&self, credential: &Credential) -> Option<Arc<FetchError>> {
        self.throttles.paused(credential).inspect(|_| self.metrics.held_back(HeldBack::Throttle))
    }

    /// Counts a first request, which earns a part of a retry.
    pub(super) fn earn_retries(&self) {
        self.budget.deposit();
    }

    /// Whether there may be one more retry.
    pub(super) fn allows_retry(&self) -> bool {
        let allowed = self.budget.withdraw();
        if !allowed {
            self.metrics.retried(Retry::Denied);
        }
        allowed
    }

    /// Takes note of what came of a retry.
    pub(super) fn retried(&self, succeeded: bool) {
        self.metrics.retried(if succeeded { Retry::Succeeded } else { Retry::Failed });
    }

    async fn turn(
        &self,
        credential: &Credential,
        lane: Lane,
        until: Instant,
    ) -> Result<(), Arc<FetchError>> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.throttles.turn(credential, lane, left) {
                Ok(()) => return Ok(()),
                Err((wait, error)) if wait > left => {
                    self.metrics.held_back(HeldBack::Throttle);
                    return Err(error);
                }
                Err((wait, _)) => sleep(wait).await,
            }
        }
    }

    async fn place(&self, until: Instant) -> Result<OwnedSemaphorePermit, Arc<FetchError>> {
        let place = timeout_at(until, Arc::clone(&self.places).acquire_owned());
        // Nobody closes it.
        place.await.ok().and_then(Result::ok).ok_or_else(|| {
            self.metrics.held_back(HeldBack::Overload);
            Arc::new(FetchError::not_sent(ErrorKind::Overloaded, OVERLOADED_RETRY))
        })
    }

    fn left_alone(&self, wait: Duration) -> Arc<FetchError> {
        self.metrics.held_back(HeldBack::Breaker);
        Arc::new(FetchError::not_sent(ErrorKind::LeftAlone, wait))
    }

    /// The breaker is whole between any two of its calls, so a panic elsewhere does not spoil it.
    fn breaker<T>(&self, f: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        let result = f(&mut breaker);
        self.metrics.breaker.set(breaker.level());
        result
    }
}

// === impl Passage ===

impl Passage<'_> {
    /// Takes note of what came of the request: nothing bad, or an error.
    pub(super) fn ended(mut self, credential: &Credential, error: Option<&Arc<FetchError>>) {
        let Protection { throttles, metrics, .. } = self.protection;
        if error.is_some_and(|error| error.kind == ErrorKind::Throttled) {
            metrics.throttled.inc();
        }
        let answered = error.is_none_or(|error| error.answer.is_some());
        if answered {
            throttles.answered(credential, self.lane, self.sent, error);
        }
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        if error.is_some_and(|error| error.is_outage()) {
            let (now, jitter) = (Instant::now(), fastrand::f64());
            let wait = self.protection.breaker(|it| it.failed(ticket, now, jitter));
            if let Some(wait) = wait {
                let probe_s = wait.as_secs_f64();
                tracing::warn!(probe_s, "the upstream fails again and again and is left alone");
            }
        } else if self.protection.breaker(|it| it.succeeded(ticket)) {
            tracing::info!("the upstream answers again");
        }
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.protection.breaker(|breaker| breaker.abandoned(ticket, Instant::now()));
        }
    }
}
