//! What is checked of every call before anything is sent upstream: deadline and credentials.

use std::time::Duration;

use http::{Extensions, HeaderMap, HeaderValue};
use tokio::time::Instant;
use tonic::metadata::MetadataMap;

use super::{deadline, error::Error, record::CallRecord};
use crate::upstream::{Token, Trace};

/// No deadline lies further ahead; the protocol could say 11,000 years.
const MAX_TIMEOUT: Duration = Duration::from_hours(24);

/// The longest value of a trace header that is passed on.
const MAX_TRACE: usize = 512;

/// The request id of a call, given or made.
#[derive(Clone, Debug)]
pub struct RequestId(pub HeaderValue);

/// A call that may go on.
pub(super) struct Call {
    pub(super) token: Token,
    /// The caller's deadline, or the one that calls without get.
    pub(super) deadline: Instant,
    /// The caller's deadline.
    pub(super) own_deadline: Option<Instant>,
    pub(super) trace: Trace,
    pub(super) record: CallRecord,
}

// === impl Call ===

impl Call {
    pub(super) fn check(
        metadata: &MetadataMap,
        extensions: &Extensions,
        default_timeout: Duration,
    ) -> Result<Self, Error> {
        let headers = metadata.as_ref();
        let timeout = headers.get("grpc-timeout").map(|value| deadline::parse(value.as_bytes()));
        let at = |timeout: Duration| Instant::now() + timeout.min(MAX_TIMEOUT);
        let own_deadline = timeout.transpose()?.map(at);
        Ok(Self {
            token: token(headers)?,
            deadline: own_deadline.unwrap_or_else(|| at(default_timeout)),
            own_deadline,
            trace: Trace {
                request_id: extensions.get::<RequestId>().map(|id| id.0.clone()),
                traceparent: trace_header(headers, "traceparent"),
                tracestate: trace_header(headers, "tracestate"),
            },
            record: CallRecord::of(extensions),
        })
    }
}

/// Finds the one token of a call.
fn token(headers: &HeaderMap) -> Result<Token, Error> {
    let (metadata, token) = match one(headers, "x-auth-token")? {
        Some(value) => ("x-auth-token", value.as_bytes()),
        None => match one(headers, "authorization")?.and_then(|value| bearer(value.as_bytes())) {
            Some(token) => ("authorization", token),
            None => return Err(Error::CredentialsMissing),
        },
    };
    if token.is_empty() {
        return Err(Error::CredentialsMissing);
    }
    Token::parse(token).map_err(|_| Error::InvalidToken {
        metadata,
        problem: "has characters that no HTTP header can carry",
    })
}

fn one<'h>(
    headers: &'h HeaderMap,
    metadata: &'static str,
) -> Result<Option<&'h HeaderValue>, Error> {
    let mut values = headers.get_all(metadata).iter();
    let value = values.next();
    // Which of two tokens is meant is not for us to guess.
    if values.next().is_some() {
        return Err(Error::InvalidToken { metadata, problem: "must be sent once only" });
    }
    Ok(value)
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn trace_header(headers: &HeaderMap, name: &str) -> Option<HeaderValue> {
    headers.get(name).filter(|value| value.len() <= MAX_TRACE && value.to_str().is_ok()).cloned()
}
