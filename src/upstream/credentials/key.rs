//! An access key, and what it makes of a request.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, header};
use jiff::Timestamp;

use crate::{
    signing,
    upstream::{secret::Secret, token::Token},
};

/// An access key with its secret. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::upstream) struct SigningKey(Arc<Parts>);

#[derive(PartialEq, Eq)]
struct Parts {
    access_key: Secret,
    secret_key: Secret,
    /// Of a temporary key; sent with each request.
    security_token: Option<Token>,
    /// All that must not be seen in anybody's text.
    secrets: Box<[Secret]>,
}

// === impl SigningKey ===

impl SigningKey {
    pub(super) fn new(access_key: Secret, secret_key: Secret, token: Option<Token>) -> Self {
        let secrets = [Some(&access_key), Some(&secret_key), token.as_ref().map(Token::secret)];
        let secrets = secrets.into_iter().flatten().cloned().collect();
        Self(Arc::new(Parts { access_key, secret_key, security_token: token, secrets }))
    }

    pub(super) fn secrets(&self) -> &[Secret] {
        &self.0.secrets
    }

    /// The headers that make a GET for this path one of ours, as of now.
    ///
    /// `X-Project-Id` is needed for projects that are not the default one of their region, and does
    /// no harm elsewhere: the official clients always send it.
    pub(in crate::upstream) fn sign(
        &self,
        host: &str,
        path: &str,
        project_id: &str,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let Parts { access_key, secret_key, security_token, secrets: _ } = &*self.0;
        let date = signing::date(Timestamp::now());
        let token = security_token.as_ref().map(|token| token.secret().text());
        let mut signed = vec![("host", host), ("x-project-id", project_id)];
        signed.extend(token.as_deref().map(|token| ("x-security-token", token)));
        let request = signing::Request {
            method: "GET",
            path,
            query: &[],
            headers: &signed,
            date: &date,
            body: &[],
        };
        let access_key = access_key.text();
        let signature = signing::authorization(&access_key, secret_key.bytes(), &request);
        let headers = [
            (HeaderName::from_static(signing::DATE_HEADER), HeaderValue::from_str(&date).ok()),
            (HeaderName::from_static("x-project-id"), HeaderValue::from_str(project_id).ok()),
            (
                HeaderName::from_static("x-security-token"),
                security_token.as_ref().and_then(Token::header),
            ),
            (header::AUTHORIZATION, sensitive(&signature)),
        ];
        headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

fn sensitive(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}
