//! Watches, through the door.

use std::{sync::Arc, time::Duration};

use jobgate::{
    proto::v1::{
        Heartbeat, Job, JobStatus, WatchJobResponse, job_service_client::JobServiceClient,
        watch_job_response::Event,
    },
    server, watch,
};
use tokio::{sync::Notify, time::Instant};
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::support::{
    Gateway, Reply, TOKEN, Upstream, gateway::config, get_job, reason, watch_job,
};

const POLL: Duration = Duration::from_millis(20);

/// A gateway that polls often.
fn restless(upstream: &Upstream) -> server::Config {
    let mut config = config(upstream.address);
    config.grpc.watch = watch::Config { poll_min: POLL, poll_max: POLL, ..Default::default() };
    config
}

fn running(text: &str) -> Reply {
    Reply::state("RUNNING", text)
}

/// The next job of a watch; `None` at its end.
async fn job(
    watch: &mut Streaming<WatchJobResponse>,
) -> Result<Option<(Job, WatchJobResponse)>, Status> {
    while let Some(response) = watch.message().await? {
        if let Some(Event::Job(job)) = &response.event {
            return Ok(Some((job.clone(), response)));
        }
    }
    Ok(None)
}

async fn job_type(watch: &mut Streaming<WatchJobResponse>) -> Option<String> {
    job(watch).await.unwrap().map(|(job, _)| job.job_type)
}

async fn heartbeat(watch: &mut Streaming<WatchJobResponse>) -> (Heartbeat, WatchJobResponse) {
    loop {
        let response = watch.message().await.unwrap().unwrap();
        if let Some(Event::Heartbeat(heartbeat)) = &response.event {
            return (heartbeat.clone(), response);
        }
    }
}

#[tokio::test]
async fn a_watch_tells_each_change_and_ends_ok_after_the_last_state() {
    let upstream = Upstream::new([
        running("a"),
        // The same job with its keys in another order, and a field that nobody knows.
        Reply::json(200, r#"{"job_type":"a","x":1,"job_id":"j1","status":"RUNNING"}"#),
        running("b"),
        Reply::state("FAIL", "c"),
    ])
    .await;
    let gateway = Gateway::with(restless(&upstream)).await;
    let mut watch = gateway.watch().await.unwrap();
    let mut told = Vec::new();
    while let Some((job, response)) = job(&mut watch).await.unwrap() {
        told.push((job, response));
    }
    let types: Vec<_> = told.iter().map(|(job, _)| job.job_type.as_str()).collect();
    assert_eq!(types, ["a", "b", "c"]);
    assert_eq!(told[2].0.status(), JobStatus::Fail);
    let times: Vec<_> = told
        .iter()
        .map(|(_, response)| response.observe_time.unwrap())
        .map(|time| (time.seconds, time.nanos))
        .collect();
    assert!(times.is_sorted() && times[0].0 > 1_700_000_000, "{times:?}");
    let tokens: Vec<_> = told.iter().map(|(_, response)| &response.resume_token).collect();
    assert!(tokens.iter().all(|token| !token.is_empty()));
    assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2], "{tokens:?}");
    assert_eq!(upstream.count(), 4);
}

#[tokio::test]
async fn what_get_job_would_answer_with_is_the_watchs_own_status() {
    let not_found = r#"{"error":{"code":"common.0011","message":"query job fail"}}"#;
    for (reply, code, why) in [
        (Reply::json(404, not_found), Code::NotFound, "JOB_NOT_FOUND"),
        (Reply::json(401, ""), Code::Unauthenticated, "CREDENTIALS_REJECTED"),
        (Reply::json(503, ""), Code::Unavailable, "UPSTREAM_UNAVAILABLE"),
    ] {
        let upstream = Upstream::new([reply]).await;
        // From the call itself, before any response headers.
        let status = Gateway::new(&upstream).await.watch().await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (code, why));
    }
}

#[tokio::test]
async fn a_bad_watch_is_refused_like_a_bad_get_and_nothing_is_sent() {
    let upstream = Upstream::new([running("a")]).await;
    let gateway = Gateway::new(&upstream).await;
    let mut client = gateway.client().await;
    let mut request = watch_job();
    request.get_mut().job_id = "..".into();
    let status = client.watch_job(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "job_id");
    let mut request = watch_job();
    request.metadata_mut().remove("x-auth-token");
    let status = client.watch_job(request).await.unwrap_err();
    assert_eq!(reason(&status), "CREDENTIALS_MISSING");
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_resume_token_leaves_out_the_state_it_names_on_any_replica() {
    let upstream = Upstream::new([running("a")]).await;
    let gateway = Gateway::with(restless(&upstream)).await;
    let mut first = gateway.watch().await.unwrap();
    let (_, response) = job(&mut first).await.unwrap().unwrap();

    let replica = Gateway::with(restless(&upstream)).await;
    let mut request = watch_job();
    request.get_mut().resume_token = response.resume_token;
    let mut resumed = replica.client().await.watch_job(request).await.unwrap().into_inner();
    let mut other = watch_job();
    other.get_mut().resume_token = "of nothing".into();
    let mut fresh = replica.client().await.watch_job(other).await.unwrap().into_inner();
    assert_eq!(job_type(&mut fresh).await.unwrap(), "a");
    upstream.goes_on_with([Reply::state("SUCCESS", "b")]);
    assert_eq!(job_type(&mut resumed).await.unwrap(), "b");
    assert_eq!(job_type(&mut resumed).await, None);
}

#[tokio::test]
async fn heartbeats_tell_of_trouble_and_it_passes() {
    let upstream = Upstream::new([running("a")]).await;
    let mut config = restless(&upstream);
    config.grpc.watch.heartbeat = POLL * 3;
    let gateway = Gateway::with(config).await;
    let mut watch = gateway.watch().await.unwrap();
    let (_, first) = job(&mut watch).await.unwrap().unwrap();
    let (calm, response) = heartbeat(&mut watch).await;
    assert_eq!(calm.upstream_error, None);
    assert_eq!(response.resume_token, first.resume_token);
    assert!(response.observe_time.is_some());

    upstream.goes_on_with([Reply::json(503, r#"{"error":{"code":"x","message":"in repair"}}"#)]);
    let error = loop {
        if let Some(error) = heartbeat(&mut watch).await.0.upstream_error {
            break error;
        }
    };
    assert_eq!(error.code, Code::Unavailable as i32);
    assert!(error.message.ends_with("in repair"), "{}", error.message);
    assert!(error.details[0].type_url.ends_with("google.rpc.ErrorInfo"));
    upstream.goes_on_with([running("a")]);
    while heartbeat(&mut watch).await.0.upstream_error.is_some() {}
}

#[tokio::test]
async fn a_watch_gives_up_when_its_patience_ends() {
    let upstream = Upstream::new([running("a"), Reply::json(429, "")]).await;
    let mut config = restless(&upstream);
    config.grpc.watch.patience = POLL * 3;
    let gateway = Gateway::with(config).await;
    let mut watch = gateway.watch().await.unwrap();
    assert_eq!(job_type(&mut watch).await.unwrap(), "a");
    let status = job(&mut watch).await.unwrap_err();
    // Watching again is the thing to do, whatever the last error was.
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unavailable, "UPSTREAM_THROTTLED")
    );
}

#[tokio::test]
async fn a_lasting_error_ends_the_watch_with_its_status() {
    let upstream = Upstream::new([running("a"), Reply::json(401, "")]).await;
    let gateway = Gateway::with(restless(&upstream)).await;
    let mut watch = gateway.watch().await.unwrap();
    assert_eq!(job_type(&mut watch).await.unwrap(), "a");
    let status = job(&mut watch).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn the_streams_deadline_is_kept_and_is_the_callers_alone() {
    let upstream = Upstream::new([running("a")]).await;
    let mut config = restless(&upstream);
    // For calls without a deadline, and for the first state only.
    config.grpc.timeout = Duration::from_millis(200);
    let gateway = Gateway::with(config).await;
    let mut patient = gateway.watch().await.unwrap();
    let mut request = watch_job();
    request.metadata_mut().insert("grpc-timeout", "400m".parse().unwrap());
    let begun = Instant::now();
    let mut watch = gateway.client().await.watch_job(request).await.unwrap().into_inner();
    assert_eq!(job_type(&mut watch).await.unwrap(), "a");
    let status = job(&mut watch).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
    assert!(begun.elapsed() >= Duration::from_millis(399), "{:?}", begun.elapsed());
    upstream.goes_on_with([Reply::state("SUCCESS", "b")]);
    assert_eq!(job_type(&mut patient).await.unwrap(), "a");
    assert_eq!(job_type(&mut patient).await.unwrap(), "b");
}

#[tokio::test]
async fn a_watch_whose_first_state_does_not_come_in_time_is_too_late() {
    let upstream = Upstream::new([running("a").when(&Arc::new(Notify::new()))]).await;
    let mut config = restless(&upstream);
    config.grpc.timeout = Duration::from_millis(100);
    let status = Gateway::with(config).await.watch().await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    upstream.has_lost(1).await;
}

#[tokio::test]
async fn who_cancels_a_watch_takes_its_poll_along() {
    let upstream = Upstream::new([running("a"), running("b").when(&Arc::new(Notify::new()))]).await;
    let gateway = Gateway::with(restless(&upstream)).await;
    let mut watch = gateway.watch().await.unwrap();
    assert_eq!(job_type(&mut watch).await.unwrap(), "a");
    upstream.has_seen(2).await;
    drop(watch);
    upstream.has_lost(1).await;
}

#[tokio::test]
async fn nobody_watching_means_no_polls() {
    let upstream = Upstream::new([running("a")]).await;
    let mut config = restless(&upstream);
    config.grpc.watch.max_watches = 1;
    let gateway = Gateway::with(config).await;
    let watch = gateway.watch().await.unwrap();
    upstream.has_seen(3).await;
    drop(watch);
    // The one seat is free once the first watch is over.
    let mut request = watch_job();
    request.metadata_mut().insert("x-auth-token", "another".parse().unwrap());
    let mut client = gateway.client().await;
    let mut again = loop {
        let mut again = watch_job();
        again.metadata_mut().clone_from(request.metadata());
        match client.watch_job(again).await {
            Ok(watch) => break watch.into_inner(),
            Err(status) => {
                assert_eq!(reason(&status), "OVERLOADED");
                assert_eq!(status.code(), Code::ResourceExhausted);
                assert!(status.get_details_retry_info().is_some());
            }
        }
    };
    let of_first = |upstream: &Upstream| {
        upstream.requests().iter().filter(|head| head.contains(TOKEN)).count()
    };
    let before = of_first(&upstream);
    upstream.has_seen(upstream.count() + 3).await;
    assert_eq!(job_type(&mut again).await.unwrap(), "a");
    assert_eq!(of_first(&upstream), before);
}

#[tokio::test]
async fn four_hundred_watchers_are_one_poller_and_all_see_the_end() {
    let upstream = Upstream::new([running("a")]).await;
    let gateway = Gateway::with(restless(&upstream)).await;
    let begun = Instant::now();
    // All on one connection, as a client library does it.
    let client = gateway.client().await;
    let opening = (0..400).map(|_| {
        let mut client: JobServiceClient<_> = client.clone();
        async move { client.watch_job(watch_job()).await.unwrap().into_inner() }
    });
    let mut watches = futures_util::future::join_all(opening).await;
    for watch in &mut watches {
        assert_eq!(job_type(watch).await.unwrap(), "a");
    }
    upstream.goes_on_with([Reply::state("SUCCESS", "b")]);
    for watch in &mut watches {
        assert_eq!(job_type(watch).await.unwrap(), "b");
        assert_eq!(job_type(watch).await, None);
    }
    let most = 2 + begun.elapsed().as_millis() / POLL.as_millis();
    assert!(upstream.count() as u128 <= most, "{} polls, not {most}", upstream.count());
    assert_eq!(
        upstream.requests().iter().filter(|head| head.contains("GET /v1/p1/jobs/j1 ")).count(),
        upstream.count()
    );
}

#[tokio::test]
async fn two_credentials_are_two_pollers() {
    let upstream = Upstream::new([running("a")]).await;
    let gateway = Gateway::with(restless(&upstream)).await;
    let _first = gateway.watch().await.unwrap();
    let mut request = watch_job();
    request.metadata_mut().insert("x-auth-token", "another".parse().unwrap());
    let _second = gateway.client().await.watch_job(request).await.unwrap();
    upstream.has_seen(upstream.count() + 6).await;
    let requests = upstream.requests();
    let with = |token: &str| {
        let line = format!("x-auth-token: {token}\r\n");
        requests.iter().filter(|head| head.contains(&line)).count()
    };
    assert!(with(TOKEN) >= 2 && with("another") >= 2);
    assert_eq!(with(TOKEN) + with("another"), requests.len());
}

#[tokio::test]
async fn get_job_joins_a_poll_under_way() {
    let go = Arc::new(Notify::new());
    // Asked by itself, GetJob would fail.
    let upstream =
        Upstream::new([running("a"), running("b").when(&go), Reply::json(409, "")]).await;
    let gateway = Gateway::with(restless(&upstream)).await;
    let _watch = gateway.watch().await.unwrap();
    upstream.has_seen(2).await;
    let mut client = gateway.client().await;
    let mut same = client.clone();
    let get = tokio::spawn(async move { client.get_job(get_job()).await });
    // Other calls on the same connection: when they are answered, the first has been taken in.
    for _ in 0..2 {
        let mut bad = get_job();
        bad.get_mut().job_id.clear();
        same.get_job(bad).await.unwrap_err();
    }
    go.notify_one();
    assert_eq!(get.await.unwrap().unwrap().into_inner().job_type, "b");
}

#[tokio::test]
async fn retry_after_to_a_get_holds_the_pollers_of_its_credential() {
    let upstream = Upstream::new([running("a")]).await;
    let gateway = Gateway::with(restless(&upstream)).await;
    let _watch = gateway.watch().await.unwrap();
    upstream.goes_on_with([Reply::with(429, &[("retry-after", "3600")], b"")]);
    // Whoever asks, the answer is for the credential as a whole.
    gateway.get().await.unwrap_err();
    let mut request = watch_job();
    request.get_mut().job_id = "j2".into();
    let mut client = gateway.client().await;
    let status = client.watch_job(request).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::ResourceExhausted, "UPSTREAM_THROTTLED")
    );
    let wait = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!((3500..=3600).contains(&wait.as_secs()), "{wait:?}");
    assert!(!upstream.requests().iter().any(|head| head.contains("/jobs/j2 ")));
    // GetJob asks all the same.
    let count = upstream.count();
    gateway.get().await.unwrap_err();
    assert_eq!(upstream.count(), count + 1);
}

#[tokio::test]
async fn a_drain_ends_watches_and_does_not_wait_for_them() {
    let upstream = Upstream::new([running("a")]).await;
    let mut config = restless(&upstream);
    config.drain_timeout = Duration::from_hours(1);
    let mut gateway = Gateway::with(config).await;
    let mut watch = gateway.watch().await.unwrap();
    assert_eq!(job_type(&mut watch).await.unwrap(), "a");
    gateway.stop();
    let status = job(&mut watch).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "SERVER_DRAINING"));
    assert!(status.get_details_retry_info().is_some());
    tokio::time::timeout(Duration::from_mins(1), gateway.stopped()).await.unwrap();
}

#[tokio::test]
async fn an_old_watch_expires_and_can_be_resumed() {
    let upstream = Upstream::new([running("a")]).await;
    let mut config = restless(&upstream);
    config.grpc.watch.max_age = POLL * 5;
    let gateway = Gateway::with(config).await;
    let mut watch = gateway.watch().await.unwrap();
    let (_, response) = job(&mut watch).await.unwrap().unwrap();
    let status = job(&mut watch).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "WATCH_EXPIRED"));
    let mut request = watch_job();
    request.get_mut().resume_token = response.resume_token;
    upstream.goes_on_with([Reply::state("SUCCESS", "b")]);
    let mut watch = gateway.client().await.watch_job(request).await.unwrap().into_inner();
    assert_eq!(job_type(&mut watch).await.unwrap(), "b");
}
