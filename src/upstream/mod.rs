//! The REST side: fetches a job with the caller's credentials, or the gateway's own.
//!
//! Knows HTTP and the API's JSON; knows nothing of gRPC. Everything odd about the API ends here:
//! what comes out is a [`Job`] or a [`FetchError`] with a meaning.

mod answer;
mod base_url;
mod classify;
mod credentials;
mod error;
mod error_body;
mod flights;
mod http;
mod json;
mod oddity;
mod outcome;
mod progress;
mod protection;
mod redact;
mod retry_after;
mod secret;
mod time;
mod token;
mod transport;

use std::{sync::Arc, time::Duration};

use backon::BackoffBuilder as _;
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

pub use self::{
    base_url::{BaseUrl, InvalidBaseUrl},
    credentials::{
        Credential, Credentials, Domain, GivenKey, MetadataService, PasswordLogin, Readiness,
        SecretSource, Subject,
    },
    error::{Answer, ErrorKind, FetchError},
    http::{Trace, new_request_id},
    progress::Progress,
    retry_after::MAX_RETRY_AFTER,
    secret::{InvalidSecret, Secret},
    token::{InvalidToken, Token},
    transport::{Config as TransportConfig, HttpProxy, MAX_BODY, Tls, TlsVersion},
};
use self::{
    credentials::{Grant, Keeper, Pass, Whose},
    flights::{Flights, Terms, Wish},
    http::Http,
    oddity::{Oddities, OddityCounter},
    protection::{Lane, Protection},
    transport::Transport,
};
use crate::{
    files::{FileError, Reloads},
    job::{Job, JobPath},
};

/// The most attempts for one fetch.
pub const MAX_ATTEMPTS: u32 = 3;

/// The longest wait of a `Retry-After` that is waited for here; a longer one is the caller's
/// business.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// How to reach the upstream.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the API is.
    pub base: BaseUrl,
    /// How it is connected to.
    pub transport: TransportConfig,
    /// Whose credentials it is asked with.
    pub credentials: Credentials,
    /// The most requests for jobs under way at a time.
    pub max_requests: usize,
}

/// The upstream can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The HTTP client has no TLS or no resolver.
    #[error("can't set up the HTTP client")]
    Client(#[source] reqwest::Error),
    /// A file is not there or not good.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What a fetch brought, for all who shared it.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The job, or why there is none.
    pub result: Result<Arc<Job>, Arc<FetchError>>,
    /// How many requests were sent.
    pub attempts: u32,
    /// The HTTP status of the last answer.
    pub http_status: Option<u16>,
    /// The upstream's name for the last request.
    pub request_id: Option<String>,
    /// How long it took, from the first request on.
    pub took: Duration,
    /// Whether the fetch was under way already, for another call.
    pub shared: bool,
    /// When the upstream's word was there.
    pub at: Timestamp,
}

/// The REST API. Cheap to clone.
#[derive(Clone)]
pub struct Upstream {
    http: Http,
    own: Option<Keeper>,
    flights: Flights<(JobPath, Credential), Fetched>,
    protection: Protection,
    oddities: OddityCounter,
}

/// What is asked, in whose name, and for whom.
#[derive(Clone)]
struct Query {
    path: JobPath,
    credential: Credential,
    lane: Lane,
    trace: Trace,
}

/// What one attempt brought.
struct Attempt {
    result: Result<Job, Arc<FetchError>>,
    sent: bool,
    /// The number of the lease that was refused, if asking once more may help.
    refused: Option<u64>,
    http_status: Option<u16>,
    request_id: Option<String>,
}

// === impl Fetched ===

impl Fetched {
    /// Nothing was asked, because of an earlier error.
    pub fn not_asked(error: Arc<FetchError>) -> Self {
        Self {
            result: Err(error),
            attempts: 0,
            http_status: None,
            request_id: None,
            took: Duration::ZERO,
            shared: false,
            at: Timestamp::now(),
        }
    }
}

// === impl Upstream ===

impl Upstream {
    /// Sets up the client, and begins to keep the gateway's own credentials, if it has some.
    pub async fn new(
        config: &Config,
        reloads: &Reloads,
        registry: &mut Registry,
    ) -> Result<Self, SetupError> {
        let Config { base, transport: transport_config, credentials, max_requests } = config;
        let proxy = transport_config.proxy.as_ref().filter(|proxy| proxy.credentials.is_some());
        let proxy = proxy.map(|proxy| &proxy.url);
        for url in [Some(base), credentials.login_url(), proxy].into_iter().flatten() {
            if url.is_exposed() {
                let url = url.as_str();
                tracing::warn!(url, "secrets go there without TLS; fine if a mesh encrypts them");
            }
        }
        let oddities = OddityCounter::default();
        oddities.register(registry);
        let transport = Transport::new(transport_config, reloads).await?;
        Ok(Self {
            own: credentials.keep(&transport, transport_config, reloads).await?,
            http: Http::new(base.clone(), transport),
            flights: Flights::new(),
            protection: Protection::new(*max_requests, registry),
            oddities,
        })
    }

    /// The gateway's own credential; `None` if callers bring theirs.
    pub fn own_credential(&self) -> Option<Credential> {
        self.own.clone().map(|keeper| Credential(Whose::Gateway(keeper)))
    }

    /// Whether there are credentials to ask with.
    pub fn readiness(&self) -> Readiness {
        self.own.as_ref().map_or(Readiness::Ready, Keeper::readiness)
    }

    /// The next readiness that is another than `last`.
    pub async fn readiness_after(&self, last: Readiness) -> Readiness {
        match &self.own {
            Some(own) => own.readiness_after(last).await,
            None => std::future::pending().await,
        }
    }

    /// Fetches a job, or joins a fetch of the same job with the same credential that is under way.
    ///
    /// No attempt begins after `deadline`, but an attempt may run past it: whoever waits must
    /// stop waiting by himself. A fetch that nobody waits for any more is dropped. One that several
    /// share is repeated if one of them is no repetition, and until the latest of their deadlines.
    pub async fn fetch(
        &self,
        path: &JobPath,
        credential: &Credential,
        trace: &Trace,
        deadline: Instant,
    ) -> Fetched {
        self.join(Lane::Call, path, credential, trace, deadline).await
    }

    /// The same for watches, if the credential is not [`Upstream::paused`].
    pub async fn poll(
        &self,
        path: &JobPath,
        credential: &Credential,
        trace: &Trace,
        deadline: Instant,
    ) -> Fetched {
        self.join(Lane::Poll, path, credential, trace, deadline).await
    }

    /// Why nothing should be polled with this credential at present, and for how long: the upstream
    /// asked for it, or throttles. [`Upstream::fetch`] asks all the same, if at a lower rate.
    pub fn paused(&self, credential: &Credential) -> Option<Arc<FetchError>> {
        self.protection.paused(credential)
    }

    async fn join(
        &self,
        lane: Lane,
        path: &JobPath,
        credential: &Credential,
        trace: &Trace,
        deadline: Instant,
    ) -> Fetched {
        let key = (path.clone(), credential.clone());
        let start = |terms| {
            let (path, credential) = key.clone();
            let (this, query) =
                (self.clone(), Query { path, credential, lane, trace: trace.clone() });
            async move { this.fetch_alone(&query, &terms).await }
        };
        let wish = Wish { deadline, repeats: !trace.repetition };
        let (fetched, shared) = self.flights.join(key.clone(), wish, start).await;
        Fetched { shared, ..fetched }
    }

    async fn fetch_alone(&self, query: &Query, terms: &Terms) -> Fetched {
        let begun = Instant::now();
        let mut waits = backoff();
        let (mut attempts, mut faults, mut refused) = (0, 0, None);
        let mut failed = None;
        let last = loop {
            let attempt = match &query.credential.0 {
                Whose::Caller(token) => self.ask(query, &Pass::Token(token.clone()), terms).await,
                Whose::Gateway(own) => self.ask_as(own, query, terms, refused).await,
            };
            if attempt.sent {
                attempts += 1;
                if faults > 0 {
                    self.protection.retried(attempt.result.is_ok());
                } else if !query.trace.repetition {
                    self.protection.earn_retries();
                }
            }
            let Err(error) = &attempt.result else {
                break attempt;
            };
            // The upstream's own word says more than why it was not asked again.
            if let Some(failed) = failed.take_if(|_| !attempt.sent) {
                break failed;
            }
            if attempt.refused.is_some() && refused.is_none() {
                refused = attempt.refused;
                continue;
            }
            faults += 1;
            let wait = (faults < error.worth_attempts().min(MAX_ATTEMPTS))
                .then(|| waits.next())
                .flatten()
                .map(|wait| error.retry_after.unwrap_or_default().max(wait))
                .filter(|wait| *wait <= MAX_WAIT && Instant::now() + *wait < terms.now().deadline)
                .filter(|_| terms.now().repeats && self.protection.allows_retry());
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => break attempt,
            }
            failed = Some(attempt);
        };
        let Attempt { result, http_status, request_id, .. } = last;
        Fetched {
            result: result.map(Arc::new),
            attempts,
            http_status,
            request_id,
            took: begun.elapsed(),
            shared: false,
            at: Timestamp::now(),
        }
    }

    /// Asks once with the gateway's own credentials. `refused` is the number of the lease with which
    /// this fetch was refused before.
    async fn ask_as(
        &self,
        own: &Keeper,
        query: &Query,
        terms: &Terms,
        refused: Option<u64>,
    ) -> Attempt {
        let grant = match own.grant(query.path.project_id(), refused).await {
            Ok(grant) => grant,
            Err(error) => return Attempt::not_sent(error),
        };
        if !grant.is_trial() {
            return self.ask_and_tell(own, &grant, query, terms, refused.is_some()).await;
        }
        // To its end, whoever waits for it: of an answer that nobody heard, the next would not know
        // that the key is wrong.
        let (this, own, query, terms) = (self.clone(), own.clone(), query.clone(), terms.clone());
        let asking = tokio::spawn(async move {
            this.ask_and_tell(&own, &grant, &query, &terms, refused.is_some()).await
        });
        asking.await.unwrap_or_else(|stopped| {
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
        again: bool,
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
                if own.refused(grant, project, error, again).await {
                    attempt.refused = Some(grant.number());
                }
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
        let passage = match self.protection.admit(credential, *lane, terms.now().deadline).await {
            Ok(passage) => passage,
            Err(error) => return Attempt::not_sent(error),
        };
        trace.progress.sends();
        let response = match self.http.get(path, pass, trace).await {
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
        let result = outcome::read(&response, path, secrets, &mut oddities).map_err(Arc::new);
        passage.ended(credential, result.as_ref().err());
        self.oddities.count(&oddities);
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

/// What an upstream's code, message and request id become before callers see them.
#[cfg(test)]
pub(crate) fn fit_for_callers(
    token: &Token,
    code: Option<&str>,
    message: &str,
    request_id: &str,
) -> (Option<String>, Option<String>, Option<String>) {
    let secrets = std::slice::from_ref(token.secret());
    (
        code.and_then(|code| redact::word(code, secrets)),
        redact::message(message, secrets),
        redact::word(request_id, secrets),
    )
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
