//! The error bodies of the API, its gateway, IAM and Cinder, read into one shape.

use std::{borrow::Cow, time::Duration};

use super::{
    classify,
    json::{self, Object, Raw, Type},
    retry_after,
};

/// What an error body says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ErrorBody {
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) retry_after: Option<Duration>,
    /// Another error told inside the message, as some services do.
    pub(super) inner_code: Option<String>,
    /// The HTTP status the body itself speaks of.
    pub(super) status: Option<u16>,
    /// Whether it is a shape of the cloud's own documents. Others come from something in between,
    /// such as a proxy's `{"message": "no Route matched"}`.
    pub(super) documented: bool,
}

const CODES: [&str; 3] = ["error_code", "code", "errCode"];
const MESSAGES: [&str; 5] = ["error_msg", "message", "errMsg", "title", "faultstring"];
const REQUEST_IDS: [&str; 2] = ["request_id", "requestId"];

// === impl ErrorBody ===

impl ErrorBody {
    /// Reads a body; `None` if it has nothing of an error in it.
    pub(super) fn read(body: &Object<'_>) -> Option<Self> {
        let mut error = Self::shape(body)?;
        let request_id = |object: &Object<'_>| first(object, &REQUEST_IDS);
        error.request_id = error.request_id.or_else(|| request_id(body));
        error.inner_code = error.message.as_deref().and_then(embedded_code);
        error.status = error.status.or_else(|| error.code.as_deref().and_then(http_error));
        Some(error)
    }

    fn shape(body: &Object<'_>) -> Option<Self> {
        if let Some(error) = body.get("error").filter(|raw| json::type_of(raw) != Type::Null) {
            return Some(match Object::of(error) {
                Some(inner) => Self { documented: true, ..Self::flat(&inner).unwrap_or_default() },
                None => Self {
                    message: first(body, &MESSAGES).or_else(|| some_text(error)),
                    status: body.text("status").and_then(|text| http_error(&text)),
                    ..Self::flat(body).unwrap_or_default()
                },
            });
        }
        Self::flat(body).or_else(|| Self::fault(body))
    }

    /// `{"code": .., "message": ..}` and its spellings.
    fn flat(object: &Object<'_>) -> Option<Self> {
        let code = first(object, &CODES);
        let message = first(object, &MESSAGES);
        (code.is_some() || message.is_some()).then(|| Self {
            // The documented codes are words; a bare number is some framework's HTTP status.
            documented: code.as_deref().is_some_and(|code| http_error(code).is_none()),
            code,
            message,
            request_id: first(object, &REQUEST_IDS),
            ..Self::default()
        })
    }

    /// Cinder's `{"itemNotFound": {"code": 404, "message": ..}}`.
    fn fault(body: &Object<'_>) -> Option<Self> {
        let mut fields = body.fields();
        let (name, inner) = fields.find_map(|(name, value)| Some((name, Object::of(value)?)))?;
        let known = classify::status_of_fault(name);
        let inner_error = Self::flat(&inner);
        if known.is_none() && (inner_error.is_none() || fields.next().is_some()) {
            return None;
        }
        let inner_error = inner_error.unwrap_or_default();
        // A number repeats the HTTP status; the name of the fault says more.
        let number = inner_error.code.as_deref().and_then(http_error);
        Some(Self {
            code: inner_error.code.filter(|_| number.is_none()).or_else(|| Some(name.to_owned())),
            status: known.or(number),
            inner_code: Some(name.to_owned()),
            documented: known.is_some(),
            retry_after: inner.text("retryAfter").and_then(|text| retry_after::seconds(&text)),
            ..inner_error
        })
    }
}

fn first(object: &Object<'_>, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| object.text(key)).map(Cow::into_owned)
}

fn some_text(raw: Raw<'_>) -> Option<String> {
    Some(json::text(raw).into_owned()).filter(|text| !text.is_empty())
}

/// A text that is an HTTP status of an error.
pub(super) fn http_error(code: &str) -> Option<u16> {
    code.parse().ok().filter(|status| (400..=599).contains(status))
}

/// The code of an error that is told as JSON inside the text of another one.
fn embedded_code(message: &str) -> Option<String> {
    let start = message.find('{')?;
    let end = message.rfind('}')?;
    let inner = Object::parse(message.get(start..=end)?)?;
    let error = ErrorBody::shape(&inner)?;
    error.inner_code.or(error.code)
}

#[cfg(test)]
#[path = "error_body_tests.rs"]
mod tests;
