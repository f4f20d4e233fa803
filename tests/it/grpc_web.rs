//! gRPC-Web: which pages may call, what they get, and what HTTP/1.1 may do.

use std::{fs, net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderMap, Method};
use jobgate::{
    proto::v1::{Job, WatchJobResponse, watch_job_response},
    server::{
        self, BindError,
        web::{Origin, Origins},
    },
    upstream::{Secret, SecretSource},
};
use prost::Message as _;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
};
use tonic::{Code, Status};

use crate::support::{
    Gateway, Reply, TOKEN, Upstream,
    account::Account,
    certificates::{Authority, NAME, Volume, handshake},
    cloud::http,
    gateway::{GET_JOB, config},
    http2::GET_JOB_MESSAGE,
    program::Server,
    reason,
};

const PAGE: &str = "https://jobs.example.com";
const WATCH_JOB: &str = "/jobgate.v1.JobService/WatchJob";
const OK_CALLS: &str = "rpc_server_call_duration_seconds_count{rpc_system_name=\"grpc\",\
    rpc_method=\"jobgate.v1.JobService/GetJob\",rpc_status_code=\"OK\"}";

/// A gateway that takes calls of one origin's pages.
fn for_pages(upstream: &Upstream) -> server::Config {
    server::Config { web: Some(Origins::These(vec![page()])), ..config(upstream.address) }
}

fn page() -> Origin {
    PAGE.parse().unwrap()
}

/// The request that a page of this origin makes; none for what is no page.
fn call(gateway: &Gateway, path: &str, origin: Option<&str>) -> reqwest::RequestBuilder {
    let mut request = http()
        .post(format!("http://{}{path}", gateway.address))
        .header("content-type", "application/grpc-web+proto")
        .header("x-grpc-web", "1")
        .header("x-auth-token", TOKEN)
        .body(GET_JOB_MESSAGE);
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    request
}

/// What a browser asks before.
async fn preflight(gateway: &Gateway, origin: &str) -> reqwest::Response {
    let request = http()
        .request(Method::OPTIONS, format!("http://{}{GET_JOB}", gateway.address))
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,x-auth-token,x-grpc-web");
    request.send().await.unwrap()
}

/// The messages of an answer, and the status in its trailers.
fn read(mut body: &[u8]) -> (Vec<Vec<u8>>, Option<Status>) {
    let (mut messages, mut status) = (Vec::new(), None);
    while let Some((head, rest)) = body.split_first_chunk::<5>() {
        let (frame, rest) =
            rest.split_at(u32::from_be_bytes(head[1..].try_into().unwrap()) as usize);
        if head[0] == 0 {
            messages.push(frame.to_vec());
        } else {
            let mut trailers = HeaderMap::new();
            for line in std::str::from_utf8(frame).unwrap().lines() {
                let (name, value) = line.split_once(':').unwrap();
                let name: http::HeaderName = name.parse().unwrap();
                trailers.insert(name, value.trim().parse().unwrap());
            }
            status = Status::from_header_map(&trailers);
        }
        body = rest;
    }
    (messages, status)
}

fn has_cors(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with("access-control"))
}

/// A peer that writes HTTP/1.1 by hand.
async fn says(address: SocketAddr, text: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text).await.unwrap();
    stream
}

/// All that it is told until the connection ends.
async fn hears(mut stream: impl tokio::io::AsyncRead + Unpin) -> Vec<u8> {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

/// A call by hand.
fn by_hand(more: &str) -> Vec<u8> {
    let len = GET_JOB_MESSAGE.len();
    let head = format!(
        "POST {GET_JOB} HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc-web\r\n\
         x-auth-token: {TOKEN}\r\ncontent-length: {len}\r\n{more}\r\n"
    );
    [head.as_bytes(), GET_JOB_MESSAGE].concat()
}

#[tokio::test]
async fn without_origins_there_is_no_grpc_web_and_no_http1() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    let answer = hears(says(gateway.address, &by_hand("connection: close\r\n")).await).await;
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(upstream.count(), 0);
    let head = gateway.raw(GET_JOB, &[("origin", PAGE)], GET_JOB_MESSAGE.into()).await;
    assert!(!has_cors(&head) && head.contains_key("x-request-id"), "{head:?}");
}

#[tokio::test]
async fn a_preflight_is_answered_before_anybody_is_known() {
    let upstream = Upstream::new([Reply::job()]).await;
    let folder = TempDir::new().unwrap();
    let callers = folder.path().join("callers.toml");
    let hash = "0".repeat(64);
    let rule = format!("[[caller]]\nname = \"a\"\ntoken_sha256 = [\"{hash}\"]\nprojects = [\"*\"]");
    fs::write(&callers, rule).unwrap();
    let config = server::Config { callers: Some(callers), ..for_pages(&upstream) };
    let gateway = Gateway::with(config).await;
    let answer = preflight(&gateway, PAGE).await;
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_lowercase();
    assert_eq!(header("access-control-allow-origin"), PAGE);
    assert_eq!(header("access-control-allow-methods"), "post");
    assert_eq!(header("access-control-max-age"), "7200");
    let allowed = header("access-control-allow-headers");
    for name in ["authorization", "content-type", "grpc-timeout", "x-auth-token", "x-grpc-web"] {
        assert!(allowed.split(',').any(|it| it.trim() == name), "{name}: {allowed}");
    }
    assert!(!answer.headers().contains_key("access-control-allow-credentials"));
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_before_anything_is_done() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::with(for_pages(&upstream)).await;
    // The last is what a browser takes for the page's own origin, if a name leads here.
    let rebound = format!("http://evil.example:{}", gateway.address.port());
    for origin in ["https://evil.example", "http://jobs.example.com", "null", &rebound] {
        let answers = [
            preflight(&gateway, origin).await,
            call(&gateway, GET_JOB, Some(origin)).send().await.unwrap(),
        ];
        for answer in answers {
            assert_eq!(answer.status(), 403, "{origin}");
            assert!(!has_cors(answer.headers()), "{origin}");
        }
    }
    // What needs no preflight, over HTTP/2.
    let headers = [("origin", "https://evil.example"), ("content-type", "text/plain")];
    let head = gateway.raw(GET_JOB, &headers, GET_JOB_MESSAGE.into()).await;
    assert!(!head.contains_key("x-request-id"), "{head:?}");
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_page_gets_its_job_and_may_read_the_status() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::with(for_pages(&upstream)).await;
    let answer = call(&gateway, GET_JOB, Some(PAGE)).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/grpc-web+proto");
    assert_eq!(answer.headers()["access-control-allow-origin"], PAGE);
    let exposed = answer.headers()["access-control-expose-headers"].to_str().unwrap();
    for name in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
        assert!(exposed.contains(name), "{exposed}");
    }
    let (messages, status) = read(&answer.bytes().await.unwrap());
    assert_eq!(Job::decode(&*messages[0]).unwrap().job_id, "j1");
    assert_eq!(status.unwrap().code(), Code::Ok);
    // Who is no page says no origin, and is a caller like any other.
    let answer = call(&gateway, GET_JOB, None).send().await.unwrap();
    assert_eq!(read(&answer.bytes().await.unwrap()).1.unwrap().code(), Code::Ok);
    // And gRPC is what it was.
    gateway.get().await.unwrap();
    gateway.metric_is(OK_CALLS, 3).await;
}

#[tokio::test]
async fn the_form_in_text_is_taken_as_well() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::with(for_pages(&upstream)).await;
    let request = http()
        .post(format!("http://{}{GET_JOB}", gateway.address))
        .header("content-type", "application/grpc-web-text")
        .header("accept", "application/grpc-web-text")
        .header("origin", PAGE)
        .header("x-auth-token", TOKEN)
        // The usual message in base64.
        .body("AAAAAAgKAnAxEgJqMQ==");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/grpc-web-text+proto");
    let body = answer.text().await.unwrap();
    assert!(body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)));
    gateway.metric_is(OK_CALLS, 1).await;
}

#[tokio::test]
async fn errors_reach_pages_with_their_details() {
    let body = r#"{"error_code":"common.0011","error_msg":"no such job"}"#;
    let upstream = Upstream::new([Reply::json(404, body)]).await;
    let gateway = Gateway::with(for_pages(&upstream)).await;
    let silent = Upstream::new([Reply::job().when(&Arc::new(Notify::new()))]).await;
    let waiting = Gateway::with(for_pages(&silent)).await;
    let late = call(&waiting, GET_JOB, Some(PAGE)).header("grpc-timeout", "50m");
    for (request, code, expected) in [
        (call(&gateway, GET_JOB, Some(PAGE)), Code::NotFound, "JOB_NOT_FOUND"),
        (call(&gateway, WATCH_JOB, Some(PAGE)), Code::NotFound, "JOB_NOT_FOUND"),
        (call(&gateway, "/no/such", Some(PAGE)), Code::Unimplemented, "METHOD_NOT_IMPLEMENTED"),
        (late, Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/grpc-web+proto");
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!((status.code(), &*reason(&status)), (code, expected));
    }
}

#[tokio::test]
async fn a_watch_comes_piece_by_piece_and_is_over_when_the_page_goes() {
    let upstream = Upstream::new([Reply::job()]).await;
    let mut config = for_pages(&upstream);
    config.grpc.watch.heartbeat = Duration::from_millis(20);
    // A call under way keeps a connection from being idle, over HTTP/1.1 as well.
    config.connections.idle = Some(Duration::from_millis(300));
    config.connections.grace = Duration::from_millis(1);
    let gateway = Gateway::with(config).await;
    let mut answer = call(&gateway, WATCH_JOB, Some(PAGE)).send().await.unwrap();
    let mut body = Vec::new();
    while read_whole(&body).len() < 40 {
        body.extend(answer.chunk().await.unwrap().expect("the watch goes on"));
        gateway.metric_is("jobgate_streams", 1).await;
    }
    let events = read_whole(&body);
    assert!(matches!(events[0].event, Some(watch_job_response::Event::Job(_))));
    assert!(matches!(events[39].event, Some(watch_job_response::Event::Heartbeat(_))));
    drop(answer);
    for what in ["jobgate_watchers", "jobgate_pollers", "jobgate_connections", "jobgate_streams"] {
        gateway.metric_is(what, 0).await;
    }
}

/// The whole messages at the beginning of a body.
fn read_whole(mut body: &[u8]) -> Vec<WatchJobResponse> {
    let mut events = Vec::new();
    while let Some((head, rest)) = body.split_first_chunk::<5>() {
        let len = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
        let Some((message, rest)) = rest.split_at_checked(len) else { break };
        events.push(WatchJobResponse::decode(message).unwrap());
        body = rest;
    }
    events
}

#[tokio::test]
async fn a_call_is_over_when_its_page_goes() {
    let upstream = Upstream::new([Reply::job().when(&Arc::new(Notify::new()))]).await;
    let gateway = Gateway::with(for_pages(&upstream)).await;
    let stream = says(gateway.address, &by_hand("")).await;
    upstream.has_seen(1).await;
    drop(stream);
    upstream.has_lost(1).await;
    upstream.goes_on_with([Reply::job()]);
    gateway.is_at_rest_and_serves().await;
}

#[tokio::test]
async fn a_drain_tells_pages_so() {
    let upstream = Upstream::new([Reply::job()]).await;
    let mut gateway = Gateway::with(for_pages(&upstream)).await;
    let mut answer = call(&gateway, WATCH_JOB, Some(PAGE)).send().await.unwrap();
    let mut body = answer.chunk().await.unwrap().unwrap().to_vec();
    gateway.stop();
    while let Some(more) = answer.chunk().await.unwrap() {
        body.extend(more);
    }
    let status = read(&body).1.unwrap();
    assert_eq!((status.code(), &*reason(&status)), (Code::Unavailable, "SERVER_DRAINING"));
    gateway.stopped().await;
}

#[tokio::test]
async fn requests_sent_ahead_wait_for_the_one_before() {
    let go = Arc::new(Notify::new());
    let upstream = Upstream::new([Reply::job().when(&go), Reply::job()]).await;
    let gateway = Gateway::with(for_pages(&upstream)).await;
    let calls = [by_hand(""), by_hand(""), by_hand("connection: close\r\n")].concat();
    let stream = says(gateway.address, &calls).await;
    upstream.has_seen(1).await;
    gateway.metric_is("jobgate_calls_served", 1).await;
    assert_eq!(upstream.count(), 1);
    go.notify_one();
    let answer = String::from_utf8_lossy(&hears(stream).await).into_owned();
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
}

#[tokio::test]
async fn http1_is_for_grpc_web_alone_and_within_limits() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::with(for_pages(&upstream)).await;
    let get = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned();
    let upgrade = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close, upgrade\r\nupgrade: h2c\r\n\r\n";
    // Old tokens take 32 KiB.
    let token = "x".repeat(60_000);
    let token = format!("GET / HTTP/1.1\r\nx-long: {token}\r\nconnection: close\r\n\r\n");
    let long = format!("GET / HTTP/1.1\r\nx-long: {}\r\n\r\n", "x".repeat(66_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(65));
    let plain = String::from_utf8(by_hand("connection: close\r\n")).unwrap();
    let plain = plain.replace("application/grpc-web", "application/grpc");
    for (text, status) in [
        (get, "400"),
        (upgrade.to_owned(), "400"),
        (plain, "400"),
        (token, "400"),
        (long, "431"),
        (many, "431"),
        ("nonsense of some length, and no request\r\n\r\n".to_owned(), "400"),
    ] {
        let answer = hears(says(gateway.address, text.as_bytes()).await).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer} {text:.60}");
    }
    assert_eq!(upstream.count(), 0);
    gateway.is_at_rest_and_serves().await;
}

#[tokio::test]
async fn with_tls_pages_speak_http2_alone() {
    let upstream = Upstream::new([Reply::job()]).await;
    let authority = Authority::new();
    let volume = Volume::new(&authority.issue(&[NAME]), None);
    let config = server::Config { tls: Some(volume.config()), ..for_pages(&upstream) };
    let gateway = Gateway::with(config).await;
    let mut client = authority.client(None);
    client.alpn_protocols.clear();
    let mut stream = handshake(gateway.address, client).await.unwrap();
    stream.write_all(&by_hand("connection: close\r\n")).await.unwrap();
    assert!(!hears(stream).await.starts_with(b"HTTP"));
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn the_gateways_own_credentials_are_not_for_any_page() {
    let account = Account::new("secret").await;
    let password = SecretSource::Value(Secret::line(b"secret").unwrap());
    let upstream = Upstream::new([]).await;
    let mut config = server::Config { web: Some(Origins::Any), ..config(upstream.address) };
    config.upstream.credentials = account.login(password);
    assert!(matches!(server::bind(config.clone()).await, Err(BindError::AnyPage)));
    config.web = Some(Origins::These(vec![page()]));
    assert!(server::bind(config).await.is_ok());
}

#[tokio::test]
async fn a_refused_page_is_told_of_in_the_log_and_a_call_has_its_line() {
    let upstream = Upstream::new([Reply::job()]).await;
    let allow = ["--grpc-web-allow-origin", "https://a.example,https://jobs.example.com:443"];
    let mut server = Server::new(&upstream.address.to_string(), &allow).await;
    let url = format!("http://{}{GET_JOB}", server.address);
    for (origin, text) in [("https://evil.example", "refused"), (PAGE, "\"call\"")] {
        let request = http()
            .post(&url)
            .header("content-type", "application/grpc-web+proto")
            .header("origin", origin)
            .header("x-auth-token", TOKEN)
            .body(GET_JOB_MESSAGE);
        request.send().await.unwrap();
        let line = server.logs(text).await;
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        if origin == PAGE {
            assert_eq!((&line["method"], &line["code"]), (&GET_JOB.into(), &"OK".into()));
        } else {
            assert_eq!((&line["origin"], &line["path"]), (&origin.into(), &GET_JOB.into()));
        }
    }
    server.signal("-TERM");
    let (_, log) = server.end().await;
    assert_eq!(log.matches("\"call\"").count(), 0, "one line for each: {log}");
}
