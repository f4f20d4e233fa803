//! Certificates that are made for one test, and the files they lie in.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
};

use hyper_util::rt::TokioIo;
use jobgate::server::tls;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore, SupportedProtocolVersion,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
        version::TLS13,
    },
};
use tonic::transport::{Channel, Endpoint};

/// The name of the server.
pub(crate) const NAME: &str = "gateway.test";

/// Who issues certificates.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// A folder with files of certificates, behind a link as Kubernetes' volumes are.
pub(crate) struct Volume {
    folder: TempDir,
    swaps: usize,
}

// === impl Authority ===

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Two of the same name would be taken for one.
        let name = format!("authority {:x}", fastrand::u64(..));
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate with these DNS names and URIs.
    pub(crate) fn issue(&self, names: &[&str]) -> Pair {
        self.sign(names, CertificateParams::default())
    }

    /// One that has ended.
    pub(crate) fn issue_ended(&self, names: &[&str]) -> Pair {
        let mut params = CertificateParams::default();
        params.not_after = date_time_ymd(2020, 1, 1);
        self.sign(names, params)
    }

    fn sign(&self, names: &[&str], mut params: CertificateParams) -> Pair {
        let name = |name: &&str| {
            let text = (*name).try_into().unwrap();
            if name.contains(':') { SanType::URI(text) } else { SanType::DnsName(text) }
        };
        params.subject_alt_names = names.iter().map(name).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }

    /// A client that trusts this authority, and shows a certificate if it has one.
    pub(crate) fn client(&self, own: Option<&Pair>) -> ClientConfig {
        self.client_of(own, &TLS13)
    }

    pub(crate) fn client_of(
        &self,
        own: Option<&Pair>,
        version: &'static SupportedProtocolVersion,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(certificate(&self.pem)).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            Some(Pair { certificate: own, key }) => {
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![certificate(own)], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}

/// The certificate in a PEM.
pub(crate) fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// A TLS connection to the gateway.
pub(crate) async fn handshake(
    address: SocketAddr,
    client: impl Into<Arc<ClientConfig>>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(NAME).unwrap();
    TlsConnector::from(client.into()).connect(name, stream).await
}

/// gRPC over a stream.
pub(crate) async fn over(stream: TlsStream<TcpStream>) -> Result<Channel, tonic::transport::Error> {
    let mut stream = Some(TokioIo::new(stream));
    let connector = tower::service_fn(move |_| {
        std::future::ready(
            stream.take().ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotConnected)),
        )
    });
    let endpoint = Endpoint::from_static("http://gateway.test");
    endpoint.connect_with_connector(connector).await
}

// === impl Volume ===

impl Volume {
    /// With a pair of the server, and the clients' authority if they must have certificates.
    pub(crate) fn new(pair: &Pair, clients: Option<&Authority>) -> Self {
        let mut volume = Self { folder: TempDir::new().unwrap(), swaps: 0 };
        volume.swap(pair, clients);
        volume
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("now").join(name)
    }

    /// Where the server finds its files.
    pub(crate) fn config(&self) -> tls::Config {
        let client_ca = self.path("client-ca.pem");
        tls::Config {
            certificate: self.path("cert.pem"),
            key: self.path("key.pem"),
            client_ca: client_ca.exists().then_some(client_ca),
        }
    }

    /// Puts other files in the place of all, in one step.
    pub(crate) fn swap(&mut self, pair: &Pair, clients: Option<&Authority>) {
        self.swaps += 1;
        let name = format!("version-{}", self.swaps);
        let new = self.folder.path().join(&name);
        fs::create_dir(&new).unwrap();
        write(&new, pair);
        if let Some(clients) = clients {
            fs::write(new.join("client-ca.pem"), &clients.pem).unwrap();
        }
        let link = self.folder.path().join("link");
        symlink(name, &link).unwrap();
        fs::rename(link, self.folder.path().join("now")).unwrap();
    }

    /// Writes another pair over the one that is there.
    pub(crate) fn overwrite(&self, pair: &Pair) {
        write(&self.folder.path().join("now"), pair);
    }
}

fn write(folder: &Path, pair: &Pair) {
    fs::write(folder.join("cert.pem"), &pair.certificate).unwrap();
    fs::write(folder.join("key.pem"), &pair.key).unwrap();
}
