//! The state of the simulated cloud: jobs, tokens and counters.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::response::Response;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    faults::{Shape, error},
    life::Job,
    script::{Accept, Answer, Life, Script},
};

/// The most jobs, and the most tokens, that are kept. No more jobs are started then, and no more
/// tokens issued.
const MAX_KEPT: usize = 100_000;

/// The simulated cloud.
pub(super) struct World {
    pub(super) script: Script,
    pub(super) address: SocketAddr,
    started: (Instant, Timestamp),
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    jobs: HashMap<(String, String), (Instant, Job)>,
    tokens: HashMap<String, Token>,
    /// Requests by token in the present window.
    requests: HashMap<String, (Instant, u32)>,
    /// How many requests have fitted each fault of the script.
    fitted: Vec<u32>,
}

struct Token {
    project: Option<String>,
    until: Instant,
}

// === impl World ===

impl World {
    pub(super) fn new(script: Script, address: SocketAddr) -> Self {
        let started = (Instant::now(), Timestamp::now());
        let fitted = vec![0; script.faults.len()];
        let state = Mutex::new(State { fitted, ..State::default() });
        let world = Self { script, address, started, state };
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

    /// Issues a token for a project, or for the domain only; `None` if there are too many.
    pub(super) fn issue(&self, project: Option<String>) -> Option<String> {
        let token = format!("MII{}{}", id(), id());
        let mut state = self.state();
        let now = Instant::now();
        state.tokens.retain(|_, token| token.until > now || ended_lately(token, now));
        if state.tokens.len() >= MAX_KEPT {
            return None;
        }
        let until = now + self.script.tokens.lifetime;
        state.tokens.insert(token.clone(), Token { project, until });
        Some(token)
    }

    /// Lets a request with this token to this project pass, or answers it.
    pub(super) fn admit(
        &self,
        token: Option<&str>,
        project: &str,
        request_id: &str,
    ) -> Result<(), Response> {
        let wrong = |text: &str| {
            let message = format!("Incorrect IAM authentication information: {text}");
            Err(error(401, Shape::Gateway, "APIGW.0301", &message, request_id))
        };
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            return wrong("x-auth-token not found");
        };
        let mut state = self.state();
        match state.tokens.get(token) {
            Some(known) if known.until <= Instant::now() => {
                let message = "The token must be updated";
                return Err(error(401, Shape::Gateway, "APIGW.0307", message, request_id));
            }
            Some(Token { project: Some(scope), .. }) if scope != project => {
                let message = "the project in the token differs from that in the url";
                return Err(error(400, Shape::Error, "Common.0018", message, request_id));
            }
            Some(Token { project: None, .. }) => {
                let message = "the token has no project";
                return Err(error(400, Shape::Error, "Common.0018", message, request_id));
            }
            Some(_) => {}
            None => {
                let tokens = &self.script.tokens;
                if tokens.accept == Accept::Issued && !tokens.known.iter().any(|it| it == token) {
                    return wrong("decrypt token fail");
                }
            }
        }
        if let Some(throttle) = self.script.throttle {
            let now = Instant::now();
            if state.requests.len() >= MAX_KEPT {
                state.requests.clear();
            }
            let window = state.requests.entry(token.to_owned()).or_insert((now, 0));
            if now - window.0 >= throttle.per {
                *window = (now, 0);
            }
            window.1 += 1;
            if window.1 > throttle.limit {
                let message = format!(
                    "The throttling threshold has been reached: policy user over ratelimit,\
                     limit:{},time:{}",
                    throttle.limit,
                    window_text(throttle.per),
                );
                return Err(error(429, Shape::Gateway, "APIGW.0308", &message, request_id));
            }
        }
        Ok(())
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

/// A token that has ended is told so for a while, and then forgotten.
fn ended_lately(token: &Token, now: Instant) -> bool {
    now.saturating_duration_since(token.until) < Duration::from_hours(1)
}

fn window_text(per: Duration) -> String {
    match per.as_secs() {
        seconds if seconds >= 60 && seconds % 60 == 0 => format!("{} minute", seconds / 60),
        seconds => format!("{seconds} second"),
    }
}

/// A new id, as the cloud's job manager makes them: 32 lower-case hexadecimal digits.
pub(super) fn id() -> String {
    format!("{:032x}", fastrand::u128(..))
}
