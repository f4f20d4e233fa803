//! Secrets: they do not print, are wiped when the last copy goes, and are found in others' texts.

use std::{borrow::Cow, fmt, sync::Arc};

use secrecy::{ExposeSecret as _, SecretSlice};

/// Some bytes that nobody may see.
///
/// Copies share one piece of memory, which is wiped when the last one goes.
#[derive(Clone)]
pub struct Secret(Arc<SecretSlice<u8>>);

/// Why a text is no secret that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// It has no characters.
    #[error("is empty")]
    Empty,
    /// It has line breaks or other control characters, or is not UTF-8.
    #[error("is not one line of text")]
    NotALine,
}

// === impl Secret ===

impl Secret {
    /// Takes a copy of a line of text, without its end: as files have it that were made by hand.
    pub fn line(bytes: &[u8]) -> Result<Self, InvalidSecret> {
        let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Err(InvalidSecret::Empty);
        }
        if line.iter().any(u8::is_ascii_control) || std::str::from_utf8(line).is_err() {
            return Err(InvalidSecret::NotALine);
        }
        Ok(Self::new(line))
    }

    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(Arc::new(SecretSlice::from(bytes.to_vec())))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// The secret as it looks in a body that was read as text.
    pub(super) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.bytes())
    }

    /// Whether the text has the secret in it.
    pub(super) fn is_in(&self, text: &str) -> bool {
        text.contains(&*self.text())
    }

    /// The first `max` bytes of a text, with the secret taken out.
    pub(super) fn redact<'t>(&self, text: &'t str, max: usize) -> Cow<'t, str> {
        // Request ids are short and tokens long, and to begin a search for a token takes its time.
        if text.len() < self.bytes().len() {
            return Cow::Borrowed(&text[..text.floor_char_boundary(max)]);
        }
        let secret = self.text();
        let mut redacted = String::new();
        let mut rest = text;
        let mut left = max;
        loop {
            // A secret that begins before the end counts whole.
            let window = &rest[..rest.floor_char_boundary(left.saturating_add(secret.len()))];
            match window.find(&*secret).filter(|at| *at < left) {
                Some(at) => {
                    redacted.extend([&window[..at], "[token]"]);
                    rest = &rest[at + secret.len()..];
                    left = left.saturating_sub(at + secret.len());
                }
                None => return Cow::Owned(redacted + &rest[..rest.floor_char_boundary(left)]),
            }
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl AsRef<[u8]> for Secret {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_one_line() {
        for (bytes, expected) in [
            (&b"pass word "[..], Ok(&b"pass word "[..])),
            (b"p\n", Ok(b"p")),
            (b"p\r\n", Ok(b"p")),
            ("pässword\n".as_bytes(), Ok("pässword".as_bytes())),
            (b"", Err(InvalidSecret::Empty)),
            (b"\n", Err(InvalidSecret::Empty)),
            (b"a\nb\n", Err(InvalidSecret::NotALine)),
            (b"p\n\n", Err(InvalidSecret::NotALine)),
            (b"a\0b", Err(InvalidSecret::NotALine)),
            (b"\xff", Err(InvalidSecret::NotALine)),
        ] {
            let secret = Secret::line(bytes);
            assert_eq!(secret.as_ref().map(Secret::bytes), expected.as_ref().copied(), "{bytes:?}");
        }
    }

    #[test]
    fn it_does_not_print() {
        assert_eq!(format!("{:?}", Secret::new(b"pass")), "[secret]");
    }
}
