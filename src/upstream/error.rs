//! Why a job could not be fetched.

use std::{sync::Arc, time::Duration};

/// A fetch that brought no job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchError {
    /// What went wrong.
    pub kind: ErrorKind,
    /// What the upstream answered; `None` if no answer came.
    pub answer: Option<Answer>,
    /// How long to wait before asking again; at most [`super::MAX_RETRY_AFTER`].
    pub retry_after: Option<Duration>,
    /// More for the operator's log. May hold addresses and text of the upstream: never for callers.
    pub detail: String,
}

/// An upstream answer that brought no job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub http_status: u16,
    /// The error code in the body, at most 128 bytes.
    pub code: Option<String>,
    /// The error's text in the body, without addresses and credentials, at most 512 bytes.
    pub message: Option<String>,
    /// The upstream's name for the request, at most 128 bytes.
    pub request_id: Option<String>,
}

/// What went wrong, in the terms of the public error contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// HTTP 409.
    Conflict,
    /// The caller's credentials are not, or no longer, accepted.
    CredentialsRejected,
    /// The gateway's own credentials are not, or no longer, accepted.
    GatewayCredentialsRejected,
    /// The gateway's own credentials can't be had at present.
    GatewayCredentialsUnavailable,
    /// HTTP 500 and others.
    Internal,
    /// HTTP 410.
    JobExpired,
    /// No such job.
    JobNotFound,
    /// The upstream fails again and again, and is left alone for the moment. Nothing was sent.
    LeftAlone,
    /// A success answer that is no job.
    MalformedResponse,
    /// HTTP 405 and 501.
    NotImplemented,
    /// HTTP 416.
    OutOfRange,
    /// As many requests are under way as there may be. Nothing was sent.
    Overloaded,
    /// The credentials are good, but not for this.
    PermissionDenied,
    /// Another HTTP 4xx.
    PreconditionFailed,
    /// A quota is used up.
    QuotaExceeded,
    /// HTTP 3xx; never followed.
    Redirect,
    /// HTTP 406 and others: the gateway's way of asking was not taken.
    RefusedRequest,
    /// HTTP 400 and others.
    RejectedRequest,
    /// The answer is over the cap.
    ResponseTooLarge,
    /// The address has no job API.
    RouteNotFound,
    /// Too many requests.
    Throttled,
    /// No answer within the time of one attempt.
    Timeout,
    /// Down for the moment.
    Unavailable,
    /// No answer: refused, reset, cut, no HTTP.
    Unreachable,
}

// === impl ErrorKind ===

impl ErrorKind {
    /// Its name in metrics and traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::CredentialsRejected => "credentials_rejected",
            Self::GatewayCredentialsRejected => "gateway_credentials_rejected",
            Self::GatewayCredentialsUnavailable => "gateway_credentials_unavailable",
            Self::Internal => "internal",
            Self::JobExpired => "job_expired",
            Self::JobNotFound => "job_not_found",
            Self::LeftAlone => "left_alone",
            Self::MalformedResponse => "malformed_response",
            Self::NotImplemented => "not_implemented",
            Self::OutOfRange => "out_of_range",
            Self::Overloaded => "overloaded",
            Self::PermissionDenied => "permission_denied",
            Self::PreconditionFailed => "precondition_failed",
            Self::QuotaExceeded => "quota_exceeded",
            Self::Redirect => "redirect",
            Self::RefusedRequest => "refused_request",
            Self::RejectedRequest => "rejected_request",
            Self::ResponseTooLarge => "response_too_large",
            Self::RouteNotFound => "route_not_found",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Unreachable => "unreachable",
        }
    }
}

// === impl FetchError ===

impl FetchError {
    /// How many attempts in all an error like this is worth.
    ///
    /// Never more than one after a 4xx: repeating it would repeat a mistake, feed a throttle or
    /// lock a key.
    pub(super) fn worth_attempts(&self) -> u32 {
        match self.kind {
            ErrorKind::Timeout | ErrorKind::Unavailable | ErrorKind::Unreachable
                if self.is_server_side() =>
            {
                3
            }
            ErrorKind::Internal | ErrorKind::MalformedResponse if self.is_server_side() => 2,
            ErrorKind::Timeout
            | ErrorKind::Unavailable
            | ErrorKind::Unreachable
            | ErrorKind::Internal
            | ErrorKind::MalformedResponse
            | ErrorKind::Conflict
            | ErrorKind::CredentialsRejected
            | ErrorKind::GatewayCredentialsRejected
            | ErrorKind::GatewayCredentialsUnavailable
            | ErrorKind::JobExpired
            | ErrorKind::JobNotFound
            | ErrorKind::LeftAlone
            | ErrorKind::NotImplemented
            | ErrorKind::OutOfRange
            | ErrorKind::Overloaded
            | ErrorKind::PermissionDenied
            | ErrorKind::PreconditionFailed
            | ErrorKind::QuotaExceeded
            | ErrorKind::Redirect
            | ErrorKind::RefusedRequest
            | ErrorKind::RejectedRequest
            | ErrorKind::ResponseTooLarge
            | ErrorKind::RouteNotFound
            | ErrorKind::Throttled => 1,
        }
    }

    /// Whether the upstream as a whole seems to be down. One job that makes it fail (HTTP 500) and a
    /// token that asks too often do not say so.
    pub(super) fn is_outage(&self) -> bool {
        let down = [ErrorKind::Timeout, ErrorKind::Unavailable, ErrorKind::Unreachable]
            .contains(&self.kind);
        down && self.is_server_side()
    }

    /// Whether it is nobody's mistake on this side, whatever the code says.
    fn is_server_side(&self) -> bool {
        self.answer.as_ref().is_none_or(|it| !matches!(it.http_status, 400..=499))
    }

    /// Whether asking again later is pointless without a change elsewhere.
    pub fn is_lasting(&self) -> bool {
        match self.kind {
            // Whoever runs the gateway can mend its credentials.
            ErrorKind::GatewayCredentialsRejected
            | ErrorKind::GatewayCredentialsUnavailable
            | ErrorKind::Internal
            | ErrorKind::LeftAlone
            | ErrorKind::MalformedResponse
            | ErrorKind::Overloaded
            | ErrorKind::Throttled
            | ErrorKind::Timeout
            | ErrorKind::Unavailable
            | ErrorKind::Unreachable => false,
            ErrorKind::Conflict
            | ErrorKind::CredentialsRejected
            | ErrorKind::JobExpired
            | ErrorKind::JobNotFound
            | ErrorKind::NotImplemented
            | ErrorKind::OutOfRange
            | ErrorKind::PermissionDenied
            | ErrorKind::PreconditionFailed
            | ErrorKind::QuotaExceeded
            | ErrorKind::Redirect
            | ErrorKind::RefusedRequest
            | ErrorKind::RejectedRequest
            | ErrorKind::ResponseTooLarge
            | ErrorKind::RouteNotFound => true,
        }
    }

    /// There was no answer.
    pub(super) fn no_answer(kind: ErrorKind, detail: String) -> Self {
        Self { kind, answer: None, retry_after: None, detail }
    }

    /// Nothing was sent, for the gateway's own reasons; some time later it may be.
    pub(super) fn not_sent(kind: ErrorKind, retry_after: Duration) -> Self {
        Self { kind, answer: None, retry_after: Some(retry_after), detail: String::new() }
    }

    /// The answer is a job, but too large a one.
    pub fn too_large(http_status: Option<u16>, request_id: Option<String>) -> Self {
        let answer =
            http_status.map(|http_status| Answer { http_status, request_id, ..Answer::default() });
        let kind = ErrorKind::ResponseTooLarge;
        Self { kind, answer, retry_after: None, detail: String::new() }
    }

    /// The same error told later, when the wait that it asks for is shorter.
    pub fn as_of_now(error: &Arc<Self>, left: Duration) -> Arc<Self> {
        let mut error = Arc::clone(error);
        if error.retry_after.is_some() {
            Arc::make_mut(&mut error).retry_after = Some(left);
        }
        error
    }
}

/// An error's causes on one line. The library's own text may name the URL; ours need not.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::from("request failed");
    let mut source = match error.source() {
        Some(source) => Some(source),
        // It is the cause itself.
        None => Some(error),
    };
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
