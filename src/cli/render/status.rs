//! An error of a call, with what its details say.

use std::fmt::Write as _;

use jobgate::grpc::code_name;
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::cli::print::plain;

/// An error for people: what happened, and a line for each thing that is known of it.
pub(in crate::cli) fn status(status: &Status) -> String {
    let details = status.get_error_details();
    let mut text = code_name(status.code()).to_owned();
    if let Some(info) = details.error_info() {
        let _ = write!(text, " ({})", plain(&info.reason));
    }
    let _ = write!(text, ": {}", plain(status.message()));
    let mut line = |name: &str, value: &str| {
        let _ = write!(text, "\n  {name}: {}", plain(value));
    };
    if let Some(info) = details.error_info() {
        for (key, name) in [
            ("upstream_http_status", "upstream HTTP status"),
            ("upstream_code", "upstream code"),
        ] {
            if let Some(value) = info.metadata.get(key) {
                line(name, value);
            }
        }
    }
    if let Some(request) = details.request_info() {
        line("upstream request id", &request.request_id);
    }
    if let Some(resource) = details.resource_info() {
        line("resource", &resource.resource_name);
    }
    for violation in details
        .bad_request()
        .map_or(&[][..], |bad| &bad.field_violations)
    {
        line(&violation.field, &violation.description);
    }
    if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
        line("repeat after", &format!("{delay:?}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, time::Duration};

    use tonic::Code;
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn everything_known_has_its_line() {
        let mut details = ErrorDetails::new();
        let metadata: HashMap<_, _> = [
            ("upstream_http_status", "429"),
            ("upstream_code", "APIGW.0308"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        details.set_error_info("UPSTREAM_THROTTLED", "jobgate", metadata);
        details.set_request_info("req-1", "");
        details.set_retry_info(Some(Duration::from_secs(7)));
        let error = Status::with_error_details(Code::ResourceExhausted, "slow\x1b down", details);
        assert_eq!(
            status(&error),
            "RESOURCE_EXHAUSTED (UPSTREAM_THROTTLED): slow\\u{1b} down\n  \
             upstream HTTP status: 429\n  upstream code: APIGW.0308\n  \
             upstream request id: req-1\n  repeat after: 7s"
        );
        assert_eq!(status(&Status::unavailable("gone")), "UNAVAILABLE: gone");
    }
}
