//! A token of IAM: a secret that can travel in an HTTP header.

use std::hash::{Hash, Hasher};

use bytes::Bytes;
use http::HeaderValue;

use super::secret::Secret;

/// A token, the caller's or the gateway's, kept as it came.
///
/// Two tokens are equal if all their bytes are.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Secret);

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token is empty or has characters that no HTTP header can carry")]
pub struct InvalidToken;

// === impl Token ===

impl Token {
    /// Takes a token; it must be able to travel in an HTTP header.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidToken> {
        Self::from_secret(Secret::new(bytes))
    }

    pub(super) fn from_secret(secret: Secret) -> Result<Self, InvalidToken> {
        if secret.bytes().is_empty() || HeaderValue::from_bytes(secret.bytes()).is_err() {
            return Err(InvalidToken);
        }
        Ok(Self(secret))
    }

    /// The token as a header value that is marked sensitive. It is no copy: the bytes are wiped
    /// with the token.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let shared = Bytes::from_owner(self.0.clone());
        let mut value = HeaderValue::from_maybe_shared(shared).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.0
    }
}

impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.bytes().hash(state);
    }
}
