//! TLS towards the upstream: who is trusted, and how the gateway shows itself.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use jobgate::{
    server,
    upstream::{BaseUrl, Tls, TlsVersion},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig, SupportedProtocolVersion,
        crypto::aws_lc_rs,
        pki_types::{PrivateKeyDer, pem::PemObject as _},
        server::WebPkiClientVerifier,
        version::{TLS12, TLS13},
    },
};
use tonic::Code;

use crate::support::{
    Gateway, becomes,
    certificates::{Authority, Pair, certificate},
    gateway::config,
    reason,
};

const BOTH: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];

/// A REST API with TLS; with `clients`, only for those whom this authority knows. Returns its port.
async fn api(
    pair: &Pair,
    versions: &[&'static SupportedProtocolVersion],
    clients: Option<&Authority>,
) -> u16 {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .unwrap();
    let builder = match clients {
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(certificate(&authority.pem)).unwrap();
            let roots = Arc::new(roots);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let config = builder.with_single_cert(vec![certificate(&pair.certificate)], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.ok()?;
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.ok()?);
                }
                let body = r#"{"status":"RUNNING","job_id":"j1"}"#;
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", body.len());
                let answer = format!("{head}connection: close\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).await.ok()?;
                stream.shutdown().await.ok()
            });
        }
    });
    port
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

fn with(port: u16, tls: Tls) -> server::Config {
    let mut config = config(([127, 0, 0, 1], port).into());
    config.grpc.timeout = Duration::from_mins(1);
    config.upstream.base = BaseUrl::parse(&format!("https://localhost:{port}")).unwrap();
    config.upstream.transport.tls = tls;
    config
}

async fn outcome(port: u16, tls: Tls) -> Result<(), String> {
    let gateway = Gateway::with(with(port, tls)).await;
    gateway.get().await.map(|_| ()).map_err(|status| {
        assert_eq!(status.code(), Code::Unavailable);
        reason(&status)
    })
}

fn unreachable() -> Result<(), String> {
    Err("UPSTREAM_UNREACHABLE".to_owned())
}

#[tokio::test]
async fn only_the_given_authority_is_trusted_and_only_for_the_host() {
    let (authority, other, files) = (Authority::new(), Authority::new(), Files::new());
    let trusted = |pem: &str| Tls { ca: Some(files.write("ca", pem)), ..Tls::default() };
    let port = api(&authority.issue(&["localhost"]), BOTH, None).await;
    assert_eq!(outcome(port, trusted(&authority.pem)).await, Ok(()));
    assert_eq!(outcome(port, trusted(&other.pem)).await, unreachable());
    let both = format!("{}\n{}", other.pem, authority.pem);
    assert_eq!(outcome(port, trusted(&both)).await, Ok(()));
    // The system knows neither.
    assert_eq!(outcome(port, Tls::default()).await, unreachable());
    for wrong in [authority.issue(&["elsewhere"]), authority.issue_ended(&["localhost"])] {
        let port = api(&wrong, BOTH, None).await;
        assert_eq!(outcome(port, trusted(&authority.pem)).await, unreachable());
    }
}

#[tokio::test]
async fn the_gateway_shows_its_certificate() {
    let (authority, files) = (Authority::new(), Files::new());
    let ca = Some(files.write("ca", &authority.pem));
    let port = api(&authority.issue(&["localhost"]), BOTH, Some(&authority)).await;
    let own = authority.issue(&["gateway"]);
    let identity =
        Some((files.write("certificate", &own.certificate), files.write("key", &own.key)));
    let min_version = TlsVersion::V1_2;
    assert_eq!(outcome(port, Tls { ca: ca.clone(), identity, min_version }).await, Ok(()));
    assert_eq!(outcome(port, Tls { ca, identity: None, min_version }).await, unreachable());
}

#[tokio::test]
async fn an_old_version_is_spoken_only_if_it_may_be() {
    let (authority, files) = (Authority::new(), Files::new());
    let ca = Some(files.write("ca", &authority.pem));
    let pair = authority.issue(&["localhost"]);
    let old = api(&pair, &[&TLS12], None).await;
    let new = api(&pair, &[&TLS13], None).await;
    for (port, min_version, expected) in [
        (old, TlsVersion::V1_2, Ok(())),
        (new, TlsVersion::V1_2, Ok(())),
        (new, TlsVersion::V1_3, Ok(())),
        (old, TlsVersion::V1_3, unreachable()),
    ] {
        let tls = Tls { ca: ca.clone(), identity: None, min_version };
        assert_eq!(outcome(port, tls).await, expected, "{min_version:?}");
    }
}

#[tokio::test]
async fn another_authority_counts_when_its_file_changes_and_a_bad_file_does_not() {
    let (first, second, files) = (Authority::new(), Authority::new(), Files::new());
    let ca = files.write("ca", &first.pem);
    let port = api(&second.issue(&["localhost"]), BOTH, None).await;
    let config = with(port, Tls { ca: Some(ca.clone()), ..Tls::default() });
    let reload = config.reload.clone();
    let gateway = Gateway::with(config).await;
    gateway.get().await.unwrap_err();
    files.write("ca", &second.pem);
    reload.now();
    becomes(async || gateway.get().await.is_ok()).await;
    files.write("ca", "nonsense");
    reload.now();
    for _ in 0..10 {
        gateway.get().await.unwrap();
    }
}
