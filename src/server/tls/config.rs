//! What is made of the certificates' files.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio_rustls::rustls::{
    Error, InconsistentKeys, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, UnixTime},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};
use webpki::{EndEntityCert, KeyUsage};

use crate::files::{File, FileError};

/// When a certificate's end is near enough for a warning.
const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Reads certificate, key and, if there is one more file, the clients' authorities.
///
/// Also tells when the certificate ends. One that has ended is taken all the same: clients may be
/// told to bear it, and no certificate at all helps nobody.
pub(super) fn parse(files: &[File]) -> Result<(ServerConfig, Option<Timestamp>), FileError> {
    let (certificate, key) = (&files[0], &files[1]);
    let chain = certificate.certificates()?;
    let end = chain.first().and_then(end);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let clients = match files.get(2) {
        Some(authorities) => verifier(authorities, &provider)?,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let private_key = provider
        .key_provider
        .load_private_key(key.private_key()?)
        .map_err(|error| FileError::content(key, &error))?;
    let pair = CertifiedKey::new(chain, private_key);
    match pair.keys_match() {
        // Unknown is what can't be compared, and not what differs.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(Error::InconsistentKeys(_)) => {
            return Err(FileError::content(key, &"the key is that of another certificate"));
        }
        Err(error) => return Err(FileError::content(certificate, &error)),
    }
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| FileError::content(certificate, &error))?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Nothing resumes: calls come over few connections that live long, and each is checked against
    // what is trusted when it begins.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    warn(end);
    Ok((config, end))
}

fn verifier(
    file: &File,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, FileError> {
    WebPkiClientVerifier::builder_with_provider(file.authorities()?, Arc::clone(provider))
        .build()
        .map_err(|error| FileError::content(file, &error))
}

/// When a certificate ends, if it can be read.
fn end(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    // The library tells it only of certificates that have ended, as all will have by then.
    let never = UnixTime::since_unix_epoch(Duration::MAX);
    let usage = KeyUsage::server_auth();
    match certificate.verify_for_usage(&[], &[], &[], never, usage, None, None) {
        Err(webpki::Error::CertExpired { not_after, .. }) => {
            Timestamp::from_second(i64::try_from(not_after.as_secs()).ok()?).ok()
        }
        Ok(_) | Err(_) => None,
    }
}

fn warn(end: Option<Timestamp>) {
    let now = Timestamp::now();
    if let Some(end) = end.filter(|end| *end < now) {
        tracing::warn!(%end, "the server's certificate has ended");
    } else if let Some(end) = end.filter(|end| end.duration_since(now) < SOON) {
        tracing::warn!(%end, "the server's certificate ends soon");
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
