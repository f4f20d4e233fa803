//! The upstream fails: what callers see of it, and how little it is asked meanwhile.
//!
//! What a name resolves to can't change within this process: see `tests/clients/toxiproxy`.

use std::{sync::Arc, time::Duration};

use jobgate::{
    proto::v1::{GetJobRequest, watch_job_response::Event},
    server, watch,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::{
    health::http_get,
    support::{Gateway, Reply, Upstream, gateway::config, get_job, reason},
};

/// The failures in a row after which an upstream is left alone.
const MAX_FAILURES: usize = 10;

/// The shortest wait before a probe.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);

const BREAKER: &str = "jobgate_upstream_breaker_state";

/// What the text of an error says if nothing was sent.
const LEFT_ALONE: &str = "left alone";

/// A gateway whose attempts end soon.
fn hasty(upstream: &Upstream) -> server::Config {
    let mut config = config(upstream.address);
    config.upstream.transport.attempt_timeout = Duration::from_millis(100);
    config
}

/// The usual call, made by a client that has made it before: it costs one attempt.
fn repeated() -> Request<GetJobRequest> {
    let mut request = get_job();
    request.metadata_mut().insert("grpc-previous-rpc-attempts", "1".parse().unwrap());
    request
}

fn is_left_alone(status: &Status) -> bool {
    status.message().contains(LEFT_ALONE)
}

/// Asks until the upstream is left alone. All errors before are the upstream's own.
async fn until_left_alone(gateway: &Gateway) -> Status {
    for _ in 0..=MAX_FAILURES {
        let status = gateway.send(repeated()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        if is_left_alone(&status) {
            return status;
        }
    }
    panic!("the upstream is not left alone");
}

/// Asks until there is an answer, as a client does that waits as long as it is told.
async fn until_answered(gateway: &Gateway) {
    let asking = async {
        while let Err(status) = gateway.get().await {
            let wait = status.get_details_retry_info().and_then(|info| info.retry_delay);
            sleep(wait.unwrap_or_default()).await;
        }
    };
    // Far beyond the waits that there are.
    timeout(Duration::from_mins(3), asking).await.unwrap();
}

/// The value of a metric; nothing if there is none yet.
pub(crate) async fn metric(gateway: &Gateway, name: &str) -> u64 {
    let metrics = http_get(gateway.admin, "/metrics").await.1;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

fn outages() -> [Reply; 5] {
    [
        Reply::json(503, "{}"),
        Reply::json(502, "<html>The backend server is unreachable.</html>"),
        Reply::BytesThenReset(Vec::new()),
        // A black hole.
        Reply::BytesThenSilence(Vec::new()),
        Reply::BytesThenDrip(Reply::head(200, &[], 1 << 20)),
    ]
}

#[tokio::test]
async fn an_upstream_that_is_down_is_left_alone_and_found_again() {
    let each = outages().map(|outage| async move {
        let upstream = Upstream::new([outage.clone()]).await;
        let gateway = Gateway::with(hasty(&upstream)).await;
        // It comes and goes more than once.
        for _ in 0..2 {
            upstream.goes_on_with([outage.clone()]);
            let (before, begun) = (upstream.count(), Instant::now());
            let status = until_left_alone(&gateway).await;
            assert_eq!(reason(&status), "UPSTREAM_UNAVAILABLE");
            assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
            assert_eq!(metric(&gateway, BREAKER).await, 1, "{outage:?}");
            for _ in 0..50 {
                gateway.get().await.unwrap_err();
            }
            let probes = begun.elapsed().as_millis() / SHORTEST_WAIT.as_millis();
            let most = MAX_FAILURES + usize::try_from(probes).unwrap();
            let sent = upstream.count() - before;
            assert!((MAX_FAILURES..=most).contains(&sent), "{sent} requests, {outage:?}");
            upstream.goes_on_with([Reply::job()]);
            until_answered(&gateway).await;
            assert_eq!(metric(&gateway, BREAKER).await, 0);
        }
    });
    futures_util::future::join_all(each).await;
}

#[tokio::test]
async fn a_drip_does_not_prolong_an_attempt() {
    let upstream = Upstream::new([outages()[4].clone(), Reply::job()]).await;
    Gateway::with(hasty(&upstream)).await.get().await.unwrap();
    assert_eq!(upstream.count(), 2);
}

#[tokio::test]
async fn the_upstreams_own_word_is_told_as_long_as_there_is_one() {
    let upstream =
        Upstream::new([Reply::json(503, r#"{"error":{"code":"x","message":"in repair"}}"#)]).await;
    let gateway = Gateway::new(&upstream).await;
    let mut sent = 0;
    loop {
        let status = gateway.get().await.unwrap_err();
        if upstream.count() == sent {
            assert!(is_left_alone(&status), "{status:?}");
            break;
        }
        // Also by the call whose retries were held back.
        assert!(status.message().ends_with("in repair"), "{status:?}");
        sent = upstream.count();
    }
    assert_eq!(sent, MAX_FAILURES);
}

#[tokio::test]
async fn one_jobs_errors_and_callers_mistakes_are_no_outage() {
    let later = r#"{"error":{"code":"Common.0021","message":"m"}}"#;
    for fault in [
        Reply::json(500, "{}"),
        Reply::json(501, "{}"),
        Reply::json(200, "no job"),
        Reply::json(400, later),
        Reply::json(401, "{}"),
        Reply::json(404, "{}"),
        Reply::json(408, "{}"),
    ] {
        let upstream = Upstream::new([fault.clone()]).await;
        let gateway = Gateway::new(&upstream).await;
        for _ in 0..2 * MAX_FAILURES {
            let status = gateway.send(repeated()).await.unwrap_err();
            assert!(!is_left_alone(&status), "{fault:?}");
        }
        assert_eq!(upstream.count(), 2 * MAX_FAILURES, "{fault:?}");
    }
}

#[tokio::test]
async fn a_probe_whose_caller_leaves_does_not_keep_others_waiting() {
    let upstream = Upstream::new([Reply::json(503, "{}")]).await;
    let gateway = Gateway::new(&upstream).await;
    until_left_alone(&gateway).await;
    upstream.goes_on_with([Reply::job().when(&Arc::new(Notify::new())), Reply::job()]);
    let sent = upstream.count();
    let mut client = gateway.client().await;
    let probe = tokio::spawn(async move {
        loop {
            let _ = client.get_job(get_job()).await;
        }
    });
    upstream.has_seen(sent + 1).await;
    probe.abort();
    upstream.has_lost(1).await;
    until_answered(&gateway).await;
}

#[tokio::test]
async fn a_watch_feels_the_outage_and_its_polls_are_the_probes() {
    let upstream = Upstream::new([Reply::state("RUNNING", "a")]).await;
    let mut config = config(upstream.address);
    let often = Duration::from_millis(20);
    config.grpc.watch = watch::Config {
        poll_min: often,
        poll_max: often,
        heartbeat: often,
        ..watch::Config::default()
    };
    let gateway = Gateway::with(config).await;
    let mut watch = gateway.watch().await.unwrap();
    upstream.has_seen(2).await;
    upstream.goes_on_with([Reply::json(503, "{}")]);
    let watching = async {
        while let Some(response) = watch.message().await.unwrap() {
            if let Some(Event::Heartbeat(heartbeat)) = response.event
                && let Some(error) = heartbeat.upstream_error
                && error.message.contains(LEFT_ALONE)
            {
                assert_eq!(error.code, Code::Unavailable as i32);
                upstream.goes_on_with([Reply::state("SUCCESS", "b")]);
            }
        }
    };
    timeout(Duration::from_mins(3), watching).await.unwrap();
}

#[tokio::test]
async fn retries_are_a_fifth_of_the_requests_and_a_few_more() {
    let upstream =
        Upstream::new([Reply::json(500, r#"{"error":{"code":"x","message":"m"}}"#)]).await;
    let gateway = Gateway::new(&upstream).await;
    let (calls, begun) = (200, Instant::now());
    let client = gateway.client().await;
    let each = (0..calls).map(|number| {
        let mut client = client.clone();
        let mut request = get_job();
        request.get_mut().job_id = format!("j{number}");
        async move { client.get_job(request).await.unwrap_err() }
    });
    for status in futures_util::future::join_all(each).await {
        // The first error is told when there is no second attempt.
        assert_eq!(reason(&status), "UPSTREAM_INTERNAL");
        assert!(status.message().ends_with(": m"));
    }
    // One per second, of which ten may be saved up.
    let more = 10 + begun.elapsed().as_secs();
    let most = calls + calls / 5 + more;
    let sent = u64::try_from(upstream.count()).unwrap();
    assert!((calls + 10..=most).contains(&sent), "{sent} requests for {calls} calls, {most}");
    let denied = metric(&gateway, r#"jobgate_upstream_retries_total{outcome="denied"}"#).await;
    assert!(denied > 0);
}

#[tokio::test]
async fn what_the_client_repeats_is_not_repeated_here() {
    for (attempts, expected) in [("1", 1), ("4", 1), ("0", 3), ("-1", 3), ("x", 3), ("", 3)] {
        let upstream = Upstream::new([Reply::json(503, "{}")]).await;
        let mut request = get_job();
        request.metadata_mut().insert("grpc-previous-rpc-attempts", attempts.parse().unwrap());
        Gateway::new(&upstream).await.send(request).await.unwrap_err();
        assert_eq!(upstream.count(), expected, "{attempts:?}");
        let heads = upstream.requests();
        assert!(heads.iter().all(|head| !head.to_lowercase().contains("attempts")), "{heads:?}");
    }
}

#[tokio::test]
async fn a_call_that_joins_a_repetition_has_its_own_retries() {
    let go = Arc::new(Notify::new());
    let upstream = Upstream::new([Reply::json(503, "{}").when(&go), Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    let mut client = gateway.client().await;
    let mut same = client.clone();
    let mut other = client.clone();
    let first = tokio::spawn(async move { client.get_job(repeated()).await });
    upstream.has_seen(1).await;
    let second = tokio::spawn(async move { same.get_job(get_job()).await });
    // Later calls on the same connection: when they are answered, the second has been taken in.
    for _ in 0..2 {
        let mut bad = get_job();
        bad.get_mut().job_id.clear();
        other.get_job(bad).await.unwrap_err();
    }
    go.notify_one();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(upstream.count(), 2);
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_there_may_be() {
    let go = Arc::new(Notify::new());
    let upstream = Upstream::new([Reply::job().when(&go)]).await;
    let mut config = config(upstream.address);
    config.upstream.max_requests = 2;
    let gateway = Gateway::with(config).await;
    let job = |name: &str| {
        let mut request = get_job();
        request.get_mut().job_id = name.to_owned();
        request
    };
    let call = |name: &'static str| {
        let (client, request) = (gateway.client(), job(name));
        async move { client.await.get_job(request).await.map(|_| ()) }
    };
    let release = async {
        upstream.has_seen(2).await;
        let status = call("c").await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::ResourceExhausted, "OVERLOADED")
        );
        assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
        assert_eq!(upstream.count(), 2);
        // Who finds a place in time is answered.
        let waits = async {
            while let Err(status) = call("d").await {
                assert_eq!(reason(&status), "OVERLOADED");
            }
        };
        let frees = async {
            go.notify_one();
            upstream.has_seen(3).await;
            go.notify_waiters();
        };
        futures_util::future::join(waits, frees).await;
    };
    let release = Box::pin(release);
    let (a, b, ()) = futures_util::future::join3(call("a"), call("b"), release).await;
    a.unwrap();
    b.unwrap();
}
