//! The only place where an [`Error`] becomes a gRPC status.

use std::{collections::HashMap, time::Duration};

use tonic::{
    Code, Status,
    metadata::{MetadataMap, MetadataValue},
};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::error::Error;
use crate::{
    proto::v1::ErrorReason,
    upstream::{Answer, ErrorKind},
};

/// `google.rpc.ErrorInfo.domain` of every error.
pub(super) const DOMAIN: &str = "jobgate";

/// The resource type of a job.
const JOB_TYPE: &str = "jobgate.v1.Job";

/// How a client library is told when to repeat a call (gRFC A6).
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// When to try another replica.
const DRAINING_RETRY: Duration = Duration::from_millis(500);

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let mut details = ErrorDetails::new();
        details.set_error_info(reason_name(error.reason()), DOMAIN, info(&error));
        if let Some(id) = answer(&error).and_then(|answer| answer.request_id.as_deref()) {
            details.set_request_info(id, "");
        }
        match &error {
            Error::InvalidId(invalid) => {
                details.add_bad_request_violation(invalid.field, invalid.problem.to_string());
            }
            Error::InvalidTimeout(invalid) => {
                details.add_bad_request_violation("grpc-timeout", invalid.to_string());
            }
            Error::InvalidToken { metadata, problem } => {
                details.add_bad_request_violation(*metadata, *problem);
            }
            Error::Upstream { error, path }
                if matches!(error.kind, ErrorKind::JobNotFound | ErrorKind::JobExpired) =>
            {
                details.set_resource_info(
                    JOB_TYPE,
                    format!("projects/{}/jobs/{}", path.project_id(), path.job_id()),
                    "",
                    "",
                );
            }
            Error::CloudTokenMissing
            | Error::CredentialsMissing
            | Error::DeadlineExceeded
            | Error::Internal
            | Error::InvalidMessage { .. }
            | Error::MethodNotImplemented
            | Error::Overloaded(_)
            | Error::Refused(_)
            | Error::ServerDraining
            | Error::Upstream { .. }
            | Error::WatchExpired
            | Error::WatchGaveUp { .. } => {}
        }
        let mut metadata = MetadataMap::new();
        if let Some(delay) = retry_delay(&error) {
            details.set_retry_info(Some(delay));
            // Client libraries obey this one (gRFC A6), people read the other.
            metadata.insert(PUSHBACK, millis(delay).into());
        } else if lasts(error.reason()) {
            // Not at all.
            metadata.insert(PUSHBACK, MetadataValue::from_static("-1"));
        }
        let code = match &error {
            // Whatever it was: it may pass, and watching again is the thing to do.
            Error::WatchGaveUp { .. } => Code::Unavailable,
            _ => code(error.reason()),
        };
        Self::with_error_details_and_metadata(code, error.to_string(), details, metadata)
    }
}

fn millis(delay: Duration) -> u64 {
    u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)
}

/// The name of a reason as callers see it.
pub(super) fn reason_name(reason: ErrorReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

/// The code that goes with a reason; the same pairs as in `errors.proto`.
fn code(reason: ErrorReason) -> Code {
    match reason {
        ErrorReason::JobNotFound | ErrorReason::JobExpired => Code::NotFound,
        ErrorReason::CredentialsMissing | ErrorReason::CredentialsRejected => Code::Unauthenticated,
        ErrorReason::PermissionDenied => Code::PermissionDenied,
        ErrorReason::UpstreamRouteNotFound
        | ErrorReason::UpstreamNotImplemented
        | ErrorReason::MethodNotImplemented => Code::Unimplemented,
        ErrorReason::UpstreamThrottled
        | ErrorReason::UpstreamQuotaExceeded
        | ErrorReason::UpstreamResponseTooLarge
        | ErrorReason::Overloaded => Code::ResourceExhausted,
        ErrorReason::UpstreamUnavailable
        | ErrorReason::UpstreamUnreachable
        | ErrorReason::UpstreamTimeout
        | ErrorReason::GatewayCredentialsRejected
        | ErrorReason::GatewayCredentialsUnavailable
        | ErrorReason::ServerDraining
        | ErrorReason::WatchExpired => Code::Unavailable,
        ErrorReason::InvalidRequest | ErrorReason::UpstreamRejectedRequest => Code::InvalidArgument,
        ErrorReason::UpstreamConflict => Code::Aborted,
        ErrorReason::UpstreamOutOfRange => Code::OutOfRange,
        ErrorReason::UpstreamPreconditionFailed => Code::FailedPrecondition,
        ErrorReason::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorReason::Unspecified
        | ErrorReason::Internal
        | ErrorReason::UpstreamInternal
        | ErrorReason::UpstreamMalformedResponse
        | ErrorReason::UpstreamRedirect
        | ErrorReason::UpstreamRefusedRequest => Code::Internal,
    }
}

/// A code as the gRPC documents write it.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

fn info(error: &Error) -> HashMap<String, String> {
    let http_status = answer(error).map(|answer| answer.http_status);
    let code = answer(error).and_then(|answer| answer.code.clone());
    let status = http_status.map(|status| ("upstream_http_status".to_owned(), status.to_string()));
    status.into_iter().chain(code.map(|code| ("upstream_code".to_owned(), code))).collect()
}

fn answer(error: &Error) -> Option<&Answer> {
    match error {
        Error::Upstream { error, .. } | Error::WatchGaveUp { error } => error.answer.as_ref(),
        _ => None,
    }
}

/// Whether a repeat meets the same, and costs as much, although its code is one that libraries are
/// told to repeat.
fn lasts(reason: ErrorReason) -> bool {
    matches!(reason, ErrorReason::UpstreamQuotaExceeded | ErrorReason::UpstreamResponseTooLarge)
}

fn retry_delay(error: &Error) -> Option<Duration> {
    match error {
        Error::Overloaded(overload) => Some(overload.retry_delay()),
        Error::ServerDraining => Some(DRAINING_RETRY),
        Error::Upstream { error, .. } | Error::WatchGaveUp { error } => error.retry_after,
        _ => None,
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
