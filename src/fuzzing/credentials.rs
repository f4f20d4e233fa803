//! Answers of IAM and of the metadata service give credentials that can be kept, or an error
//! without secrets.

use super::{
    input,
    secrets::{SECRETS, has_none, with_secrets},
};
use crate::upstream::{ErrorKind, Secret, fuzzing as upstream};

/// The one that IAM may have seen.
const PASSWORD: &str = SECRETS[1];

/// An answer of IAM or of the metadata service, with marks for secrets as in [`secrets`](super::secrets).
pub fn check(input: &[u8]) {
    let Some(answer) = input::answer(&with_secrets(input)) else {
        return;
    };
    let Ok(password) = Secret::line(PASSWORD.as_bytes()) else {
        return;
    };
    if let Err(error) = upstream::read_iam(&answer, &password) {
        has_none(&[PASSWORD], &error.detail);
        assert!(error.detail.len() < 512 && error.answer.is_none(), "{}", error.detail);
        let rejected = error.kind == ErrorKind::GatewayCredentialsRejected;
        assert_eq!(rejected, matches!(answer.status, 400 | 401 | 403));
        assert!(rejected || error.kind == ErrorKind::GatewayCredentialsUnavailable);
    }
    if let Err(error) = upstream::read_metadata(&answer) {
        has_none(&SECRETS, &error.detail);
        assert!(error.detail.len() < 256 && error.answer.is_none(), "{}", error.detail);
        assert_eq!(error.kind, ErrorKind::GatewayCredentialsUnavailable);
    }
}
