//! Credentials with which the upstream wants to be left alone for a while.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use super::{FetchError, Token};

/// The most credentials that are remembered. More than that at a time forget their pause.
const MAX_PAUSES: usize = 10_000;

/// Which credentials are paused, until when, and why.
#[derive(Clone, Default)]
pub(super) struct Pauses(Arc<Mutex<HashMap<Token, Pause>>>);

struct Pause {
    until: Instant,
    error: Arc<FetchError>,
}

// === impl Pauses ===

impl Pauses {
    /// Takes note of an error that asks for a pause.
    pub(super) fn note(&self, token: &Token, error: &Arc<FetchError>) {
        let Some(asked) = error.retry_after().filter(|_| !error.is_lasting()) else {
            return;
        };
        let now = Instant::now();
        let until = now + asked;
        let mut pauses = self.lock();
        if pauses.len() >= MAX_PAUSES {
            pauses.retain(|_, pause| pause.until > now);
        }
        let full = pauses.len() >= MAX_PAUSES;
        match pauses.entry(token.clone()) {
            Entry::Occupied(pause) if pause.get().until >= until => {}
            Entry::Vacant(_) if full => {}
            entry => {
                entry.insert_entry(Pause { until, error: Arc::clone(error) });
            }
        }
    }

    /// The error that asked for a pause that is not over, with the wait that is left.
    pub(super) fn of(&self, token: &Token) -> Option<Arc<FetchError>> {
        let now = Instant::now();
        let mut pauses = self.lock();
        let pause = pauses.get(token)?;
        if pause.until <= now {
            pauses.remove(token);
            return None;
        }
        Some(FetchError::as_of_now(&pause.error, pause.until - now))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Token, Pause>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
