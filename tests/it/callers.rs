//! Who may ask about which projects.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use jobgate::{
    files::Reloads,
    proto::{
        health::{HealthCheckRequest, health_client::HealthClient},
        v1::{GetJobRequest, WatchJobResponse, job_service_client::JobServiceClient},
    },
    server,
};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tonic::{Code, Request, Status, Streaming, transport::Channel};

use crate::support::{
    Gateway, Reply, TOKEN, Upstream, becomes,
    certificates::{Authority, NAME, Volume, handshake, over},
    gateway::{channel, config},
    get_job,
    program::{Server, jobgate},
    reason, watch_job,
};

/// A file of rules.
struct Rules {
    folder: TempDir,
    reload: Reloads,
}

impl Rules {
    fn new(text: &str) -> Self {
        let reload = Reloads::new(Duration::from_hours(1));
        let rules = Self { folder: TempDir::new().unwrap(), reload };
        rules.write(text);
        rules
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("callers.toml")
    }

    fn write(&self, text: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path()).unwrap();
        self.reload.now();
    }

    fn config(&self, upstream: &Upstream) -> server::Config {
        let reload = self.reload.clone();
        server::Config { callers: Some(self.path()), reload, ..config(upstream.address) }
    }
}

/// The rule for a caller with this token.
fn rule(name: &str, token: &str, projects: &str) -> String {
    let hash: Vec<_> = Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect();
    let hash = hash.concat();
    format!("[[caller]]\nname = \"{name}\"\ntoken_sha256 = [\"{hash}\"]\nprojects = {projects}\n")
}

/// The rule for a caller with this name in his certificate.
fn named_rule(name: &str, san: &str, projects: &str) -> String {
    format!("[[caller]]\nname = \"{name}\"\nsan = [\"{san}\"]\nprojects = {projects}\n")
}

/// The request for the usual job, by the caller with this token.
fn by(token: &str, project: &str) -> Request<GetJobRequest> {
    let mut request = get_job();
    request.get_mut().project_id = project.into();
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

fn seen(status: &Status) -> (Code, String) {
    (status.code(), reason(status))
}

async fn watch(
    gateway: &Gateway,
    token: &str,
    project: &str,
) -> Result<Streaming<WatchJobResponse>, Status> {
    let (metadata, extensions, _) = by(token, project).into_parts();
    let mut message = watch_job().into_inner();
    message.project_id = project.into();
    let request = Request::from_parts(metadata, extensions, message);
    Ok(gateway.client().await.watch_job(request).await?.into_inner())
}

#[tokio::test]
async fn a_caller_may_ask_about_his_projects_and_no_others() {
    let upstream = Upstream::new([Reply::job()]).await;
    let rules = Rules::new(&(rule("a", "ta", r#"["p1", "p2"]"#) + &rule("b", "tb", r#"["*"]"#)));
    let gateway = Gateway::with(rules.config(&upstream)).await;
    let denied = (Code::PermissionDenied, "PERMISSION_DENIED");
    let unknown = (Code::Unauthenticated, "CREDENTIALS_REJECTED");
    for (token, project, refusal) in [
        ("ta", "p1", None),
        ("ta", "p2", None),
        ("tb", "anything", None),
        ("ta", "p3", Some(denied)),
        ("ta", "p", Some(denied)),
        ("ta", "P1", Some(denied)),
        ("tc", "p1", Some(unknown)),
        ("ta2", "p1", Some(unknown)),
        ("TA", "p1", Some(unknown)),
        (TOKEN, "p1", Some(unknown)),
    ] {
        let before = upstream.count();
        let got = gateway.send(by(token, project)).await.map(|_| ());
        let watched = watch(&gateway, token, project).await.map(|_| ());
        let asked = upstream.count() - before;
        match refusal {
            None => assert!(got.is_ok() && watched.is_ok() && asked > 0, "{token} {project}"),
            Some((code, why)) => {
                for status in [got.unwrap_err(), watched.unwrap_err()] {
                    assert_eq!(seen(&status), (code, why.to_owned()), "{token} {project}");
                    assert!(status.message().contains("gateway"), "{}", status.message());
                }
                assert_eq!(asked, 0, "{token} {project}");
            }
        }
    }
}

#[tokio::test]
async fn who_says_nothing_of_himself_is_refused_after_his_ids_were_read() {
    let upstream = Upstream::new([Reply::job()]).await;
    let rules = Rules::new(&rule("a", "ta", r#"["*"]"#));
    let gateway = Gateway::with(rules.config(&upstream)).await;
    for value in [None, Some("Basic dXNlcjpwYXNz"), Some("Bearer "), Some("Bearer")] {
        let mut request = get_job();
        if let Some(value) = value {
            request.metadata_mut().insert("authorization", value.parse().unwrap());
        }
        let status = gateway.send(request).await.unwrap_err();
        assert_eq!(seen(&status), (Code::Unauthenticated, "CREDENTIALS_MISSING".into()));
        assert!(status.message().contains("who calls"), "{}", status.message());
    }
    let mut request = get_job();
    request.get_mut().project_id = "..".into();
    assert_eq!(gateway.send(request).await.unwrap_err().code(), Code::InvalidArgument);
    let mut request = by("ta", "p1");
    request.metadata_mut().append("authorization", "Bearer ta".parse().unwrap());
    assert_eq!(gateway.send(request).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_callers_token_never_goes_upstream() {
    let upstream = Upstream::new([Reply::job()]).await;
    let rules = Rules::new(&rule("a", "ta-the-callers", r#"["*"]"#));
    let gateway = Gateway::with(rules.config(&upstream)).await;
    gateway.send(by("ta-the-callers", "p1")).await.unwrap();
    let sent = upstream.requests().pop().unwrap();
    assert!(sent.contains(&format!("x-auth-token: {TOKEN}\r\n")), "{sent}");
    assert!(!sent.contains("ta-the-callers") && !sent.contains("authorization"), "{sent}");
    for blank in [false, true] {
        let mut request = by("ta-the-callers", "p1");
        request.metadata_mut().remove("x-auth-token");
        if blank {
            request.metadata_mut().insert("x-auth-token", "".parse().unwrap());
        }
        let status = gateway.send(request).await.unwrap_err();
        assert_eq!(seen(&status), (Code::Unauthenticated, "CREDENTIALS_MISSING".into()));
        assert!(status.message().contains("x-auth-token"), "{}", status.message());
    }
    assert_eq!(upstream.count(), 1);
}

#[tokio::test]
async fn health_and_reflection_ask_nobody_who_he_is() {
    let upstream = Upstream::new([Reply::job()]).await;
    let rules = Rules::new(&rule("a", "ta", r#"["*"]"#));
    let gateway = Gateway::with(rules.config(&upstream)).await;
    let mut health = HealthClient::new(gateway.channel().await);
    health.check(HealthCheckRequest::default()).await.unwrap();
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let head = gateway.raw(path, &[], axum::body::Body::empty()).await;
    assert!(head.get("grpc-status").is_none_or(|status| status == "0"), "{head:?}");
}

#[tokio::test]
async fn new_rules_count_from_the_next_call_on() {
    let upstream = Upstream::new([Reply::job()]).await;
    let rules = Rules::new(&rule("a", "ta", r#"["p1"]"#));
    let gateway = Gateway::with(rules.config(&upstream)).await;
    gateway.send(by("ta", "p1")).await.unwrap();
    rules.write(&(rule("a", "ta", r#"["p2"]"#) + &rule("b", "tb", r#"["p1"]"#)));
    becomes(async || gateway.send(by("ta", "p1")).await.is_err()).await;
    gateway.send(by("ta", "p2")).await.unwrap();
    gateway.send(by("tb", "p1")).await.unwrap();
}

#[tokio::test]
async fn a_watch_ends_when_its_right_goes_and_no_other_does() {
    let upstream = Upstream::new([Reply::job()]).await;
    let rules = Rules::new(&(rule("a", "ta", r#"["p1", "p2"]"#) + &rule("b", "tb", r#"["*"]"#)));
    let gateway = Gateway::with(rules.config(&upstream)).await;
    let mut watches = Vec::new();
    for (token, project) in [("ta", "p1"), ("ta", "p2"), ("tb", "p1"), ("tb", "p2")] {
        let mut watch = watch(&gateway, token, project).await.unwrap();
        watch.message().await.unwrap().unwrap();
        watches.push(watch);
    }
    let ended = async |watch: &mut Streaming<WatchJobResponse>| {
        seen(&watch.message().await.expect_err("only an error is left to be told"))
    };
    rules.write(&(rule("a", "ta", r#"["p2"]"#) + &rule("b", "tb", r#"["*"]"#)));
    let denied = (Code::PermissionDenied, "PERMISSION_DENIED".to_owned());
    assert_eq!(ended(&mut watches[0]).await, denied);
    rules.write(&rule("a", "ta", r#"["p1", "p2"]"#));
    let unknown = (Code::Unauthenticated, "CREDENTIALS_REJECTED".to_owned());
    for watch in [2, 3] {
        assert_eq!(ended(&mut watches[watch]).await, unknown);
    }
    // The one that is left ends with its job.
    upstream.goes_on_with([Reply::state("SUCCESS", "a")]);
    while watches[1].message().await.unwrap().is_some() {}
}

/// A client with a certificate for these names.
async fn client(
    gateway: &Gateway,
    servers: &Authority,
    clients: &Authority,
    names: &[&str],
) -> JobServiceClient<Channel> {
    let config = servers.client(Some(&clients.issue(names)));
    let stream = handshake(gateway.address, config).await.unwrap();
    JobServiceClient::new(over(stream).await.unwrap())
}

#[tokio::test]
async fn a_caller_is_known_by_his_certificate() {
    let upstream = Upstream::new([Reply::job()]).await;
    let (servers, clients) = (Authority::new(), Authority::new());
    let volume = Volume::new(&servers.issue(&[NAME]), Some(&clients));
    let rules = Rules::new(
        &(named_rule("operator", "spiffe://prod/ns/backup/*", r#"["p1"]"#)
            + &named_rule("host", "*.example.com", r#"["p2"]"#)),
    );
    let config = server::Config { tls: Some(volume.config()), ..rules.config(&upstream) };
    let gateway = Gateway::with(config).await;
    for (names, project, allowed) in [
        (&["spiffe://prod/ns/backup/sa/operator"][..], "p1", true),
        (&["spiffe://prod/ns/backup/sa/operator"], "p2", false),
        (&["a.example.com"], "p2", true),
        (&["a.example.com"], "p1", false),
        (&["other.test", "A.example.com", "spiffe://prod/ns/backup/x"], "p1", true),
        (&["other.test", "spiffe://prod/ns/other"], "p1", false),
        (&[], "p1", false),
    ] {
        let before = upstream.count();
        let mut client = client(&gateway, &servers, &clients, names).await;
        let mut request = get_job();
        request.get_mut().project_id = project.into();
        match client.get_job(request).await {
            Ok(_) => assert!(allowed, "{names:?} {project}"),
            Err(status) => {
                assert!(!allowed, "{names:?} {project}: {status:?}");
                assert_eq!(seen(&status), (Code::PermissionDenied, "PERMISSION_DENIED".into()));
                assert_eq!(upstream.count(), before);
            }
        }
    }
    // No rule has a token, so a bearer token is the cloud's.
    let mut client = client(&gateway, &servers, &clients, &["a.example.com"]).await;
    let mut request = by("the-clouds", "p2");
    request.metadata_mut().remove("x-auth-token");
    client.get_job(request).await.unwrap();
    assert!(upstream.requests().pop().unwrap().contains("x-auth-token: the-clouds\r\n"));
}

#[tokio::test]
async fn a_token_adds_to_what_a_certificate_allows_and_a_watch_keeps_either() {
    let upstream = Upstream::new([Reply::job()]).await;
    let (servers, clients) = (Authority::new(), Authority::new());
    let volume = Volume::new(&servers.issue(&[NAME]), Some(&clients));
    let host = |projects| named_rule("host", "a.test", projects);
    let rules = Rules::new(&(host(r#"["p1"]"#) + &rule("t", "tt", r#"["p2"]"#)));
    let config = server::Config { tls: Some(volume.config()), ..rules.config(&upstream) };
    let gateway = Gateway::with(config).await;
    let mut client = client(&gateway, &servers, &clients, &["a.test"]).await;
    for project in ["p1", "p2"] {
        client.get_job(by("tt", project)).await.unwrap();
    }
    assert_eq!(client.get_job(by("tt", "p3")).await.unwrap_err().code(), Code::PermissionDenied);
    // A token that nobody knows is not made good by the certificate.
    let status = client.get_job(by("other", "p1")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let mut watch = client.watch_job(watch_job()).await.unwrap().into_inner();
    watch.message().await.unwrap().unwrap();
    rules.write(&(host(r#"["p9"]"#) + &rule("t", "tt", r#"["p2"]"#)));
    let status = watch.message().await.unwrap_err();
    assert_eq!(seen(&status), (Code::PermissionDenied, "PERMISSION_DENIED".into()));
}

#[tokio::test]
async fn broken_rules_change_nothing_and_the_log_knows_the_caller() {
    let upstream = Upstream::new([Reply::job()]).await;
    let rules = Rules::new(&rule("backup-operator", "ta-secret", r#"["p1"]"#));
    let path = rules.path();
    let flags = ["--callers", path.to_str().unwrap(), "--reload-interval", "10ms"];
    let mut server = Server::new(&upstream.address.to_string(), &flags).await;
    let mut client = JobServiceClient::new(channel(server.address).await);
    client.get_job(by("ta-secret", "p1")).await.unwrap();
    let line = server.logs("jobgate::access").await;
    assert!(
        line.contains(r#""caller":"backup-operator""#) && !line.contains("ta-secret"),
        "{line}"
    );
    for broken in ["[[caller]]\nname = \"x\"\ntoken_sha256 = [\"ta-secret\"]\n", ""] {
        rules.write(broken);
        let line = server.logs("the old one stays in use").await;
        assert!(line.contains("callers.toml: line ") && !line.contains("ta-secret"), "{line}");
        client.get_job(by("ta-secret", "p1")).await.unwrap();
    }
    client.get_job(by("ta-secret", "p2")).await.unwrap_err();
    client.get_job(by("other-secret", "p1")).await.unwrap_err();
    drop(client);
    server.signal("-TERM");
    let log = server.end().await.1;
    let refused = log.lines().find(|line| line.contains("PERMISSION_DENIED")).unwrap();
    assert!(refused.contains(r#""caller":"backup-operator""#), "{refused}");
    let unknown = log.lines().find(|line| line.contains("CREDENTIALS_REJECTED")).unwrap();
    assert!(!unknown.contains(r#""caller""#), "{unknown}");
    assert!(!log.contains("secret"), "{log}");
}

#[tokio::test]
async fn bad_rules_at_the_start_are_said() {
    let rules = Rules::new("[[caller]]\nnam = \"x\"\n");
    let path = rules.path();
    let path = path.to_str().unwrap();
    let done = jobgate(&["serve", "--upstream", "http://x", "--callers", path]);
    let done = { done }.output().await.unwrap();
    let stderr = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(stderr.contains(&format!("{path}: line 2: there is no key \"nam\"")), "{stderr}");
}

#[tokio::test]
async fn the_client_commands_send_the_callers_token() {
    let upstream = Upstream::new([Reply::state("SUCCESS", "a")]).await;
    let rules = Rules::new(&rule("a", "ta", r#"["p1"]"#));
    let gateway = Arc::new(Gateway::with(rules.config(&upstream)).await);
    let url = format!("http://{}", gateway.address);
    let file = rules.folder.path().join("token");
    fs::write(&file, "ta\n").unwrap();
    for command in ["get", "watch"] {
        let run = async |more: &[&str], variables: &[(&str, &str)]| {
            let args = [command, "j1", "--project", "p1", "--gateway", &url];
            let mut command = jobgate(&[&args[..], more].concat());
            command.envs(variables.iter().copied()).output().await.unwrap().status.code()
        };
        let (own, cloud) = (("JOBGATE_CALLER_TOKEN", "ta"), ("JOBGATE_TOKEN", TOKEN));
        assert_eq!(run(&[], &[own, cloud]).await, Some(0));
        let file = ["--caller-token-file", file.to_str().unwrap()];
        assert_eq!(run(&file, &[cloud]).await, Some(0));
        assert_eq!(run(&[], &[cloud]).await, Some(1));
        assert_eq!(run(&[], &[own]).await, Some(1));
    }
    assert!(upstream.requests().iter().all(|sent| sent.contains(TOKEN)));
}
