//! With whose rights the upstream is asked.
//!
//! With the caller's, whose token is passed on; or with the gateway's own: a token of IAM for a
//! user's password, or requests signed with an access key.

#[cfg(any(test, fuzzing, feature = "measuring"))]
pub(super) mod fuzzing;
mod given;
mod iam;
mod issuer;
mod keeper;
mod key;
mod lease;
mod ledger;
mod metadata;
mod metrics;
mod patience;
mod projects;
mod readiness;
mod source;

use std::hash::{Hash, Hasher};

use prometheus_client::registry::Registry;
use sha2::{Digest as _, Sha256};

pub use self::{
    given::GivenKey,
    iam::{Domain, PasswordLogin, Subject},
    metadata::MetadataService,
    readiness::Readiness,
    source::SecretSource,
};
pub(super) use self::{
    keeper::{Grant, Keeper},
    key::SigningKey,
    ledger::Refused,
};
use super::{
    BaseUrl, SetupError,
    exchanges::Exchanges,
    secret::Secret,
    token::Token,
    transport::{self, Transport},
};
use crate::files::Reloads;

/// Whose credentials the gateway uses, and where its own come from.
#[derive(Clone, Debug, Default)]
pub enum Credentials {
    /// The callers'; it has none of its own.
    #[default]
    Passthrough,
    /// Tokens that IAM gives for a user's password.
    Password(PasswordLogin),
    /// An access key, permanent or temporary, given to the gateway.
    Given(GivenKey),
    /// Temporary access keys from the metadata service of the server it runs on.
    Metadata(MetadataService),
}

/// With whose rights a job is asked for. Nothing that one credential has brought goes to another.
#[derive(Clone)]
pub struct Credential(pub(super) Whose);

#[derive(Clone)]
pub(super) enum Whose {
    Caller(Token),
    /// The gateway's own.
    Gateway(Keeper),
}

/// What is sent to prove it.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Pass {
    Token(Token),
    Key(SigningKey),
}

/// What tells credentials apart, and nothing else of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint([u8; 32]);

// === impl Credentials ===

impl Credentials {
    /// Whether the gateway lends its own rights to its callers.
    pub fn are_the_gateways(&self) -> bool {
        match self {
            Self::Passthrough => false,
            Self::Password(_) | Self::Given(_) | Self::Metadata(_) => true,
        }
    }

    /// Where a password goes.
    pub(super) fn login_url(&self) -> Option<&BaseUrl> {
        match self {
            Self::Password(login) => Some(&login.url),
            Self::Passthrough | Self::Given(_) | Self::Metadata(_) => None,
        }
    }

    /// Begins to keep the gateway's own credentials, if it has some.
    pub(super) async fn keep(
        &self,
        config: &transport::Config,
        reloads: &Reloads,
        exchanges: &Exchanges,
        registry: &mut Registry,
    ) -> Result<Option<Keeper>, SetupError> {
        let tracer = exchanges.tracer().clone();
        let keeper = match self {
            Self::Passthrough => return Ok(None),
            Self::Password(login) => {
                let transport = Transport::new(config, reloads).await?;
                let iam = iam::Iam::new(login, transport, reloads, exchanges).await?;
                Keeper::start(iam, reloads, tracer)
            }
            Self::Given(key) => {
                Keeper::start(given::Given::new(key, reloads).await?, reloads, tracer)
            }
            Self::Metadata(service) => {
                let transport = Transport::local(config)?;
                Keeper::start(
                    metadata::Metadata::new(service, transport, exchanges),
                    reloads,
                    tracer,
                )
            }
        };
        keeper.register(registry);
        Ok(Some(keeper))
    }
}

// === impl Credential ===

impl Credential {
    pub(super) fn fingerprint(&self) -> Fingerprint {
        match &self.0 {
            Whose::Caller(token) => Fingerprint(Sha256::digest(token.secret().bytes()).into()),
            // There is one only.
            Whose::Gateway(_) => Fingerprint([0; 32]),
        }
    }
}

impl From<Token> for Credential {
    fn from(token: Token) -> Self {
        Self(Whose::Caller(token))
    }
}

impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Whose::Caller(token), Whose::Caller(other)) => token == other,
            (Whose::Gateway(keeper), Whose::Gateway(other)) => keeper.is(other),
            (Whose::Caller(_), Whose::Gateway(_)) | (Whose::Gateway(_), Whose::Caller(_)) => false,
        }
    }
}

impl Eq for Credential {}

impl Hash for Credential {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            Whose::Caller(token) => token.hash(state),
            Whose::Gateway(_) => {}
        }
    }
}

// === impl Pass ===

impl Pass {
    /// What must not be seen in anybody's text.
    pub(super) fn secrets(&self) -> &[Secret] {
        match self {
            Self::Token(token) => std::slice::from_ref(token.secret()),
            Self::Key(key) => key.secrets(),
        }
    }
}
