//! How often a token or an access key may ask.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;

use super::{admission::Refusal, script, world::MAX_KEPT};

pub(super) struct Throttle {
    rule: Option<script::Throttle>,
    /// Requests by token or access key in the present window.
    requests: Mutex<HashMap<String, (Instant, u32)>>,
}

// === impl Throttle ===

impl Throttle {
    pub(super) fn new(rule: Option<script::Throttle>) -> Self {
        Self { rule, requests: Mutex::default() }
    }

    /// Counts a request.
    pub(super) fn count(&self, credential: &str) -> Result<(), Refusal> {
        let Some(rule) = self.rule else {
            return Ok(());
        };
        let now = Instant::now();
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.len() >= MAX_KEPT {
            requests.clear();
        }
        let window = requests.entry(credential.to_owned()).or_insert((now, 0));
        if now - window.0 >= rule.per {
            *window = (now, 0);
        }
        window.1 += 1;
        if window.1 > rule.limit { Err(Refusal::TooOften(rule)) } else { Ok(()) }
    }
}
