//! TLS of the gRPC port: certificates from files, which may change while connections live.
//!
//! Each connection takes the certificates that are current when it begins, and keeps them.

mod config;

use std::{
    fmt::{self, Write as _},
    io,
    path::PathBuf,
    time::Duration,
};

use jiff::Timestamp;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};
use webpki::EndEntityCert;

use crate::{
    access::Certificate,
    files::{FileError, Live, Reloads},
};

/// How long a peer may take for the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the certificates are, all in PEM.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's certificate, and those between it and its authority's.
    pub certificate: PathBuf,
    /// The private key of the certificate.
    pub key: PathBuf,
    /// The authorities of clients' certificates. With it, each client must have one.
    pub client_ca: Option<PathBuf>,
}

/// Takes TLS connections. Cheap to clone.
#[derive(Clone)]
pub(super) struct Tls {
    config: Live<ServerConfig>,
    handshakes: Family<Labels, Counter>,
}

/// Why there is no TLS connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error("the TLS handshake failed")]
    Failed(#[source] io::Error),
    #[error("the TLS handshake took too long")]
    TimedOut,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    result: Outcome,
}

/// How a handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Outcome {
    Failed,
    Ok,
    TimedOut,
}

// === impl Tls ===

impl Tls {
    /// Reads the files now, and again whenever they change.
    pub(super) async fn new(
        config: Config,
        reloads: &Reloads,
        registry: &mut Registry,
    ) -> Result<Self, FileError> {
        let Config { certificate, key, client_ca } = config;
        let handshakes = Family::default();
        registry.register(
            "jobgate_tls_handshakes",
            "Handshakes with clients, by their result",
            handshakes.clone(),
        );
        let ends = Gauge::<i64>::default();
        registry.register_with_unit(
            "jobgate_tls_certificate_not_after",
            "When the server's certificate ends, in Unix time",
            Unit::Seconds,
            ends.clone(),
        );
        let paths = [certificate, key].into_iter().chain(client_ca).collect();
        let config = reloads.follow("certificates", paths, move |files| {
            let (config, end) = config::parse(files)?;
            ends.set(end.map_or(0, Timestamp::as_second));
            Ok(config)
        });
        Ok(Self { config: config.await?, handshakes })
    }

    /// Answers a peer's handshake.
    pub(super) async fn accept<S>(&self, stream: S) -> Result<TlsStream<S>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let accepting = TlsAcceptor::from(self.config.current()).accept(stream);
        let (result, outcome) = match timeout(HANDSHAKE_TIMEOUT, accepting).await {
            Ok(Ok(stream)) => (Ok(stream), Outcome::Ok),
            Ok(Err(error)) => (Err(HandshakeError::Failed(error)), Outcome::Failed),
            Err(_) => (Err(HandshakeError::TimedOut), Outcome::TimedOut),
        };
        self.handshakes.get_or_create(&Labels { result: outcome }).inc();
        result
    }
}

/// The names in the certificate that the peer has shown, if it has.
pub(super) fn certificate<S>(stream: &TlsStream<S>) -> Option<Certificate> {
    let shown = stream.get_ref().1.peer_certificates()?.first()?;
    let shown = EndEntityCert::try_from(shown).ok()?;
    Some(Certificate::new(shown.valid_dns_names(), shown.valid_uri_names()))
}

// === impl Outcome ===

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(match self {
            Self::Failed => "failed",
            Self::Ok => "ok",
            Self::TimedOut => "timed_out",
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt as _, time::Instant};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_handshake_has_ten_seconds() {
        let provider = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider();
        let resolver = tokio_rustls::rustls::server::ResolvesServerCertUsingSni::new();
        let config = ServerConfig::builder_with_provider(std::sync::Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(std::sync::Arc::new(resolver));
        let tls = Tls { config: Live::constant(config), handshakes: Family::default() };
        let (mut peer, stream) = tokio::io::duplex(64);
        peer.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
        let begun = Instant::now();
        let error = tls.accept(stream).await.err().unwrap();
        assert!(matches!(error, HandshakeError::TimedOut), "{error:?}");
        assert_eq!(begun.elapsed(), HANDSHAKE_TIMEOUT);
        let labels = Labels { result: Outcome::TimedOut };
        assert_eq!(tls.handshakes.get_or_create(&labels).get(), 1);
    }
}
