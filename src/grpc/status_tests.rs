use std::sync::Arc;

use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::{access::Refusal, job::JobPath, upstream::FetchError};

const KINDS: [(ErrorKind, Code, &str); 22] = [
    (ErrorKind::Conflict, Code::Aborted, "UPSTREAM_CONFLICT"),
    (ErrorKind::CredentialsRejected, Code::Unauthenticated, "CREDENTIALS_REJECTED"),
    (ErrorKind::Internal, Code::Internal, "UPSTREAM_INTERNAL"),
    (ErrorKind::JobExpired, Code::NotFound, "JOB_EXPIRED"),
    (ErrorKind::JobNotFound, Code::NotFound, "JOB_NOT_FOUND"),
    (ErrorKind::LeftAlone, Code::Unavailable, "UPSTREAM_UNAVAILABLE"),
    (ErrorKind::MalformedResponse, Code::Internal, "UPSTREAM_MALFORMED_RESPONSE"),
    (ErrorKind::NotImplemented, Code::Unimplemented, "UPSTREAM_NOT_IMPLEMENTED"),
    (ErrorKind::OutOfRange, Code::OutOfRange, "UPSTREAM_OUT_OF_RANGE"),
    (ErrorKind::Overloaded, Code::ResourceExhausted, "OVERLOADED"),
    (ErrorKind::PermissionDenied, Code::PermissionDenied, "PERMISSION_DENIED"),
    (ErrorKind::PreconditionFailed, Code::FailedPrecondition, "UPSTREAM_PRECONDITION_FAILED"),
    (ErrorKind::QuotaExceeded, Code::ResourceExhausted, "UPSTREAM_QUOTA_EXCEEDED"),
    (ErrorKind::Redirect, Code::Internal, "UPSTREAM_REDIRECT"),
    (ErrorKind::RefusedRequest, Code::Internal, "UPSTREAM_REFUSED_REQUEST"),
    (ErrorKind::RejectedRequest, Code::InvalidArgument, "UPSTREAM_REJECTED_REQUEST"),
    (ErrorKind::ResponseTooLarge, Code::ResourceExhausted, "UPSTREAM_RESPONSE_TOO_LARGE"),
    (ErrorKind::RouteNotFound, Code::Unimplemented, "UPSTREAM_ROUTE_NOT_FOUND"),
    (ErrorKind::Throttled, Code::ResourceExhausted, "UPSTREAM_THROTTLED"),
    (ErrorKind::Timeout, Code::Unavailable, "UPSTREAM_TIMEOUT"),
    (ErrorKind::Unavailable, Code::Unavailable, "UPSTREAM_UNAVAILABLE"),
    (ErrorKind::Unreachable, Code::Unavailable, "UPSTREAM_UNREACHABLE"),
];

fn upstream(kind: ErrorKind, answer: Option<Answer>, retry_after: Option<Duration>) -> Error {
    let detail = "http://internal:8080 said no".into();
    let error = FetchError { kind, answer, retry_after, detail };
    Error::Upstream { error: Arc::new(error), path: JobPath::parse("p", "j").unwrap() }
}

#[test]
fn every_kind_has_its_code_and_reason() {
    for (kind, code, reason) in KINDS {
        let status = Status::from(upstream(kind, None, None));
        assert_eq!(status.code(), code, "{kind:?}");
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "jobgate"));
        assert!(info.metadata.is_empty());
        assert!(!status.message().contains("internal:8080"));
    }
}

#[test]
fn a_refusal_of_the_gateways_rules_looks_like_the_upstreams_but_for_its_answer() {
    for (refusal, code, reason) in [
        (Refusal::Missing, Code::Unauthenticated, "CREDENTIALS_MISSING"),
        (Refusal::Project, Code::PermissionDenied, "PERMISSION_DENIED"),
        (Refusal::UnknownCertificate, Code::PermissionDenied, "PERMISSION_DENIED"),
        (Refusal::UnknownToken, Code::Unauthenticated, "CREDENTIALS_REJECTED"),
    ] {
        let status = Status::from(Error::from(refusal));
        let info = status.get_details_error_info().unwrap();
        assert_eq!((status.code(), info.reason.as_str()), (code, reason), "{refusal:?}");
        assert!(status.message().contains("gateway") && info.metadata.is_empty());
    }
    let status = Status::from(Error::CloudTokenMissing);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "CREDENTIALS_MISSING");
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[test]
fn what_the_upstream_answered_is_in_the_details() {
    let status = Status::from(upstream(
        ErrorKind::Throttled,
        Some(Answer {
            http_status: 429,
            code: Some("APIGW.0308".into()),
            message: Some("limit:200".into()),
            request_id: Some("req-1".into()),
        }),
        Some(Duration::from_millis(1500)),
    ));
    assert_eq!(status.message(), "the upstream throttles: limit:200");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["upstream_http_status"], "429");
    assert_eq!(info.metadata["upstream_code"], "APIGW.0308");
    assert_eq!(status.get_details_request_info().unwrap().request_id, "req-1");
    let delay = status.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(delay, Some(Duration::from_millis(1500)));
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "1500");
}

#[test]
fn what_stays_as_it_is_is_not_to_be_repeated_unless_the_upstream_says_when() {
    for kind in [ErrorKind::QuotaExceeded, ErrorKind::ResponseTooLarge] {
        let pushback = |delay| {
            let status = Status::from(upstream(kind, None, delay));
            let value = status.metadata().get("grpc-retry-pushback-ms").unwrap();
            value.to_str().unwrap().to_owned()
        };
        assert_eq!(pushback(None), "-1");
        assert_eq!(pushback(Some(Duration::from_mins(1))), "60000");
    }
    let throttled = Status::from(upstream(ErrorKind::Throttled, None, None));
    assert_eq!(throttled.metadata().get("grpc-retry-pushback-ms"), None);
}

#[test]
fn a_job_that_is_not_there_is_named() {
    for kind in [ErrorKind::JobNotFound, ErrorKind::JobExpired] {
        let status = Status::from(upstream(kind, None, None));
        let resource = status.get_details_resource_info().unwrap();
        assert_eq!(resource.resource_name, "projects/p/jobs/j");
        assert_eq!(resource.resource_type, "jobgate.v1.Job");
    }
}

#[test]
fn a_wrong_field_is_named() {
    let error = Error::from(JobPath::parse("p", "..").unwrap_err());
    let status = Status::from(error);
    assert_eq!(status.code(), Code::InvalidArgument);
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(violations[0].field, "job_id");
    assert_eq!(status.get_details_error_info().unwrap().reason, "INVALID_REQUEST");
}

/// All trailers as they go over the wire: each with its name and the 32 bytes that HTTP/2 counts.
fn trailers_len(status: &Status) -> usize {
    let headers = status.clone().into_http::<()>().headers().clone();
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

proptest! {
    #[test]
    fn no_text_of_the_upstream_breaks_the_trailer_budget(
        kind in 0..KINDS.len(),
        code in any::<Option<String>>(),
        message in proptest::collection::vec(any::<char>(), 0..2000),
        request_id in any::<String>(),
    ) {
        let token = crate::upstream::Token::parse(b"secret").unwrap();
        let message: String = message.into_iter().collect();
        let (code, message, request_id) = crate::upstream::fit_for_callers(
            &token, code.as_deref(), &message, &request_id,
        );
        let retry_after = Some(crate::upstream::MAX_RETRY_AFTER);
        let answer = Some(Answer { http_status: 599, code, message, request_id });
        let id = "x".repeat(crate::job::MAX_ID_LEN);
        let path = JobPath::parse(&id, &id).unwrap();
        let (kind, detail) = (KINDS[kind].0, String::new());
        let error = FetchError { kind, answer, retry_after, detail };
        let status = Status::from(Error::Upstream { error: Arc::new(error), path });
        prop_assert!(trailers_len(&status) < 6 << 10, "{}", trailers_len(&status));
        let decoded = tonic_types::Status::decode(status.details()).unwrap();
        prop_assert_eq!(decoded.message, status.message());
    }
}
