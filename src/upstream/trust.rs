//! TLS towards the upstream: whom the gateway trusts, and how it shows itself.

use std::{path::PathBuf, sync::Arc};

use rustls_platform_verifier::Verifier;
use tokio_rustls::rustls::{
    self, ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    version::TLS13,
};

use crate::files::{File, FileError};

/// TLS towards the upstream.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// The certificates that are trusted, in PEM; without, those of the system.
    pub ca: Option<PathBuf>,
    /// The gateway's own certificate chain and its key, in PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2, RFC 5246.
    #[default]
    V1_2,
    /// TLS 1.3, RFC 8446.
    V1_3,
}

// === impl TlsVersion ===

impl TlsVersion {
    fn and_later(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::V1_2 => rustls::ALL_VERSIONS,
            Self::V1_3 => NEWEST_VERSION,
        }
    }
}

static NEWEST_VERSION: &[&SupportedProtocolVersion] = &[&TLS13];

/// What is made of the files: trust, and the certificate and key that are shown.
pub(super) fn client_config(
    ca: Option<&File>,
    identity: Option<(&File, &File)>,
    min_version: TlsVersion,
) -> Result<ClientConfig, FileError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(min_version.and_later())
        .map_err(|error| FileError::Content { path: "TLS".into(), problem: error.to_string() })?;
    let builder = if let Some(ca) = ca {
        builder.with_root_certificates(ca.authorities()?)
    } else if let Some(system) = system(provider) {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(system))
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    let Some((chain, key)) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    // Of a pair that is none, the key is at fault as often as not.
    builder
        .with_client_auth_cert(chain.certificates()?, key.private_key()?)
        .map_err(|error| FileError::content(key, &error))
}

/// The trust of the system; none if it has no certificates, which matters to those only who speak
/// TLS.
fn system(provider: Arc<CryptoProvider>) -> Option<Verifier> {
    Verifier::new(provider)
        .inspect_err(|error| tracing::warn!(%error, "no server's certificate will be trusted"))
        .ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A configuration that needs no files.
    pub(in crate::upstream) fn trusting(roots: RootCertStore) -> ClientConfig {
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}
