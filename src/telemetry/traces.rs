//! Spans, begun by hand where something begins that is worth one.
//!
//! There is no span that is current by itself: who begins something is handed what it is part of.

use std::sync::Arc;

use opentelemetry::{
    Context, KeyValue, Value,
    trace::{Link, Span as _, SpanBuilder, SpanKind, Status, Tracer as _, TracerProvider as _},
};
use opentelemetry_sdk::trace::{self as sdk, SdkTracer, SdkTracerProvider};

use super::TraceContext;

/// Begins spans. Cheap to clone. The default one begins none and costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<SdkTracer>>);

/// Something that takes some time. Its end is when it is dropped.
#[derive(Debug, Default)]
pub struct Span(Option<Box<sdk::Span>>);

/// Which side of things a span shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request that is sent.
    Client,
    /// Something that nobody outside asked for.
    Internal,
    /// A call that is answered.
    Server,
}

// === impl Tracer ===

impl Tracer {
    pub(super) fn new(provider: &SdkTracerProvider) -> Self {
        Self(Some(Arc::new(provider.tracer(env!("CARGO_PKG_NAME")))))
    }

    /// Begins a span as a part of another one, or of nothing.
    pub fn span(&self, kind: Kind, name: &'static str, parent: Option<&TraceContext>) -> Span {
        self.begin(kind, name, parent, Vec::new())
    }

    /// Begins a span that is part of nothing, on account of others.
    pub fn root(&self, name: &'static str, accounts: &[TraceContext]) -> Span {
        let links = accounts.iter().map(|it| Link::with_context(it.span().clone())).collect();
        self.begin(Kind::Internal, name, None, links)
    }

    fn begin(
        &self,
        kind: Kind,
        name: &'static str,
        parent: Option<&TraceContext>,
        links: Vec<Link>,
    ) -> Span {
        let Some(tracer) = &self.0 else {
            return Span(None);
        };
        let kind = match kind {
            Kind::Client => SpanKind::Client,
            Kind::Internal => SpanKind::Internal,
            Kind::Server => SpanKind::Server,
        };
        let builder = SpanBuilder::from_name(name).with_kind(kind).with_links(links);
        let parent = parent.map_or_else(Context::new, TraceContext::as_parent);
        Span(Some(Box::new(tracer.build_with_context(builder, &parent))))
    }
}

// === impl Span ===

impl Span {
    /// The span, as others are told of it; `None` if there are no traces. One that is not among
    /// the recorded ones has a place in its trace all the same.
    pub fn context(&self) -> Option<TraceContext> {
        self.0.as_ref().and_then(|span| TraceContext::new(span.span_context().clone()))
    }

    /// Whether anybody will read what is said of it.
    pub fn is_recorded(&self) -> bool {
        self.0.as_ref().is_some_and(|span| span.is_recording())
    }

    /// Says something of it.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// Says that it went wrong, and how in one word.
    pub fn fail(&mut self, error_type: impl Into<Value>) {
        self.set("error.type", error_type);
        if let Some(span) = &mut self.0 {
            span.set_status(Status::error(""));
        }
    }
}
