//! What is odd in an answer that could be read all the same.

use std::fmt::{self, Write as _};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::counter::Counter,
    metrics::family::Family,
    registry::Registry,
};

/// One way in which an answer differs from the API's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Oddity {
    BodyCompressed,
    BodyNotUtf8,
    EntitiesNotObject,
    EntityNotText,
    FieldNotText,
    JobIdMissing,
    StatusUnknown,
    SubJobNotObject,
    SubJobsInEntities,
    SubJobsNotList,
    TimeUnreadable,
}

/// The oddities of one answer, each kind once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Oddities(Vec<Oddity>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    kind: Oddity,
}

/// Counts answers by the oddities in them.
#[derive(Clone, Default)]
pub(super) struct OddityCounter(Family<Labels, Counter>);

// === impl Oddity ===

impl Oddity {
    fn name(self) -> &'static str {
        match self {
            Self::BodyCompressed => "body_compressed",
            Self::BodyNotUtf8 => "body_not_utf8",
            Self::EntitiesNotObject => "entities_not_object",
            Self::EntityNotText => "entity_not_text",
            Self::FieldNotText => "field_not_text",
            Self::JobIdMissing => "job_id_missing",
            Self::StatusUnknown => "status_unknown",
            Self::SubJobNotObject => "sub_job_not_object",
            Self::SubJobsInEntities => "sub_jobs_in_entities",
            Self::SubJobsNotList => "sub_jobs_not_list",
            Self::TimeUnreadable => "time_unreadable",
        }
    }
}

impl EncodeLabelValue for Oddity {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(self.name())
    }
}

// === impl Oddities ===

impl Oddities {
    pub(super) fn saw(&mut self, oddity: Oddity) {
        if !self.0.contains(&oddity) {
            self.0.push(oddity);
        }
    }

    #[cfg(test)]
    pub(super) fn kinds(&self) -> &[Oddity] {
        &self.0
    }
}

// === impl OddityCounter ===

impl OddityCounter {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "jobgate_upstream_oddities",
            "Answers that differ from the API's documentation and were understood all the same",
            self.0.clone(),
        );
    }

    pub(super) fn count(&self, oddities: &Oddities) {
        for kind in &oddities.0 {
            self.0.get_or_create(&Labels { kind: *kind }).inc();
        }
    }
}
