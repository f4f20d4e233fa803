//! Places in traces, as they go from service to service: W3C Trace Context.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator as _},
    trace::{SpanContext, TraceContextExt as _},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The longest header that is read. The standard asks for as much.
const MAX_HEADER: usize = 512;

/// A span, as others are told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceContext(SpanContext);

/// Headers to read from.
struct From<'h>(&'h HeaderMap);

/// Headers to write to.
struct Into<'h>(&'h mut HeaderMap);

// === impl TraceContext ===

impl TraceContext {
    /// The span that a call belongs to by its headers; `None` if they name none.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        // Mostly, nothing is said.
        headers.get(TRACEPARENT)?;
        let context = Context::new();
        let context = TraceContextPropagator::new().extract_with_context(&context, &From(headers));
        Self::new(context.span().span_context().clone())
    }

    pub(super) fn new(span: SpanContext) -> Option<Self> {
        span.is_valid().then_some(Self(span))
    }

    /// Makes the span the parent of whatever a request with these headers leads to.
    pub fn write(&self, headers: &mut HeaderMap) {
        TraceContextPropagator::new().inject_context(&self.as_parent(), &mut Into(headers));
    }

    /// The trace.
    pub fn trace_id(&self) -> impl fmt::Display + use<> {
        self.0.trace_id()
    }

    /// The span in it.
    pub fn span_id(&self) -> impl fmt::Display + use<> {
        self.0.span_id()
    }

    pub(super) fn as_parent(&self) -> Context {
        Context::new().with_remote_span_context(self.0.clone())
    }

    pub(super) fn span(&self) -> &SpanContext {
        &self.0
    }
}

// === impl From ===

impl Extractor for From<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let value = self.0.get(key).filter(|value| value.len() <= MAX_HEADER);
        value.and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

// === impl Into ===

impl Injector for Into<'_> {
    fn set(&mut self, key: &str, value: String) {
        let parsed = (HeaderName::from_bytes(key.as_bytes()), HeaderValue::from_str(&value));
        if let (Ok(name), Ok(header)) = parsed
            && !value.is_empty()
        {
            self.0.insert(name, header);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn what_comes_in_goes_out() {
        let came = headers(&[("traceparent", PARENT), ("tracestate", "a=1,b=2")]);
        let context = TraceContext::of(&came).unwrap();
        assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
        let mut went = headers(&[("traceparent", "another"), ("accept", "x")]);
        context.write(&mut went);
        assert_eq!(went.remove("accept").unwrap(), "x");
        assert_eq!(went, came);
        let came = headers(&[("traceparent", PARENT)]);
        let mut went = HeaderMap::new();
        TraceContext::of(&came).unwrap().write(&mut went);
        assert_eq!(went, came);
    }

    #[test]
    fn what_is_no_context_is_none() {
        let long = format!("{PARENT}{}", " ".repeat(MAX_HEADER));
        for parent in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            &long,
        ] {
            assert_eq!(TraceContext::of(&headers(&[("traceparent", parent)])), None, "{parent}");
        }
    }

    #[test]
    fn a_state_that_is_too_long_is_left_out() {
        let state = format!("a={}", "x".repeat(MAX_HEADER));
        let came = headers(&[("traceparent", PARENT), ("tracestate", &state)]);
        let mut went = HeaderMap::new();
        TraceContext::of(&came).unwrap().write(&mut went);
        assert_eq!(went, headers(&[("traceparent", PARENT)]));
    }
}
