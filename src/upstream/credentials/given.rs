//! An access key that was given to the gateway.

use super::{
    Pass,
    issuer::{Issued, Issuer, NotIssued},
    key::SigningKey,
    source::SecretSource,
};
use crate::{
    files::{FileError, Live, Reloads},
    telemetry::TraceContext,
    upstream::{FetchError, error::ErrorKind, secret::Secret, token::Token},
};

/// Where an access key is. All parts that are in files are read at one time.
#[derive(Clone, Debug)]
pub struct GivenKey {
    /// The access key itself, which is a name and no secret.
    pub access_key: SecretSource,
    /// Its secret.
    pub secret_key: SecretSource,
    /// The security token, if the key is a temporary one.
    pub security_token: Option<SecretSource>,
}

/// Gives out the key as it is now.
pub(super) struct Given(Live<[Option<Secret>; 3]>);

// === impl Given ===

impl Given {
    pub(super) async fn new(key: &GivenKey, reloads: &Reloads) -> Result<Self, FileError> {
        let GivenKey { access_key, secret_key, security_token } = key;
        let parts = [Some(access_key), Some(secret_key), security_token.as_ref()];
        Ok(Self(SecretSource::follow("access key", parts, reloads).await?))
    }
}

impl Issuer for Given {
    /// The same key comes again.
    const RENEWS: bool = false;

    async fn issue(&mut self, _span: Option<&TraceContext>) -> Result<Issued, NotIssued> {
        let [access_key, secret_key, token] = &*self.0.current();
        let token = token.clone().map(Token::from_secret).transpose().ok().flatten();
        let (Some(access_key), Some(secret_key)) = (access_key, secret_key) else {
            let detail = "no access key".to_owned();
            let kind = ErrorKind::GatewayCredentialsUnavailable;
            return Err(FetchError::no_answer(kind, detail).into());
        };
        let key = SigningKey::new(access_key.clone(), secret_key.clone(), token);
        Ok(Issued { pass: Pass::Key(key), lifetime: None })
    }

    async fn changed(&mut self) {
        self.0.changed().await;
    }
}
