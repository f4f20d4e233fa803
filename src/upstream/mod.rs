//! The REST side: fetches a job with the caller's credentials, or the gateway's own.
//!
//! Knows HTTP and the API's JSON; knows nothing of gRPC. Everything odd about the API ends here:
//! what comes out is a [`Job`] or a [`FetchError`] with a meaning.

mod answer;
mod base_url;
mod classify;
mod connector;
mod credentials;
mod error;
mod error_body;
mod exchanges;
mod fetch;
mod flights;
#[cfg(any(test, fuzzing, feature = "measuring"))]
pub(crate) mod fuzzing;
mod http;
mod json;
mod metrics;
mod oddity;
mod outcome;
mod pool;
mod progress;
mod protection;
mod redact;
mod retry_after;
mod secret;
mod time;
mod token;
mod transport;
mod trust;

use std::{sync::Arc, time::Duration};

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
    transport::{Config as TransportConfig, HttpProxy, MAX_BODY},
    trust::{Tls, TlsVersion},
};
use self::{
    credentials::{Keeper, Whose},
    exchanges::Exchanges,
    fetch::Query,
    flights::{Flights, Wish},
    http::Http,
    metrics::FetchMetrics,
    oddity::OddityCounter,
    protection::{Lane, Protection},
};
use crate::{
    files::{FileError, Reloads},
    job::{Job, JobPath},
    telemetry::Tracer,
};

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
pub struct Upstream(Arc<Parts>);

struct Parts {
    http: Http,
    own: Option<Keeper>,
    flights: Flights<(JobPath, Credential), Fetched>,
    protection: Protection,
    oddities: OddityCounter,
    metrics: FetchMetrics,
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
        tracer: &Tracer,
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
        let exchanges = Exchanges::new(tracer.clone(), registry);
        // All that are used at a time are kept for the next.
        let http = Http::new(base.clone(), transport_config, *max_requests, reloads, &exchanges);
        let own = credentials.keep(transport_config, reloads, &exchanges, registry).await?;
        Ok(Self(Arc::new(Parts {
            own,
            http: http.await?,
            flights: Flights::new(),
            protection: Protection::new(*max_requests, registry),
            oddities,
            metrics: FetchMetrics::new(registry),
        })))
    }

    /// The gateway's own credential; `None` if callers bring theirs.
    pub fn own_credential(&self) -> Option<Credential> {
        self.0.own.clone().map(|keeper| Credential(Whose::Gateway(keeper)))
    }

    /// Whether there are credentials to ask with.
    pub fn readiness(&self) -> Readiness {
        self.0.own.as_ref().map_or(Readiness::Ready, Keeper::readiness)
    }

    /// The next readiness that is another than `last`.
    pub async fn readiness_after(&self, last: Readiness) -> Readiness {
        match &self.0.own {
            Some(own) => own.readiness_after(last).await,
            None => std::future::pending().await,
        }
    }

    /// Fetches a job, or joins a fetch of the same job with the same credential that is under way.
    ///
    /// No attempt begins after `deadline`, but an attempt may run past it: whoever waits must
    /// stop waiting by himself. A fetch that nobody waits for any more is dropped. One that several
    /// share is repeated if one of them is no repetition, and until the latest of their deadlines.
    pub fn fetch(
        &self,
        path: &JobPath,
        credential: &Credential,
        trace: &Arc<Trace>,
        deadline: Instant,
    ) -> impl Future<Output = Fetched> + Send {
        self.join(Lane::Call, path, credential, trace, deadline)
    }

    /// The same for watches, if the credential is not [`Upstream::paused`].
    pub fn poll(
        &self,
        path: &JobPath,
        credential: &Credential,
        trace: &Arc<Trace>,
        deadline: Instant,
    ) -> impl Future<Output = Fetched> + Send {
        self.join(Lane::Poll, path, credential, trace, deadline)
    }

    /// Why nothing should be polled with this credential at present, and for how long: the upstream
    /// asked for it, or throttles. [`Upstream::fetch`] asks all the same, if at a lower rate.
    pub fn paused(&self, credential: &Credential) -> Option<Arc<FetchError>> {
        self.0.protection.paused(credential)
    }

    async fn join(
        &self,
        lane: Lane,
        path: &JobPath,
        credential: &Credential,
        trace: &Arc<Trace>,
        deadline: Instant,
    ) -> Fetched {
        let key = (path.clone(), credential.clone());
        let start = |terms| {
            let (path, credential) = key.clone();
            let (this, query) =
                (self.clone(), Query { path, credential, lane, trace: Arc::clone(trace) });
            async move {
                let counted = this.0.metrics.begin();
                let fetched = this.fetch_alone(&query, &terms).await;
                counted.end(&fetched.result);
                fetched
            }
        };
        let wish = Wish { deadline, repeats: !trace.repetition };
        let (flight, shared) = self.0.flights.join(key.clone(), wish, start);
        let fetched = flight.await;
        if shared {
            self.0.metrics.shared();
        }
        Fetched { shared, ..fetched }
    }
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
