//! What is told of each call when it has ended, however it ends: a line of log, its share of the
//! metrics, its span.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;
use tonic::Code;
use tower::{Layer, Service};

use super::{
    calls::{CallMetrics, Method, is_failure},
    connection::Caller,
};
use crate::{
    grpc::{self, CallRecord, Refusable, RequestId, UpstreamRecord, code_name},
    telemetry::{Kind, Span, TraceContext, Tracer},
    upstream::new_request_id,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that is taken from a caller.
const MAX_REQUEST_ID: usize = 128;

/// Gives each call a request id, a line of log and a span, and counts it.
#[derive(Clone)]
pub(super) struct AccessLogLayer {
    metrics: CallMetrics,
    tracer: Tracer,
}

/// See [`AccessLogLayer`].
#[derive(Clone)]
pub(super) struct AccessLog<S> {
    inner: S,
    layer: AccessLogLayer,
}

/// A call under way. All is told of it when it is dropped.
struct Call {
    metrics: CallMetrics,
    span: Span,
    /// The span, or that of the caller if there is none.
    trace: Option<TraceContext>,
    method: Method,
    path: String,
    request_id: HeaderValue,
    caller: Option<Caller>,
    record: CallRecord,
    begun: Instant,
    code: Option<Code>,
}

/// A body that takes note of the status in its trailers.
pub(super) struct Observed<B> {
    body: B,
    call: Call,
}

// === impl AccessLogLayer ===

impl AccessLogLayer {
    pub(super) fn new(metrics: CallMetrics, tracer: Tracer) -> Self {
        Self { metrics, tracer }
    }

    fn call<B>(&self, request: &Request<B>) -> Call {
        let path = request.uri().path();
        let method = Method::of(path);
        let from = TraceContext::of(request.headers());
        let span = self.tracer.span(Kind::Server, method.span_name(), from.as_ref());
        Call {
            metrics: self.metrics.clone(),
            trace: span.context().or(from),
            span,
            method,
            path: path.chars().take(256).collect(),
            request_id: request_id(request.headers()),
            caller: request.extensions().get().cloned(),
            record: CallRecord::default(),
            begun: Instant::now(),
            code: None,
        }
    }
}

impl<S> Layer<S> for AccessLogLayer {
    type Service = AccessLog<S>;

    fn layer(&self, inner: S) -> AccessLog<S> {
        AccessLog { inner, layer: self.clone() }
    }
}

// === impl AccessLog ===

impl<S, Q, A> Service<Request<Q>> for AccessLog<S>
where
    S: Service<Request<Q>, Response = Response<A>>,
    S::Future: Send + 'static,
    S::Error: Send,
    A: Default,
{
    type Response = Response<Observed<A>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Q>) -> Self::Future {
        let mut call = self.layer.call(&request);
        request.extensions_mut().insert(call.record.clone());
        request.extensions_mut().insert(RequestId(call.request_id.clone()));
        if let Some(span) = call.span.context() {
            request.extensions_mut().insert(span);
        }
        let refusable = Refusable::of(&request);
        let response = self.inner.call(request);
        Box::pin(async move {
            let mut response = grpc::with_details(response.await?, &refusable);
            response.headers_mut().insert(REQUEST_ID, call.request_id.clone());
            call.see(response.headers());
            Ok(response.map(|body| Observed { body, call }))
        })
    }
}

// === impl Call ===

impl Call {
    fn see(&mut self, headers: &HeaderMap) {
        if let Some(status) = headers.get(tonic::Status::GRPC_STATUS) {
            self.code = Some(Code::from_bytes(status.as_bytes()));
        }
    }

    /// Says in the span what came of the call.
    fn describe(&mut self, code: Code, reason: Option<&'static str>, upstream: &UpstreamRecord) {
        let span = &mut self.span;
        if !span.is_recorded() {
            return;
        }
        span.set("rpc.system.name", "grpc");
        span.set("rpc.method", self.method.name());
        if self.method.is_other() {
            span.set("rpc.method_original", self.path.clone());
        }
        span.set("rpc.status_code", code_name(code));
        if let Some(caller) = &self.caller {
            span.set("client.address", caller.address.ip().to_string());
            span.set("client.port", i64::from(caller.address.port()));
        }
        if let Some(reason) = reason {
            span.set("jobgate.reason", reason);
        }
        if let Some(shared) = upstream.shared {
            span.set("jobgate.shared", shared);
        }
        if is_failure(code) {
            span.fail(code_name(code));
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // Gone before it had a status: cut by us, or the caller went away.
        let cut = self.code.is_none() && self.caller.as_ref().is_some_and(Caller::is_cut);
        if cut {
            self.record.failed(&grpc::Error::ServerDraining);
        }
        let code = self.code.unwrap_or(if cut { Code::Unavailable } else { Code::Cancelled });
        let upstream = self.record.upstream();
        let reason = self.record.reason();
        let duration = self.begun.elapsed();
        self.metrics.ended(self.method, code, reason, duration);
        self.describe(code, reason, &upstream);
        let trace = self.trace.as_ref();
        tracing::info!(
            target: "jobgate::access",
            method = self.path,
            code = code_name(code),
            reason,
            duration_ms = duration.as_secs_f64() * 1e3,
            request_id = self.request_id.to_str().unwrap_or_default(),
            peer = self.caller.as_ref().map(|caller| tracing::field::display(caller.address)),
            caller = self.record.caller().as_deref(),
            certificate = self.caller.as_ref().and_then(Caller::certificate_name),
            trace_id = trace.map(|trace| tracing::field::display(trace.trace_id())),
            span_id = trace.map(|trace| tracing::field::display(trace.span_id())),
            attempts = upstream.attempts,
            shared = upstream.shared,
            upstream_duration_ms = upstream.duration_ms,
            upstream_http_status = upstream.http_status,
            upstream_code = upstream.code,
            upstream_request_id = upstream.request_id,
            upstream_detail = upstream.detail,
            "call"
        );
    }
}

/// The caller's request id if it is one, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    let given = headers.get(REQUEST_ID).filter(|value| {
        (1..=MAX_REQUEST_ID).contains(&value.len()) && value.as_bytes().iter().all(sane)
    });
    given.cloned().unwrap_or_else(new_request_id)
}

// === impl Observed ===

impl<B: Body<Data = Bytes> + Unpin> Body for Observed<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            self.call.see(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
