//! The gateway's own credentials, kept fresh.
//!
//! One task obtains and renews them; that there is one is why there is never more than one renewal
//! at a time, however many calls wait for it. Which pass a call gets is for the [`Ledger`] to say.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus_client::registry::Registry;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, watch},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Pass,
    issuer::{Issued, Issuer, NotIssued},
    lease::Lease,
    ledger::{Choice, Ledger, Refused, Verdict, Want},
    metrics::{self, Holding, Renewals},
    patience::{self, Patience},
    readiness::Readiness,
};
use crate::{
    files::Reloads,
    telemetry::Tracer,
    upstream::{ErrorKind, FetchError},
};

/// How long a call waits for another one that tries a key. Trials are as long as attempts.
const TRIAL_WAIT: Duration = Duration::from_secs(10);

/// After this, a pass whose end is not known is renewed.
const UNKNOWN_END: Duration = Duration::from_hours(1);

/// How long files are waited for when they are to be read again.
const RELOADED: Duration = Duration::from_secs(1);

/// Keeps the gateway's credentials. Cheap to clone; the last clone ends it.
#[derive(Clone)]
pub(in crate::upstream) struct Keeper {
    shared: Arc<Shared>,
    _task: Arc<AbortOnDropHandle<()>>,
}

/// What one request is sent with. To be kept until its outcome has been told.
pub(in crate::upstream) struct Grant {
    lease: Lease,
    trial: Option<OwnedSemaphorePermit>,
    sent: Instant,
}

pub(super) struct Shared {
    ledger: Mutex<Ledger>,
    renewals: Renewals,
    /// Something in the ledger has changed that somebody may wait for.
    changes: watch::Sender<()>,
    /// Another pass is wanted.
    wanted: Notify,
}

// === impl Keeper ===

impl Keeper {
    /// Begins to keep what `issuer` gives.
    pub(super) fn start<I: Issuer>(issuer: I, reloads: &Reloads, tracer: Tracer) -> Self {
        let shared = Arc::new(Shared {
            ledger: Mutex::new(Ledger::new(I::RENEWS)),
            renewals: Renewals::default(),
            changes: watch::Sender::default(),
            wanted: Notify::new(),
        });
        let task = tokio::spawn(keep(issuer, Arc::clone(&shared), reloads.clone(), tracer));
        Self { shared, _task: Arc::new(AbortOnDropHandle::new(task)) }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        metrics::register(&self.shared.renewals, Arc::downgrade(&self.shared), registry);
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// What to ask with for a project. `before` is how the same call was refused before.
    ///
    /// A key that the upstream has not taken yet goes to one request at a time, since a handful of
    /// wrong signatures locks it. Waits while a pass is being obtained, without a limit of its own.
    pub(in crate::upstream) async fn grant(
        &self,
        project: &str,
        before: Option<Refused>,
    ) -> Result<Grant, Arc<FetchError>> {
        let mut changes = self.shared.changes.subscribe();
        loop {
            changes.mark_unchanged();
            let choice = self.shared.ledger().choose(project, before, Instant::now());
            match choice {
                Choice::Use(lease) => return Ok(Grant::new(lease, None)),
                Choice::Either(next, lease) => {
                    return Ok(match Arc::clone(next.trial()).try_acquire_owned() {
                        Ok(trial) => Grant::new(next, Some(trial)),
                        Err(_) => Grant::new(lease, None),
                    });
                }
                Choice::Try(lease) => {
                    let trial = wait_for_trial(&lease).await?;
                    // Much may have happened meanwhile.
                    let choice = self.shared.ledger().choose(project, before, Instant::now());
                    if let Choice::Try(now) = choice
                        && now.is(&lease)
                    {
                        return Ok(Grant::new(lease, Some(trial)));
                    }
                }
                Choice::Wait => {
                    if changes.changed().await.is_err() {
                        return Err(Arc::new(unavailable("nobody keeps the credentials")));
                    }
                }
                Choice::Fail(error) => return Err(error),
            }
        }
    }

    /// The upstream has taken the pass.
    pub(in crate::upstream) fn taken(&self, grant: &Grant, project: &str) {
        let mut ledger = self.shared.ledger();
        let before = ledger.readiness(grant.sent);
        ledger.taken(&grant.lease, project, grant.sent);
        let changed = ledger.readiness(grant.sent) != before;
        drop(ledger);
        if changed {
            self.shared.changes.send_replace(());
        }
    }

    /// The upstream has refused the pass. `before` is how the same call was refused before. Waits for
    /// another pass if one was asked for. `None` says that it is not worth asking once more.
    pub(in crate::upstream) async fn refused(
        &self,
        grant: &Grant,
        project: &str,
        error: &FetchError,
        before: Option<Refused>,
    ) -> Option<Refused> {
        let Grant { lease, sent, .. } = grant;
        let (verdict, blocked) = {
            let mut ledger = self.shared.ledger();
            let was_blocked = ledger.blocked().is_some();
            let verdict = ledger.refused(lease, project, *sent, error, before, Instant::now());
            (verdict, !was_blocked && ledger.blocked().is_some())
        };
        self.shared.changes.send_replace(());
        self.shared.wanted.notify_one();
        let detail = error.detail.as_str();
        if blocked {
            tracing::error!(detail, "the gateway's access key is refused, and not sent any more");
        } else if verdict == Verdict::Fail {
            tracing::warn!(detail, project, "the gateway's credentials are refused for a project");
        }
        let refused = Refused { lease: lease.number(), repeats: verdict == Verdict::Repeat };
        match verdict {
            Verdict::Fail => None,
            Verdict::Repeat | Verdict::Change => Some(refused),
            Verdict::ChangeAfter(tries) => {
                let mut changes = self.shared.changes.subscribe();
                while self.shared.ledger().tries() == tries {
                    changes.changed().await.ok()?;
                }
                Some(refused)
            }
        }
    }

    pub(in crate::upstream) fn readiness(&self) -> Readiness {
        self.shared.ledger().readiness(Instant::now())
    }

    /// The next readiness that is another than `last`.
    pub(in crate::upstream) async fn readiness_after(&self, last: Readiness) -> Readiness {
        let mut changes = self.shared.changes.subscribe();
        loop {
            let readiness = self.readiness();
            if readiness != last {
                return readiness;
            }
            if changes.changed().await.is_err() {
                return Readiness::Unavailable;
            }
        }
    }
}

/// The permit to try a key. Whoever waits while a trial shows nothing shares its fate.
async fn wait_for_trial(lease: &Lease) -> Result<OwnedSemaphorePermit, Arc<FetchError>> {
    let before = lease.trials();
    let waiting = timeout(TRIAL_WAIT, Arc::clone(lease.trial()).acquire_owned());
    let Ok(Ok(trial)) = waiting.await else {
        let why = "the access key is still being tried by another call";
        return Err(Arc::new(unavailable(why)));
    };
    match lease.undecided_since(before) {
        Some(why) => Err(why),
        None => Ok(trial),
    }
}

fn unavailable(detail: &str) -> FetchError {
    FetchError::no_answer(ErrorKind::GatewayCredentialsUnavailable, detail.to_owned())
}

// === impl Grant ===

impl Grant {
    fn new(lease: Lease, trial: Option<OwnedSemaphorePermit>) -> Self {
        Self { lease, trial, sent: Instant::now() }
    }

    pub(in crate::upstream) fn pass(&self) -> &Pass {
        self.lease.pass()
    }

    #[cfg(test)]
    fn number(&self) -> u64 {
        self.lease.number()
    }

    /// The answer showed nothing of the pass. Those who wait for the trial are told why.
    pub(in crate::upstream) fn undecided(&self, why: &Arc<FetchError>) {
        if self.is_trial() {
            self.lease.undecided(why);
        }
    }

    /// Whether others wait for what comes of this.
    pub(in crate::upstream) fn is_trial(&self) -> bool {
        self.trial.is_some()
    }
}

// === impl Shared ===

impl Shared {
    /// The ledger is whole between any two statements, so a panic elsewhere does not spoil it.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn holding(&self) -> Holding {
        let (now, ledger) = (Instant::now(), self.ledger());
        let lease = ledger.lease(now);
        Holding {
            ready: ledger.readiness(now) == Readiness::Ready,
            age: lease.map(|lease| now.saturating_duration_since(lease.begun())),
            left: lease.and_then(Lease::ends).map(|ends| ends.saturating_duration_since(now)),
        }
    }

    /// Takes what was issued. Says how long to wait before the next is asked for.
    fn take(&self, issued: Result<Issued, NotIssued>, patience: &mut Patience) -> Duration {
        let wait = match issued {
            Ok(issued) => {
                patience.answered();
                self.renewals.issued();
                let renewal = match issued.lifetime {
                    Some(lifetime) => patience::renewal(lifetime, fastrand::f64()),
                    None => UNKNOWN_END,
                };
                self.ledger().publish(issued, Instant::now());
                let renewal_s = renewal.as_secs();
                tracing::info!(renewal_s, "the gateway has credentials of its own");
                renewal
            }
            Err(NotIssued { error, retry_after }) => {
                self.renewals.failed(&error);
                let wait = complain(&error, retry_after, patience);
                self.ledger().fail(Arc::new(error));
                wait
            }
        };
        self.changes.send_replace(());
        wait
    }
}

async fn keep<I: Issuer>(mut issuer: I, shared: Arc<Shared>, reloads: Reloads, tracer: Tracer) {
    let mut patience = Patience::new();
    loop {
        let mut span = tracer.root("renew credentials", &[]);
        let issued = issuer.issue(span.context().as_ref()).await;
        if let Err(NotIssued { error, .. }) = &issued {
            span.fail(error.kind.name());
        }
        drop(span);
        // A key that was given is as good as it is until it changes.
        let wait = shared.take(issued, &mut patience);
        let mut next = I::RENEWS.then(|| Instant::now() + wait);
        loop {
            let end = shared.ledger().next_end(Instant::now());
            tokio::select! {
                () = reached(next) => break,
                () = issuer.changed() => {
                    patience.answered();
                    shared.ledger().reset();
                    break;
                }
                // Whoever says so has mended something elsewhere, if not in a file.
                () = told(&reloads) => {
                    patience.answered();
                    shared.ledger().reset();
                    break;
                }
                () = reached(end) => {
                    shared.ledger().age(Instant::now());
                    shared.changes.send_replace(());
                }
                () = shared.wanted.notified() => {
                    let want = shared.ledger().want();
                    match want {
                        Some(Want::Now) => break,
                        Some(Want::Later) => next = Some(Instant::now() + patience.refused()),
                        None => {}
                    }
                }
            }
        }
    }
}

/// Tells the operator, who has to act. Says how long to wait for another try.
fn complain(
    error: &FetchError,
    retry_after: Option<Duration>,
    patience: &mut Patience,
) -> Duration {
    let detail = error.detail.as_str();
    if error.kind == ErrorKind::GatewayCredentialsRejected {
        let wait = patience.refused();
        let retry_s = wait.as_secs();
        tracing::error!(detail, retry_s, "the gateway's own credentials are rejected");
        wait
    } else {
        let wait = patience.failed().max(retry_after.unwrap_or_default());
        let retry_s = wait.as_secs_f64();
        tracing::warn!(detail, retry_s, "the gateway can't get credentials of its own");
        wait
    }
}

async fn told(reloads: &Reloads) {
    reloads.told().await;
    sleep(RELOADED).await;
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
