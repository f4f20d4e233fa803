//! Identical calls at the same time cost one upstream call; nothing else is shared.

use std::sync::Arc;

use jobgate::proto::v1::GetJobRequest;
use tokio::sync::Notify;
use tonic::Request;

use crate::support::{Gateway, Reply, Upstream, get_job};

#[tokio::test]
async fn calls_that_differ_in_project_job_or_token_share_nothing() {
    let go = Arc::new(Notify::new());
    let upstream = Upstream::new([Reply::job().when(&go)]).await;
    let gateway = Gateway::new(&upstream).await;
    let ask = |project: &str, job: &str, token: &str| {
        let message = GetJobRequest { project_id: project.into(), job_id: job.into() };
        let mut request = Request::new(message);
        request.metadata_mut().insert("x-auth-token", token.parse().unwrap());
        gateway.send(request)
    };
    let calls = futures_util::future::join_all(vec![
        ask("p", "j", "t"),
        ask("p", "j", "T"),
        ask("p", "k", "t"),
        ask("q", "j", "t"),
        ask("pj", "j", "t"),
    ]);
    let release = async {
        upstream.has_seen(5).await;
        go.notify_waiters();
    };
    let (answers, ()) = futures_util::future::join(calls, release).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(upstream.count(), 5);
}

#[tokio::test]
async fn identical_calls_in_flight_cost_one() {
    let go = Arc::new(Notify::new());
    // The second request, if there were one, would be answered at once, and fail.
    let upstream = Upstream::new([Reply::job().when(&go), Reply::json(409, "{}")]).await;
    let gateway = Gateway::new(&upstream).await;
    let client = gateway.client().await;
    let mut calls = tokio::task::JoinSet::new();
    let call = |mut client: jobgate::proto::v1::job_service_client::JobServiceClient<_>| async move {
        client.get_job(get_job()).await.map(tonic::Response::into_inner)
    };
    calls.spawn(call(client.clone()));
    upstream.has_seen(1).await;
    for _ in 0..50 {
        calls.spawn(call(client.clone()));
    }
    // A later call on the same connection: when it is answered, the others have been taken in.
    let mut bad = get_job();
    bad.get_mut().job_id.clear();
    gateway.send(bad).await.unwrap_err();
    let mut other = client.clone();
    let mut bad = get_job();
    bad.get_mut().job_id.clear();
    other.get_job(bad).await.unwrap_err();
    go.notify_one();
    assert!(calls.join_all().await.iter().all(Result::is_ok));
    assert_eq!(upstream.count(), 1);
}

#[tokio::test]
async fn a_caller_who_leaves_takes_nothing_from_the_others() {
    let go = Arc::new(Notify::new());
    let upstream = Upstream::new([Reply::job().when(&go)]).await;
    let gateway = Gateway::new(&upstream).await;
    let mut first = gateway.client().await;
    let mut second = first.clone();
    let first = tokio::spawn(async move { first.get_job(get_job()).await });
    upstream.has_seen(1).await;
    let second = tokio::spawn(async move { second.get_job(get_job()).await });
    // On the same connection: once answered, the second call is in.
    let mut bad = get_job();
    bad.get_mut().job_id.clear();
    gateway.send(bad).await.unwrap_err();
    first.abort();
    go.notify_one();
    // The second has joined the first, or come after it was dropped and asked anew; either way
    // it gets its answer.
    let answering = async {
        loop {
            go.notify_one();
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = second => assert!(answer.unwrap().is_ok()),
        () = answering => {}
    }
}
