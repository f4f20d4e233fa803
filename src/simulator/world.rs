//! The state of the simulated cloud: jobs, counters of faults, and those who are let in.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    keys::Keys,
    life::Job,
    metadata::Metadata,
    script::{Answer, Life, Script},
    throttle::Throttle,
    tokens::Tokens,
};

/// The most jobs, tokens, temporary keys and sessions that are kept of each. No more are made then.
pub(super) const MAX_KEPT: usize = 100_000;

/// The simulated cloud.
pub(super) struct World {
    pub(super) script: Script,
    pub(super) address: SocketAddr,
    pub(super) tokens: Tokens,
    pub(super) keys: Keys,
    pub(super) metadata: Metadata,
    pub(super) throttle: Throttle,
    started: (Instant, Timestamp),
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    jobs: HashMap<(String, String), (Instant, Job)>,
    /// How many requests have fitted each fault of the script.
    fitted: Vec<u32>,
}

// === impl World ===

impl World {
    pub(super) fn new(script: Script, address: SocketAddr) -> Self {
        let started = (Instant::now(), Timestamp::now());
        let fitted = vec![0; script.faults.len()];
        let state = Mutex::new(State { fitted, ..State::default() });
        let tokens = Tokens::new(script.tokens.clone());
        let keys = Keys::new(script.keys.clone());
        let metadata = Metadata::new(script.metadata);
        let throttle = Throttle::new(script.throttle);
        let world = Self { script, address, tokens, keys, metadata, throttle, started, state };
        for job in &world.script.jobs {
            if let Answer::Life(life) = &job.answer {
                world.begin(&job.project, job.id.clone(), (**life).clone(), Vec::new());
            }
        }
        world
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a job; false if there are too many.
    pub(super) fn begin(
        &self,
        project: &str,
        id: String,
        life: Life,
        names: Vec<(&'static str, String)>,
    ) -> bool {
        let now = Instant::now();
        let begun = self.started.1.checked_add(now - self.started.0).unwrap_or(self.started.1);
        let mut state = self.state();
        if state.jobs.len() >= MAX_KEPT {
            return false;
        }
        let key = (project.to_owned(), id.clone());
        state.jobs.insert(key, (now, Job { id, life, begun, names }));
        true
    }

    /// What a job looks like now.
    pub(super) fn job(&self, project: &str, id: &str) -> Option<Value> {
        let key = (project.to_owned(), id.to_owned());
        let state = self.state();
        state.jobs.get(&key).map(|(begun, job)| job.at(begun.elapsed()))
    }

    /// The first fault of the script that strikes a request: its number.
    pub(super) fn fault(&self, method: &str, path: &str) -> Option<usize> {
        let mut state = self.state();
        let mut struck = None;
        for (index, fault) in self.script.faults.iter().enumerate() {
            if struck.is_none()
                && fault.fits(method, path)
                && let Some(count) = state.fitted.get_mut(index)
            {
                struck = fault.strikes(*count).then_some(index);
                *count = count.saturating_add(1);
            }
        }
        struck
    }
}

/// A new id, as the cloud's job manager makes them: 32 lower-case hexadecimal digits.
pub(super) fn id() -> String {
    format!("{:032x}", fastrand::u128(..))
}
