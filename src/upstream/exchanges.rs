//! Requests that the gateway sends, as they are seen from outside: how long they took, how they
//! ended, and their spans.
//!
//! Names and labels are those of OpenTelemetry's conventions for HTTP clients.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use http::{HeaderMap, StatusCode};
use prometheus_client::{
    encoding::{
        EncodeLabel as _, EncodeLabelSet, EncodeLabelValue, LabelSetEncoder, LabelValueEncoder,
    },
    metrics::histogram::Histogram,
    registry::{Registry, Unit},
};
use tokio::time::Instant;

use super::{BaseUrl, FetchError, error::ErrorKind, transport::Response};
use crate::telemetry::{self, Durations, Kind, Span, TraceContext, Tracer};

/// Measures requests of all kinds. Cheap to clone.
#[derive(Clone)]
pub(super) struct Exchanges {
    durations: Durations<Labels>,
    tracer: Tracer,
}

/// Measures requests of one kind. Cheap to clone.
#[derive(Clone)]
pub(super) struct Exchange {
    all: Exchanges,
    target: Arc<Target>,
    /// Of those that are answered as wished, by far the most.
    ok: Histogram,
}

/// What is asked for, and of whom.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Target {
    /// Method and path, with names in place of ids.
    name: &'static str,
    method: &'static str,
    template: &'static str,
    address: Box<str>,
    port: u16,
}

/// A request under way. Dropped before its end, it was cancelled.
pub(super) struct Running<'e> {
    exchange: &'e Exchange,
    span: Span,
    begun: Instant,
    end: End,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Labels {
    target: Arc<Target>,
    end: End,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum End {
    /// Nobody waited for it any more.
    Cancelled,
    /// There was no answer.
    Failed(ErrorKind),
    Status(Status),
}

/// An HTTP status. Those that nobody knows are one for each class: there could be a thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Status {
    Known(u16),
    Class(u16),
}

// === impl Exchanges ===

impl Exchanges {
    pub(super) fn new(tracer: Tracer, registry: &mut Registry) -> Self {
        let durations = telemetry::durations();
        registry.register_with_unit(
            "http_client_request_duration",
            "Requests to the job API, IAM and the metadata service, and how long they took",
            Unit::Seconds,
            Durations::clone(&durations),
        );
        Self { durations, tracer }
    }

    pub(super) fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// Those to `base` by the name `METHOD /path`, which has names in place of ids.
    pub(super) fn of(&self, name: &'static str, base: &BaseUrl) -> Exchange {
        let (method, template) = name.split_once(' ').unwrap_or((name, ""));
        let (address, port) = base.endpoint();
        let target = Target { name, method, template, address: address.into(), port };
        let target = Arc::new(target);
        let labels = Labels { target: Arc::clone(&target), end: End::OK };
        let ok = self.durations.get_or_create_owned(&labels);
        Exchange { all: self.clone(), target, ok }
    }
}

// === impl Exchange ===

impl Exchange {
    /// Begins one, as a part of something else. `attempts` were made for the same thing before.
    pub(super) fn begin(
        &self,
        parent: Option<&TraceContext>,
        url: impl FnOnce() -> String,
        attempts: u32,
    ) -> Running<'_> {
        let mut span = self.all.tracer.span(Kind::Client, self.target.name, parent);
        if span.is_recorded() {
            let Target { method, template, address, port, .. } = &*self.target;
            span.set("http.request.method", *method);
            span.set("url.template", *template);
            span.set("url.full", url());
            span.set("server.address", address.to_string());
            span.set("server.port", i64::from(*port));
            if attempts > 0 {
                span.set("http.request.resend_count", i64::from(attempts));
            }
        }
        Running { exchange: self, span, begun: Instant::now(), end: End::Cancelled }
    }
}

// === impl Running ===

impl Running<'_> {
    /// Makes the request known upstream as a part of its trace.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        if let Some(span) = self.span.context() {
            span.write(headers);
        }
    }

    pub(super) fn end(mut self, result: &Result<Response, FetchError>) {
        self.end = match result {
            Ok(response) => End::Status(Status::of(response.status)),
            Err(error) => End::Failed(error.kind),
        };
        if let Ok(response) = result {
            self.span.set("http.response.status_code", i64::from(response.status));
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let seconds = self.begun.elapsed().as_secs_f64();
        if self.end == End::OK {
            self.exchange.ok.observe(seconds);
        } else {
            let labels = Labels { target: Arc::clone(&self.exchange.target), end: self.end };
            self.exchange.all.durations.get_or_create(&labels).observe(seconds);
        }
        match self.end {
            End::Cancelled => self.span.fail(CANCELLED),
            End::Failed(kind) => self.span.fail(kind.name()),
            End::Status(status) if status.is_error() => self.span.fail(status.to_string()),
            End::Status(_) => {}
        }
    }
}

const CANCELLED: &str = "cancelled";

// === impl End ===

impl End {
    const OK: Self = Self::Status(Status::Known(200));
}

// === impl Labels ===

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let Target { method, template, address, port, .. } = &*self.target;
        ("http_request_method", *method).encode(encoder.encode_label())?;
        ("url_template", *template).encode(encoder.encode_label())?;
        ("server_address", &**address).encode(encoder.encode_label())?;
        ("server_port", *port).encode(encoder.encode_label())?;
        match self.end {
            End::Cancelled => ("error_type", CANCELLED).encode(encoder.encode_label()),
            End::Failed(kind) => ("error_type", kind.name()).encode(encoder.encode_label()),
            End::Status(status) => {
                ("http_response_status_code", status).encode(encoder.encode_label())?;
                if status.is_error() {
                    ("error_type", status).encode(encoder.encode_label())?;
                }
                Ok(())
            }
        }
    }
}

// === impl Status ===

impl Status {
    fn of(status: u16) -> Self {
        let known = StatusCode::from_u16(status).ok().and_then(|it| it.canonical_reason());
        if known.is_some() { Self::Known(status) } else { Self::Class(status / 100) }
    }

    fn is_error(self) -> bool {
        match self {
            Self::Known(status) => status >= 400,
            Self::Class(class) => class >= 4,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(status) => write!(f, "{status}"),
            Self::Class(class) => write!(f, "{class}xx"),
        }
    }
}

impl EncodeLabelValue for Status {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        write!(encoder, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_statuses_are_few() {
        let all: std::collections::HashSet<_> = (100..1000).map(Status::of).collect();
        assert!(all.len() < 80, "{}", all.len());
        for (status, text, error) in [
            (200, "200", false),
            (302, "302", false),
            (404, "404", true),
            (503, "503", true),
            (299, "2xx", false),
            (499, "4xx", true),
            (520, "5xx", true),
            (999, "9xx", true),
        ] {
            let status = Status::of(status);
            assert_eq!((status.to_string().as_str(), status.is_error()), (text, error));
        }
    }
}
