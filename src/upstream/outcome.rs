//! An HTTP answer read as a job or an error.

use std::{borrow::Cow, time::Duration};

use http::header::CONTENT_TYPE;
use jiff::Timestamp;

use super::{
    answer,
    classify::{self, Body},
    error::{Answer, ErrorKind, FetchError},
    error_body::{ErrorBody, http_error},
    json::{self, Object, Type},
    oddity::{Oddities, Oddity},
    redact, retry_after,
    secret::Secret,
    transport::{End, Response},
};
use crate::job::{Job, JobPath};

/// The headers that name a request, the most exact first.
const REQUEST_ID_HEADERS: [&str; 4] =
    ["x-request-id", "x-openstack-request-id", "x-compute-request-id", "x-iam-trace-id"];

/// Reads the answer to a request for `path`.
pub(super) fn read(
    response: &Response,
    path: &JobPath,
    secrets: &[Secret],
    oddities: &mut Oddities,
) -> Result<Job, FetchError> {
    if response.compressed {
        oddities.saw(Oddity::BodyCompressed);
    }
    let text = if let Ok(text) = str::from_utf8(&response.body) {
        Cow::Borrowed(text)
    } else {
        oddities.saw(Oddity::BodyNotUtf8);
        String::from_utf8_lossy(&response.body)
    };
    let object = Object::parse(&text);
    if !(200..=299).contains(&response.status) {
        return Err(error(response, object.as_ref(), &text, secrets));
    }
    if response.end == End::TooLarge {
        let answer = answer_of(response, None, secrets);
        let kind = ErrorKind::ResponseTooLarge;
        let (retry_after, detail) = (wait_of(response, None), String::new());
        return Err(FetchError { kind, answer: Some(answer), retry_after, detail });
    }
    let no_job = match object {
        Some(object) if tells_error(&object) => {
            return Err(error(response, Some(&object), &text, secrets));
        }
        Some(object) => match answer::job(object, path, oddities) {
            Ok(job) => return Ok(job),
            Err(no_job) => no_job.to_string(),
        },
        None => "it is no JSON object".to_owned(),
    };
    let answer = answer_of(response, None, secrets);
    let excerpt = redact::excerpt(&text, secrets);
    let detail = format!("the body is no job: {no_job}; it begins with {excerpt:?}");
    let kind = ErrorKind::MalformedResponse;
    let retry_after = wait_of(response, None);
    Err(FetchError { kind, answer: Some(answer), retry_after, detail })
}

/// Whether the body of a success is an error's.
///
/// An `error` beside an id belongs to the job; without one, it is the answer.
fn tells_error(object: &Object<'_>) -> bool {
    if !object.contains("status") {
        return ErrorBody::read(object).is_some();
    }
    let error = object.get("error").map(json::type_of);
    let http_status = || object.text("status").and_then(|text| http_error(&text)).is_some();
    !object.contains("job_id")
        && match error {
            Some(Type::Object) => true,
            // As Spring has it: {"status": 401, "error": "Unauthorized"}.
            Some(Type::String) => http_status(),
            _ => false,
        }
}

fn error(
    response: &Response,
    object: Option<&Object<'_>>,
    text: &str,
    secrets: &[Secret],
) -> FetchError {
    let body = object.and_then(ErrorBody::read);
    let shape = shape(response, object, body.as_ref(), text);
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
    let answer = answer_of(response, body.as_ref(), secrets);
    let mut detail = match &answer.message {
        Some(message) => message.clone(),
        None => redact::excerpt(text, secrets),
    };
    match &response.end {
        End::Complete => {}
        End::TooLarge => detail.push_str(" [too long]"),
        End::Cut(why) => detail.extend([" [cut: ", why, "]"]),
        End::TimedOut => detail.push_str(" [did not come in time]"),
    }
    let retry_after = wait_of(response, body.as_ref());
    FetchError { kind, answer: Some(answer), retry_after, detail }
}

/// Whose word the body is.
fn shape(
    response: &Response,
    object: Option<&Object<'_>>,
    body: Option<&ErrorBody>,
    text: &str,
) -> Body {
    let empty = text.trim().is_empty();
    match (object, body) {
        (Some(_), Some(body)) if body.documented => Body::Json,
        (Some(object), None) if object.is_empty() => Body::Json,
        (None, _) if empty && response.end == End::Complete => Body::Empty,
        // Not all of it is here: what there is must do.
        (None, _) if response.end != End::Complete && begins_as_json(response, text) => Body::Json,
        _ => Body::Other,
    }
}

fn begins_as_json(response: &Response, text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let kind = header(response, CONTENT_TYPE.as_str());
    text.starts_with('{') || text.is_empty() && kind.is_some_and(|kind| kind.contains("json"))
}

/// The upstream's name for the request, as its headers have it.
pub(super) fn request_id(response: &Response, secrets: &[Secret]) -> Option<String> {
    let id = REQUEST_ID_HEADERS.into_iter().find_map(|name| header(response, name));
    id.and_then(|id| redact::word(id, secrets))
}

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    let value = response.headers.get(name).and_then(|value| value.to_str().ok());
    value.map(str::trim).filter(|value| !value.is_empty())
}

fn answer_of(response: &Response, body: Option<&ErrorBody>, secrets: &[Secret]) -> Answer {
    let field = |field: fn(&ErrorBody) -> Option<&String>| body.and_then(field).map(String::as_str);
    Answer {
        http_status: response.status,
        code: field(|body| body.code.as_ref()).and_then(|code| redact::word(code, secrets)),
        message: field(|body| body.message.as_ref())
            .and_then(|text| redact::message(text, secrets)),
        request_id: request_id(response, secrets).or_else(|| {
            field(|body| body.request_id.as_ref()).and_then(|id| redact::word(id, secrets))
        }),
    }
}

/// How long the upstream asks to wait.
fn wait_of(response: &Response, body: Option<&ErrorBody>) -> Option<Duration> {
    header(response, "retry-after")
        .and_then(|value| retry_after::parse(value, Timestamp::now()))
        .or_else(|| body.and_then(|body| body.retry_after))
}
