//! What is repeated, and what never is.

use jobgate::proto::v1::JobStatus;

use crate::support::{Gateway, Reply, Upstream, reason};

const ERROR: &str = r#"{"error":{"code":"x","message":"m"}}"#;

#[tokio::test]
async fn faults_that_a_repeat_can_mend_are_repeated() {
    for fault in [
        Reply::json(500, ERROR),
        Reply::json(502, "<html>The backend server is unreachable.</html>"),
        Reply::json(503, ERROR),
        Reply::json(504, ""),
        Reply::json(200, "<html>"),
        Reply::BytesThenReset(Vec::new()),
        Reply::BytesThenClose(Reply::head(200, &[], 100)),
    ] {
        let upstream = Upstream::new([fault, Reply::job()]).await;
        let job = Gateway::new(&upstream).await.get().await.unwrap();
        assert_eq!((job.status(), upstream.count()), (JobStatus::Running, 2));
    }
}

#[tokio::test]
async fn attempts_are_counted() {
    for (fault, attempts, expected) in [
        (Reply::json(503, ERROR), 3, "UPSTREAM_UNAVAILABLE"),
        (Reply::json(500, ERROR), 2, "UPSTREAM_INTERNAL"),
        (Reply::json(200, "no job"), 2, "UPSTREAM_MALFORMED_RESPONSE"),
        (Reply::json(501, ERROR), 1, "UPSTREAM_NOT_IMPLEMENTED"),
        (Reply::json(505, ERROR), 1, "UPSTREAM_REFUSED_REQUEST"),
    ] {
        let upstream = Upstream::new([fault]).await;
        let status = Gateway::new(&upstream).await.get().await.unwrap_err();
        assert_eq!((upstream.count(), reason(&status).as_str()), (attempts, expected));
    }
}

#[tokio::test]
async fn no_4xx_is_ever_repeated() {
    for http in 400..=499 {
        let upstream = Upstream::new([Reply::json(http, ERROR)]).await;
        Gateway::new(&upstream).await.get().await.unwrap_err();
        assert_eq!(upstream.count(), 1, "{http}");
    }
    let retry_later = r#"{"error":{"code":"Common.0021","message":"m"}}"#;
    let upstream = Upstream::new([Reply::json(400, retry_later)]).await;
    let status = Gateway::new(&upstream).await.get().await.unwrap_err();
    assert_eq!((upstream.count(), reason(&status).as_str()), (1, "UPSTREAM_UNAVAILABLE"));
}

#[tokio::test]
async fn a_long_retry_after_is_told_and_not_waited_for() {
    let upstream = Upstream::new([Reply::with(503, &[("retry-after", "30")], b"{}")]).await;
    let status = Gateway::new(&upstream).await.get().await.unwrap_err();
    assert_eq!(upstream.count(), 1);
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "30000");
}

#[tokio::test]
async fn no_attempt_begins_that_the_deadline_would_cut() {
    let upstream = Upstream::new([Reply::json(503, ERROR)]).await;
    let mut request = crate::support::get_job();
    request.metadata_mut().insert("grpc-timeout", "90m".parse().unwrap());
    let status = Gateway::new(&upstream).await.send(request).await.unwrap_err();
    // The first wait is 100 ms at least: the error is told at once instead. A machine that takes
    // 90 ms for the first attempt gives the other answer, and that without a second attempt.
    assert!(["UPSTREAM_UNAVAILABLE", "DEADLINE_EXCEEDED"].contains(&reason(&status).as_str()));
    assert_eq!(upstream.count(), 1);
}

#[tokio::test]
async fn a_short_retry_after_is_waited_for() {
    let later = Reply::with(503, &[("retry-after", "1")], b"{}");
    let upstream = Upstream::new([later, Reply::job()]).await;
    let begun = tokio::time::Instant::now();
    Gateway::new(&upstream).await.get().await.unwrap();
    assert!(begun.elapsed() >= std::time::Duration::from_secs(1));
    assert_eq!(upstream.count(), 2);
}
