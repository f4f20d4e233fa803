//! One attempt: one GET for a job, and what came back.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{
    BaseUrl, FetchError, Progress,
    credentials::Pass,
    exchanges::{Exchange, Exchanges},
    transport::{Response, Transport},
};
use crate::{job::JobPath, telemetry::TraceContext};

const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// What one call takes upstream besides its credentials.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Sent as `x-request-id`.
    pub request_id: Option<HeaderValue>,
    /// What the request is part of in our own traces; the headers below are not sent with it.
    pub span: Option<TraceContext>,
    /// The W3C trace context, passed on as it came.
    pub traceparent: Option<HeaderValue>,
    /// The W3C trace state, passed on as it came.
    pub tracestate: Option<HeaderValue>,
    /// Whether the call is itself a repetition, so that its fetch need not repeat anything.
    pub repetition: bool,
    /// Where the fetch writes down how far it has come.
    pub progress: Progress,
}

/// The job API at its address.
#[derive(Clone)]
pub(super) struct Http {
    transport: Transport,
    base: BaseUrl,
    exchange: Exchange,
}

// === impl Trace ===

impl Trace {
    /// For a request that belongs to no call: an id, and no trace.
    pub fn fresh() -> Self {
        Self { request_id: Some(new_request_id()), ..Self::default() }
    }
}

/// A request id that nobody else has.
pub fn new_request_id() -> HeaderValue {
    let id = format!("{:032x}", fastrand::u128(..));
    HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("-"))
}

// === impl Http ===

impl Http {
    pub(super) fn new(base: BaseUrl, transport: Transport, exchanges: &Exchanges) -> Self {
        let exchange = exchanges.of("GET /v1/{project_id}/jobs/{job_id}", &base);
        Self { transport, base, exchange }
    }

    /// Asks once for a job.
    pub(super) async fn get(
        &self,
        job: &JobPath,
        pass: &Pass,
        trace: &Trace,
    ) -> Result<Response, FetchError> {
        let path = format!("/v1/{}/jobs/{}", job.project_id(), job.job_id());
        let url = format!("{}{path}", self.base.as_str());
        let attempts = trace.progress.attempts().map_or(0, |attempts| attempts - 1);
        let running = self.exchange.begin(trace.span.as_ref(), &url, attempts);
        let mut headers = headers(trace);
        running.write(&mut headers);
        match pass {
            Pass::Token(token) => headers.extend(token.header().map(|it| (X_AUTH_TOKEN, it))),
            Pass::Key(key) => {
                let path = format!("{}{path}", self.base.path());
                headers.extend(key.sign(self.base.authority(), &path, job.project_id()));
            }
        }
        let result = self.transport.exchange(|client| client.get(url).headers(headers)).await;
        running.end(&result);
        result
    }
}

fn headers(trace: &Trace) -> HeaderMap {
    let headers = [
        (header::ACCEPT, Some(HeaderValue::from_static("application/json"))),
        (HeaderName::from_static("x-request-id"), trace.request_id.clone()),
        (HeaderName::from_static("traceparent"), trace.traceparent.clone()),
        (HeaderName::from_static("tracestate"), trace.tracestate.clone()),
    ];
    headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
