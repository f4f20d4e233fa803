//! The tokens of a call, the cloud's and the caller's own: where they come from, and how they go with
//! it.
//!
//! They are never the value of a flag, where every process list would show it.

use std::{
    env, fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

/// The metadata key of the cloud's token.
const KEY: &str = "x-auth-token";

/// The metadata key of the caller's own token.
const CALLER_KEY: &str = "authorization";

const VARIABLE: &str = "JOBGATE_TOKEN";
const CALLER_VARIABLE: &str = "JOBGATE_CALLER_TOKEN";
/// Real tokens have a few KiB; more than this is the wrong file.
const LONGEST: u64 = 64 * 1024;

/// A token as it was given; not known to be good for anything.
#[derive(Debug)]
pub(crate) struct Token(SecretString);

/// What goes with each call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credentials {
    token: Option<MetadataValue<Ascii>>,
    caller: Option<MetadataValue<Ascii>>,
}

/// Why there is no token to send. Tells nothing of the token itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("stdin can't be both tokens")]
    BothFromStdin,
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
    fn find(file: Option<&Path>, variable: &str) -> Result<Option<Self>, TokenError> {
        match file {
            Some(path) => Self::read(path).map(Some),
            None => env::var_os(variable)
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
    fn metadata(&self, scheme: &str) -> Result<MetadataValue<Ascii>, TokenError> {
        let text = self.0.expose_secret();
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Illegal);
        }
        let text = Zeroizing::new(format!("{scheme}{text}"));
        let mut value: MetadataValue<Ascii> = text.parse().map_err(|_| TokenError::Illegal)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl Credentials {
    /// The cloud's token and the caller's own, each from its file if one is named, else from its
    /// variable.
    pub(crate) fn find(file: Option<&Path>, caller: Option<&Path>) -> Result<Self, TokenError> {
        let stdin = Some(Path::new("-"));
        if file == stdin && caller == stdin {
            return Err(TokenError::BothFromStdin);
        }
        let token = Token::find(file, VARIABLE)?;
        let caller = Token::find(caller, CALLER_VARIABLE)?;
        Ok(Self {
            token: token.map(|token| token.metadata("")).transpose()?,
            caller: caller.map(|token| token.metadata("Bearer ")).transpose()?,
        })
    }

    /// The cloud's token alone.
    pub(crate) fn of_token(token: MetadataValue<Ascii>) -> Self {
        Self { token: Some(token), caller: None }
    }

    /// Puts them into a call's metadata.
    pub(crate) fn add_to(&self, metadata: &mut MetadataMap) {
        for (key, value) in [(KEY, &self.token), (CALLER_KEY, &self.caller)] {
            if let Some(value) = value {
                metadata.insert(key, value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_sensitive_and_debug_is_silent() {
        let token = Token::trimmed("  MIIabc+/=\r\n").unwrap();
        let value = token.metadata("").unwrap();
        assert_eq!(value.to_str().unwrap(), "MIIabc+/=");
        assert!(value.is_sensitive());
        assert!(!format!("{token:?} {value:?}").contains("MII"));
        let bearer = token.metadata("Bearer ").unwrap();
        assert_eq!(bearer.to_str().unwrap(), "Bearer MIIabc+/=");
        assert!(bearer.is_sensitive());
    }

    #[test]
    fn illegal_characters() {
        for text in ["two words", "two\nlines", "esc\u{1b}[0m", "caf\u{e9}", "del\u{7f}x"] {
            let error = Token::trimmed(text).unwrap().metadata("").unwrap_err();
            assert!(matches!(error, TokenError::Illegal), "{text:?}");
        }
    }

    #[test]
    fn nothing_is_no_token() {
        assert!(Token::trimmed("").is_none());
        assert!(Token::trimmed(" \n").is_none());
    }

    #[test]
    fn stdin_is_one_token_at_most() {
        let stdin = Some(Path::new("-"));
        let error = Credentials::find(stdin, stdin).unwrap_err();
        assert!(matches!(error, TokenError::BothFromStdin));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Credentials::find(Some(Path::new("/no/such/token")), None).unwrap_err();
        assert_eq!(error.to_string(), "cannot read the token file /no/such/token");
    }
}
