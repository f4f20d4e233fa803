//! The access keys, known and temporary, and how they are locked.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{
    admission::Refusal,
    script,
    signature::{self, Claim},
    world::{MAX_KEPT, id},
};

/// How far the date of a signature may be from the clock.
const MAX_SKEW: SignedDuration = SignedDuration::from_mins(15);
/// How long temporary keys that have ended are still known as such.
const REMEMBERED: Duration = Duration::from_hours(1);

pub(super) struct Keys {
    rules: script::Keys,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    temporary: HashMap<String, Temporary>,
    failures: HashMap<String, Failures>,
}

/// Keys that the metadata service gave.
#[derive(Clone)]
pub(super) struct Temporary {
    pub(super) access_key: String,
    pub(super) secret_key: String,
    pub(super) security_token: String,
    pub(super) expires_at: String,
    until: Instant,
}

/// Wrong signatures in a row.
struct Failures {
    count: u32,
    last: Instant,
}

fn wrong<T>(text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Iam(text.into()))
}

// === impl Keys ===

impl Keys {
    pub(super) fn new(rules: script::Keys) -> Self {
        Self { rules, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes temporary keys; `None` if there are too many.
    pub(super) fn issue(&self, lifetime: Duration) -> Option<Temporary> {
        let now = Instant::now();
        let mut state = self.state();
        let State { temporary, failures } = &mut *state;
        temporary.retain(|_, key| now.saturating_duration_since(key.until) < REMEMBERED);
        failures.retain(|key, _| temporary.contains_key(key) || self.rules.known.contains_key(key));
        if temporary.len() >= MAX_KEPT {
            return None;
        }
        let end = Timestamp::now().checked_add(lifetime).unwrap_or(Timestamp::MAX);
        let key = Temporary {
            access_key: id().to_ascii_uppercase().chars().take(20).collect(),
            secret_key: id(),
            security_token: format!("{}{}", id(), id()),
            expires_at: format!("{end:.6}"),
            until: now + lifetime,
        };
        temporary.insert(key.access_key.clone(), key.clone());
        Some(key)
    }

    /// The access key of a request whose signature is right.
    pub(super) fn check<'a>(
        &self,
        authorization: &'a str,
        parts: &Parts,
        body: &[u8],
    ) -> Result<&'a str, Refusal> {
        let claim = Claim::parse(authorization);
        let (Some(claim), Some(date)) = (claim, signature::date(&parts.headers)) else {
            return wrong("verify aksk signature fail");
        };
        let now = Timestamp::now();
        if now.duration_since(date).abs() > MAX_SKEW {
            return wrong(format!(
                "signature expired, signature time:{date:.0}, server time:{now:.0}"
            ));
        }
        let mut state = self.state();
        let secret_key = self.secret_key(&state, claim.access_key, parts)?;
        let is_right = claim.holds(&secret_key, parts, body);
        self.count(&mut state.failures, claim.access_key, is_right)?;
        Ok(claim.access_key)
    }

    /// The secret key that belongs to an access key, if the security token does, too.
    fn secret_key(
        &self,
        state: &State,
        access_key: &str,
        parts: &Parts,
    ) -> Result<String, Refusal> {
        let token = parts.headers.get("x-security-token").map(http::HeaderValue::as_bytes);
        match (state.temporary.get(access_key), self.rules.known.get(access_key), token) {
            // A temporary key alone is nobody's.
            (None, None, _) | (Some(_), _, None) => wrong(format!("ak {access_key} not exist")),
            (Some(key), _, Some(token)) if key.security_token.as_bytes() != token => {
                wrong("decrypt token fail")
            }
            (Some(key), _, Some(_)) if key.until <= Instant::now() => {
                wrong(format!("token expires, expires_at: {}", key.expires_at))
            }
            (Some(key), _, Some(_)) => Ok(key.secret_key.clone()),
            (None, Some(_), Some(_)) => wrong("decrypt token fail"),
            (None, Some(secret_key), None) => Ok(secret_key.clone()),
        }
    }

    /// Counts wrong signatures. Those sent while a key is locked keep it locked for longer.
    fn count(
        &self,
        failures: &mut HashMap<String, Failures>,
        access_key: &str,
        is_right: bool,
    ) -> Result<(), Refusal> {
        let now = Instant::now();
        let is_locked = failures.get(access_key).is_some_and(|it| {
            it.count >= self.rules.lock_after && now - it.last < self.rules.lock_for
        });
        match (is_locked, is_right) {
            (false, true) => {
                failures.remove(access_key);
                return Ok(());
            }
            (true, true) => {}
            (_, false) => {
                let failures = failures
                    .entry(access_key.to_owned())
                    .or_insert(Failures { count: 0, last: now });
                // After a lock, five more are borne.
                if !is_locked && failures.count >= self.rules.lock_after {
                    failures.count = 0;
                }
                failures.count = failures.count.saturating_add(1);
                failures.last = now;
            }
        }
        if is_locked {
            return wrong("AK access failed to reach the limit,forbidden");
        }
        wrong("verify aksk signature fail")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFY: &str = "verify aksk signature fail";
    const LOCKED: &str = "AK access failed to reach the limit,forbidden";

    /// What is said to a request with a right or a wrong signature.
    fn said(keys: &Keys, is_right: bool) -> String {
        match keys.count(&mut keys.state().failures, "ak", is_right) {
            Ok(()) => "come in".to_owned(),
            Err(Refusal::Iam(text)) => text,
            Err(refusal) => panic!("{refusal:?}"),
        }
    }

    fn keys() -> Keys {
        Keys::new(script::Keys::default())
    }

    #[tokio::test(start_paused = true)]
    async fn five_wrong_signatures_lock_a_key_for_a_time() {
        let keys = keys();
        for _ in 0..2 {
            for _ in 0..5 {
                assert_eq!(said(&keys, false), VERIFY);
            }
            assert_eq!(said(&keys, true), LOCKED);
            tokio::time::advance(Duration::from_secs(299)).await;
            assert_eq!(said(&keys, true), LOCKED);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(said(&keys, true), "come in");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_signature_keeps_a_locked_key_locked() {
        let keys = keys();
        for _ in 0..5 {
            said(&keys, false);
        }
        tokio::time::advance(Duration::from_secs(200)).await;
        assert_eq!(said(&keys, false), LOCKED);
        tokio::time::advance(Duration::from_secs(200)).await;
        assert_eq!(said(&keys, true), LOCKED);
    }

    #[test]
    fn a_right_signature_begins_the_count_anew() {
        let keys = keys();
        for is_right in [false, false, false, false, true, false, false, false, false, true] {
            let expected = if is_right { "come in" } else { VERIFY };
            assert_eq!(said(&keys, is_right), expected);
        }
    }
}
