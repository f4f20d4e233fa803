//! The tokens that were issued, and which tokens are good.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    admission::Refusal,
    script::{self, Accept},
    world::{MAX_KEPT, id},
};

/// How long a token that has ended is still known as such.
const REMEMBERED: Duration = Duration::from_hours(1);

pub(super) struct Tokens {
    pub(super) rules: script::Tokens,
    issued: Mutex<HashMap<String, Token>>,
}

struct Token {
    project: Option<String>,
    until: Instant,
    /// What IAM tells about it, as JSON.
    about: Box<str>,
}

// === impl Tokens ===

impl Tokens {
    pub(super) fn new(rules: script::Tokens) -> Self {
        Self { rules, issued: Mutex::default() }
    }

    fn issued(&self) -> MutexGuard<'_, HashMap<String, Token>> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Issues a token for a project, or for the domain only; `None` if there are too many.
    pub(super) fn issue(&self, project: Option<String>, about: &str) -> Option<String> {
        let token = format!("MII{}{}", id(), id());
        let now = Instant::now();
        let mut issued = self.issued();
        issued.retain(|_, token| now.saturating_duration_since(token.until) < REMEMBERED);
        if issued.len() >= MAX_KEPT {
            return None;
        }
        let until = now + self.rules.lifetime;
        issued.insert(token.clone(), Token { project, until, about: about.into() });
        Some(token)
    }

    /// Whether a token is good for a request to this project.
    pub(super) fn check(&self, token: &str, project: &str) -> Result<(), Refusal> {
        match self.issued().get(token) {
            Some(known) if known.until <= Instant::now() => Err(Refusal::TokenEnded),
            Some(Token { project: Some(scope), .. }) if scope != project => {
                Err(Refusal::OtherProject("the project in the token differs from that in the url"))
            }
            Some(Token { project: None, .. }) => {
                Err(Refusal::OtherProject("the token has no project"))
            }
            Some(Token { project: Some(_), .. }) => Ok(()),
            None if self.takes(token) => Ok(()),
            None => Err(Refusal::Iam("decrypt token fail".to_owned())),
        }
    }

    /// Whether a token is good at all, as IAM asks.
    pub(super) fn is_good(&self, token: &str) -> bool {
        match self.issued().get(token) {
            Some(known) => known.until > Instant::now(),
            None => self.takes(token),
        }
    }

    /// Whether the script takes a token that was not issued.
    fn takes(&self, token: &str) -> bool {
        match self.rules.accept {
            Accept::Any => !token.is_empty(),
            Accept::Issued => self.rules.known.iter().any(|known| known == token),
        }
    }

    /// What there is to tell about an issued token that has not ended.
    pub(super) fn about(&self, token: &str) -> Option<String> {
        let issued = self.issued();
        issued.get(token).filter(|it| it.until > Instant::now()).map(|it| it.about.to_string())
    }

    /// Ends an issued token; false if there is none, or it has ended.
    pub(super) fn revoke(&self, token: &str) -> bool {
        let now = Instant::now();
        match self.issued().get_mut(token).filter(|it| it.until > now) {
            Some(token) => {
                token.until = now;
                true
            }
            None => false,
        }
    }
}
