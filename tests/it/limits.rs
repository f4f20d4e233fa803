//! How many calls there may be at a time, of all callers and of each.

use std::{fs, num::NonZeroUsize, sync::Arc, time::Duration};

use jobgate::{
    proto::{
        health::{HealthCheckRequest, health_client::HealthClient},
        v1::{Job, WatchJobResponse},
    },
    server,
    upstream::{Secret, SecretSource},
};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::{sync::Notify, task::JoinHandle};
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::support::{
    Gateway, Reply, Upstream,
    account::Account,
    gateway::{channel, config},
    get_job, reason, watch_job,
};

const HOUR: Duration = Duration::from_hours(1);

/// One call at a time, and whoever waits waits for as long as it takes.
fn one_at_a_time(upstream: &Upstream) -> server::Config {
    let mut config = config(upstream.address);
    config.grpc.limits.calls = 1;
    config.grpc.limits.wait = HOUR;
    config
}

fn by<T>(mut request: Request<T>, token: &str) -> Request<T> {
    request.metadata_mut().insert("x-auth-token", token.parse().unwrap());
    request
}

/// A GetJob under way, by the caller with this token.
async fn begin(gateway: &Gateway, token: &str) -> JoinHandle<Result<Job, Status>> {
    let mut client = gateway.client().await;
    let request = by(get_job(), token);
    tokio::spawn(async move { client.get_job(request).await.map(tonic::Response::into_inner) })
}

async fn get(gateway: &Gateway, token: &str) -> Result<Job, Status> {
    gateway.send(by(get_job(), token)).await
}

async fn watch(gateway: &Gateway, token: &str) -> Result<Streaming<WatchJobResponse>, Status> {
    Ok(gateway.client().await.watch_job(by(watch_job(), token)).await?.into_inner())
}

/// The refusal for want of room, with this in its text.
fn overloaded(status: &Status, text: &str) {
    assert_eq!((status.code(), &*reason(status)), (Code::ResourceExhausted, "OVERLOADED"));
    assert!(status.message().contains(text), "{status:?}");
    let delay = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap();
    assert_eq!(pushback.to_str().unwrap(), delay.as_millis().to_string());
    assert!(delay >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_call_waits_while_there_are_too_many() {
    let go = Arc::new(Notify::new());
    let upstream = Upstream::new([Reply::job().when(&go), Reply::job()]).await;
    let gateway = Gateway::with(one_at_a_time(&upstream)).await;
    let first = begin(&gateway, "a").await;
    upstream.has_seen(1).await;
    let second = begin(&gateway, "b").await;
    gateway.metric_is("jobgate_calls_waiting", 1).await;
    assert_eq!((upstream.count(), gateway.metric("jobgate_calls_served").await), (1, 1));
    go.notify_one();
    for call in [first, second] {
        assert_eq!(call.await.unwrap().unwrap().job_id, "j1");
    }
    gateway.is_at_rest_and_serves().await;
}

#[tokio::test]
async fn who_has_waited_too_long_is_told_to_come_back_later() {
    let go = Arc::new(Notify::new());
    let upstream = Upstream::new([Reply::job().when(&go), Reply::job()]).await;
    let mut config = one_at_a_time(&upstream);
    config.grpc.limits.wait = Duration::from_millis(20);
    let gateway = Gateway::with(config).await;
    let first = begin(&gateway, "a").await;
    upstream.has_seen(1).await;
    let status = get(&gateway, "b").await.unwrap_err();
    overloaded(&status, "this gateway has as many calls");
    let status = watch(&gateway, "b").await.unwrap_err();
    overloaded(&status, "this gateway has as many calls");
    assert_eq!(upstream.count(), 1);
    assert_eq!(gateway.metric("jobgate_overloads_total{limit=\"max_calls\"}").await, 2);
    go.notify_one();
    assert!(first.await.unwrap().is_ok());
    gateway.is_at_rest_and_serves().await;
}

#[tokio::test]
async fn a_deadline_that_comes_sooner_counts() {
    let upstream = Upstream::new([Reply::job().when(&Arc::new(Notify::new()))]).await;
    let gateway = Gateway::with(one_at_a_time(&upstream)).await;
    let _first = begin(&gateway, "a").await;
    upstream.has_seen(1).await;
    let mut request = by(get_job(), "b");
    request.metadata_mut().insert("grpc-timeout", "50m".parse().unwrap());
    let status = gateway.send_without_own_deadline(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    gateway.metric_is("jobgate_calls_waiting", 0).await;
}

#[tokio::test]
async fn only_so_many_wait_and_who_goes_away_makes_room() {
    let upstream = Upstream::new([Reply::job().when(&Arc::new(Notify::new()))]).await;
    let gateway = Gateway::with(one_at_a_time(&upstream)).await;
    let first = begin(&gateway, "a").await;
    upstream.has_seen(1).await;
    let mut waiting = Vec::new();
    for _ in 0..10 {
        waiting.push(begin(&gateway, "b").await);
    }
    gateway.metric_is("jobgate_calls_waiting", 10).await;
    overloaded(&get(&gateway, "c").await.unwrap_err(), "this gateway has as many calls");
    waiting.pop().unwrap().abort();
    gateway.metric_is("jobgate_calls_waiting", 9).await;
    waiting.push(begin(&gateway, "c").await);
    gateway.metric_is("jobgate_calls_waiting", 10).await;
    upstream.goes_on_with([Reply::job()]);
    first.abort();
    for call in waiting {
        assert!(call.await.unwrap().is_ok());
    }
    gateway.is_at_rest_and_serves().await;
}

#[tokio::test]
async fn a_watch_needs_its_place_for_its_first_state_only() {
    let go = Arc::new(Notify::new());
    let upstream = Upstream::new([Reply::job().when(&go), Reply::job()]).await;
    let gateway = Gateway::with(one_at_a_time(&upstream)).await;
    let client = gateway.client().await;
    let opening = tokio::spawn(async move {
        let mut client = client;
        client.watch_job(watch_job()).await.map(tonic::Response::into_inner)
    });
    upstream.has_seen(1).await;
    let call = begin(&gateway, "b").await;
    gateway.metric_is("jobgate_calls_waiting", 1).await;
    go.notify_one();
    let mut watch = opening.await.unwrap().unwrap();
    assert!(call.await.unwrap().is_ok());
    assert!(watch.message().await.unwrap().is_some());
    assert!(get(&gateway, "c").await.is_ok());
    drop(watch);
    gateway.is_at_rest_and_serves().await;
}

#[tokio::test]
async fn what_can_be_refused_at_once_and_what_is_no_job_takes_no_place() {
    let upstream = Upstream::new([Reply::job().when(&Arc::new(Notify::new()))]).await;
    let gateway = Gateway::with(one_at_a_time(&upstream)).await;
    let _first = begin(&gateway, "a").await;
    upstream.has_seen(1).await;
    let mut wrong = get_job();
    wrong.get_mut().job_id = "..".into();
    assert_eq!(reason(&gateway.send(wrong).await.unwrap_err()), "INVALID_REQUEST");
    let mut bare = get_job();
    bare.metadata_mut().clear();
    assert_eq!(reason(&gateway.send(bare).await.unwrap_err()), "CREDENTIALS_MISSING");
    for address in [gateway.address, gateway.admin] {
        let mut health = HealthClient::new(channel(address).await);
        health.check(HealthCheckRequest::default()).await.unwrap();
    }
}

#[tokio::test]
async fn a_caller_at_his_limit_hinders_nobody_else() {
    let go = Arc::new(Notify::new());
    let upstream = Upstream::new([Reply::job().when(&go), Reply::job()]).await;
    let mut config = config(upstream.address);
    config.grpc.limits.calls_per_caller = NonZeroUsize::new(1);
    let gateway = Gateway::with(config).await;
    let first = begin(&gateway, "greedy").await;
    upstream.has_seen(1).await;
    let status = get(&gateway, "greedy").await.unwrap_err();
    overloaded(&status, "this caller has as many calls");
    assert!(get(&gateway, "modest").await.is_ok());
    go.notify_one();
    assert!(first.await.unwrap().is_ok());
    assert!(get(&gateway, "greedy").await.is_ok(), "once his first call has ended");
    gateway.is_at_rest_and_serves().await;
}

#[tokio::test]
async fn watches_are_limited_for_each_caller_too() {
    let upstream = Upstream::new([Reply::job()]).await;
    let mut config = config(upstream.address);
    config.grpc.limits.watches_per_caller = NonZeroUsize::new(2);
    let gateway = Gateway::with(config).await;
    let mut kept = vec![watch(&gateway, "greedy").await.unwrap()];
    kept.push(watch(&gateway, "greedy").await.unwrap());
    let status = watch(&gateway, "greedy").await.unwrap_err();
    overloaded(&status, "this caller has as many watches");
    assert!(get(&gateway, "greedy").await.is_ok(), "calls are another matter");
    kept.push(watch(&gateway, "modest").await.unwrap());
    kept.remove(0);
    gateway.metric_is("jobgate_streams", 2).await;
    kept.push(watch(&gateway, "greedy").await.unwrap());
    drop(kept);
    gateway.is_at_rest_and_serves().await;
}

#[tokio::test]
async fn a_caller_is_who_the_rules_say_or_else_where_he_calls_from() {
    let folder = TempDir::new().unwrap();
    let callers = folder.path().join("callers.toml");
    let hash = |token: &str| {
        let hash = Sha256::digest(token);
        hash.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
    };
    let rule = |name, tokens: [&str; 2]| {
        let [one, two] = tokens.map(hash);
        format!(
            "[[caller]]\nname = \"{name}\"\ntoken_sha256 = [\"{one}\", \"{two}\"]\n\
             projects = [\"*\"]\n"
        )
    };
    fs::write(&callers, rule("a", ["a1", "a2"]) + &rule("b", ["b1", "b2"])).unwrap();
    let account = Account::new("password").await;
    let mut config = config(account.address);
    let password = SecretSource::Value(Secret::line(b"password").unwrap());
    config.upstream.credentials = account.login(password);
    config.grpc.limits.watches_per_caller = NonZeroUsize::new(1);

    let ruled = server::Config { callers: Some(callers), ..config.clone() };
    let gateway = Gateway::with(ruled).await;
    let _kept = [watch_as(&gateway, "a1").await.unwrap(), watch_as(&gateway, "b1").await.unwrap()];
    for token in ["a2", "b2"] {
        overloaded(
            &watch_as(&gateway, token).await.unwrap_err(),
            "this caller has as many watches",
        );
    }

    let gateway = Gateway::with(config).await;
    let _kept = watch_as(&gateway, "a1").await.unwrap();
    overloaded(&watch_as(&gateway, "b1").await.unwrap_err(), "this caller has as many watches");
}

/// A watch by the caller whose own token this is.
async fn watch_as(gateway: &Gateway, token: &str) -> Result<Streaming<WatchJobResponse>, Status> {
    let mut request = watch_job();
    let bearer = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    Ok(gateway.client().await.watch_job(request).await?.into_inner())
}
