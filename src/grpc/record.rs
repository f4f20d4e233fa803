//! What is known of a call at its end, for the one line of log it gets.

use std::sync::{Arc, Mutex, PoisonError};

use http::Extensions;

use super::{error::Error, status};
use crate::upstream::Fetched;

/// What the service learned about a call. Whoever logs the call puts one into the request's
/// extensions and reads it when the call has ended.
#[derive(Clone, Debug, Default)]
pub struct CallRecord(Arc<Mutex<Known>>);

/// What the service knows of a call.
#[derive(Clone, Debug, Default)]
struct Known {
    reason: Option<&'static str>,
    upstream: Upstream,
}

/// The upstream's part in a call.
#[derive(Clone, Debug, Default)]
pub struct Upstream {
    /// How many requests were sent for it.
    pub attempts: Option<u32>,
    /// Whether it shared another call's requests.
    pub shared: Option<bool>,
    /// The HTTP status of the last answer.
    pub http_status: Option<u16>,
    /// The error code of the last answer.
    pub code: Option<String>,
    /// The upstream's name for the request.
    pub request_id: Option<String>,
    /// More on what went wrong.
    pub detail: Option<String>,
}

// === impl CallRecord ===

impl CallRecord {
    /// The record of the call with these extensions; a fresh one if nobody wants it.
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// The reason of the call's error.
    pub fn reason(&self) -> Option<&'static str> {
        self.with(|known| known.reason)
    }

    /// The upstream's part.
    pub fn upstream(&self) -> Upstream {
        self.with(|known| known.upstream.clone())
    }

    pub(super) fn fetched(&self, fetched: &Fetched) {
        let error = fetched.result.as_ref().err();
        let answer = error.and_then(|error| error.answer.as_ref());
        let upstream = Upstream {
            attempts: Some(fetched.attempts),
            shared: Some(fetched.shared),
            http_status: fetched.http_status,
            code: answer.and_then(|answer| answer.code.clone()),
            request_id: answer.and_then(|answer| answer.request_id.clone()),
            detail: error.map(|error| error.detail.clone()).filter(|text| !text.is_empty()),
        };
        self.with(|known| known.upstream = upstream);
    }

    pub(super) fn failed(&self, error: &Error) {
        self.with(|known| known.reason = Some(status::reason_name(error.reason())));
    }

    fn with<T>(&self, read: impl FnOnce(&mut Known) -> T) -> T {
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
