//! What is known of a call at its end, for the one line of log it gets.

use std::sync::{Arc, Mutex, PoisonError};

use http::{Extensions, Response};
use tonic::Status;

use super::{error::Error, status};
use crate::upstream::{Fetched, Progress};

/// What the service learned about a call. Whoever logs the call puts one into the request's
/// extensions and reads it when the call has ended.
#[derive(Clone, Debug, Default)]
pub struct CallRecord(Arc<Mutex<Known>>);

/// What the service knows of a call.
#[derive(Clone, Debug, Default)]
struct Known {
    caller: Option<Arc<str>>,
    reason: Option<&'static str>,
    progress: Progress,
    upstream: Upstream,
}

/// The upstream's part in a call.
#[derive(Clone, Debug, Default)]
pub struct Upstream {
    /// How many requests were sent for it.
    pub attempts: Option<u32>,
    /// Whether it shared another call's requests.
    pub shared: Option<bool>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<f64>,
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
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// The name that the gateway's rules have for the caller.
    pub fn caller(&self) -> Option<Arc<str>> {
        self.with(|known| known.caller.clone())
    }

    /// The reason of the call's error.
    pub fn reason(&self) -> Option<&'static str> {
        self.with(|known| known.reason)
    }

    /// The upstream's part. Of a call that ended before its fetch did, as far as it came.
    pub fn upstream(&self) -> Upstream {
        self.with(|known| {
            let mut upstream = known.upstream.clone();
            upstream.attempts = upstream.attempts.or(known.progress.attempts());
            upstream.http_status = upstream.http_status.or(known.progress.http_status());
            upstream
        })
    }

    /// What a fetch for this call writes down on its way.
    pub(super) fn progress(&self) -> Progress {
        self.with(|known| known.progress.clone())
    }

    /// Refuses the call, outside of the service.
    pub fn refuse<B: Default>(&self, error: &Error) -> Response<B> {
        self.failed(error);
        Status::from(error.clone()).into_http()
    }

    pub(super) fn called_by(&self, caller: Arc<str>) {
        self.with(|known| known.caller = Some(caller));
    }

    pub(super) fn fetched(&self, fetched: &Fetched) {
        let error = fetched.result.as_ref().err();
        let answer = error.and_then(|error| error.answer.as_ref());
        let upstream = Upstream {
            attempts: Some(fetched.attempts),
            shared: Some(fetched.shared),
            duration_ms: Some(fetched.took.as_secs_f64() * 1e3),
            http_status: fetched.http_status,
            code: answer.and_then(|answer| answer.code.clone()),
            request_id: fetched.request_id.clone(),
            detail: error.map(|error| error.detail.clone()).filter(|text| !text.is_empty()),
        };
        self.with(|known| known.upstream = upstream);
    }

    /// Takes note of the call's error.
    pub fn failed(&self, error: &Error) {
        self.with(|known| known.reason = Some(status::reason_name(error.reason())));
    }

    fn with<T>(&self, read: impl FnOnce(&mut Known) -> T) -> T {
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
