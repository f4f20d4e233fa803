//! The gateway's own credentials, kept fresh.
//!
//! One task obtains and renews them; that there is one is why there is never more than one renewal
//! at a time, however many calls wait for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep_until},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Pass,
    patience::{self, Patience},
};
use crate::upstream::{ErrorKind, FetchError};

/// Gives out passes.
pub(super) trait Issuer: Send + 'static {
    /// Whether asking again gives another pass.
    const RENEWS: bool;

    /// Asks once.
    fn issue(&mut self) -> impl Future<Output = Result<Issued, FetchError>> + Send;

    /// Ready when what is asked with has changed.
    fn changed(&mut self) -> impl Future<Output = ()> + Send;
}

/// What an issuer gives.
pub(super) struct Issued {
    pub(super) pass: Pass,
    /// `None` for one without end.
    pub(super) lifetime: Option<Duration>,
}

/// Keeps the gateway's credentials. Cheap to clone; the last clone ends it.
#[derive(Clone)]
pub(in crate::upstream) struct Keeper {
    shared: Arc<Shared>,
    _task: Arc<AbortOnDropHandle<()>>,
}

/// A pass for some time.
#[derive(Clone)]
pub(in crate::upstream) struct Lease {
    pass: Pass,
    number: u64,
    ends: Option<Instant>,
    /// Whether the upstream has taken it.
    proven: Arc<AtomicBool>,
    /// For the one request at a time that a key is tried with.
    trial: Arc<Semaphore>,
}

/// Whether the upstream can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// The gateway has no credentials yet.
    Pending,
    /// Its own credentials are not accepted.
    Rejected,
    /// Its own credentials can't be had at present.
    Unavailable,
}

struct Shared {
    state: watch::Sender<State>,
    /// A lease has been given back.
    returned: Notify,
    /// The upstream has taken a lease that was new.
    trusted: AtomicBool,
    renews: bool,
}

/// What is to be done when a lease has been given back.
enum Want {
    /// Another one is there already.
    Nothing,
    AtOnce,
    Later(Arc<FetchError>),
}

#[derive(Default)]
struct State {
    lease: Option<Lease>,
    /// Why there is no new one.
    trouble: Option<Arc<FetchError>>,
    /// The pass that was given back last, and is no use if it comes again.
    refused: Option<(Pass, Arc<FetchError>)>,
    /// How many leases there have been.
    issued: u64,
}

// === impl Keeper ===

impl Keeper {
    /// Begins to keep what `issuer` gives.
    pub(super) fn start<I: Issuer>(issuer: I) -> Self {
        let shared = Arc::new(Shared {
            state: watch::Sender::default(),
            returned: Notify::new(),
            trusted: AtomicBool::new(false),
            renews: I::RENEWS,
        });
        let task = tokio::spawn(keep(issuer, Arc::clone(&shared)));
        Self { shared, _task: Arc::new(AbortOnDropHandle::new(task)) }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// The pass to ask with, and for an access key that the upstream has not taken yet, the permit
    /// to try it: one request at a time, since a handful of wrong signatures locks a key. The
    /// permit is to be kept until the outcome has been told.
    ///
    /// Waits while a pass is being obtained, without a limit of its own.
    pub(in crate::upstream) async fn lease(
        &self,
    ) -> Result<(Lease, Option<OwnedSemaphorePermit>), Arc<FetchError>> {
        loop {
            let lease = self.wait_for_lease().await?;
            if lease.may_be_used_freely() {
                return Ok((lease, None));
            }
            // Nobody closes it.
            let permit = Arc::clone(&lease.trial).acquire_owned().await.ok();
            // The trial before may have told by now.
            if lease.may_be_used_freely() {
                return Ok((lease, None));
            }
            if self.shared.has(&lease) {
                return Ok((lease, permit));
            }
        }
    }

    async fn wait_for_lease(&self) -> Result<Lease, Arc<FetchError>> {
        let mut states = self.shared.state.subscribe();
        loop {
            {
                let state = states.borrow_and_update();
                match (&state.lease, &state.trouble) {
                    (Some(lease), _) => return Ok(lease.clone()),
                    (None, Some(trouble)) => return Err(Arc::clone(trouble)),
                    (None, None) => {}
                }
            }
            if states.changed().await.is_err() {
                let detail = "the keeper of the credentials is gone".to_owned();
                let kind = ErrorKind::GatewayCredentialsUnavailable;
                return Err(Arc::new(FetchError::no_answer(kind, detail)));
            }
        }
    }

    /// The upstream has taken the pass.
    pub(in crate::upstream) fn accepted(&self, lease: &Lease) {
        if !lease.is_proven() {
            lease.proven.store(true, Ordering::Release);
            self.shared.trusted.store(true, Ordering::Release);
        }
    }

    /// The upstream has refused the pass.
    pub(in crate::upstream) fn refused(&self, lease: &Lease, error: &Arc<FetchError>) {
        let returned = self.shared.state.send_if_modified(|state| {
            // Somebody else may have told already.
            let own = state.lease.as_ref().is_some_and(|it| it.number == lease.number);
            if own {
                state.lease = None;
                // A pass that was good has ended early. One that never was has nothing to hope for.
                if self.shared.renews && lease.is_proven() {
                    state.refused = Some((lease.pass.clone(), Arc::clone(error)));
                } else {
                    state.trouble = Some(Arc::clone(error));
                }
            }
            own
        });
        if returned {
            self.shared.returned.notify_one();
        }
    }

    pub(in crate::upstream) fn readiness(&self) -> Readiness {
        self.shared.state.borrow().readiness()
    }

    /// Ready when the readiness is another than `last`.
    pub(in crate::upstream) async fn readiness_after(&self, last: Readiness) -> Readiness {
        let mut states = self.shared.state.subscribe();
        let state = states.wait_for(|state| state.readiness() != last).await;
        state.map_or(Readiness::Unavailable, |state| state.readiness())
    }
}

// === impl Lease ===

impl Lease {
    pub(in crate::upstream) fn pass(&self) -> &Pass {
        &self.pass
    }

    fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Acquire)
    }

    fn may_be_used_freely(&self) -> bool {
        match &self.pass {
            Pass::Token(_) => true,
            Pass::Key(_) => self.is_proven(),
        }
    }
}

// === impl State ===

impl State {
    fn readiness(&self) -> Readiness {
        match (&self.lease, &self.trouble) {
            (Some(_), _) => Readiness::Ready,
            (None, None) if self.issued > 0 => Readiness::Ready,
            (None, None) => Readiness::Pending,
            (None, Some(trouble)) if trouble.kind == ErrorKind::GatewayCredentialsRejected => {
                Readiness::Rejected
            }
            (None, Some(_)) => Readiness::Unavailable,
        }
    }
}

// === impl Shared ===

impl Shared {
    fn has(&self, lease: &Lease) -> bool {
        self.state.borrow().lease.as_ref().is_some_and(|it| it.number == lease.number)
    }

    fn ends(&self) -> Option<Instant> {
        self.state.borrow().lease.as_ref().and_then(|lease| lease.ends)
    }

    fn want(&self) -> Want {
        let state = self.state.borrow();
        match (&state.lease, &state.trouble) {
            (Some(_), _) => Want::Nothing,
            (None, None) => Want::AtOnce,
            (None, Some(trouble)) => Want::Later(Arc::clone(trouble)),
        }
    }

    /// Takes the lease away when its time is over.
    fn expire(&self) {
        self.state.send_if_modified(|state| {
            let now = Instant::now();
            let over = |lease: &mut Lease| lease.ends.is_some_and(|ends| ends <= now);
            state.lease.take_if(over).is_some()
        });
    }

    /// Makes a lease of a pass; the error if it is the one that was just refused.
    fn publish(&self, issued: Issued) -> Result<(), Arc<FetchError>> {
        let Issued { pass, lifetime } = issued;
        let mut result = Ok(());
        self.state.send_modify(|state| match state.refused.take() {
            Some((refused, error)) if refused == pass => {
                state.trouble = Some(Arc::clone(&error));
                result = Err(error);
            }
            Some(_) | None => {
                state.issued += 1;
                state.lease = Some(Lease {
                    pass,
                    number: state.issued,
                    ends: lifetime.map(|lifetime| Instant::now() + lifetime),
                    proven: Arc::default(),
                    trial: Arc::new(Semaphore::new(1)),
                });
                state.trouble = None;
            }
        });
        result
    }

    /// Takes what was issued. Says how long to wait before the next is asked for.
    fn take(
        &self,
        issued: Result<Issued, FetchError>,
        patience: &mut Patience,
    ) -> Option<Duration> {
        let error = match issued {
            Ok(issued) => {
                patience.answered();
                let renewal = issued.lifetime.map(|it| patience::renewal(it, fastrand::f64()));
                match self.publish(issued) {
                    Ok(()) => {
                        let renewal_s = renewal.map(|renewal| renewal.as_secs());
                        tracing::info!(renewal_s, "the gateway has credentials of its own");
                        return renewal;
                    }
                    Err(error) => error,
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                self.fail(&error);
                error
            }
        };
        Some(self.complain(&error, patience))
    }

    /// Tells the operator, who has to act. Says how long to wait for another try.
    fn complain(&self, error: &FetchError, patience: &mut Patience) -> Duration {
        if self.trusted.swap(false, Ordering::AcqRel) {
            patience.trusted();
        }
        let detail = error.detail.as_str();
        if error.kind == ErrorKind::GatewayCredentialsRejected {
            let wait = patience.refused();
            let retry_s = wait.as_secs();
            tracing::error!(detail, retry_s, "the gateway's own credentials are rejected");
            wait
        } else {
            let wait = patience.failed();
            let retry_s = wait.as_secs_f64();
            tracing::warn!(detail, retry_s, "the gateway can't get credentials of its own");
            wait
        }
    }

    /// Takes note that no pass can be had. A lease that is still good stays.
    fn fail(&self, error: &Arc<FetchError>) {
        self.state.send_modify(|state| {
            state.refused = None;
            state.trouble = Some(Arc::clone(error));
        });
    }
}

async fn keep<I: Issuer>(mut issuer: I, shared: Arc<Shared>) {
    let mut patience = Patience::new();
    loop {
        let issued = issuer.issue().await;
        let wait = shared.take(issued, &mut patience);
        let mut next = wait.map(|wait| Instant::now() + wait);
        loop {
            tokio::select! {
                () = reached(next) => break,
                () = issuer.changed() => {
                    patience.trusted();
                    break;
                }
                () = reached(shared.ends()) => shared.expire(),
                () = shared.returned.notified() => match shared.want() {
                    Want::Nothing => {}
                    Want::AtOnce => {
                        tracing::warn!("the gateway's credentials have ended early");
                        break;
                    }
                    Want::Later(error) => {
                        next = Some(Instant::now() + shared.complain(&error, &mut patience));
                    }
                },
            }
        }
    }
}

async fn reached(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
