//! The gateway's own credentials: a password at IAM.

use std::{fs, time::Duration};

use futures_util::future::join_all;
use http::StatusCode;
use jobgate::{
    proto::v1::{GetJobRequest, Heartbeat, Job, WatchJobRequest, watch_job_response::Event},
    server,
    upstream::{Secret, SecretSource},
};
use tempfile::TempDir;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::support::{Gateway, account::Account, becomes, cloud::http, gateway::config, reason};

const PASSWORD: &str = "pass word 1";

/// A gateway's configuration with the password from here.
fn with(account: &Account, password: SecretSource) -> server::Config {
    let mut config = config(account.address);
    config.upstream.credentials = account.login(password);
    config
}

fn given(password: &str) -> SecretSource {
    SecretSource::Value(Secret::line(password.as_bytes()).unwrap())
}

/// A request without any credentials.
fn bare() -> Request<GetJobRequest> {
    Request::new(GetJobRequest { project_id: "p1".into(), job_id: "j1".into() })
}

async fn get(gateway: &Gateway) -> Result<Job, Status> {
    gateway.send(bare()).await
}

/// The answer of the probe for readiness.
async fn readyz(gateway: &Gateway) -> (u16, String) {
    let answer = http().get(format!("http://{}/readyz", gateway.admin)).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn ready(gateway: &Gateway) {
    becomes(async || readyz(gateway).await.0 == 200).await;
}

#[tokio::test]
async fn calls_need_no_token_and_theirs_is_not_used() {
    let account = Account::new(PASSWORD).await;
    let gateway = Gateway::with(with(&account, given(PASSWORD))).await;
    assert_eq!(get(&gateway).await.unwrap().job_id, "j1");
    gateway.get().await.unwrap();
    assert_eq!(account.asked(), ["iam-token-1", "iam-token-1"]);
    let user = &account.logins()[0]["auth"]["identity"]["password"]["user"];
    assert_eq!((&user["name"], &user["domain"]["name"]), (&"ann".into(), &"acme".into()));
    assert_eq!(account.logins()[0]["auth"]["scope"]["project"]["id"], "p1");
}

#[tokio::test]
async fn calls_that_come_before_the_first_token_wait_for_it() {
    let account = Account::new(PASSWORD).await;
    account.takes(Duration::from_millis(200));
    let gateway = Gateway::with(with(&account, given(PASSWORD))).await;
    let answers = join_all((0..20).map(|_| get(&gateway))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(account.logins().len(), 1);
}

#[tokio::test]
async fn a_token_that_ended_early_is_renewed_once_for_all() {
    let account = Account::new(PASSWORD).await;
    let gateway = Gateway::with(with(&account, given(PASSWORD))).await;
    get(&gateway).await.unwrap();
    for renewals in 1..4 {
        account.revokes();
        let answers = join_all((0..20).map(|_| get(&gateway))).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(account.logins().len(), 1 + renewals);
    }
}

#[tokio::test]
async fn a_call_that_another_has_overtaken_outlives_the_token_too() {
    let account = Account::new(PASSWORD).await;
    let gateway = Gateway::with(with(&account, given(PASSWORD))).await;
    let slow = GetJobRequest { project_id: "p1".into(), job_id: "slow".into() };
    let overtaking = async {
        becomes(async || account.asked().len() == 1).await;
        get(&gateway).await.unwrap();
        account.revokes();
        account.answers_slow_ones();
    };
    let (answer, ()) = tokio::join!(gateway.send(Request::new(slow)), overtaking);
    assert_eq!(answer.unwrap().job_id, "slow");
    let tokens = ["iam-token-1", "iam-token-1", "iam-token-1", "iam-token-2"];
    assert_eq!(account.asked(), tokens);
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_hammered() {
    let account = Account::new(PASSWORD).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "wrong\n").unwrap();
    let config = with(&account, SecretSource::File(file.clone()));
    let reload = config.reload.clone();
    let gateway = Gateway::with(config).await;
    for _ in 0..20 {
        let status = get(&gateway).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(reason(&status), "GATEWAY_CREDENTIALS_REJECTED");
        assert!(!status.message().contains("wrong"), "{}", status.message());
    }
    assert_eq!((account.logins().len(), account.asked().len()), (1, 0));
    let (code, text) = readyz(&gateway).await;
    assert_eq!((code, text.as_str()), (503, "not ready: the gateway's credentials are rejected\n"));

    fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    reload.now();
    ready(&gateway).await;
    get(&gateway).await.unwrap();
    assert_eq!(account.logins().len(), 2);
}

#[tokio::test]
async fn a_token_that_the_upstream_never_takes_is_not_renewed_for_each_call() {
    let account = Account::new(PASSWORD).await;
    account.takes_no_tokens();
    let gateway = Gateway::with(with(&account, given(PASSWORD))).await;
    for number in 0..20 {
        let status = get(&gateway).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(reason(&status), "GATEWAY_CREDENTIALS_REJECTED");
        // The upstream's answer is told to whom it was given, and to nobody else.
        let info = status.get_details_error_info().unwrap().metadata;
        let code = info.get("upstream_code").map(String::as_str);
        assert_eq!(code, (number == 0).then_some("APIGW.0307"), "{number}");
        assert_eq!(status.get_details_request_info().is_some(), number == 0);
        assert!(!status.message().contains("iam-token"), "{}", status.message());
    }
    assert_eq!((account.logins().len(), account.asked().len()), (2, 2));
}

#[tokio::test]
async fn a_token_that_ended_before_its_first_use_is_renewed() {
    let account = Account::new(PASSWORD).await;
    let gateway = Gateway::with(with(&account, given(PASSWORD))).await;
    ready(&gateway).await;
    account.revokes();
    get(&gateway).await.unwrap();
    assert_eq!(account.logins().len(), 2);
}

#[tokio::test]
async fn a_project_that_is_refused_takes_nothing_from_others() {
    let account = Account::new(PASSWORD).await;
    let gateway = Gateway::with(with(&account, given(PASSWORD))).await;
    for _ in 0..20 {
        get(&gateway).await.unwrap();
        let message = GetJobRequest { project_id: "refused".into(), job_id: "j1".into() };
        let status = gateway.send(Request::new(message)).await.unwrap_err();
        assert_eq!(reason(&status), "GATEWAY_CREDENTIALS_REJECTED");
        assert_eq!(readyz(&gateway).await.0, 200);
    }
    assert!(account.logins().len() <= 3, "{}", account.logins().len());
}

#[tokio::test]
async fn without_iam_calls_say_so_until_it_is_back() {
    let account = Account::new(PASSWORD).await;
    account.fails(Some(StatusCode::BAD_GATEWAY));
    let gateway = Gateway::with(with(&account, given(PASSWORD))).await;
    let status = get(&gateway).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(reason(&status), "GATEWAY_CREDENTIALS_UNAVAILABLE");
    assert!(readyz(&gateway).await.1.contains("can't get credentials"));
    account.fails(None);
    ready(&gateway).await;
    get(&gateway).await.unwrap();
}

#[tokio::test]
async fn what_came_last_is_told_and_not_an_earlier_fault() {
    let account = Account::new(PASSWORD).await;
    let gateway = Gateway::with(with(&account, given(PASSWORD))).await;
    ready(&gateway).await;
    account.revokes();
    account.fails(Some(StatusCode::BAD_GATEWAY));
    let faulty = GetJobRequest { project_id: "p1".into(), job_id: "faulty".into() };
    let status = gateway.send(Request::new(faulty)).await.unwrap_err();
    assert_eq!(reason(&status), "GATEWAY_CREDENTIALS_UNAVAILABLE");
    assert_eq!(account.asked().len(), 2);
}

#[tokio::test]
async fn a_watch_bears_the_loss_of_the_credentials_and_gets_no_state_meanwhile() {
    let account = Account::new(PASSWORD).await;
    let mut config = with(&account, given(PASSWORD));
    config.grpc.watch.poll_min = Duration::from_millis(50);
    config.grpc.watch.heartbeat = Duration::from_millis(50);
    let gateway = Gateway::with(config).await;
    let request = WatchJobRequest {
        project_id: "p1".into(),
        job_id: "j1".into(),
        resume_token: String::new(),
    };
    let mut events = gateway.client().await.watch_job(request).await.unwrap().into_inner();
    assert!(matches!(events.message().await.unwrap().unwrap().event, Some(Event::Job(_))));
    account.fails(Some(StatusCode::UNAUTHORIZED));
    account.revokes();
    let trouble = loop {
        match events.message().await.unwrap().unwrap().event.unwrap() {
            Event::Heartbeat(Heartbeat { upstream_error: Some(trouble) }) => break trouble,
            Event::Heartbeat(_) => {}
            Event::Job(job) => panic!("{job:?}"),
        }
    };
    assert_eq!(trouble.code, i32::from(Code::Unavailable));
    assert!(trouble.message.contains("own credentials"), "{trouble:?}");
}
