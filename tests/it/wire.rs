//! An upstream that misbehaves on the wire.

use std::io::Write as _;

use tonic::Code;

use crate::support::{Gateway, Reply, Upstream, gateway::config, reason};

async fn fails(replies: impl IntoIterator<Item = Reply>) -> (Code, String) {
    let upstream = Upstream::new(replies).await;
    let status = Gateway::new(&upstream).await.get().await.unwrap_err();
    (status.code(), reason(&status))
}

fn unreachable() -> (Code, String) {
    (Code::Unavailable, "UPSTREAM_UNREACHABLE".to_owned())
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let upstream = Upstream::new([]).await;
    let address = upstream.address;
    drop(upstream);
    tokio::task::yield_now().await;
    let status = Gateway::with(config(address)).await.get().await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), unreachable());
    assert!(!status.message().contains("127.0.0.1"), "{}", status.message());
}

#[tokio::test]
async fn resets_cuts_and_other_protocols_are_unreachable() {
    for reply in [
        Reply::BytesThenReset(Vec::new()),
        Reply::BytesThenClose(Vec::new()),
        Reply::BytesThenClose(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        Reply::BytesThenClose(b"\x15\x03\x01\x00\x02\x02\x46".to_vec()),
        Reply::BytesThenClose(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()),
        Reply::BytesThenClose([Reply::head(200, &[], 90), b"{\"status\":".to_vec()].concat()),
        Reply::BytesThenReset([Reply::head(200, &[], 90), b"{\"status\":".to_vec()].concat()),
        Reply::BytesThenClose(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_vec(),
        ),
    ] {
        assert_eq!(fails([reply.clone()]).await, unreachable(), "{reply:?}");
    }
}

#[tokio::test]
async fn a_huge_body_is_given_up_at_the_cap() {
    let too_large = (Code::ResourceExhausted, "UPSTREAM_RESPONSE_TOO_LARGE".to_owned());
    let announced = Reply::BytesThenSilence(Reply::head(200, &[], (4 << 20) + 1));
    assert_eq!(fails([announced]).await, too_large);

    let endless = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    let upstream = Upstream::new([Reply::BytesThenFlood(endless)]).await;
    let status = Gateway::new(&upstream).await.get().await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), too_large);
    upstream.has_lost(1).await;
    // What was sent beyond the cap lay in the sockets' buffers.
    assert!(upstream.flooded() < 64 << 20, "{}", upstream.flooded());
    assert_eq!(upstream.count(), 1);
}

#[tokio::test]
async fn a_body_just_under_the_cap_is_fine() {
    let fill = "x".repeat((4 << 20) - 100);
    let body = format!(r#"{{"status":"RUNNING","ignored":"{fill}"}}"#);
    let upstream = Upstream::new([Reply::json(200, &body)]).await;
    assert_eq!(Gateway::new(&upstream).await.get().await.unwrap().status_text, "RUNNING");
}

#[tokio::test]
async fn interim_answers_are_skipped() {
    let mut bytes =
        b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n".to_vec();
    let Reply::Bytes(job) = Reply::job() else { unreachable!("a job is plain bytes") };
    bytes.extend(job);
    let upstream = Upstream::new([Reply::Bytes(bytes)]).await;
    assert_eq!(Gateway::new(&upstream).await.get().await.unwrap().status_text, "RUNNING");
}

#[tokio::test]
async fn gzip_that_nobody_asked_for_is_read_under_the_cap() {
    let gzip = |plain: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    };
    let headers = [("content-encoding", "gzip")];
    let job = gzip(br#"{"status":"RUNNING","job_id":"j1"}"#);
    let upstream = Upstream::new([Reply::with(200, &headers, &job)]).await;
    assert_eq!(Gateway::new(&upstream).await.get().await.unwrap().job_id, "j1");

    let bomb = gzip(&vec![b' '; 64 << 20]);
    let (code, reason) = fails([Reply::with(200, &headers, &bomb)]).await;
    assert_eq!((code, reason.as_str()), (Code::ResourceExhausted, "UPSTREAM_RESPONSE_TOO_LARGE"));

    let broken = &gzip(b"{\"status\":\"RUNNING\"}")[..12];
    let (_, reason) = fails([Reply::with(200, &headers, broken)]).await;
    assert_eq!(reason, "UPSTREAM_MALFORMED_RESPONSE");
}

#[tokio::test]
async fn a_kept_connection_closed_under_us_costs_no_call() {
    let Reply::Bytes(job) = Reply::job() else { unreachable!("a job is plain bytes") };
    let upstream = Upstream::new([Reply::BytesThenClose(job)]).await;
    let gateway = Gateway::new(&upstream).await;
    let mut client = gateway.client().await;
    for _ in 0..20 {
        client.get_job(crate::support::get_job()).await.unwrap();
    }
}

#[tokio::test]
async fn a_byte_order_mark_and_bad_utf8_lose_no_job() {
    let body = b"\xef\xbb\xbf{\"status\":\"RUNNING\",\"job_id\":\"j\xff1\"}";
    let upstream = Upstream::new([Reply::with(200, &[], body)]).await;
    let job = Gateway::new(&upstream).await.get().await.unwrap();
    assert_eq!(job.job_id, "j\u{fffd}1");
}

#[tokio::test]
async fn a_job_too_large_as_a_message_is_told_so() {
    // Twelve bytes of JSON each, fourteen of protobuf.
    let entities: Vec<_> = (0..330_000).map(|i| format!("\"{i:06}\":[]")).collect();
    let body = format!(r#"{{"status":"RUNNING","entities":{{{}}}}}"#, entities.join(","));
    assert!(body.len() < 4 << 20);
    let upstream = Upstream::new([Reply::json(200, &body)]).await;
    let status = Gateway::new(&upstream).await.get().await.unwrap_err();
    assert_eq!(reason(&status), "UPSTREAM_RESPONSE_TOO_LARGE");
}

#[tokio::test]
async fn oddities_are_counted() {
    let body = r#"{"status":"odd","entities":{"size":40}}"#;
    let upstream = Upstream::new([Reply::json(200, body)]).await;
    let gateway = Gateway::new(&upstream).await;
    gateway.get().await.unwrap();
    let metrics = crate::health::http_get(gateway.admin, "/metrics").await.1;
    for kind in ["entity_not_text", "status_unknown", "job_id_missing"] {
        let line = format!("jobgate_upstream_oddities_total{{kind=\"{kind}\"}} 1");
        assert!(metrics.contains(&line), "{metrics}");
    }
}
