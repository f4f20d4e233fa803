//! The caller's token: where it comes from, and how it goes with a call.
//!
//! It is never the value of a flag, where every process list would show it.

use std::{
    env, fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};
use tonic::metadata::{Ascii, MetadataValue};

/// The metadata key of the token.
pub(crate) const KEY: &str = "x-auth-token";

const VARIABLE: &str = "JOBGATE_TOKEN";
/// Real tokens have a few KiB; more than this is the wrong file.
const LONGEST: u64 = 64 * 1024;

/// A token as it was given; not known to be good for anything.
#[derive(Debug)]
pub(crate) struct Token(SecretString);

/// Why there is no token to send. Tells nothing of the token itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the token file {} is empty", .0.display())]
    Empty(PathBuf),
    #[error("the token has a blank, a control character or a letter beyond ASCII in it")]
    Illegal,
    #[error("the token file {} has more than {LONGEST} bytes", .0.display())]
    TooLong(PathBuf),
    #[error("cannot read the token file {}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Token {
    /// The token from the file (`-`: stdin) if one is named, else from the environment.
    ///
    /// None is no error: whether a call needs a token is for the gateway to say.
    pub(crate) fn find(file: Option<&Path>) -> Result<Option<Self>, TokenError> {
        match file {
            Some(path) => Self::read(path).map(Some),
            None => env::var_os(VARIABLE)
                .map(|value| value.into_string().map_err(|_| TokenError::Illegal))
                .transpose()
                .map(|value| value.and_then(|value| Self::trimmed(&value))),
        }
    }

    fn read(path: &Path) -> Result<Self, TokenError> {
        let unreadable = |source| TokenError::Unreadable { path: path.to_owned(), source };
        let file: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin().lock())
        } else {
            Box::new(fs::File::open(path).map_err(unreadable)?)
        };
        let mut bytes = Vec::new();
        let size = file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if size as u64 > LONGEST {
            return Err(TokenError::TooLong(path.to_owned()));
        }
        let text = String::from_utf8(bytes).map_err(|_| TokenError::Illegal)?;
        Self::trimmed(&text).ok_or_else(|| TokenError::Empty(path.to_owned()))
    }

    /// Files end with a line end, and so do values made by command substitution on some systems.
    fn trimmed(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        (!text.is_empty()).then(|| Self(SecretString::from(text)))
    }

    /// The metadata value, marked as one that must not be logged.
    pub(crate) fn metadata(&self) -> Result<MetadataValue<Ascii>, TokenError> {
        let text = self.0.expose_secret();
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Illegal);
        }
        let mut value: MetadataValue<Ascii> = text.parse().map_err(|_| TokenError::Illegal)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_sensitive_and_debug_is_silent() {
        let token = Token::trimmed("  MIIabc+/=\r\n").unwrap();
        let value = token.metadata().unwrap();
        assert_eq!(value.to_str().unwrap(), "MIIabc+/=");
        assert!(value.is_sensitive());
        assert!(!format!("{token:?} {value:?}").contains("MII"));
    }

    #[test]
    fn illegal_characters() {
        for text in ["two words", "two\nlines", "esc\u{1b}[0m", "caf\u{e9}", "del\u{7f}x"] {
            let error = Token::trimmed(text).unwrap().metadata().unwrap_err();
            assert!(matches!(error, TokenError::Illegal), "{text:?}");
        }
    }

    #[test]
    fn nothing_is_no_token() {
        assert!(Token::trimmed("").is_none());
        assert!(Token::trimmed(" \n").is_none());
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Token::find(Some(Path::new("/no/such/token"))).unwrap_err();
        assert_eq!(error.to_string(), "cannot read the token file /no/such/token");
    }
}
