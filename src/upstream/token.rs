//! The caller's token: a secret that does not print.

use std::{
    borrow::Cow,
    hash::{Hash, Hasher},
    sync::Arc,
};

use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretSlice};

/// A token that the caller brought, kept as it came.
///
/// It has neither `Debug` nor `Display`, so it can't reach a log. Copies share one piece of
/// memory, which is wiped when the last one goes. Two tokens are equal if all their bytes are.
#[derive(Clone)]
pub struct Token(Arc<SecretSlice<u8>>);

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token is empty or has characters that no HTTP header can carry")]
pub struct InvalidToken;

// === impl Token ===

impl Token {
    /// Takes a token; it must be able to travel in an HTTP header.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidToken> {
        if bytes.is_empty() || HeaderValue::from_bytes(bytes).is_err() {
            return Err(InvalidToken);
        }
        Ok(Self(Arc::new(SecretSlice::from(bytes.to_vec()))))
    }

    /// The token as a header value that is marked sensitive.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_bytes(self.0.expose_secret()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Whether the text has the token in it.
    pub(super) fn is_in(&self, text: &str) -> bool {
        text.contains(&*self.text())
    }

    /// The first `max` bytes of a text, with the token taken out.
    pub(super) fn redact(&self, text: &str, max: usize) -> String {
        let token = self.text();
        let mut redacted = String::new();
        let mut rest = text;
        let mut left = max;
        loop {
            // A token that begins before the end counts whole.
            let window = &rest[..rest.floor_char_boundary(left.saturating_add(token.len()))];
            match window.find(&*token).filter(|at| *at < left) {
                Some(at) => {
                    redacted.extend([&window[..at], "[token]"]);
                    rest = &rest[at + token.len()..];
                    left = left.saturating_sub(at + token.len());
                }
                None => return redacted + &rest[..rest.floor_char_boundary(left)],
            }
        }
    }

    /// The token as it looks in a body that was read as text.
    fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.0.expose_secret())
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl Eq for Token {}

impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.expose_secret().hash(state);
    }
}
