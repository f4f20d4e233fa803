//! A complete HTTP answer read as a job or an error.

use jiff::Timestamp;

use super::{
    answer,
    classify::{self, Body},
    error::{Answer, ErrorKind, FetchError},
    error_body::ErrorBody,
    http::Response,
    json::Object,
    oddity::{Oddities, Oddity},
    redact, retry_after,
    token::Token,
};
use crate::job::{Job, JobPath};

/// The headers that name a request, the most exact first.
const REQUEST_ID_HEADERS: [&str; 4] =
    ["x-request-id", "x-openstack-request-id", "x-compute-request-id", "x-iam-trace-id"];

/// The most bytes of a body without a known shape that are kept for the log.
const MAX_EXCERPT: usize = 256;

/// Reads the answer to a request for `path`.
pub(super) fn read(
    response: &Response,
    path: &JobPath,
    token: &Token,
    oddities: &mut Oddities,
) -> Result<Job, FetchError> {
    if response.compressed {
        oddities.saw(Oddity::BodyCompressed);
    }
    let text = String::from_utf8_lossy(&response.body);
    if matches!(text, std::borrow::Cow::Owned(_)) {
        oddities.saw(Oddity::BodyNotUtf8);
    }
    let object = Object::parse(&text);
    let success = (200..=299).contains(&response.status);
    let no_job = match object {
        Some(object) if success && is_job(&object) => match answer::job(object, path, oddities) {
            Ok(job) => return Ok(job),
            Err(no_job) => no_job.to_string(),
        },
        Some(object) => return Err(error(response, Some(&object), &text, token)),
        None => "it is no JSON object".to_owned(),
    };
    if !success {
        return Err(error(response, None, &text, token));
    }
    let answer = answer_of(response, None, token);
    let excerpt = excerpt(&text, token);
    let detail = format!("the body is no job: {no_job}; it begins with {excerpt:?}");
    Err(FetchError { kind: ErrorKind::MalformedResponse, answer: Some(answer), detail })
}

/// An `error` beside a status and an id belongs to the job; alone, it is the answer.
fn is_job(object: &Object<'_>) -> bool {
    let has_error = object.get("error").and_then(Object::of).is_some();
    object.contains("status") && (!has_error || object.contains("job_id"))
}

fn error(
    response: &Response,
    object: Option<&Object<'_>>,
    text: &str,
    token: &Token,
) -> FetchError {
    let body = object.and_then(ErrorBody::read);
    let shape = match object {
        Some(_) => Body::Json,
        None if text.trim().is_empty() => Body::Empty,
        None => Body::Other,
    };
    let code = body.as_ref().and_then(|body| body.code.as_deref());
    let inner_code = body.as_ref().and_then(|body| body.inner_code.as_deref());
    let by_code = code.and_then(classify::by_code).or(inner_code.and_then(classify::by_code));
    let kind = by_code.unwrap_or_else(|| match (response.status, &body) {
        // An error that came as a success: the body's own number, if any, is all there is.
        (200..=299, Some(body)) => {
            body.status.map_or(ErrorKind::Internal, |status| classify::by_status(status, shape))
        }
        (status, _) => classify::by_status(status, shape),
    });
    let answer = answer_of(response, body.as_ref(), token);
    FetchError { kind, answer: Some(answer), detail: excerpt(text, token) }
}

fn answer_of(response: &Response, body: Option<&ErrorBody>, token: &Token) -> Answer {
    let header = |name: &str| response.headers.get(name).and_then(|value| value.to_str().ok());
    let request_id = REQUEST_ID_HEADERS.into_iter().find_map(header);
    let retry_after = header("retry-after")
        .and_then(|value| retry_after::parse(value, Timestamp::now()))
        .or_else(|| body.and_then(|body| body.retry_after));
    let field = |field: fn(&ErrorBody) -> Option<&String>| body.and_then(field).map(String::as_str);
    Answer {
        http_status: response.status,
        code: field(|body| body.code.as_ref()).and_then(|code| redact::word(code, token)),
        message: field(|body| body.message.as_ref()).and_then(|text| redact::message(text, token)),
        request_id: request_id
            .or_else(|| field(|body| body.request_id.as_ref()))
            .and_then(|id| redact::word(id, token)),
        retry_after,
    }
}

fn excerpt(text: &str, token: &Token) -> String {
    let text = redact::message(text, token).unwrap_or_default();
    text[..text.floor_char_boundary(MAX_EXCERPT)].to_owned()
}
