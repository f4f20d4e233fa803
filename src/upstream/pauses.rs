//! Credentials with which the upstream wants to be left alone for a while.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use super::{
    FetchError,
    credentials::{Credential, Fingerprint},
};

/// The most credentials that are remembered. More than that at a time forget their pause.
const MAX_PAUSES: usize = 10_000;

/// Which credentials are paused, until when, and why. The credentials themselves are not kept.
#[derive(Clone, Default)]
pub(super) struct Pauses(Arc<Mutex<HashMap<Fingerprint, Pause>>>);

struct Pause {
    until: Instant,
    error: Arc<FetchError>,
}

// === impl Pauses ===

impl Pauses {
    /// Takes note of an error that asks for a pause.
    pub(super) fn note(&self, credential: &Credential, error: &Arc<FetchError>) {
        let Some(asked) = error.retry_after.filter(|_| !error.is_lasting()) else {
            return;
        };
        let now = Instant::now();
        let until = now + asked;
        let mut pauses = self.lock();
        if pauses.len() >= MAX_PAUSES {
            pauses.retain(|_, pause| pause.until > now);
        }
        let full = pauses.len() >= MAX_PAUSES;
        match pauses.entry(credential.fingerprint()) {
            Entry::Occupied(pause) if pause.get().until >= until => {}
            Entry::Vacant(_) if full => {}
            entry => {
                entry.insert_entry(Pause { until, error: Arc::clone(error) });
            }
        }
    }

    /// The error that asked for a pause that is not over, with the wait that is left.
    pub(super) fn of(&self, credential: &Credential) -> Option<Arc<FetchError>> {
        let now = Instant::now();
        let mut pauses = self.lock();
        // Mostly, nobody is paused.
        if pauses.is_empty() {
            return None;
        }
        let fingerprint = credential.fingerprint();
        let pause = pauses.get(&fingerprint)?;
        if pause.until <= now {
            pauses.remove(&fingerprint);
            return None;
        }
        Some(FetchError::as_of_now(&pause.error, pause.until - now))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Fingerprint, Pause>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
