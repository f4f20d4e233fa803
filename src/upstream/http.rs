//! One attempt: one GET, and what came back.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::redirect;
use tokio::time::{Instant, timeout_at};

use super::{Config, FetchError, Progress, SetupError, error::ErrorKind, token::Token};
use crate::job::JobPath;

/// The most bytes of a body that are read, after decompression.
pub const MAX_BODY: usize = 4 << 20;

/// The most bytes of the body of an error that are read. The rest says nothing new.
const MAX_ERROR_BODY: usize = 64 << 10;

/// What one call takes upstream besides its credentials.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Sent as `x-request-id`.
    pub request_id: Option<HeaderValue>,
    /// The W3C trace context, passed on as it came.
    pub traceparent: Option<HeaderValue>,
    /// The W3C trace state, passed on as it came.
    pub tracestate: Option<HeaderValue>,
    /// Where the fetch writes down how far it has come.
    pub progress: Progress,
}

/// An answer, as far as it came.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) end: End,
    pub(super) compressed: bool,
}

/// Where the reading of a body ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At the body's end.
    Complete,
    /// At the cap.
    TooLarge,
    /// Where the connection broke, and how.
    Cut(String),
    /// Where the time of the attempt was over.
    TimedOut,
}

/// The connections to the upstream.
#[derive(Clone)]
pub(super) struct Http {
    client: reqwest::Client,
    base: Box<str>,
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
    pub(super) fn new(config: &Config) -> Result<Self, SetupError> {
        let client = reqwest::Client::builder()
            // The credentials are for this host only.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            // Repeating is decided in one place, and not here.
            .retry(reqwest::retry::never())
            .connect_timeout(config.connect_timeout)
            .pool_idle_timeout(Duration::from_mins(1))
            .tcp_nodelay(true)
            .user_agent(concat!("jobgate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(SetupError::Client)?;
        let base = config.base.as_str().trim_end_matches('/').into();
        Ok(Self { client, base, attempt_timeout: config.attempt_timeout })
    }

    /// Asks once.
    ///
    /// The status of an error says enough without its body, or with the first piece of it: such an
    /// answer comes back even if it was cut. A success is nothing without all of its body.
    pub(super) async fn get(
        &self,
        path: &JobPath,
        token: &Token,
        trace: &Trace,
    ) -> Result<Response, FetchError> {
        let deadline = Instant::now() + self.attempt_timeout;
        let response = timeout_at(deadline, self.send(path, token, trace))
            .await
            .unwrap_or_else(|_| Err(self.timed_out()))?;
        let status = response.status();
        let headers = response.headers().clone();
        let cap = if status.is_success() { MAX_BODY } else { MAX_ERROR_BODY };
        let (body, end) = read(response, cap, deadline).await;
        match end {
            End::Cut(why) if status.is_success() => {
                return Err(no_answer(ErrorKind::Unreachable, why));
            }
            End::TimedOut if status.is_success() => return Err(self.timed_out()),
            _ => {}
        }
        let compressed = headers.contains_key(header::CONTENT_ENCODING);
        let (body, end) = if is_gzip(&headers) { gunzip(body, end, cap) } else { (body, end) };
        Ok(Response { status: status.as_u16(), headers, body, end, compressed })
    }

    async fn send(
        &self,
        path: &JobPath,
        token: &Token,
        trace: &Trace,
    ) -> Result<reqwest::Response, FetchError> {
        let url = format!("{}/v1/{}/jobs/{}", self.base, path.project_id(), path.job_id());
        let request = self.client.get(url).headers(headers(token, trace));
        request.send().await.map_err(|error| no_answer(ErrorKind::Unreachable, chain(&error)))
    }

    fn timed_out(&self) -> FetchError {
        no_answer(
            ErrorKind::Timeout,
            format!("no complete answer within {:?}", self.attempt_timeout),
        )
    }
}

fn headers(token: &Token, trace: &Trace) -> HeaderMap {
    let own = [
        (HeaderName::from_static("x-auth-token"), token.header()),
        (header::ACCEPT, Some(HeaderValue::from_static("application/json"))),
        (HeaderName::from_static("x-request-id"), trace.request_id.clone()),
        (HeaderName::from_static("traceparent"), trace.traceparent.clone()),
        (HeaderName::from_static("tracestate"), trace.tracestate.clone()),
    ];
    own.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Reads a body up to the cap, and not a byte further than the piece that passes it.
async fn read(mut response: reqwest::Response, cap: usize, deadline: Instant) -> (Bytes, End) {
    let announced = response.content_length().unwrap_or(0);
    if response.status().is_success()
        && usize::try_from(announced).is_ok_and(|announced| announced > cap)
    {
        return (Bytes::new(), End::TooLarge);
    }
    let mut body = BytesMut::new();
    let end = loop {
        match timeout_at(deadline, response.chunk()).await {
            Err(_) => break End::TimedOut,
            Ok(Err(error)) => break End::Cut(chain(&error)),
            Ok(Ok(None)) => break End::Complete,
            Ok(Ok(Some(piece))) => {
                let room = cap - body.len();
                body.extend_from_slice(&piece[..piece.len().min(room)]);
                if piece.len() > room {
                    break End::TooLarge;
                }
            }
        }
    };
    (body.freeze(), end)
}

fn is_gzip(headers: &HeaderMap) -> bool {
    let encoding = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    encoding.map(str::trim).is_some_and(|encoding| {
        encoding.eq_ignore_ascii_case("gzip") || encoding.eq_ignore_ascii_case("x-gzip")
    })
}

/// Undoes a compression that nobody asked for. What can't be undone is left as it is, and will
/// be found to be no job.
fn gunzip(body: Bytes, end: End, cap: usize) -> (Bytes, End) {
    use std::io::Read as _;

    let mut plain = Vec::new();
    let limit = u64::try_from(cap).unwrap_or(u64::MAX).saturating_add(1);
    match flate2::read::MultiGzDecoder::new(&*body).take(limit).read_to_end(&mut plain) {
        Ok(_) if plain.len() > cap => {
            plain.truncate(cap);
            (plain.into(), End::TooLarge)
        }
        Err(_) if end == End::Complete => (body, end),
        // Of a body that was cut, the first piece is worth having.
        Ok(_) | Err(_) => (plain.into(), end),
    }
}

fn no_answer(kind: ErrorKind, detail: String) -> FetchError {
    FetchError { kind, answer: None, detail }
}

/// An error and its causes on one line. reqwest's own text names the URL; ours need not.
fn chain(error: &reqwest::Error) -> String {
    let mut text = String::from("request failed");
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
