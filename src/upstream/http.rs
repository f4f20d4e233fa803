//! One attempt: one GET for a job, and what came back.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header};
use http_body_util::Empty;
use tokio::time::{Instant, timeout_at};

use super::{
    BaseUrl, FetchError, Progress,
    connector::{Connector, Via},
    credentials::Pass,
    error::{ErrorKind, chain},
    exchanges::{Exchange, Exchanges},
    pool::Pool,
    transport::{self, Response, USER_AGENT},
};
use crate::{
    files::{File, FileError, Live, Reloads},
    job::JobPath,
    telemetry::TraceContext,
};

const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

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
    pool: Live<Pool>,
    base: BaseUrl,
    /// What the header `host` says.
    host: Option<HeaderValue>,
    exchange: Exchange,
    attempt_timeout: Duration,
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
    /// Its connections are made anew when a file behind them changes.
    pub(super) async fn new(
        base: BaseUrl,
        config: &transport::Config,
        max_idle: usize,
        reloads: &Reloads,
        exchanges: &Exchanges,
    ) -> Result<Self, FileError> {
        let exchange = exchanges.of("GET /v1/{project_id}/jobs/{job_id}", &base);
        let host = HeaderValue::from_str(base.authority()).ok();
        let (attempt_timeout, paths) = (config.attempt_timeout, config.files());
        let (target, config) = (base.uri(), config.clone());
        let make = move |files: &[File]| {
            let (tls, via) = (config.trust(files)?, config.via(files)?);
            let connector = Connector::new(target.clone(), tls, via, config.connect_timeout);
            Ok(Pool::new(connector, max_idle))
        };
        let pool = reloads.follow_any("trust for the job API", paths, make).await?;
        Ok(Self { pool, base, host, exchange, attempt_timeout })
    }

    /// Asks once for a job.
    pub(super) async fn get(
        &self,
        job: &JobPath,
        pass: &Pass,
        trace: &Trace,
    ) -> Result<Response, FetchError> {
        let path = format!("{}/v1/{}/jobs/{}", self.base.path(), job.project_id(), job.job_id());
        let attempts = trace.progress.attempts().map_or(0, |attempts| attempts - 1);
        let url = || format!("{}{path}", self.base.origin());
        let running = self.exchange.begin(trace.span.as_ref(), url, attempts);
        let mut request = Request::new(Empty::new());
        let headers = request.headers_mut();
        self.write(trace, headers);
        running.write(headers);
        match pass {
            Pass::Token(token) => headers.extend(token.header().map(|it| (X_AUTH_TOKEN, it))),
            Pass::Key(key) => {
                headers.extend(key.sign(self.base.authority(), &path, job.project_id()));
            }
        }
        let result = self.exchange(path, &mut request).await;
        running.end(&result);
        result
    }

    async fn exchange(
        &self,
        path: String,
        request: &mut Request<Empty<Bytes>>,
    ) -> Result<Response, FetchError> {
        let deadline = Instant::now() + self.attempt_timeout;
        let pool = self.pool.current();
        self.address(path, pool.connector().forward(), request)?;
        let (head, mut answer) = match timeout_at(deadline, pool.send(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                return Err(FetchError::no_answer(ErrorKind::Unreachable, chain(&*error)));
            }
            Err(_) => return Err(transport::timed_out()),
        };
        let body = head.body(&mut answer, deadline).await;
        answer.finish();
        head.with(body)
    }

    fn address(
        &self,
        path: String,
        forward: Option<&Via>,
        request: &mut Request<Empty<Bytes>>,
    ) -> Result<(), FetchError> {
        let mut uri = Uri::builder();
        // Who asks in our place has to be told whom.
        if let Some(via) = forward {
            uri = uri.scheme("http").authority(self.base.authority());
            let authorization = via.authorization.clone();
            request.headers_mut().extend(authorization.map(|it| (header::PROXY_AUTHORIZATION, it)));
        }
        let unsendable = |error| FetchError::no_answer(ErrorKind::Internal, chain(&error));
        *request.uri_mut() = uri.path_and_query(path).build().map_err(unsendable)?;
        Ok(())
    }

    fn write(&self, trace: &Trace, headers: &mut HeaderMap) {
        headers.reserve(6);
        let fixed = [
            (header::ACCEPT, HeaderValue::from_static("application/json")),
            (header::USER_AGENT, HeaderValue::from_static(USER_AGENT)),
        ];
        headers.extend(fixed);
        let of_the_call = [
            (header::HOST, &self.host),
            (X_REQUEST_ID, &trace.request_id),
            (TRACEPARENT, &trace.traceparent),
            (TRACESTATE, &trace.tracestate),
        ];
        let of_the_call = of_the_call.into_iter();
        headers.extend(of_the_call.filter_map(|(name, value)| Some((name, value.clone()?))));
    }
}
