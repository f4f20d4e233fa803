//! TLS of the gRPC port, with real certificates.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jobgate::{
    proto::v1::{Job, job_service_client::JobServiceClient},
    server,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::rustls::{
    ClientConfig, HandshakeKind, ProtocolVersion,
    version::{TLS12, TLS13},
};

use crate::{
    health::http_get,
    support::{
        Gateway, Reply, Upstream, becomes,
        certificates::{Authority, NAME, Pair, Volume, certificate, handshake, over},
        gateway::{channel, config},
        get_job,
        program::{SECRET, Server, jobgate},
    },
};

/// A gateway with the files of a volume.
async fn gateway(upstream: &Upstream, volume: &Volume) -> Gateway {
    Gateway::with(with_tls(upstream, volume)).await
}

fn with_tls(upstream: &Upstream, volume: &Volume) -> server::Config {
    server::Config { tls: Some(volume.config()), ..config(upstream.address) }
}

/// One GetJob on a new connection.
async fn get(
    address: SocketAddr,
    client: impl Into<Arc<ClientConfig>>,
) -> Result<Job, Box<dyn std::error::Error>> {
    let channel = over(handshake(address, client).await?).await?;
    Ok(JobServiceClient::new(channel).get_job(get_job()).await?.into_inner())
}

/// Returns once new connections see this certificate.
async fn shows(address: SocketAddr, client: &Arc<ClientConfig>, pair: &Pair) {
    becomes(async || is_shown(address, client, pair).await).await;
}

async fn is_shown(address: SocketAddr, client: &Arc<ClientConfig>, pair: &Pair) -> bool {
    let stream = handshake(address, Arc::clone(client)).await.unwrap();
    let shown = &stream.get_ref().1.peer_certificates().unwrap()[0];
    *shown == certificate(&pair.certificate)
}

#[tokio::test]
async fn both_versions_of_tls_speak_h2_and_nothing_resumes() {
    let (upstream, authority) = (Upstream::new([Reply::job()]).await, Authority::new());
    let volume = Volume::new(&authority.issue(&[NAME]), None);
    let gateway = gateway(&upstream, &volume).await;
    for (version, name) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)]
    {
        let client = Arc::new(authority.client_of(None, version));
        for _ in 0..2 {
            let stream = handshake(gateway.address, Arc::clone(&client)).await.unwrap();
            let session = stream.get_ref().1;
            assert_eq!(session.protocol_version(), Some(name));
            assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
            assert_eq!(session.handshake_kind(), Some(HandshakeKind::Full));
            let mut client = JobServiceClient::new(over(stream).await.unwrap());
            assert_eq!(client.get_job(get_job()).await.unwrap().into_inner().job_id, "j1");
        }
    }
    let mut other = authority.client(None);
    other.alpn_protocols = vec![b"http/1.1".to_vec()];
    let error = handshake(gateway.address, other).await.unwrap_err().to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
}

#[tokio::test]
async fn a_client_tells_a_server_that_it_should_not_trust() {
    let (upstream, authority) = (Upstream::new([Reply::job()]).await, Authority::new());
    for (pair, part) in [
        (Authority::new().issue(&[NAME]), "UnknownIssuer"),
        (authority.issue(&["other.test"]), "not valid for name"),
        // The server takes it: what is borne is for the client to say.
        (authority.issue_ended(&[NAME]), "expired"),
    ] {
        let volume = Volume::new(&pair, None);
        let gateway = gateway(&upstream, &volume).await;
        let error = handshake(gateway.address, authority.client(None)).await.unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_tls_is_no_call_and_is_counted() {
    let (upstream, authority) = (Upstream::new([Reply::job()]).await, Authority::new());
    let volume = Volume::new(&authority.issue(&[NAME]), None);
    let gateway = gateway(&upstream, &volume).await;
    let mut plaintext = JobServiceClient::new(channel(gateway.address).await);
    plaintext.get_job(get_job()).await.unwrap_err();
    assert_eq!(upstream.count(), 0);
    get(gateway.address, authority.client(None)).await.unwrap();
    let metrics = http_get(gateway.admin, "/metrics").await.1;
    for line in [
        "jobgate_tls_handshakes_total{result=\"failed\"} 1\n",
        "jobgate_tls_handshakes_total{result=\"ok\"} 1\n",
        // The first day of 4096, as rcgen has it.
        "jobgate_tls_certificate_not_after_seconds 67090118400\n",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
}

#[tokio::test]
async fn tls_before_1_2_is_refused_in_its_own_words() {
    let (upstream, authority) = (Upstream::new([Reply::job()]).await, Authority::new());
    let volume = Volume::new(&authority.issue(&[NAME]), None);
    let gateway = gateway(&upstream, &volume).await;
    // A ClientHello of TLS 1.1: version, random, no session, one cipher suite, no compression.
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x13, 1, 0]);
    // Extensions: a curve, its format, and a signature that 1.2 would take. Only the version is wrong.
    hello.extend([0, 22, 0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0, 0, 13, 0, 4, 0, 2, 4, 3]);
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(hello);
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(&record).await.unwrap();
    let mut alert = Vec::new();
    stream.read_to_end(&mut alert).await.unwrap();
    // An alert (21) of two bytes: fatal (2), protocol_version (70).
    assert_eq!((alert[0], &alert[3..]), (21, &[0, 2, 2, 70][..]), "{alert:?}");
}

#[tokio::test]
async fn a_client_must_have_a_certificate_of_the_right_authority() {
    let (upstream, authority) = (Upstream::new([Reply::job()]).await, Authority::new());
    let (clients, others) = (Authority::new(), Authority::new());
    let volume = Volume::new(&authority.issue(&[NAME]), Some(&clients));
    let gateway = gateway(&upstream, &volume).await;
    for (own, allowed) in [
        (None, false),
        (Some(others.issue(&["a.test"])), false),
        (Some(clients.issue_ended(&["a.test"])), false),
        // The authority of the server is none of clients.
        (Some(authority.issue(&["a.test"])), false),
        (Some(clients.issue(&["a.test"])), true),
    ] {
        for version in [&TLS12, &TLS13] {
            let before = upstream.count();
            let client = authority.client_of(own.as_ref(), version);
            assert_eq!(get(gateway.address, client).await.is_ok(), allowed);
            assert_eq!(upstream.count() - before, usize::from(allowed));
        }
    }
}

#[tokio::test]
async fn another_authority_of_clients_counts_from_the_next_connection_on() {
    let (upstream, authority) = (Upstream::new([Reply::job()]).await, Authority::new());
    let (old, new) = (Authority::new(), Authority::new());
    let pair = authority.issue(&[NAME]);
    let mut volume = Volume::new(&pair, Some(&old));
    let config = with_tls(&upstream, &volume);
    let reload = config.reload.clone();
    let gateway = Gateway::with(config).await;
    let (first, second) = (old.issue(&["a.test"]), new.issue(&["a.test"]));
    let (first, second) = (authority.client(Some(&first)), authority.client(Some(&second)));
    let (first, second) = (Arc::new(first), Arc::new(second));
    get(gateway.address, Arc::clone(&first)).await.unwrap();
    get(gateway.address, Arc::clone(&second)).await.unwrap_err();
    volume.swap(&pair, Some(&new));
    reload.now();
    becomes(async || get(gateway.address, Arc::clone(&second)).await.is_ok()).await;
    // Also with what it may have kept of its first session.
    get(gateway.address, first).await.unwrap_err();
}

#[tokio::test]
async fn certificates_change_under_traffic_without_a_failed_call() {
    let (upstream, authority) = (Upstream::new([Reply::job()]).await, Authority::new());
    let first = authority.issue(&[NAME]);
    let mut volume = Volume::new(&first, None);
    let config = with_tls(&upstream, &volume);
    let reload = config.reload.clone();
    let gateway = Gateway::with(config).await;
    let (address, client) = (gateway.address, Arc::new(authority.client(None)));
    assert!(is_shown(address, &client, &first).await);

    let old = over(handshake(address, Arc::clone(&client)).await.unwrap()).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let calls = tokio::spawn({
        let (client, done) = (Arc::clone(&client), Arc::clone(&done));
        async move {
            let mut old = JobServiceClient::new(old);
            let mut count = 0;
            while !done.load(Ordering::Relaxed) {
                old.get_job(get_job()).await.unwrap();
                get(address, Arc::clone(&client)).await.unwrap();
                count += 1;
            }
            count
        }
    });
    for round in 0..6 {
        let next = authority.issue(&[NAME]);
        if round % 2 == 0 {
            volume.swap(&next, None);
        } else {
            volume.overwrite(&next);
        }
        reload.now();
        shows(address, &client, &next).await;
    }
    done.store(true, Ordering::Relaxed);
    assert!(calls.await.unwrap() > 0);
}

#[tokio::test]
async fn a_bad_pair_is_complained_of_and_the_old_one_stays() {
    let (upstream, authority) = (Upstream::new([Reply::job()]).await, Authority::new());
    let (first, second) = (authority.issue(&[NAME]), authority.issue(&[NAME]));
    let volume = Volume::new(&first, None);
    let (cert, key) = (volume.path("cert.pem"), volume.path("key.pem"));
    let flags = ["--tls-cert", cert.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    // So that it is the signal.
    let flags = [&flags[..], &["--reload-interval", "1h"]].concat();
    let mut server = Server::new(&upstream.address.to_string(), &flags).await;
    let client = Arc::new(authority.client(None));
    let Pair { certificate, key: old_key } = first;
    let mixed = Pair { certificate: second.certificate.clone(), key: old_key };
    let first = Pair { certificate, key: String::new() };
    for bad in [&mixed, &first] {
        volume.overwrite(bad);
        server.signal("-HUP");
        let line = server.logs("the old one stays in use").await;
        assert!(line.contains("key.pem"), "{line}");
        assert!(is_shown(server.address, &client, &first).await);
    }
    volume.overwrite(&second);
    server.signal("-HUP");
    shows(server.address, &client, &second).await;
}

#[tokio::test]
async fn a_peer_in_its_handshake_does_not_hold_the_end() {
    let (upstream, authority) = (Upstream::new([Reply::job()]).await, Authority::new());
    let volume = Volume::new(&authority.issue(&[NAME]), None);
    let mut config = with_tls(&upstream, &volume);
    config.drain_timeout = Duration::from_hours(1);
    let gateway = Gateway::with(config).await;
    let _silent = TcpStream::connect(gateway.address).await.unwrap();
    let mut half = TcpStream::connect(gateway.address).await.unwrap();
    half.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    // TLS is there, but nothing is said in it.
    let _mute = handshake(gateway.address, authority.client(None)).await.unwrap();
    get(gateway.address, authority.client(None)).await.unwrap();
    // Far below the drain timeout, far above what it takes.
    tokio::time::timeout(Duration::from_mins(1), gateway.stopped()).await.unwrap();
}

#[tokio::test]
async fn the_client_commands_speak_tls() {
    let (upstream, authority) = (Upstream::new([Reply::job()]).await, Authority::new());
    let (clients, own) = (Authority::new(), Volume::new(&authority.issue(&["localhost"]), None));
    let volume = Volume::new(&authority.issue(&["localhost"]), Some(&clients));
    own.overwrite(&clients.issue(&["a.test"]));
    let (cert, key) = (own.path("cert.pem"), own.path("key.pem"));
    let ca = own.path("ca.pem");
    std::fs::write(&ca, &authority.pem).unwrap();
    let [ca, cert, key] = [&ca, &cert, &key].map(|path| path.to_str().unwrap());
    let gateway = gateway(&upstream, &volume).await;
    let url = format!("https://localhost:{}", gateway.address.port());
    let run = async |command: &str, more: &[&str]| {
        let args = [command, "j1", "--project", "p1", "--gateway", &url];
        let args = [&args[..], more].concat();
        let done = jobgate(&args).env("JOBGATE_TOKEN", SECRET).output().await.unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    let identity = ["--client-cert", cert, "--client-key", key];
    let all = [&["--ca", ca][..], &identity[..]].concat();
    assert_eq!(run("get", &all).await, (Some(4), String::new()));
    // Not the system's authorities.
    let (code, stderr) = run("get", &identity).await;
    assert!(code == Some(1) && stderr.contains("https://localhost"), "{stderr}");
    assert_eq!(run("get", &["--ca", ca]).await.0, Some(1));
    let (code, stderr) = run("get", &["--ca", "/no/such.pem"]).await;
    assert!(code == Some(2) && stderr.contains("/no/such.pem"), "{stderr}");
    let (code, stderr) = run("get", &["--ca", key]).await;
    assert!(code == Some(1), "{stderr}");
    upstream.goes_on_with([Reply::state("SUCCESS", "a")]);
    assert_eq!(run("watch", &all).await.0, Some(0));
}
