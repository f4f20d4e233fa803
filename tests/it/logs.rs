//! The log: one line for each call, and no token in it.

use std::sync::Arc;

use jobgate::proto::v1::job_service_client::JobServiceClient;
use serde_json::Value;
use tokio::sync::Notify;

use crate::support::{
    Reply, Upstream,
    gateway::channel,
    get_job,
    program::{SECRET, Server},
};

/// The lines of log of calls.
fn calls(log: &str) -> Vec<Value> {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["target"] == "jobgate::access").collect()
}

#[tokio::test]
async fn every_call_has_one_line_of_log_and_no_token_in_it() {
    let headers = [("x-request-id", "req-7"), ("content-type", "application/json")];
    let body = format!(r#"{{"error":{{"code":"common.0011","message":"no {SECRET}"}}}}"#);
    let upstream = Upstream::new([Reply::with(404, &headers, body.as_bytes())]).await;
    let server = Server::new(&upstream.address.to_string(), &["--log-level", "debug"]).await;
    let mut client = JobServiceClient::new(channel(server.address).await);
    let mut request = get_job();
    request.metadata_mut().insert("x-auth-token", SECRET.parse().unwrap());
    request.metadata_mut().insert("x-request-id", "mine".parse().unwrap());
    client.get_job(request).await.unwrap_err();
    let mut request = get_job();
    request.metadata_mut().remove("x-auth-token");
    client.get_job(request).await.unwrap_err();
    drop(client);
    server.signal("-INT");
    let (status, log) = server.end().await;
    assert_eq!(status.code(), Some(0));
    assert!(!log.contains(SECRET), "{log}");
    let calls = calls(&log);
    assert_eq!(calls.len(), 2, "{log}");
    let call = &calls[0];
    assert_eq!(call["method"], "/jobgate.v1.JobService/GetJob");
    assert_eq!((&call["code"], &call["reason"]), (&"NOT_FOUND".into(), &"JOB_NOT_FOUND".into()));
    assert_eq!(call["upstream_http_status"], 404);
    assert_eq!(call["upstream_code"], "common.0011");
    assert_eq!(
        (&call["request_id"], &call["upstream_request_id"]),
        (&"mine".into(), &"req-7".into())
    );
    assert_eq!((&call["attempts"], &call["shared"]), (&1.into(), &false.into()));
    let (all, upstream) = (&call["duration_ms"], &call["upstream_duration_ms"]);
    assert!(all.as_f64().unwrap() >= upstream.as_f64().unwrap());
    assert_eq!(calls[1]["reason"], "CREDENTIALS_MISSING");
    assert_eq!(calls[1].get("attempts"), None);
}

#[tokio::test]
async fn a_call_that_ends_at_its_deadline_tells_how_far_it_came() {
    let fault = Reply::json(503, "{}");
    let upstream = Upstream::new([fault, Reply::job().when(&Arc::new(Notify::new()))]).await;
    let server = Server::new(&upstream.address.to_string(), &[]).await;
    let mut client = JobServiceClient::new(channel(server.address).await);
    let call = tokio::spawn(async move { client.get_job(get_job()).await });
    upstream.has_seen(2).await;
    call.abort();
    upstream.has_lost(1).await;
    server.signal("-TERM");
    let (_, log) = server.end().await;
    let call = &calls(&log)[0];
    assert_eq!(call["code"], "CANCELLED", "{log}");
    assert_eq!((&call["attempts"], &call["upstream_http_status"]), (&2.into(), &503.into()));
}

#[tokio::test]
async fn a_call_that_is_cut_by_the_drain_is_not_the_callers_doing() {
    let upstream = Upstream::new([Reply::job().when(&Arc::new(Notify::new()))]).await;
    let server = Server::new(&upstream.address.to_string(), &["--drain-timeout", "50ms"]).await;
    let mut client = JobServiceClient::new(channel(server.address).await);
    let call = tokio::spawn(async move { client.get_job(get_job()).await });
    upstream.has_seen(1).await;
    server.signal("-TERM");
    let (_, log) = server.end().await;
    call.await.unwrap().unwrap_err();
    let call = &calls(&log)[0];
    let (code, reason) = (&call["code"], &call["reason"]);
    assert_eq!((code, reason), (&"UNAVAILABLE".into(), &"SERVER_DRAINING".into()), "{log}");
}

#[tokio::test]
async fn a_success_has_the_upstreams_request_id() {
    let body = br#"{"status":"RUNNING","job_id":"j1"}"#;
    let upstream = Upstream::new([Reply::with(200, &[("x-request-id", "req-8")], body)]).await;
    let server = Server::new(&upstream.address.to_string(), &[]).await;
    let mut client = JobServiceClient::new(channel(server.address).await);
    client.get_job(get_job()).await.unwrap();
    drop(client);
    server.signal("-TERM");
    let (_, log) = server.end().await;
    assert_eq!(calls(&log)[0]["upstream_request_id"], "req-8", "{log}");
}

#[tokio::test]
async fn calls_that_a_second_signal_ends_have_their_lines() {
    const CALLS: usize = 60;
    let upstream = Upstream::new([Reply::job().when(&Arc::new(Notify::new()))]).await;
    let server = Server::new(&upstream.address.to_string(), &["--workers", "3"]).await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..CALLS {
        let mut client = JobServiceClient::new(channel(server.address).await);
        let mut call = get_job();
        call.get_mut().job_id = format!("job-{number}");
        calls.spawn(async move { client.get_job(call).await });
    }
    upstream.has_seen(CALLS).await;
    server.signal("-TERM");
    server.signal("-INT");
    let (_, log) = server.end().await;
    assert_eq!(self::calls(&log).len(), CALLS);
}
