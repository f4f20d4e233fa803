//! From what the upstream answered to what it means: the body's code first, then the HTTP status.
//!
//! Sources: the error-code pages of VBS, EVS and ECS, the API gateway's list of `APIG` codes, and
//! Cinder's fault names.

use super::error::ErrorKind;

/// What the body of an error answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// Nothing, or white space.
    Empty,
    /// A JSON object, so most likely of the service itself.
    Json,
    /// Anything else: a page or plain text of something in between.
    Other,
}

/// The meaning of an error code that says more than the HTTP status; `None` for all others.
///
/// Compared without case, and `APIG.` equals `APIGW.`.
pub(super) fn by_code(code: &str) -> Option<ErrorKind> {
    let code = code.trim().to_ascii_lowercase();
    let code = match code.strip_prefix("apigw.") {
        Some(number) => format!("apig.{number}"),
        None => code,
    };
    Some(match code.as_str() {
        "common.0011" | "itemnotfound" => ErrorKind::JobNotFound,
        "common.0013" | "evs.0002" | "volumebackup.0044" | "apig.0301" | "apig.0303"
        | "apig.0305" | "apig.0307" => ErrorKind::CredentialsRejected,
        "common.0018" | "ecs.0023" | "volumebackup.0041" | "volumebackup.0042" | "evs.0003"
        | "apig.0302" | "apig.0304" | "apig.0306" | "apig.0310" | "apig.0401" | "apig.0402"
        | "apig.0404" | "apig.0405" | "apig.0802" => ErrorKind::PermissionDenied,
        "apig.0101" => ErrorKind::RouteNotFound,
        "apig.0308" | "common.0024" | "common.1503" | "overlimit" | "overlimitfault" => {
            ErrorKind::Throttled
        }
        "apig.0501" | "apig.0502" => ErrorKind::QuotaExceeded,
        "common.0021" | "common.0022" | "common.0025" | "volumebackup.0900" | "apig.0202"
        | "apig.0203" | "apig.0610" | "apig.0613" => ErrorKind::Unavailable,
        _ => return None,
    })
}

/// The HTTP status behind the name of a Cinder fault, for answers whose own status says success.
pub(super) fn status_of_fault(name: &str) -> Option<u16> {
    Some(match name {
        "badRequest" => 400,
        "unauthorized" => 401,
        "forbidden" => 403,
        "itemNotFound" => 404,
        "badMethod" => 405,
        "conflictingRequest" => 409,
        "overLimit" | "overLimitFault" => 413,
        "badMediaType" => 415,
        "computeFault" => 500,
        "notImplemented" => 501,
        "serviceUnavailable" => 503,
        _ => return None,
    })
}

/// The meaning of an HTTP status.
///
/// Unlike the table that gRPC gives to clients without a gRPC answer, this one reads the status as
/// the REST API means it: a 404 is a job that is not there.
pub(super) fn by_status(status: u16, body: Body) -> ErrorKind {
    match status {
        300..=399 => ErrorKind::Redirect,
        400 | 413 | 414 | 422 | 431 => ErrorKind::RejectedRequest,
        401 => ErrorKind::CredentialsRejected,
        403 => ErrorKind::PermissionDenied,
        404 => match body {
            Body::Empty | Body::Json => ErrorKind::JobNotFound,
            Body::Other => ErrorKind::RouteNotFound,
        },
        405 | 501 => ErrorKind::NotImplemented,
        406 | 407 | 411 | 415 | 417 | 426 | 505 => ErrorKind::RefusedRequest,
        408 | 425 | 499 | 502..=504 | 520..=527 | 529 | 530 => ErrorKind::Unavailable,
        409 => ErrorKind::Conflict,
        410 => ErrorKind::JobExpired,
        416 => ErrorKind::OutOfRange,
        429 => ErrorKind::Throttled,
        400..=499 => ErrorKind::PreconditionFailed,
        500..=599 => ErrorKind::Internal,
        // 1xx and 2xx, and what is no HTTP status at all: no success that we know, no error either.
        _ => ErrorKind::MalformedResponse,
    }
}

#[cfg(test)]
#[path = "classify_tests.rs"]
mod tests;
