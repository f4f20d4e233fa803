//! Which spans are recorded.

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceContextExt as _, TraceId},
};
use opentelemetry_sdk::trace::{Sampler, SamplingResult, ShouldSample};

/// As the parent was; without one, if any was that the span is on account of; without those, a share
/// of all.
#[derive(Clone, Debug)]
pub(super) struct Sampling {
    by_parent: Sampler,
}

// === impl Sampling ===

impl Sampling {
    pub(super) fn new(share: f64) -> Self {
        let root = Box::new(Sampler::TraceIdRatioBased(share));
        Self { by_parent: Sampler::ParentBased(root) }
    }
}

impl ShouldSample for Sampling {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let has_parent = parent.is_some_and(|parent| parent.span().span_context().is_valid());
        let sampler = match links {
            [] => &self.by_parent,
            _ if has_parent => &self.by_parent,
            _ if links.iter().any(|link| link.span_context.is_sampled()) => &Sampler::AlwaysOn,
            _ => &Sampler::AlwaysOff,
        };
        sampler.should_sample(parent, trace, name, kind, attributes, links)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceState};
    use opentelemetry_sdk::trace::SamplingDecision;

    use super::*;

    fn context(sampled: bool) -> SpanContext {
        let flags = TraceFlags::default().with_sampled(sampled);
        SpanContext::new(TraceId::from(1), SpanId::from(1), flags, true, TraceState::NONE)
    }

    #[test]
    fn parents_then_links_then_the_share_decide() {
        let parent = |sampled| Context::new().with_remote_span_context(context(sampled));
        let none = Context::new();
        for (share, parent, links, recorded) in [
            (1.0, &none, vec![], true),
            (0.0, &none, vec![], false),
            (0.0, &parent(true), vec![], true),
            (1.0, &parent(false), vec![], false),
            (0.0, &none, vec![false, true], true),
            (1.0, &none, vec![false, false], false),
            (1.0, &parent(false), vec![true], false),
        ] {
            let links: Vec<_> =
                links.iter().map(|sampled| Link::with_context(context(*sampled))).collect();
            let (trace, kind) = (TraceId::from(1 << 100), SpanKind::Internal);
            let result =
                Sampling::new(share).should_sample(Some(parent), trace, "", &kind, &[], &links);
            let is = result.decision == SamplingDecision::RecordAndSample;
            assert_eq!(is, recorded, "{share} {links:?}");
        }
    }
}
