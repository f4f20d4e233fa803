//! Which pass to use, and what a refusal means. Decisions only: the time is an argument.
//!
//! One refused request says little: it may be about the project alone, or a whim of the upstream.
//! So nobody is kept from a pass that others prove good. Three rules follow from what a refusal can
//! cost:
//!
//! * A token is free to be tried again, but IAM must not be asked for one with each refusal.
//! * A key is locked by a handful of wrong signatures: few are sent, and then none for long.
//! * A project that a pass was never good for is left alone for a while.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{issuer::Issued, lease::Lease, projects::Projects, readiness::Readiness};
use crate::upstream::{ErrorKind, FetchError};

/// How long no key is sent that was refused. The clouds lock a key after five wrong signatures in a
/// row; how long a row is they do not say.
const KEY_HOLD: Duration = Duration::from_mins(20);

/// After this, a blocked key is tried once for a project that it was good for.
const SPARE_AFTER: Duration = Duration::from_mins(1);

/// How many refusals in a row block a key: one that was never good, and one that was.
const STRIKES: [u32; 2] = [2, 3];

/// How long a project waits whose token was refused, at first and at most.
const TOKEN_HOLD: (Duration, Duration) = (Duration::from_secs(30), Duration::from_mins(10));

/// How many renewals refusals may cause in a time.
const FORCED: (usize, Duration) = (4, Duration::from_mins(1));

/// How long a new token may be unknown somewhere.
const SPREADS: Duration = Duration::from_mins(1);

/// What is known of the gateway's passes.
pub(super) struct Ledger {
    /// Whether asking again gives another pass.
    renews: bool,
    /// The one in use.
    lease: Option<Lease>,
    /// A newer one that the upstream has not taken yet, while the one in use is good.
    next: Option<Lease>,
    /// Why no pass can be had.
    trouble: Option<Arc<FetchError>>,
    /// Why and until when no key is sent.
    block: Option<Block>,
    projects: Projects,
    /// Refusals of keys in a row.
    strikes: u32,
    /// The last refusal of a key.
    refusal: Option<Arc<FetchError>>,
    /// Whether the upstream has taken anything since the secret changed.
    trusted: bool,
    forced: VecDeque<Instant>,
    want: Option<Want>,
    /// A refusal has caused a renewal that is not there yet.
    renewing: bool,
    /// The lease that seems to have ended: it was refused, and not taken since.
    suspect: Option<u64>,
    issued: u64,
    tries: u64,
}

struct Block {
    until: Instant,
    /// When it is tried once all the same.
    spare: Option<Instant>,
    error: Arc<FetchError>,
}

/// What to ask with.
pub(super) enum Choice {
    /// This.
    Use(Lease),
    /// This, one request at a time.
    Try(Lease),
    /// The first if nobody else tries it, or else the second.
    Either(Lease, Lease),
    /// There is nothing at present; something will come.
    Wait,
    /// Nothing.
    Fail(Arc<FetchError>),
}

/// What a refused call is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fail,
    /// Ask once more. The pass may be good all the same.
    Repeat,
    /// Ask once more with another pass: there is one, or there will be.
    Change,
    /// The same, after there were more tries to get a pass than these.
    ChangeAfter(u64),
}

/// How a call was refused before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upstream) struct Refused {
    /// The number of the lease.
    pub(super) lease: u64,
    /// The same one was to be used once more.
    pub(super) repeats: bool,
}

/// When another pass is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Now,
    Later,
}

// === impl Ledger ===

impl Ledger {
    pub(super) fn new(renews: bool) -> Self {
        Self {
            renews,
            lease: None,
            next: None,
            trouble: None,
            block: None,
            projects: Projects::default(),
            strikes: 0,
            refusal: None,
            trusted: false,
            forced: VecDeque::new(),
            want: None,
            renewing: false,
            suspect: None,
            issued: 0,
            tries: 0,
        }
    }

    /// What to ask with for a project. `before` is how the same call was refused before.
    pub(super) fn choose(
        &mut self,
        project: &str,
        before: Option<Refused>,
        now: Instant,
    ) -> Choice {
        self.age(now);
        if let Some(error) = self.projects.held(project, now) {
            return Choice::Fail(Arc::clone(error));
        }
        if let Some(block) = &mut self.block {
            let spare = block.spare.is_some_and(|at| at <= now) && self.projects.knows(project);
            return match self.lease.clone().filter(|_| spare) {
                Some(lease) => {
                    block.spare = None;
                    Choice::Use(lease)
                }
                None => Choice::Fail(Arc::clone(&block.error)),
            };
        }
        let refused = before.map(|before| before.lease);
        let repeats = before.is_some_and(|before| before.repeats);
        match (&self.lease, &self.next, &self.trouble) {
            (Some(lease), Some(next), _) if refused == Some(lease.number()) => alone(next),
            (Some(lease), Some(next), _) if refused == Some(next.number()) => alone(lease),
            (Some(lease), Some(next), _) => Choice::Either(next.clone(), lease.clone()),
            // There was to be another one, and there is none.
            (Some(lease), None, Some(trouble)) if refused == Some(lease.number()) && !repeats => {
                Choice::Fail(Arc::clone(trouble))
            }
            // No signature is repeated.
            (Some(lease), None, _) if lease.is_key() && refused == Some(lease.number()) => {
                self.refusal.clone().map_or(Choice::Wait, Choice::Fail)
            }
            (Some(lease), None, _) => alone(lease),
            (None, _, Some(trouble)) => Choice::Fail(Arc::clone(trouble)),
            (None, _, None) => Choice::Wait,
        }
    }

    /// The upstream has taken a pass for a project.
    pub(super) fn taken(&mut self, lease: &Lease, project: &str, sent: Instant) {
        lease.taken(sent);
        self.trusted = true;
        self.strikes = 0;
        self.block = None;
        self.suspect.take_if(|number| *number == lease.number());
        self.projects.taken(project);
        if let Some(next) = self.next.take_if(|next| next.is(lease)) {
            self.lease = Some(next);
        }
    }

    /// The upstream has refused a pass for a project. `before` is how the same call was refused
    /// before.
    pub(super) fn refused(
        &mut self,
        lease: &Lease,
        project: &str,
        sent: Instant,
        error: &FetchError,
        before: Option<Refused>,
        now: Instant,
    ) -> Verdict {
        // For others' eyes: the answer was this call's own.
        let error = Arc::new(FetchError::no_answer(error.kind, error.detail.clone()));
        if lease.is_key() {
            self.strikes += 1;
            self.refusal = Some(Arc::clone(&error));
        }
        let verdict = match before {
            None => self.verdict(lease, project, sent, false, now),
            Some(before) if before == (Refused { lease: lease.number(), repeats: true }) => {
                self.verdict(lease, project, sent, true, now)
            }
            Some(_) => {
                // Not for this call any more, but for the next.
                if !lease.is_key()
                    && self.tells(project)
                    && self.are_old(lease, now)
                    && !self.asks_for_another(lease, project, sent, now)
                {
                    self.settle(lease, project, sent);
                }
                Verdict::Fail
            }
        };
        if self.next.as_ref().is_some_and(|next| next.is(lease)) && lease.is_key() {
            // The one before is good. This one has shown what it is.
            self.next = None;
            self.want = self.renews.then_some(Want::Later);
        }
        // While IAM refuses, the token may be at fault, and the project is none the worse.
        if verdict == Verdict::Fail && !self.iam_refuses() {
            let waits = if lease.is_key() { (KEY_HOLD, KEY_HOLD) } else { TOKEN_HOLD };
            self.projects.hold(project, waits, &error, now);
        }
        if self.strikes >= STRIKES[usize::from(self.trusted)] {
            self.block(error, now);
            return Verdict::Fail;
        }
        verdict
    }

    /// What a call is to do that was refused for the first time, or `repeated` with the same pass.
    ///
    /// Others may have been taken that were sent later, and the pass have ended all the same: answers
    /// overtake each other. But then a repeat is sent after that end, and nobody is taken later.
    fn verdict(
        &mut self,
        lease: &Lease,
        project: &str,
        sent: Instant,
        repeated: bool,
        now: Instant,
    ) -> Verdict {
        let in_use = self.lease.as_ref().is_some_and(|it| it.is(lease));
        if !in_use || self.next.is_some() {
            return Verdict::Change;
        }
        if self.asks_for_another(lease, project, sent, now) {
            return Verdict::ChangeAfter(self.tries);
        }
        if lease.is_key() {
            return Verdict::Fail;
        }
        if !repeated {
            return Verdict::Repeat;
        }
        self.settle(lease, project, sent);
        Verdict::Fail
    }

    /// Asks for another pass after a refusal, and says whether one may come.
    fn asks_for_another(
        &mut self,
        lease: &Lease,
        project: &str,
        sent: Instant,
        now: Instant,
    ) -> bool {
        if !self.renews || lease.was_taken_after(sent) || self.iam_refuses() {
            return false;
        }
        if !self.renewing {
            if !self.may_force(now) {
                return false;
            }
            self.want = Some(Want::Now);
            self.renewing = true;
        }
        if self.tells(project) {
            self.suspect = Some(lease.number());
        }
        true
    }

    /// Gives a token up if both sides refuse it.
    fn settle(&mut self, lease: &Lease, project: &str, sent: Instant) {
        if self.iam_refuses() && self.tells(project) && !lease.was_taken_after(sent) {
            self.give_up(lease.number());
        }
    }

    fn give_up(&mut self, number: u64) {
        self.next.take_if(|next| next.number() == number);
        if self.lease.take_if(|lease| lease.number() == number).is_some() {
            self.lease = self.next.take();
        }
    }

    /// Whether this lease is one that there is, and all that there are have had time to be known.
    fn are_old(&self, lease: &Lease, now: Instant) -> bool {
        let mut leases = self.lease.iter().chain(&self.next);
        leases.clone().any(|it| it.is(lease))
            && leases.all(|it| now.saturating_duration_since(it.begun()) >= SPREADS)
    }

    /// Whether a refusal for this project says something of the pass. It does not if passes were good
    /// for others only, since the secret changed.
    fn tells(&self, project: &str) -> bool {
        self.projects.knows(project) || !self.trusted
    }

    /// Whether IAM has refused what it was asked with last. A refusal is no reason to ask again then:
    /// a handful of wrong passwords locks the user.
    fn iam_refuses(&self) -> bool {
        let kind = self.trouble.as_ref().map(|trouble| trouble.kind);
        kind == Some(ErrorKind::GatewayCredentialsRejected)
    }

    /// Sends no key for long.
    fn block(&mut self, error: Arc<FetchError>, now: Instant) {
        let spare = match &self.block {
            // It was just used.
            Some(block) => block.spare,
            None => self.trusted.then_some(now + SPARE_AFTER),
        };
        self.block = Some(Block { until: now + KEY_HOLD, spare, error });
        // After that, one at a time.
        if let Some(lease) = &self.lease {
            lease.doubt();
        }
    }

    /// There is another pass, or the same again.
    pub(super) fn publish(&mut self, issued: Issued, now: Instant) {
        let Issued { pass, lifetime } = issued;
        self.age(now);
        self.tries += 1;
        (self.want, self.renewing, self.trouble) = (None, false, None);
        let mut leases = self.lease.iter().chain(&self.next);
        if leases.any(|lease| *lease.pass() == pass) {
            return;
        }
        self.issued += 1;
        let ends = lifetime.map(|lifetime| now + lifetime);
        let lease = Lease::new(pass, self.issued, now, ends);
        match &self.lease {
            Some(in_use) if in_use.is_proven() => self.next = Some(lease),
            Some(_) | None => self.lease = Some(lease),
        }
    }

    /// No pass can be had. Those that are good stay.
    pub(super) fn fail(&mut self, error: Arc<FetchError>) {
        self.tries += 1;
        (self.want, self.renewing) = (None, false);
        // Refused by both sides.
        if error.kind == ErrorKind::GatewayCredentialsRejected
            && let Some(suspect) = self.suspect
        {
            self.give_up(suspect);
        }
        self.trouble = Some(error);
    }

    /// The secret is another one: what was refused before says nothing any more.
    pub(super) fn reset(&mut self) {
        self.lease.take_if(|lease| !lease.is_proven());
        (self.next, self.block, self.trouble, self.refusal) = (None, None, None, None);
        self.suspect = None;
        self.projects = Projects::default();
        self.forced.clear();
        self.strikes = 0;
        self.trusted = false;
    }

    /// Forgets what is over.
    pub(super) fn age(&mut self, now: Instant) {
        self.next.take_if(|next| next.is_over(now));
        if self.lease.take_if(|lease| lease.is_over(now)).is_some() {
            self.lease = self.next.take();
        }
        self.block.take_if(|block| block.until <= now);
        self.projects.age(now);
    }

    /// When something is over that others should know of.
    pub(super) fn next_end(&self, now: Instant) -> Option<Instant> {
        let leases = self.lease.iter().chain(&self.next).filter_map(Lease::ends);
        let block = self.block.iter().map(|block| block.until);
        let holds = self.projects.ends(now).filter(|_| !self.trusted);
        leases.chain(block).chain(holds).min()
    }

    /// The lease in use, if it is still good.
    pub(super) fn lease(&self, now: Instant) -> Option<&Lease> {
        self.lease.as_ref().filter(|lease| !lease.is_over(now))
    }

    pub(super) fn readiness(&self, now: Instant) -> Readiness {
        let held = !self.trusted && self.projects.ends(now).next().is_some();
        match (&self.lease, &self.trouble) {
            _ if self.block.is_some() => Readiness::Rejected,
            (Some(_), _) if held => Readiness::Rejected,
            (Some(_), _) => Readiness::Ready,
            (None, None) if self.issued > 0 => Readiness::Ready,
            (None, None) => Readiness::Pending,
            (None, Some(_)) if self.iam_refuses() => Readiness::Rejected,
            (None, Some(_)) => Readiness::Unavailable,
        }
    }

    /// When another pass is wanted, if it is.
    pub(super) fn want(&mut self) -> Option<Want> {
        self.want.take()
    }

    /// How many tries to get a pass have ended.
    pub(super) fn tries(&self) -> u64 {
        self.tries
    }

    /// Why no key is sent, if so.
    pub(super) fn blocked(&self) -> Option<&Arc<FetchError>> {
        self.block.as_ref().map(|block| &block.error)
    }

    fn may_force(&mut self, now: Instant) -> bool {
        let (most, within) = FORCED;
        while self.forced.front().is_some_and(|at| now.duration_since(*at) >= within) {
            self.forced.pop_front();
        }
        let may = self.forced.len() < most;
        if may {
            self.forced.push_back(now);
        }
        may
    }
}

/// A lease without another one to fall back on.
fn alone(lease: &Lease) -> Choice {
    if lease.is_key() && !lease.is_proven() {
        Choice::Try(lease.clone())
    } else {
        Choice::Use(lease.clone())
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
