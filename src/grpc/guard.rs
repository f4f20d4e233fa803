//! What is checked of every call before anything is sent upstream: deadline and credentials.

use http::{Extensions, HeaderMap, HeaderValue};
use tonic::metadata::MetadataMap;

use super::{error::Error, record::CallRecord, time_limit::Limit};
use crate::upstream::{Credential, Token, Trace};

/// The longest value of a trace header that is passed on.
const MAX_TRACE: usize = 512;

/// The request id of a call, given or made.
#[derive(Clone, Debug)]
pub struct RequestId(pub HeaderValue);

/// A call that may go on.
pub(super) struct Call {
    pub(super) credential: Credential,
    pub(super) limit: Limit,
    pub(super) trace: Trace,
    pub(super) record: CallRecord,
}

// === impl Call ===

impl Call {
    /// Checks a call. `own` is the gateway's credential, if the gateway lends it to its callers.
    pub(super) fn check(
        metadata: &MetadataMap,
        extensions: &Extensions,
        own: Option<Credential>,
    ) -> Result<Self, Error> {
        let headers = metadata.as_ref();
        let record = CallRecord::of(extensions);
        let credential = match own {
            Some(own) => own,
            None => token(headers)?.into(),
        };
        Ok(Self {
            credential,
            // Without the layer that sets it, the server is put together wrongly.
            limit: extensions.get().copied().ok_or(Error::Internal)?,
            trace: Trace {
                request_id: extensions.get::<RequestId>().map(|id| id.0.clone()),
                traceparent: trace_header(headers, "traceparent"),
                tracestate: trace_header(headers, "tracestate"),
                progress: record.progress(),
            },
            record,
        })
    }
}

/// Finds the one token of a call. Beside an `x-auth-token`, `authorization` may well be for
/// somebody on the way, such as a mesh.
fn token(headers: &HeaderMap) -> Result<Token, Error> {
    let own = one(headers, "x-auth-token")?.map(HeaderValue::as_bytes);
    let token = match own.filter(|token| !token.is_empty()) {
        Some(token) => Some(token),
        None => one(headers, "authorization")?.and_then(|value| bearer(value.as_bytes())),
    };
    // What came in a header fits into one; only a blank token is none.
    token.and_then(|token| Token::parse(token).ok()).ok_or(Error::CredentialsMissing)
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
