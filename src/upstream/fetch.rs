//! One fetch: its attempts, and what each of them tells.

use std::{sync::Arc, time::Duration};

use backon::BackoffBuilder as _;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    Credential, ErrorKind, FetchError, Fetched, Trace, Upstream,
    credentials::{Grant, Keeper, Pass, Refused, Whose},
    flights::Terms,
    oddity::Oddities,
    outcome,
    protection::Lane,
};
use crate::job::{Job, JobPath};

/// The most attempts for one fetch, without those that follow a refusal of the gateway's credentials.
const MAX_ATTEMPTS: u32 = 3;

/// The longest wait of a `Retry-After` that is waited for here; a longer one is the caller's
/// business.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// What is asked, in whose name, and for whom.
#[derive(Clone)]
pub(super) struct Query {
    pub(super) path: JobPath,
    pub(super) credential: Credential,
    pub(super) lane: Lane,
    pub(super) trace: Arc<Trace>,
}

/// What one attempt brought.
struct Attempt {
    result: Result<Arc<Job>, Arc<FetchError>>,
    sent: bool,
    /// How the gateway's credentials were refused, if asking once more may help.
    refused: Option<Refused>,
    http_status: Option<u16>,
    request_id: Option<String>,
}

// === impl Upstream ===

impl Upstream {
    /// Asks until there is an answer that a repeat would not better.
    pub(super) async fn fetch_alone(&self, query: &Query, terms: &Terms) -> Fetched {
        let begun = Instant::now();
        let mut waits = backoff();
        let (mut attempts, mut faults, mut refused) = (0, 0, None);
        let mut failed: Option<Box<Attempt>> = None;
        let last = loop {
            let attempt = match &query.credential.0 {
                Whose::Caller(token) => self.ask(query, &Pass::Token(token.clone()), terms).await,
                Whose::Gateway(own) => Box::pin(self.ask_as(own, query, terms, refused)).await,
            };
            if attempt.sent {
                attempts += 1;
                if faults > 0 {
                    self.0.protection.retried(attempt.result.is_ok());
                } else if !query.trace.repetition {
                    self.0.protection.earn_retries();
                }
            }
            let Err(error) = &attempt.result else {
                break attempt;
            };
            // The upstream's own word says more than why it was not asked again.
            if let Some(failed) = failed.take_if(|_| !attempt.sent) {
                break *failed;
            }
            // Twice at most: the ledger sees to it.
            if attempt.refused.is_some() {
                (refused, failed) = (attempt.refused, None);
                continue;
            }
            faults += 1;
            let wait = (faults < error.worth_attempts().min(MAX_ATTEMPTS))
                .then(|| waits.next())
                .flatten()
                .map(|wait| error.retry_after.unwrap_or_default().max(wait))
                .filter(|wait| *wait <= MAX_WAIT && Instant::now() + *wait < terms.now().deadline)
                .filter(|_| terms.now().repeats && self.0.protection.allows_retry());
            let Some(wait) = wait else {
                break attempt;
            };
            failed = Some(Box::new(attempt));
            tokio::time::sleep(wait).await;
        };
        let Attempt { result, http_status, request_id, .. } = last;
        Fetched {
            result,
            attempts,
            http_status,
            request_id,
            took: begun.elapsed(),
            shared: false,
            at: Timestamp::now(),
        }
    }

    /// Asks once with the gateway's own credentials. `refused` is how this fetch was refused before.
    async fn ask_as(
        &self,
        own: &Keeper,
        query: &Query,
        terms: &Terms,
        refused: Option<Refused>,
    ) -> Attempt {
        let grant = match own.grant(query.path.project_id(), refused).await {
            Ok(grant) => grant,
            Err(error) => return Attempt::not_sent(error),
        };
        if !grant.is_trial() {
            return self.ask_and_tell(own, &grant, query, terms, refused).await;
        }
        // To its end, whoever waits for it: of an answer that nobody heard, the next would not know
        // that the key is wrong.
        let (this, own, query, terms) = (self.clone(), own.clone(), query.clone(), terms.clone());
        let asking = async move { this.ask_and_tell(&own, &grant, &query, &terms, refused).await };
        tokio::spawn(asking).await.unwrap_or_else(|stopped| {
            let kind = ErrorKind::GatewayCredentialsUnavailable;
            Attempt::not_sent(Arc::new(FetchError::no_answer(kind, stopped.to_string())))
        })
    }

    /// Asks once, and tells the keeper of the credentials what came of it.
    async fn ask_and_tell(
        &self,
        own: &Keeper,
        grant: &Grant,
        query: &Query,
        terms: &Terms,
        before: Option<Refused>,
    ) -> Attempt {
        let project = query.path.project_id();
        let mut attempt = self.ask(query, grant.pass(), terms).await;
        let Err(error) = &mut attempt.result else {
            own.taken(grant, project);
            return attempt;
        };
        match error.kind {
            ErrorKind::CredentialsRejected => {
                let error = Arc::make_mut(error);
                error.kind = ErrorKind::GatewayCredentialsRejected;
                attempt.refused = own.refused(grant, project, error, before).await;
            }
            ErrorKind::PermissionDenied => {
                own.taken(grant, project);
                // Who the gateway is there is nothing for its callers; the log has it in the detail.
                if let Some(answer) = &mut Arc::make_mut(error).answer {
                    answer.message = None;
                }
            }
            // These come after the credentials were looked at.
            ErrorKind::Conflict
            | ErrorKind::JobExpired
            | ErrorKind::JobNotFound
            | ErrorKind::PreconditionFailed
            | ErrorKind::QuotaExceeded => own.taken(grant, project),
            ErrorKind::GatewayCredentialsRejected
            | ErrorKind::GatewayCredentialsUnavailable
            | ErrorKind::Internal
            | ErrorKind::LeftAlone
            | ErrorKind::MalformedResponse
            | ErrorKind::NotImplemented
            | ErrorKind::OutOfRange
            | ErrorKind::Overloaded
            | ErrorKind::Redirect
            | ErrorKind::RefusedRequest
            | ErrorKind::RejectedRequest
            | ErrorKind::ResponseTooLarge
            | ErrorKind::RouteNotFound
            | ErrorKind::Throttled
            | ErrorKind::Timeout
            | ErrorKind::Unavailable
            | ErrorKind::Unreachable => grant.undecided(error),
        }
        attempt
    }

    /// Asks once, when it may.
    async fn ask(&self, query: &Query, pass: &Pass, terms: &Terms) -> Attempt {
        let Query { path, credential, lane, trace } = query;
        let passage = match self.0.protection.admit(credential, *lane, terms.now().deadline).await {
            Ok(passage) => passage,
            Err(error) => return Attempt::not_sent(error),
        };
        trace.progress.sends();
        let response = match self.0.http.get(path, pass, trace).await {
            Ok(response) => response,
            Err(no_answer) => {
                let no_answer = Arc::new(no_answer);
                passage.ended(credential, Some(&no_answer));
                return Attempt { sent: true, ..Attempt::not_sent(no_answer) };
            }
        };
        trace.progress.answered(response.status);
        let secrets = pass.secrets();
        let mut oddities = Oddities::default();
        let result = outcome::read(&response, path, secrets, &mut oddities);
        let result = result.map(Arc::new).map_err(Arc::new);
        passage.ended(credential, result.as_ref().err());
        self.0.oddities.count(&oddities);
        let request_id = match &result {
            Ok(_) => outcome::request_id(&response, secrets),
            Err(error) => error.answer.as_ref().and_then(|answer| answer.request_id.clone()),
        };
        let http_status = Some(response.status);
        Attempt { result, sent: true, refused: None, http_status, request_id }
    }
}

// === impl Attempt ===

impl Attempt {
    fn not_sent(error: Arc<FetchError>) -> Self {
        // The error may have come with the answer to an earlier request.
        let answer = error.answer.as_ref();
        let http_status = answer.map(|answer| answer.http_status);
        let request_id = answer.and_then(|answer| answer.request_id.clone());
        Self { result: Err(error), sent: false, refused: None, http_status, request_id }
    }
}

/// The waits between attempts: about 100 ms, then about 400 ms, each with up to as much again.
fn backoff() -> impl Iterator<Item = Duration> {
    backon::ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(100))
        .with_factor(4.0)
        .with_max_delay(Duration::from_secs(1))
        .with_max_times(2)
        .with_jitter()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_differ() {
        let bounds = [(100, 200), (400, 800)];
        let mut seen = std::collections::HashSet::new();
        for _ in 0..100 {
            let waits: Vec<_> = backoff().collect();
            assert_eq!(waits.len(), bounds.len());
            for (wait, (min, max)) in waits.iter().zip(bounds) {
                assert!((min..=max).contains(&wait.as_millis()), "{wait:?}");
            }
            seen.insert(waits);
        }
        assert!(seen.len() > 50, "{}", seen.len());
    }
}
