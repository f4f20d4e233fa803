//! Callers' tokens, of which only the hash is ever kept.

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The SHA-256 of a caller's token. Like the token, it does not print.
#[derive(Clone)]
pub struct TokenHash([u8; 32]);

/// A text that is no hash of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidHash {
    #[error("must be the SHA-256 of a token, as 64 hexadecimal digits")]
    NotHex,
    /// What a shell makes of a variable that is not set.
    #[error("is the SHA-256 of nothing")]
    OfNothing,
}

// === impl TokenHash ===

impl TokenHash {
    /// Hashes a token.
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    pub(super) fn parse(hex: &str) -> Result<Self, InvalidHash> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
        let digits: Option<Vec<u8>> = hex.bytes().map(digit).collect();
        let digits = digits.filter(|digits| digits.len() == 64).ok_or(InvalidHash::NotHex)?;
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        let hash = Self(hash);
        if hash.is(&Self::of(b"")) { Err(InvalidHash::OfNothing) } else { Ok(hash) }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl ConstantTimeEq for TokenHash {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf %s abc | sha256sum`
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_hash_is_64_hexadecimal_digits_of_something() {
        for hex in [ABC.to_owned(), ABC.to_uppercase()] {
            let hash = TokenHash::parse(&hex).unwrap();
            assert!(hash.is(&TokenHash::of(b"abc")), "{hex}");
            assert!(!hash.is(&TokenHash::of(b"abd")), "{hex}");
        }
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for (hex, expected) in [
            (nothing, InvalidHash::OfNothing),
            ("", InvalidHash::NotHex),
            (&ABC[1..], InvalidHash::NotHex),
            (&format!("{ABC}0"), InvalidHash::NotHex),
            (&ABC.replacen('b', "g", 1), InvalidHash::NotHex),
            (&ABC.replacen("ba", "+a", 1), InvalidHash::NotHex),
            (&ABC.replacen("ba", "é", 1), InvalidHash::NotHex),
        ] {
            assert_eq!(TokenHash::parse(hex).err(), Some(expected), "{hex}");
        }
    }
}
