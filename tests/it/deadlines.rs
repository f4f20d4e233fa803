//! Deadlines, and callers who go away.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{
    Gateway, Reply, Upstream,
    gateway::{GET_JOB, config},
    get_job, reason,
};

fn never() -> Reply {
    Reply::job().when(&Arc::new(Notify::new()))
}

#[tokio::test]
async fn a_passed_deadline_is_deadline_exceeded_and_drops_the_upstream_call() {
    let upstream = Upstream::new([never()]).await;
    let gateway = Gateway::new(&upstream).await;
    let mut request = get_job();
    request.metadata_mut().insert("grpc-timeout", "200m".parse().unwrap());
    let status = gateway.send_without_own_deadline(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(reason(&status), "DEADLINE_EXCEEDED");
    upstream.has_lost(1).await;
}

#[tokio::test]
async fn a_call_without_a_deadline_gets_one() {
    let upstream = Upstream::new([never()]).await;
    let mut config = config(upstream.address);
    config.grpc.timeout = Duration::from_millis(100);
    let status = Gateway::with(config).await.get().await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
    upstream.has_lost(1).await;
}

#[tokio::test]
async fn a_caller_who_goes_away_takes_the_upstream_call_along() {
    let upstream = Upstream::new([never()]).await;
    let gateway = Gateway::new(&upstream).await;
    let mut client = gateway.client().await;
    let call = tokio::spawn(async move { client.get_job(get_job()).await });
    upstream.has_seen(1).await;
    call.abort();
    upstream.has_lost(1).await;
}

#[tokio::test]
async fn a_deadline_that_is_none_is_refused() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    for bad in ["", "5", "5s", "-1S", "123456789S", "1.5S"] {
        let mut request = get_job();
        request.metadata_mut().insert("grpc-timeout", bad.parse().unwrap());
        let status = gateway.send_without_own_deadline(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{bad}");
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "grpc-timeout");
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_an_upstream_timeout() {
    let upstream = Upstream::new([never()]).await;
    let mut config = config(upstream.address);
    config.upstream.transport.attempt_timeout = Duration::from_millis(50);
    let status = Gateway::with(config).await.get().await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "UPSTREAM_TIMEOUT"));
    // A slow machine may not even get a request out in that time.
    assert!(upstream.count() <= 3);
}

#[tokio::test]
async fn a_body_that_drips_is_an_upstream_timeout_too() {
    let head = Reply::head(200, &[], 100);
    let upstream = Upstream::new([Reply::BytesThenSilence(head)]).await;
    let mut config = config(upstream.address);
    config.upstream.transport.attempt_timeout = Duration::from_millis(50);
    let status = Gateway::with(config).await.get().await.unwrap_err();
    assert_eq!(reason(&status), "UPSTREAM_TIMEOUT");
}

#[tokio::test]
async fn a_call_whose_message_never_comes_ends_at_its_deadline() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    let never = futures_util::stream::pending::<Result<axum::body::Bytes, std::io::Error>>();
    let answer = gateway
        .raw(GET_JOB, &[("grpc-timeout", "50m")], axum::body::Body::from_stream(never))
        .await;
    assert_eq!(answer["grpc-status"], "4");
    assert_eq!(upstream.count(), 0);
}
