//! An event of a watch in protobuf's JSON, on one line.

use jobgate::proto::v1::{WatchJobResponse, watch_job_response::Event};
use serde_json::{Map, Value, json};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::json::{JobJson, escaped, time};

/// Renders an event as JSON on one line.
pub(crate) fn event(response: &WatchJobResponse) -> serde_json::Result<String> {
    let mut object = Map::new();
    match &response.event {
        Some(Event::Job(job)) => {
            object.insert("job".to_owned(), serde_json::to_value(JobJson::from(job))?);
        }
        Some(Event::Heartbeat(heartbeat)) => {
            let error = heartbeat.upstream_error.as_ref().map(status);
            let error = error.map_or_else(|| json!({}), |error| json!({"upstreamError": error}));
            object.insert("heartbeat".to_owned(), error);
        }
        None => {}
    }
    if !response.resume_token.is_empty() {
        object.insert("resumeToken".to_owned(), response.resume_token.clone().into());
    }
    if let Some(at) = time(response.observe_time.as_ref()) {
        object.insert("observeTime".to_owned(), at.into());
    }
    serde_json::to_string(&object).map(|text| escaped(&text))
}

/// `google.rpc.Status`, with those of its details that the gateway sends.
fn status(status: &tonic_types::Status) -> Value {
    json!({"code": status.code, "message": status.message, "details": details(status)})
}

fn details(status: &tonic_types::Status) -> Vec<Value> {
    let details = details_of(status);
    let typed = |name: &str, mut fields: Value| {
        fields["@type"] = format!("type.googleapis.com/google.rpc.{name}").into();
        fields
    };
    let info = details.error_info().map(|info| {
        let fields =
            json!({"reason": info.reason, "domain": info.domain, "metadata": info.metadata});
        typed("ErrorInfo", fields)
    });
    let retry = details.retry_info().and_then(|retry| retry.retry_delay).map(|delay| {
        typed("RetryInfo", json!({"retryDelay": format!("{}s", delay.as_secs_f64())}))
    });
    let request = details
        .request_info()
        .map(|request| typed("RequestInfo", json!({"requestId": request.request_id})));
    [info, retry, request].into_iter().flatten().collect()
}

fn details_of(status: &tonic_types::Status) -> ErrorDetails {
    super::as_grpc(status).get_error_details()
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, time::Duration};

    use jobgate::proto::v1::{Heartbeat, Job};
    use tonic::{Code, Status};

    use super::*;

    #[test]
    fn table() {
        let mut details =
            ErrorDetails::with_error_info("UPSTREAM_UNAVAILABLE", "jobgate", HashMap::new());
        details.set_retry_info(Some(Duration::from_millis(1500)));
        let error = Status::with_error_details(Code::Unavailable, "down\u{9b}", details);
        let error = prost::Message::decode(error.details()).unwrap();
        let job = Job { job_id: "j".to_owned(), ..Job::default() };
        let at = Some(prost_types::Timestamp { seconds: 0, nanos: 0 });
        for (event_sent, resume_token, expected) in [
            (
                Event::Job(job),
                "t",
                concat!(
                    r#"{"job":{"jobId":"j","status":"JOB_STATUS_UNSPECIFIED"},"#,
                    r#""observeTime":"1970-01-01T00:00:00Z","resumeToken":"t"}"#
                ),
            ),
            (
                Event::Heartbeat(Heartbeat::default()),
                "",
                r#"{"heartbeat":{},"observeTime":"1970-01-01T00:00:00Z"}"#,
            ),
            (
                Event::Heartbeat(Heartbeat { upstream_error: Some(error) }),
                "",
                concat!(
                    r#"{"heartbeat":{"upstreamError":{"code":14,"details":["#,
                    r#"{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"jobgate","#,
                    r#""metadata":{},"reason":"UPSTREAM_UNAVAILABLE"},"#,
                    r#"{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.5s"}],"#,
                    r#""message":"down\u009b"}},"observeTime":"1970-01-01T00:00:00Z"}"#
                ),
            ),
        ] {
            let response = WatchJobResponse {
                resume_token: resume_token.to_owned(),
                observe_time: at,
                event: Some(event_sent),
            };
            assert_eq!(event(&response).unwrap(), expected);
        }
    }
}
