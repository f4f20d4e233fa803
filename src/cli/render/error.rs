//! Errors for people: one line that says what is wrong, then what the details know.

use std::{error::Error, fmt, iter};

use jobgate::grpc::code_name;
use tonic::Status;
use tonic_types::StatusExt as _;

use super::{
    text::{BAD, FAINT, Plain},
    time::spelled,
};

struct Failure<'a>(&'a Status);

/// Renders the error a call ended with.
pub(crate) fn failure(status: &Status) -> String {
    Failure(status).to_string()
}

/// Renders an error of the upstream, as a watch tells it, on one line.
pub(crate) fn upstream_trouble(status: &Status) -> String {
    let details = status.get_error_details();
    let reason = details.error_info().map_or("", |info| info.reason.as_str());
    let reason = if reason.is_empty() { String::new() } else { format!(" ({})", Plain(reason)) };
    format!("{}{reason}: {}", code_name(status.code()), Plain(status.message()))
}

/// Renders any other error with its causes.
pub(crate) fn trouble(error: &dyn Error) -> String {
    let causes: Vec<_> = iter::successors(Some(error), |&error| error.source())
        .map(|error| {
            let text = error.to_string();
            text.lines().map(|line| Plain(line).to_string()).collect::<Vec<_>>().join("\n")
        })
        .collect();
    format!("{BAD}error{BAD:#}: {}", causes.join(": "))
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = self.0.get_error_details();
        let info = details.error_info();

        write!(f, "{BAD}error{BAD:#}: {}", code_name(self.0.code()))?;
        if let Some(info) = info.filter(|info| !info.reason.is_empty()) {
            write!(f, " ({})", Plain(&info.reason))?;
        }
        if !self.0.message().is_empty() {
            write!(f, ": {}", Plain(self.0.message()))?;
        }

        let upstream = |key| info.and_then(|info| info.metadata.get(key));
        if let Some(status) = upstream("upstream_http_status") {
            line(f, "upstream HTTP status:", Plain(status))?;
        }
        if let Some(code) = upstream("upstream_code") {
            line(f, "upstream code:", Plain(code))?;
        }
        if let Some(request) = details.request_info() {
            line(f, "upstream request id:", Plain(&request.request_id))?;
        }
        let own_id = self.0.metadata().get("x-request-id").and_then(|id| id.to_str().ok());
        if let Some(id) = own_id {
            line(f, "request id:", Plain(id))?;
        }
        for violation in details.bad_request().iter().flat_map(|bad| &bad.field_violations) {
            let wrong = Plain(&violation.description);
            line(f, "field", format_args!("{}: {wrong}", Plain(&violation.field)))?;
        }
        if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
            line(f, "retry in", spelled(delay))?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, label: &str, value: impl fmt::Display) -> fmt::Result {
    write!(f, "\n  {FAINT}{label}{FAINT:#} {value}")
}

#[cfg(test)]
mod tests {
    use std::{io, time::Duration};

    use anstream::adapter::strip_str;
    use tonic_types::ErrorDetails;

    use tonic::Code;

    use super::*;

    fn told(status: &Status) -> String {
        strip_str(&failure(status)).to_string()
    }

    #[test]
    fn all_details() {
        let mut details = ErrorDetails::new();
        details
            .set_error_info(
                "UPSTREAM_THROTTLED",
                "jobgate",
                [
                    ("upstream_http_status".to_owned(), "429".to_owned()),
                    ("upstream_code".to_owned(), "APIG.0308".to_owned()),
                ],
            )
            .set_request_info("req-1", "")
            .add_bad_request_violation("job_id", "too long")
            .add_bad_request_violation("project_id", "has a \u{1b}")
            .set_retry_info(Some(Duration::from_millis(90_500)));
        let status = Status::with_error_details(Code::ResourceExhausted, "slow down", details);
        assert_eq!(
            told(&status),
            "error: RESOURCE_EXHAUSTED (UPSTREAM_THROTTLED): slow down\n\
            \x20 upstream HTTP status: 429\n\
            \x20 upstream code: APIG.0308\n\
            \x20 upstream request id: req-1\n\
            \x20 field job_id: too long\n\
            \x20 field project_id: has a \\u{1b}\n\
            \x20 retry in 1m 30s 500ms"
        );
    }

    #[test]
    fn no_details() {
        assert_eq!(told(&Status::unavailable("two\nlines")), "error: UNAVAILABLE: two\\nlines");
        assert_eq!(told(&Status::unknown("")), "error: UNKNOWN");
    }

    #[test]
    fn details_that_are_none() {
        let status = Status::with_details(Code::Internal, "odd", (&b"\xff\xff"[..]).into());
        assert_eq!(told(&status), "error: INTERNAL: odd");
    }

    #[test]
    fn causes_follow() {
        let error = crate::cli::error::Error::Output(io::Error::other("disk\u{7} full"));
        assert_eq!(
            strip_str(&trouble(&error)).to_string(),
            "error: cannot write the output: disk\\u{7} full"
        );
    }
}
