//! What is known of projects: for which a pass was taken, and which are left alone for a while.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use crate::upstream::FetchError;

/// The most projects that are remembered of each kind.
const MAX_PROJECTS: usize = 10_000;

/// What is known of projects. The time is an argument.
#[derive(Default)]
pub(super) struct Projects {
    known: HashSet<Box<str>>,
    holds: HashMap<Box<str>, Hold>,
}

struct Hold {
    until: Instant,
    refusals: u32,
    error: Arc<FetchError>,
}

// === impl Projects ===

impl Projects {
    /// Whether a pass was taken for it.
    pub(super) fn knows(&self, project: &str) -> bool {
        self.known.contains(project)
    }

    /// A pass was taken for it.
    pub(super) fn taken(&mut self, project: &str) {
        self.holds.remove(project);
        if !self.known.contains(project) && self.known.len() < MAX_PROJECTS {
            self.known.insert(project.into());
        }
    }

    /// Why it is left alone, if so.
    pub(super) fn held(&self, project: &str, now: Instant) -> Option<&Arc<FetchError>> {
        self.holds.get(project).filter(|hold| hold.until > now).map(|hold| &hold.error)
    }

    /// Leaves a project alone that a pass was never good for: for the first of these times, and twice
    /// as long with each refusal, up to the second.
    pub(super) fn hold(
        &mut self,
        project: &str,
        (first, most): (Duration, Duration),
        error: &Arc<FetchError>,
        now: Instant,
    ) {
        if self.known.contains(project) || self.holds.len() >= MAX_PROJECTS {
            return;
        }
        let before = self.holds.get(project).map_or(0, |hold| hold.refusals);
        let wait = first.saturating_mul(1 << before.min(8)).min(most);
        let hold = Hold { until: now + wait, refusals: before + 1, error: Arc::clone(error) };
        self.holds.insert(project.into(), hold);
    }

    /// When those are left alone no longer that are now.
    pub(super) fn ends(&self, now: Instant) -> impl Iterator<Item = Instant> {
        self.holds.values().map(|hold| hold.until).filter(move |until| *until > now)
    }

    /// Makes room, when there is none, by what is over.
    pub(super) fn age(&mut self, now: Instant) {
        if self.holds.len() >= MAX_PROJECTS {
            self.holds.retain(|_, hold| hold.until > now);
        }
    }
}
