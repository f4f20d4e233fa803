//! The spans of those who watch, for the spans of the polls that are made for them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::telemetry::TraceContext;

/// The most spans that a poll names. One poll may be for ten thousand watchers.
const MAX_SPANS: usize = 32;

/// Spans of watches that are open; some of them, if they are many.
#[derive(Default)]
pub(super) struct Audience(Mutex<Vec<Weak<TraceContext>>>);

/// A watch in the audience. Dropped, it has left.
pub(super) type Attendance = Option<Arc<TraceContext>>;

// === impl Audience ===

impl Audience {
    /// Takes note of a watch, if it has a span.
    pub(super) fn join(&self, span: Option<&TraceContext>) -> Attendance {
        let span = Arc::new(span?.clone());
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spans.len() >= MAX_SPANS {
            spans.retain(|span| span.strong_count() > 0);
        }
        if spans.len() < MAX_SPANS {
            spans.push(Arc::downgrade(&span));
        }
        Some(span)
    }

    /// The spans of those who are there.
    pub(super) fn spans(&self) -> Vec<TraceContext> {
        let spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spans.iter().filter_map(Weak::upgrade).map(|span| (*span).clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn span(number: usize) -> TraceContext {
        let parent = format!("00-0af7651916cd43dd8448eb211c80319c-{number:016x}-01");
        let parent = HeaderValue::from_str(&parent).unwrap();
        let headers =
            HeaderMap::from_iter([(http::header::HeaderName::from_static("traceparent"), parent)]);
        TraceContext::of(&headers).unwrap()
    }

    #[test]
    fn those_who_left_make_room_for_others_and_all_are_few() {
        let audience = Audience::default();
        assert!(audience.join(None).is_none());
        let first = audience.join(Some(&span(1)));
        assert_eq!(audience.spans(), [span(1)]);
        drop(first);
        assert_eq!(audience.spans(), []);
        let many: Vec<_> = (1..100).map(|number| audience.join(Some(&span(number)))).collect();
        // The place of the one who left was found when there was need of it.
        let expected: Vec<_> = (1..=MAX_SPANS).map(span).collect();
        assert_eq!(audience.spans(), expected);
        drop(many);
        let _late = audience.join(Some(&span(1000)));
        assert_eq!(audience.spans(), [span(1000)]);
    }
}
