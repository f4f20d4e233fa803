//! The metadata service of a machine: temporary keys for those who run on it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode};
use serde_json::json;
use tokio::time::Instant;

use super::{
    faults::{Shape, error, respond},
    script::{self, Session},
    world::{MAX_KEPT, World, id},
};

/// The longest life of a session token: six hours.
const MAX_TTL: u64 = 6 * 60 * 60;

pub(super) struct Metadata {
    rules: script::Metadata,
    sessions: Mutex<HashMap<String, Instant>>,
}

/// `PUT /meta-data/latest/api/token`. The session token is the body.
pub(super) async fn session(State(world): State<Arc<World>>, headers: HeaderMap) -> Response {
    let refuse = |status, message| error(status, Shape::Text, "", message, "");
    if world.metadata.rules.session == Session::Off {
        return refuse(404, "Not Found");
    }
    let ttl = headers.get("x-metadata-token-ttl-seconds").and_then(|it| it.to_str().ok());
    let Some(ttl) = ttl.and_then(|it| it.parse().ok()).filter(|ttl| (1..=MAX_TTL).contains(ttl))
    else {
        return refuse(400, "X-Metadata-Token-Ttl-Seconds must be from 1 to 21600");
    };
    match world.metadata.begin(Duration::from_secs(ttl)) {
        Some(token) => respond(200, "text/plain", token),
        None => refuse(503, "Service Unavailable"),
    }
}

/// `GET /openstack/latest/securitykey`. Each answer has new keys.
pub(super) async fn security_key(State(world): State<Arc<World>>, headers: HeaderMap) -> Response {
    let token = headers.get("x-metadata-token").and_then(|value| value.to_str().ok());
    if !world.metadata.lets_in(token) {
        return error(401, Shape::Text, "", "Unauthorized", "");
    }
    let Some(key) = world.keys.issue(world.metadata.rules.lifetime) else {
        return error(503, Shape::Text, "", "Service Unavailable", "");
    };
    let credential = json!({
        "access": key.access_key,
        "secret": key.secret_key,
        "securitytoken": key.security_token,
        "expires_at": key.expires_at,
    });
    (StatusCode::OK, Json(json!({"credential": credential}))).into_response()
}

// === impl Metadata ===

impl Metadata {
    pub(super) fn new(rules: script::Metadata) -> Self {
        Self { rules, sessions: Mutex::default() }
    }

    /// A new session token; `None` if there are too many.
    fn begin(&self, ttl: Duration) -> Option<String> {
        let now = Instant::now();
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, until| *until > now);
        if sessions.len() >= MAX_KEPT {
            return None;
        }
        let token = id();
        sessions.insert(token.clone(), now + ttl);
        Some(token)
    }

    fn lets_in(&self, token: Option<&str>) -> bool {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let is_good =
            |token: &str| sessions.get(token).is_some_and(|until| *until > Instant::now());
        match self.rules.session {
            Session::Off => true,
            Session::Optional => token.is_none_or(is_good),
            Session::Required => token.is_some_and(is_good),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_session_ends() {
        let rules = script::Metadata { session: Session::Required, ..Default::default() };
        let metadata = Metadata::new(rules);
        let token = metadata.begin(Duration::from_mins(1)).unwrap();
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(metadata.lets_in(Some(&token)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!metadata.lets_in(Some(&token)));
    }
}
