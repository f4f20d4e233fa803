//! What is checked of every call before anything is sent upstream: deadline, caller and credentials.

use std::{net::IpAddr, sync::Arc};

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};
use tokio::time::Instant;
use tonic::metadata::MetadataMap;

use super::{error::Error, per_caller::Who, record::CallRecord, time_limit::Limit};
use crate::{
    access::{Access, Rules, Shown, TokenHash},
    job::JobPath,
    telemetry::TraceContext,
    upstream::{Credential, Token, Trace},
};

/// The longest value of a trace header that is passed on.
const MAX_TRACE: usize = 512;

const PREVIOUS_ATTEMPTS: HeaderName = HeaderName::from_static("grpc-previous-rpc-attempts");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// The request id of a call, given or made.
#[derive(Clone, Debug)]
pub struct RequestId(pub HeaderValue);

/// The connection that a call came on, in its request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Where the peer is.
    pub address: IpAddr,
    /// When the connection ends, whatever is on it then.
    pub until: Option<Instant>,
}

/// A call that may go on.
pub(super) struct Call {
    pub(super) path: JobPath,
    pub(super) shown: Shown,
    pub(super) who: Who,
    pub(super) peer: Option<Peer>,
    pub(super) credential: Credential,
    pub(super) limit: Limit,
    pub(super) trace: Arc<Trace>,
    pub(super) record: CallRecord,
}

// === impl Call ===

impl Call {
    /// Checks a call. `own` is the gateway's credential, if the gateway lends it to its callers.
    pub(super) fn check(
        path: JobPath,
        metadata: &MetadataMap,
        extensions: &Extensions,
        access: &Access,
        own: Option<Credential>,
    ) -> Result<Self, Error> {
        let headers = metadata.as_ref();
        let record = CallRecord::of(extensions);
        // One state of the rules for all questions: whose a bearer token is must not change between.
        let rules = access.rules();
        let callers_bearer = rules.as_deref().is_some_and(Rules::take_tokens);
        let shown = Shown {
            certificate: extensions.get().cloned(),
            token: if callers_bearer { bearer(headers)?.map(TokenHash::of) } else { None },
        };
        let mut known = None;
        if let Some(rules) = rules {
            let verdict = rules.judge(&shown, path.project_id());
            known = verdict.caller;
            if let Some(caller) = &known {
                record.called_by(Arc::clone(caller));
            }
            verdict.outcome?;
        }
        let lent = own.is_some();
        let credential = match own {
            Some(own) => own,
            None => token(headers, callers_bearer)?.into(),
        };
        let peer: Option<Peer> = extensions.get().copied();
        let who = match (known, &shown.certificate) {
            (Some(name), _) => Who::Known(name),
            // Before the token: a wrong one costs nothing, and would be another caller each time.
            (None, Some(certificate)) => Who::Certified(certificate.clone()),
            (None, None) if lent => Who::At(peer.map(|peer| peer.address)),
            (None, None) => Who::Holder(credential.clone()),
        };
        Ok(Self {
            path,
            shown,
            who,
            peer,
            credential,
            // Without the layer that sets it, the server is put together wrongly.
            limit: extensions.get().copied().ok_or(Error::Internal)?,
            trace: Arc::new(Trace {
                request_id: extensions.get::<RequestId>().map(|id| id.0.clone()),
                span: extensions.get::<TraceContext>().cloned(),
                traceparent: trace_header(headers, &TRACEPARENT),
                tracestate: trace_header(headers, &TRACESTATE),
                repetition: is_repetition(headers),
                progress: record.progress(),
            }),
            record,
        })
    }
}

/// Finds the one token of a call. Beside an `x-auth-token`, `authorization` may well be for
/// somebody on the way, such as a mesh. A bearer token that says who calls never goes upstream.
fn token(headers: &HeaderMap, callers_bearer: bool) -> Result<Token, Error> {
    let own = one(headers, &X_AUTH_TOKEN)?.map(HeaderValue::as_bytes);
    let (token, missing) = match own.filter(|token| !token.is_empty()) {
        Some(token) => (Some(token), Error::CredentialsMissing),
        None if callers_bearer => (None, Error::CloudTokenMissing),
        None => (bearer(headers)?, Error::CredentialsMissing),
    };
    // What came in a header fits into one; only a blank token is none.
    token.and_then(|token| Token::parse(token).ok()).ok_or(missing)
}

fn one<'h>(
    headers: &'h HeaderMap,
    metadata: &HeaderName,
) -> Result<Option<&'h HeaderValue>, Error> {
    let mut values = headers.get_all(metadata).iter();
    let value = values.next();
    // Which of two tokens is meant is not for us to guess.
    if values.next().is_some() {
        let metadata = if *metadata == X_AUTH_TOKEN { "x-auth-token" } else { "authorization" };
        return Err(Error::InvalidToken { metadata, problem: "must be sent once only" });
    }
    Ok(value)
}

/// The token in `authorization: Bearer`; a blank one is none.
fn bearer(headers: &HeaderMap) -> Result<Option<&[u8]>, Error> {
    let value = one(headers, &header::AUTHORIZATION)?.map(HeaderValue::as_bytes);
    let parts = value.and_then(|value| value.split_at_checked("bearer ".len()));
    let token = parts.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "));
    Ok(token.map(|(_, token)| token.trim_ascii()).filter(|token| !token.is_empty()))
}

fn trace_header(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    headers.get(name).filter(|value| value.len() <= MAX_TRACE && value.to_str().is_ok()).cloned()
}

/// Whether the client has made this call before, by itself
/// ([gRFC A6](https://github.com/grpc/proposal/blob/master/A6-client-retries.md)).
fn is_repetition(headers: &HeaderMap) -> bool {
    let attempts = headers.get(PREVIOUS_ATTEMPTS);
    let attempts = attempts.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    attempts.is_some_and(|attempts| attempts > 0)
}
