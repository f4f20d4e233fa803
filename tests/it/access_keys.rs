//! The gateway's own credentials: access keys.

use std::{fs, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::join_all;
use jobgate::{
    proto::v1::{GetJobRequest, Job},
    server,
    upstream::{BaseUrl, Credentials, GivenKey, MetadataService, Secret, SecretSource},
};
use tempfile::TempDir;
use tokio::sync::Notify;
use tonic::{Code, Request, Status};

use crate::support::{
    Gateway, Reply, Upstream, becomes, cloud::simulator, gateway::config, reason,
};

const SCRIPT: &str = r#"
[tokens]
accept = "issued"
[keys.known]
AKONE = "secret-one"
AKTWO = "secret-two"
[metadata]
session = "required"
[[job]]
project = "p1"
id = "j1"
[job.life]
phase = [{ status = "RUNNING" }]
"#;

fn value(text: &str) -> SecretSource {
    SecretSource::Value(Secret::line(text.as_bytes()).unwrap())
}

fn key(access_key: &str, secret_key: &str) -> Credentials {
    Credentials::Given(GivenKey {
        access_key: value(access_key),
        secret_key: value(secret_key),
        security_token: None,
    })
}

fn with(upstream: SocketAddr, credentials: Credentials) -> server::Config {
    let mut config = config(upstream);
    config.upstream.credentials = credentials;
    config
}

async fn get(gateway: &Gateway, job: &str) -> Result<Job, Status> {
    let message = GetJobRequest { project_id: "p1".into(), job_id: job.into() };
    gateway.send(Request::new(message)).await
}

fn rejected(answer: &Result<Job, Status>) -> bool {
    answer.as_ref().is_err_and(|status| {
        status.code() == Code::Unavailable && reason(status) == "GATEWAY_CREDENTIALS_REJECTED"
    })
}

/// What the API's gateway says of a wrong signature.
fn refusal() -> Reply {
    let message = "Incorrect IAM authentication information: verify aksk signature fail";
    let body = format!(r#"{{"error_code":"APIGW.0301","error_msg":"{message}"}}"#);
    Reply::json(401, &body)
}

#[tokio::test]
async fn requests_are_signed_as_the_cloud_wants_it() {
    let cloud = simulator(SCRIPT).await;
    let gateway = Gateway::with(with(cloud, key("AKONE", "secret-one"))).await;
    assert_eq!(get(&gateway, "j1").await.unwrap().job_id, "j1");
    let unknown = get(&gateway, "none").await.unwrap_err();
    assert_eq!((unknown.code(), reason(&unknown)), (Code::NotFound, "JOB_NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn a_path_before_that_of_the_api_is_signed_too() {
    let upstream = Upstream::new([Reply::job()]).await;
    let mut config = with(upstream.address, key("AKONE", "secret-one"));
    let base = format!("http://{}/cloud/vbs/", upstream.address);
    config.upstream.base = BaseUrl::parse(&base).unwrap();
    get(&Gateway::with(config).await, "j1").await.unwrap();
    let sent = upstream.requests().remove(0).to_lowercase();
    assert!(sent.starts_with("get /cloud/vbs/v1/p1/jobs/j1 http/1.1\r\n"), "{sent}");
    for header in [
        "\r\nx-project-id: p1\r\n",
        "\r\nx-sdk-date: 2",
        "\r\nauthorization: sdk-hmac-sha256 access=akone, \
         signedheaders=host;x-project-id;x-sdk-date, signature=",
    ] {
        assert!(sent.contains(header), "{sent}");
    }
    assert!(!sent.contains("x-auth-token") && !sent.contains("secret-one"), "{sent}");
}

#[tokio::test]
async fn a_wrong_signature_is_sent_once_however_many_call() {
    let go = Arc::new(Notify::new());
    let upstream = Upstream::new([refusal().when(&go), refusal()]).await;
    let gateway = Gateway::with(with(upstream.address, key("AKONE", "wrong"))).await;
    let calls: Vec<_> = (0..20).map(|number| format!("j{number}")).collect();
    let calls = join_all(calls.iter().map(|job| get(&gateway, job)));
    let release = async {
        upstream.has_seen(1).await;
        // A call that is refused by itself: those before it have been taken in.
        get(&gateway, "").await.unwrap_err();
        go.notify_one();
    };
    let (answers, ()) = futures_util::future::join(calls, release).await;
    assert!(answers.iter().all(rejected), "{answers:?}");
    for _ in 0..5 {
        assert!(rejected(&get(&gateway, "j1").await));
    }
    assert_eq!(upstream.count(), 1);
}

#[tokio::test]
async fn a_wrong_signature_is_sent_once_though_nobody_waits_for_the_answer() {
    let go = Arc::new(Notify::new());
    let upstream = Upstream::new([refusal().when(&go), refusal()]).await;
    let gateway = Gateway::with(with(upstream.address, key("AKONE", "wrong"))).await;
    let mut given_up = 0;
    while given_up < 5 || upstream.count() == 0 {
        let message = GetJobRequest { project_id: "p1".into(), job_id: "j1".into() };
        let mut request = Request::new(message);
        request.set_timeout(Duration::from_millis(100));
        gateway.send(request).await.unwrap_err();
        given_up += 1;
    }
    go.notify_one();
    assert!(rejected(&get(&gateway, "j1").await));
    assert_eq!(upstream.count(), 1);
}

#[tokio::test]
async fn a_refusal_of_a_good_key_costs_its_call_and_three_in_a_row_all() {
    let upstream = Upstream::new([Reply::job(), refusal(), Reply::job(), refusal()]).await;
    let gateway = Gateway::with(with(upstream.address, key("AKONE", "secret-one"))).await;
    get(&gateway, "j1").await.unwrap();
    assert!(rejected(&get(&gateway, "j1").await));
    get(&gateway, "j1").await.unwrap();
    for _ in 0..10 {
        assert!(rejected(&get(&gateway, "j1").await));
    }
    assert_eq!(upstream.count(), 3 + 3);
}

#[tokio::test]
async fn a_project_that_the_key_is_not_good_for_takes_nothing_from_others() {
    let script = format!("{SCRIPT}[[fault]]\npath = \"/bad/\"\nstatus = 401\n");
    let cloud = simulator(&script).await;
    let gateway = Gateway::with(with(cloud, key("AKONE", "secret-one"))).await;
    for _ in 0..20 {
        get(&gateway, "j1").await.unwrap();
        let message = GetJobRequest { project_id: "bad".into(), job_id: "j1".into() };
        assert!(rejected(&gateway.send(Request::new(message)).await));
    }
}

#[tokio::test]
async fn calls_that_wait_for_the_trial_of_a_key_are_told_what_became_of_it() {
    let down = Reply::json(503, "{}");
    let upstream = Upstream::new([down]).await;
    let gateway = Gateway::with(with(upstream.address, key("AKONE", "secret-one"))).await;
    let jobs: Vec<_> = (0..20).map(|number| format!("j{number}")).collect();
    for answer in join_all(jobs.iter().map(|job| get(&gateway, job))).await {
        let status = answer.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(reason(&status), "UPSTREAM_UNAVAILABLE");
    }
}

#[tokio::test]
async fn a_pair_of_files_is_replaced_together() {
    let cloud = simulator(SCRIPT).await;
    let folder = TempDir::new().unwrap();
    let [access_key, secret_key] = ["access-key", "secret-key"].map(|it| folder.path().join(it));
    let write = |access: &str, secret: &str| {
        fs::write(&access_key, access).unwrap();
        fs::write(&secret_key, secret).unwrap();
    };
    write("AKONE\n", "no-secret\n");
    let credentials = Credentials::Given(GivenKey {
        access_key: SecretSource::File(access_key.clone()),
        secret_key: SecretSource::File(secret_key.clone()),
        security_token: None,
    });
    let config = with(cloud, credentials);
    let reload = config.reload.clone();
    let gateway = Gateway::with(config).await;
    assert!(rejected(&get(&gateway, "j1").await));
    write("AKTWO\n", "secret-two\n");
    reload.now();
    becomes(async || !rejected(&get(&gateway, "j1").await)).await;
    get(&gateway, "j1").await.unwrap();
}

#[tokio::test]
async fn temporary_keys_come_from_the_metadata_service() {
    let cloud = simulator(SCRIPT).await;
    let url = BaseUrl::parse(&format!("http://{cloud}")).unwrap();
    let credentials = Credentials::Metadata(MetadataService { url });
    let gateway = Gateway::with(with(cloud, credentials)).await;
    assert_eq!(get(&gateway, "j1").await.unwrap().job_id, "j1");
}

#[tokio::test]
async fn temporary_keys_are_renewed_without_a_failed_call() {
    let script = SCRIPT.replace("session = \"required\"", "lifetime = \"2s\"\nsession = \"off\"");
    let cloud = simulator(&script).await;
    let url = BaseUrl::parse(&format!("http://{cloud}")).unwrap();
    let credentials = Credentials::Metadata(MetadataService { url });
    let gateway = Gateway::with(with(cloud, credentials)).await;
    // Until the third key at least; a key that ends on the way is replaced within the call.
    let end = tokio::time::Instant::now() + Duration::from_secs(5);
    while tokio::time::Instant::now() < end {
        get(&gateway, "j1").await.unwrap();
    }
}
