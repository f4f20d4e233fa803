//! Why a call fails.

use std::sync::Arc;

use super::{deadline::InvalidTimeout, overload::Overload};
use crate::{
    access::Refusal,
    job::{InvalidId, JobPath},
    proto::v1::ErrorReason,
    upstream::{ErrorKind, FetchError},
};

/// Why a call fails. Its text is what the caller may read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The call has no token for the cloud, though its bearer token may say who calls.
    #[error("the call has no credentials for the cloud: send its token as x-auth-token")]
    CloudTokenMissing,
    /// The call has no token.
    #[error("the call has no credentials: send a token as x-auth-token or authorization: Bearer")]
    CredentialsMissing,
    /// The call's deadline has passed.
    #[error("the deadline passed before the call was done")]
    DeadlineExceeded,
    /// A fault of the gateway.
    #[error("internal fault of the gateway")]
    Internal,
    /// A field of the request is no id.
    #[error(transparent)]
    InvalidId(#[from] InvalidId),
    /// The call's `grpc-timeout` can't be read.
    #[error(transparent)]
    InvalidTimeout(#[from] InvalidTimeout),
    /// The request is no message of its type.
    #[error("the request message {problem}")]
    InvalidMessage {
        /// What is wrong.
        problem: &'static str,
    },
    /// The token can't be used.
    #[error("{metadata}: {problem}")]
    InvalidToken {
        /// The metadata key it came in.
        metadata: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// The gateway has no such method.
    #[error("this gateway has no such method")]
    MethodNotImplemented,
    /// There is more to do than there may be.
    #[error(transparent)]
    Overloaded(#[from] Overload),
    /// The gateway's own rules refuse the call.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// This replica is about to stop.
    #[error("this replica of the gateway is about to stop")]
    ServerDraining,
    /// The upstream gave no job.
    #[error("{}", sentence(error))]
    Upstream {
        /// Why.
        error: Arc<FetchError>,
        /// Which job.
        path: JobPath,
    },
    /// The upstream has given no job for longer than a watch bears.
    #[error("the watch gives up: {}", sentence(error))]
    WatchGaveUp {
        /// Why there was none the last time.
        error: Arc<FetchError>,
    },
    /// The watch has lived as long as it may.
    #[error("the watch has lived as long as it may; watch again with the last resume token")]
    WatchExpired,
}

// === impl Error ===

impl Error {
    /// The reason in the public contract.
    pub fn reason(&self) -> ErrorReason {
        match self {
            Self::CloudTokenMissing | Self::CredentialsMissing => ErrorReason::CredentialsMissing,
            Self::DeadlineExceeded => ErrorReason::DeadlineExceeded,
            Self::Internal => ErrorReason::Internal,
            Self::InvalidId(_)
            | Self::InvalidMessage { .. }
            | Self::InvalidTimeout(_)
            | Self::InvalidToken { .. } => ErrorReason::InvalidRequest,
            Self::MethodNotImplemented => ErrorReason::MethodNotImplemented,
            Self::Overloaded(_) => ErrorReason::Overloaded,
            Self::Refused(refusal) => match refusal {
                Refusal::Missing => ErrorReason::CredentialsMissing,
                Refusal::Project | Refusal::UnknownCertificate => ErrorReason::PermissionDenied,
                Refusal::UnknownToken => ErrorReason::CredentialsRejected,
            },
            Self::ServerDraining => ErrorReason::ServerDraining,
            Self::WatchExpired => ErrorReason::WatchExpired,
            Self::Upstream { error, .. } | Self::WatchGaveUp { error } => match error.kind {
                ErrorKind::Conflict => ErrorReason::UpstreamConflict,
                ErrorKind::CredentialsRejected => ErrorReason::CredentialsRejected,
                ErrorKind::GatewayCredentialsRejected => ErrorReason::GatewayCredentialsRejected,
                ErrorKind::GatewayCredentialsUnavailable => {
                    ErrorReason::GatewayCredentialsUnavailable
                }
                ErrorKind::Internal => ErrorReason::UpstreamInternal,
                ErrorKind::JobExpired => ErrorReason::JobExpired,
                ErrorKind::JobNotFound => ErrorReason::JobNotFound,
                ErrorKind::LeftAlone | ErrorKind::Unavailable => ErrorReason::UpstreamUnavailable,
                ErrorKind::MalformedResponse => ErrorReason::UpstreamMalformedResponse,
                ErrorKind::NotImplemented => ErrorReason::UpstreamNotImplemented,
                ErrorKind::OutOfRange => ErrorReason::UpstreamOutOfRange,
                ErrorKind::Overloaded => ErrorReason::Overloaded,
                ErrorKind::PermissionDenied => ErrorReason::PermissionDenied,
                ErrorKind::PreconditionFailed => ErrorReason::UpstreamPreconditionFailed,
                ErrorKind::QuotaExceeded => ErrorReason::UpstreamQuotaExceeded,
                ErrorKind::Redirect => ErrorReason::UpstreamRedirect,
                ErrorKind::RefusedRequest => ErrorReason::UpstreamRefusedRequest,
                ErrorKind::RejectedRequest => ErrorReason::UpstreamRejectedRequest,
                ErrorKind::ResponseTooLarge => ErrorReason::UpstreamResponseTooLarge,
                ErrorKind::RouteNotFound => ErrorReason::UpstreamRouteNotFound,
                ErrorKind::Throttled => ErrorReason::UpstreamThrottled,
                ErrorKind::Timeout => ErrorReason::UpstreamTimeout,
                ErrorKind::Unreachable => ErrorReason::UpstreamUnreachable,
            },
        }
    }
}

fn sentence(error: &FetchError) -> String {
    let ours = match error.kind {
        ErrorKind::Conflict => "the upstream reports a conflict",
        ErrorKind::CredentialsRejected => "the upstream does not accept the credentials",
        // What the upstream says of the gateway's own credentials is not for callers.
        ErrorKind::GatewayCredentialsRejected => {
            return "the gateway's own credentials are not accepted; its operator must act".into();
        }
        ErrorKind::GatewayCredentialsUnavailable => {
            return "the gateway can't get credentials at present".into();
        }
        ErrorKind::Internal => "the upstream failed",
        ErrorKind::JobExpired => "the job is gone",
        ErrorKind::JobNotFound => "the upstream knows no such job",
        ErrorKind::LeftAlone => {
            "the upstream has failed again and again and is left alone for the moment"
        }
        ErrorKind::MalformedResponse => "the upstream's answer is no job",
        ErrorKind::NotImplemented => "the upstream does not implement the call",
        ErrorKind::OutOfRange => "the upstream calls the request out of range",
        ErrorKind::Overloaded => "this gateway has as many requests under way as it allows itself",
        ErrorKind::PermissionDenied => "the credentials do not allow this",
        ErrorKind::PreconditionFailed => "the upstream refuses the request in this state",
        ErrorKind::QuotaExceeded => "a quota of the upstream is used up",
        ErrorKind::Redirect => "the upstream redirects, which is never followed",
        ErrorKind::RefusedRequest => "the upstream does not take the gateway's way of asking",
        ErrorKind::RejectedRequest => "the upstream calls the request wrong",
        ErrorKind::ResponseTooLarge => "the job is larger than 4 MiB",
        ErrorKind::RouteNotFound => "the upstream has no job API at the configured address",
        ErrorKind::Throttled => "the upstream throttles",
        ErrorKind::Timeout => "the upstream did not answer in time",
        ErrorKind::Unavailable => "the upstream is unavailable",
        ErrorKind::Unreachable => "the upstream can't be reached",
    };
    match error.answer.as_ref().and_then(|answer| answer.message.as_deref()) {
        Some(theirs) => format!("{ours}: {theirs}"),
        None => ours.to_owned(),
    }
}
