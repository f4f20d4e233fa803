//! Errors whose head came, and whose body did not come whole: the status still counts.

use std::{io::Write as _, time::Duration};

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{Gateway, Reply, Upstream, gateway::config, reason};

/// What one call gets, and how often it was sent.
async fn fails(reply: Reply) -> (Status, usize) {
    let upstream = Upstream::new([reply]).await;
    let mut config = config(upstream.address);
    config.upstream.transport.attempt_timeout = Duration::from_secs(2);
    let status = Gateway::with(config).await.get().await.unwrap_err();
    (status, upstream.count())
}

fn told(status: &Status) -> (Code, String) {
    (status.code(), reason(status))
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_refusal_whose_body_stalls_is_not_repeated() {
    for (http, expected) in [
        (401, (Code::Unauthenticated, "CREDENTIALS_REJECTED")),
        (429, (Code::ResourceExhausted, "UPSTREAM_THROTTLED")),
    ] {
        let head = Reply::head(http, &[("retry-after", "9"), ("x-request-id", "r1")], 500);
        let reply = Reply::BytesThenSilence([head, b"{\"error".to_vec()].concat());
        let (status, sent) = fails(reply).await;
        assert_eq!(told(&status), (expected.0, expected.1.to_owned()));
        assert_eq!(sent, 1, "{http}");
        assert_eq!(status.get_details_request_info().unwrap().request_id, "r1");
        assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "9000");
    }
}

#[tokio::test]
async fn a_cut_error_keeps_its_status_and_headers() {
    for (http, expected) in [
        (302, (Code::Internal, "UPSTREAM_REDIRECT")),
        (403, (Code::PermissionDenied, "PERMISSION_DENIED")),
        (503, (Code::Unavailable, "UPSTREAM_UNAVAILABLE")),
    ] {
        // Too long to be waited for, so that it is not repeated.
        let head = Reply::head(http, &[("retry-after", "60"), ("x-request-id", "r1")], 500);
        for reply in [Reply::BytesThenClose(head.clone()), Reply::BytesThenReset(head)] {
            let (status, sent) = fails(reply).await;
            assert_eq!(told(&status), (expected.0, expected.1.to_owned()));
            assert_eq!(status.get_details_request_info().unwrap().request_id, "r1");
            let delay = status.get_details_retry_info().unwrap().retry_delay.unwrap();
            assert_eq!((delay.as_secs(), sent), (60, 1));
        }
    }
}

#[tokio::test]
async fn a_404_is_read_by_what_came_of_its_body() {
    let page = format!("<html>{}</html>", "no such page ".repeat(20_000));
    let json = format!(r#"{{"error":{{"message":"{}"}}}}"#, "x".repeat(200_000));
    let route = (Code::Unimplemented, "UPSTREAM_ROUTE_NOT_FOUND".to_owned());
    let job = (Code::NotFound, "JOB_NOT_FOUND".to_owned());
    let cut = |kind: &str, body: &str| {
        let head = Reply::head(404, &[("content-type", kind)], 5000);
        Reply::BytesThenClose([head, body.as_bytes().to_vec()].concat())
    };
    for (reply, expected) in [
        (Reply::with(404, &[], page.as_bytes()), &route),
        (Reply::with(404, &[], json.as_bytes()), &job),
        (Reply::with(404, &[], " ".repeat(200_000).as_bytes()), &route),
        (cut("text/html", "<html>"), &route),
        (cut("text/html", ""), &route),
        (cut("application/json", ""), &job),
        (cut("application/json;charset=utf-8", "{\"error\": {"), &job),
    ] {
        let (status, sent) = fails(reply).await;
        assert_eq!((told(&status), sent), (expected.clone(), 1));
    }
}

#[tokio::test]
async fn a_compressed_error_keeps_its_status() {
    let headers = [("content-encoding", "gzip")];
    let bomb = gzip(&vec![b' '; 64 << 20]);
    let (status, _) = fails(Reply::with(429, &headers, &bomb)).await;
    assert_eq!(told(&status), (Code::ResourceExhausted, "UPSTREAM_THROTTLED".to_owned()));

    let page = gzip(&page_of_noise());
    let head = Reply::head(404, &headers, page.len());
    let half = Reply::BytesThenClose([head, page[..page.len() / 2].to_vec()].concat());
    let (status, _) = fails(half).await;
    assert_eq!(told(&status), (Code::Unimplemented, "UPSTREAM_ROUTE_NOT_FOUND".to_owned()));
}

/// HTML that does not compress to nothing.
fn page_of_noise() -> Vec<u8> {
    let words = (0..5_000_u32).map(|i| i.wrapping_mul(2_654_435_761).to_string());
    format!("<html>{}", words.collect::<Vec<_>>().join(" ")).into_bytes()
}

#[tokio::test]
async fn a_job_over_the_cap_is_told_with_the_request_it_was() {
    let head = Reply::head(200, &[("x-request-id", "r1")], 5 << 20);
    let (status, sent) = fails(Reply::BytesThenSilence(head)).await;
    assert_eq!(told(&status).1, "UPSTREAM_RESPONSE_TOO_LARGE");
    assert_eq!(status.get_details_request_info().unwrap().request_id, "r1");
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "-1");
    assert_eq!(sent, 1);
}
