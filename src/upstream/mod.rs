//! The REST side: fetches a job with the caller's credentials.
//!
//! Knows HTTP and the API's JSON; knows nothing of gRPC. Everything odd about the API ends here:
//! what comes out is a [`Job`] or a [`FetchError`] with a meaning.

mod answer;
mod classify;
mod error;
mod error_body;
mod flights;
mod http;
mod json;
mod oddity;
mod outcome;
mod pauses;
mod progress;
mod redact;
mod retry_after;
mod time;
mod token;

use std::{sync::Arc, time::Duration};

use backon::BackoffBuilder as _;
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

pub use self::{
    error::{Answer, ErrorKind, FetchError},
    http::{MAX_BODY, Trace, new_request_id},
    progress::Progress,
    retry_after::MAX_RETRY_AFTER,
    token::{InvalidToken, Token},
};
use self::{
    flights::{Deadline, Flights},
    http::Http,
    oddity::{Oddities, OddityCounter},
    pauses::Pauses,
};
use crate::job::{Job, JobPath};

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
    /// The time for one attempt, from the connection to the body's last byte.
    pub attempt_timeout: Duration,
    /// The time for a new connection, TLS included.
    pub connect_timeout: Duration,
}

/// The address of the API, without the `/v1/...` of its calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Box<str>);

/// A text that is no [`BaseUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBaseUrl {
    /// No URL at all.
    #[error("not a URL like https://vbs.eu-de.otc.t-systems.com")]
    NotAUrl,
    /// Not `http` or `https`.
    #[error("the scheme must be http or https")]
    Scheme,
    /// With a user name or password.
    #[error("must not hold a user name or password")]
    Credentials,
    /// With a `?` or `#` part.
    #[error("must not have a query or fragment")]
    QueryOrFragment,
    /// With the version that the calls add themselves.
    #[error("must not end in an API version such as /v1 or /v2/PROJECT; the calls add their own")]
    Version,
}

/// The upstream can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The HTTP client has no TLS or no resolver.
    #[error("can't set up the HTTP client")]
    Client(#[source] reqwest::Error),
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
    flights: Flights<(JobPath, Token), Fetched>,
    pauses: Pauses,
    oddities: OddityCounter,
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
    /// Sets up the client. Nothing is sent yet.
    pub fn new(config: &Config, registry: &mut Registry) -> Result<Self, SetupError> {
        let oddities = OddityCounter::default();
        oddities.register(registry);
        Ok(Self {
            http: Http::new(config)?,
            flights: Flights::new(),
            pauses: Pauses::default(),
            oddities,
        })
    }

    /// Fetches a job, or joins a fetch of the same job with the same token that is under way.
    ///
    /// No attempt begins after `deadline`, but an attempt may run past it: whoever waits must
    /// stop waiting by himself. A fetch that nobody waits for any more is dropped.
    pub async fn fetch(
        &self,
        path: &JobPath,
        token: &Token,
        trace: &Trace,
        deadline: Instant,
    ) -> Fetched {
        let start = |deadline| {
            let (this, path, token, trace) =
                (self.clone(), path.clone(), token.clone(), trace.clone());
            async move { this.fetch_alone(&path, &token, &trace, &deadline).await }
        };
        let key = (path.clone(), token.clone());
        let (fetched, shared) = self.flights.join(key, deadline, start).await;
        Fetched { shared, ..fetched }
    }

    /// The error with which the upstream asked not to be asked with this token for a while, if the
    /// while is not over. [`Upstream::fetch`] asks all the same.
    pub fn paused(&self, token: &Token) -> Option<Arc<FetchError>> {
        self.pauses.of(token)
    }

    async fn fetch_alone(
        &self,
        path: &JobPath,
        token: &Token,
        trace: &Trace,
        deadline: &Deadline,
    ) -> Fetched {
        let begun = Instant::now();
        let mut waits = backoff();
        let mut attempts = 0;
        let (result, http_status, request_id) = loop {
            attempts += 1;
            trace.progress.sends();
            let (result, http_status, request_id) = self.attempt(path, token, trace).await;
            if let Some(http_status) = http_status {
                trace.progress.answered(http_status);
            }
            let Err(error) = &result else {
                break (result, http_status, request_id);
            };
            let wait = (attempts < error.worth_attempts().min(MAX_ATTEMPTS))
                .then(|| waits.next())
                .flatten()
                .map(|wait| error.retry_after().unwrap_or_default().max(wait))
                .filter(|wait| *wait <= MAX_WAIT && Instant::now() + *wait < deadline.latest());
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => break (result, http_status, request_id),
            }
        };
        let result = result.map(Arc::new).map_err(Arc::new);
        if let Err(error) = &result {
            self.pauses.note(token, error);
        }
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

    async fn attempt(
        &self,
        path: &JobPath,
        token: &Token,
        trace: &Trace,
    ) -> (Result<Job, FetchError>, Option<u16>, Option<String>) {
        let response = match self.http.get(path, token, trace).await {
            Ok(response) => response,
            Err(no_answer) => return (Err(no_answer), None, None),
        };
        let mut oddities = Oddities::default();
        let result = outcome::read(&response, path, token, &mut oddities);
        self.oddities.count(&oddities);
        let request_id = match &result {
            Ok(_) => outcome::request_id(&response, token),
            Err(error) => error.answer.as_ref().and_then(|answer| answer.request_id.clone()),
        };
        (result, Some(response.status), request_id)
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
    (
        code.and_then(|code| redact::word(code, token)),
        redact::message(message, token),
        redact::word(request_id, token),
    )
}

// === impl BaseUrl ===

impl BaseUrl {
    /// Checks an address.
    pub fn parse(text: &str) -> Result<Self, InvalidBaseUrl> {
        let url = reqwest::Url::parse(text).map_err(|_| InvalidBaseUrl::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidBaseUrl::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidBaseUrl::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidBaseUrl::QueryOrFragment);
        }
        if ends_in_version(url.path()) {
            return Err(InvalidBaseUrl::Version);
        }
        Ok(Self(url.as_str().trim_end_matches('/').into()))
    }

    /// The address, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a path ends in a version, or in a version and a project. Further in front, a version
/// belongs to whatever stands before the API.
fn ends_in_version(path: &str) -> bool {
    let version = |part: &str| matches!(part, "v1" | "v2" | "v3");
    let project = |part: &str| part.len() == 32 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let mut parts = path.trim_end_matches('/').rsplit('/');
    match (parts.next(), parts.next()) {
        (Some(last), _) if version(last) => true,
        (Some(last), Some(before)) => version(before) && project(last),
        _ => false,
    }
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

    #[test]
    fn addresses() {
        let project = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
        for (text, expected) in [
            ("https://vbs.example", Ok("https://vbs.example")),
            ("http://127.0.0.1:8080/", Ok("http://127.0.0.1:8080")),
            ("https://proxy.example/api/v1/vbs", Ok("https://proxy.example/api/v1/vbs")),
            ("https://vbs.example/v1", Err(InvalidBaseUrl::Version)),
            ("https://vbs.example/v2/", Err(InvalidBaseUrl::Version)),
            (&format!("https://vbs.example/v2/{project}"), Err(InvalidBaseUrl::Version)),
            ("vbs.example", Err(InvalidBaseUrl::NotAUrl)),
            ("ftp://vbs.example", Err(InvalidBaseUrl::Scheme)),
            ("https://me:secret@vbs.example", Err(InvalidBaseUrl::Credentials)),
            ("https://vbs.example?x", Err(InvalidBaseUrl::QueryOrFragment)),
        ] {
            let base = BaseUrl::parse(text);
            assert_eq!(base.as_ref().map(BaseUrl::as_str), expected.as_ref().copied(), "{text}");
        }
    }
}
