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
    #[error("the TLS handshake was given up")]
    GivenUp,
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

    /// Answers a peer's handshake, unless it is given up before.
    pub(super) async fn accept<S>(
        &self,
        stream: S,
        given_up: impl Future<Output = ()>,
    ) -> Result<TlsStream<S>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let accepting = TlsAcceptor::from(self.config.current()).accept(stream);
        let accepted = tokio::select! {
            accepted = timeout(HANDSHAKE_TIMEOUT, accepting) => accepted,
            () = given_up => return Err(HandshakeError::GivenUp),
        };
        let (result, outcome) = match accepted {
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
pub(super) mod tests {
    use tokio::{
        io::{AsyncWriteExt as _, DuplexStream},
        time::Instant,
    };
    use tokio_rustls::rustls::{crypto::aws_lc_rs, server::ResolvesServerCertUsingSni};

    use super::*;

    /// With no certificate at all.
    pub(in crate::server) fn tls() -> Tls {
        let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(std::sync::Arc::new(ResolvesServerCertUsingSni::new()));
        Tls { config: Live::constant(config), handshakes: Family::default() }
    }

    /// A peer who has begun a handshake and says no more, and the server's end.
    pub(in crate::server) async fn half() -> (DuplexStream, DuplexStream) {
        let (mut peer, stream) = tokio::io::duplex(64);
        peer.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
        (peer, stream)
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_has_ten_seconds() {
        let (tls, (_peer, stream), begun) = (tls(), half().await, Instant::now());
        let error = tls.accept(stream, std::future::pending()).await.err().unwrap();
        assert!(matches!(error, HandshakeError::TimedOut), "{error:?}");
        assert_eq!(begun.elapsed(), HANDSHAKE_TIMEOUT);
        let labels = Labels { result: Outcome::TimedOut };
        assert_eq!(tls.handshakes.get_or_create(&labels).get(), 1);
    }
}
