//! The life and end of connections, and peers who mean ill.

use std::{sync::Arc, time::Duration};

use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use jobgate::{proto::v1::job_service_client::JobServiceClient, server};
use tokio::{io::AsyncReadExt as _, net::TcpStream, sync::Notify};
use tonic::Code;

use crate::support::{
    Gateway, Reply, Upstream,
    gateway::config,
    get_job,
    http2::{
        CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GET_JOB_MESSAGE,
        GOAWAY, HEADERS, Http2, NO_ERROR, PING, REFUSED_STREAM, RST_STREAM, SETTINGS,
        WINDOW_UPDATE, call, frame, get_job_headers, header,
    },
    reason,
};

const ENDED_BY_AGE: &str = "jobgate_connections_ended_total{by=\"age\"}";
const ENDED_BY_IDLENESS: &str = "jobgate_connections_ended_total{by=\"idle\"}";

async fn with(upstream: &Upstream, limits: server::ConnectionLimits) -> Gateway {
    let mut config = config(upstream.address);
    config.connections = limits;
    Gateway::with(config).await
}

fn limits() -> server::ConnectionLimits {
    server::ConnectionLimits::default()
}

#[tokio::test]
async fn a_connection_of_age_is_told_so_and_its_calls_go_on() {
    let go = Arc::new(Notify::new());
    let upstream = Upstream::new([Reply::job().when(&go), Reply::job()]).await;
    let max_age = Some(Duration::from_millis(300));
    let gateway = with(&upstream, server::ConnectionLimits { max_age, ..limits() }).await;
    let mut peer = Http2::new(gateway.address).await;
    peer.call(1).await;
    upstream.has_seen(1).await;
    let goaway = peer.until(GOAWAY).await.unwrap();
    assert_eq!(goaway.payload[4..8], NO_ERROR.to_be_bytes());
    go.notify_one();
    assert_eq!(peer.until(DATA).await.unwrap().stream, 1);
    let trailers = peer.until(HEADERS).await.unwrap();
    assert_eq!((trailers.stream, trailers.flags & 1), (1, 1), "the end of the call");
    // The last GOAWAY may have come before the answer.
    assert!(matches!(peer.end().await, None | Some(NO_ERROR)));
    gateway.is_at_rest_and_serves().await;
}

#[tokio::test]
async fn no_call_is_lost_when_connections_age() {
    let upstream = Upstream::new([Reply::job()]).await;
    let max_age = Some(Duration::from_millis(10));
    let gateway = with(&upstream, server::ConnectionLimits { max_age, ..limits() }).await;
    // A client as they are: it keeps a connection for as long as it is good.
    let http = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let origin = format!("http://{}", gateway.address).parse().unwrap();
    let mut client = JobServiceClient::with_origin(http, origin);
    while gateway.metric(ENDED_BY_AGE).await < 5 {
        for _ in 0..10 {
            client.get_job(get_job()).await.unwrap();
        }
    }
    drop(client);
    gateway.metric_is("jobgate_connections", 0).await;
}

#[tokio::test]
async fn a_watch_outlives_its_connections_age_and_ends_with_the_grace() {
    let upstream = Upstream::new([Reply::job()]).await;
    let (max_age, grace) = (Some(Duration::from_millis(20)), Duration::from_millis(500));
    let mut config = config(upstream.address);
    config.connections = server::ConnectionLimits { max_age, grace, ..limits() };
    config.grpc.watch.heartbeat = Duration::from_millis(10);
    let gateway = Gateway::with(config).await;
    let mut watch = gateway.watch().await.unwrap();
    assert!(watch.message().await.unwrap().is_some());
    gateway.metric_is(ENDED_BY_AGE, 1).await;
    let status = loop {
        match watch.message().await {
            Ok(message) => assert!(message.is_some(), "OK would mean that the job has ended"),
            Err(status) => break status,
        }
    };
    assert_eq!((status.code(), &*reason(&status)), (Code::Unavailable, "WATCH_EXPIRED"));
    gateway.metric_is("jobgate_connections", 0).await;
    gateway.metric_is("jobgate_streams", 0).await;
}

#[tokio::test]
async fn a_call_that_goes_on_beyond_the_grace_is_cut() {
    let upstream = Upstream::new([Reply::job().when(&Arc::new(Notify::new()))]).await;
    let (max_age, grace) = (Some(Duration::from_millis(20)), Duration::from_millis(20));
    let gateway = with(&upstream, server::ConnectionLimits { max_age, grace, ..limits() }).await;
    let mut peer = Http2::new(gateway.address).await;
    peer.call(1).await;
    upstream.has_seen(1).await;
    peer.end().await;
    upstream.has_lost(1).await;
    upstream.goes_on_with([Reply::job()]);
    gateway.is_at_rest_and_serves().await;
}

#[tokio::test]
async fn idle_connections_go_and_take_little() {
    let upstream = Upstream::new([Reply::job()]).await;
    let idle = Some(Duration::from_secs(2));
    let gateway = with(&upstream, server::ConnectionLimits { idle, ..limits() }).await;
    let mut peers = Vec::new();
    for _ in 0..1_000 {
        peers.push(Http2::new(gateway.address).await);
    }
    for peer in &mut peers {
        assert_eq!(peer.end().await, Some(NO_ERROR));
    }
    let ended = gateway.metric(ENDED_BY_IDLENESS).await;
    assert!(ended >= 1_000, "{ended}");
    gateway.is_at_rest_and_serves().await;
}

#[tokio::test]
async fn a_connection_with_a_watch_is_not_idle() {
    let upstream = Upstream::new([Reply::job()]).await;
    let mut config = config(upstream.address);
    config.connections.idle = Some(Duration::from_secs(2));
    config.grpc.watch.heartbeat = Duration::from_millis(200);
    let gateway = Gateway::with(config).await;
    let mut watch = gateway.watch().await.unwrap();
    // Longer than the connection may be idle.
    for _ in 0..15 {
        assert!(watch.message().await.unwrap().is_some());
    }
    assert_eq!(gateway.metric(ENDED_BY_IDLENESS).await, 0);
    drop(watch);
    gateway.metric_is("jobgate_connections", 0).await;
}

#[tokio::test]
async fn a_connection_too_many_is_closed_at_once() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway =
        with(&upstream, server::ConnectionLimits { max_connections: 2, ..limits() }).await;
    let mut kept = [Http2::new(gateway.address).await, Http2::new(gateway.address).await];
    for peer in &mut kept {
        peer.until(SETTINGS).await.unwrap();
    }
    let mut third = TcpStream::connect(gateway.address).await.unwrap();
    assert_eq!(third.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(gateway.metric("jobgate_connections_refused_total").await, 1);
    kept[0].call(1).await;
    assert_eq!(kept[0].until(DATA).await.unwrap().stream, 1);
    drop(kept);
    gateway.is_at_rest_and_serves().await;
}

#[tokio::test]
async fn a_peer_that_does_not_heed_how_many_calls_are_taken_is_refused_each_one_more() {
    let upstream = Upstream::new([Reply::job().when(&Arc::new(Notify::new()))]).await;
    let gateway = with(&upstream, server::ConnectionLimits { max_streams: 2, ..limits() }).await;
    let mut peer = Http2::new(gateway.address).await;
    let settings = peer.until(SETTINGS).await.unwrap().payload;
    assert!(settings.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 2]), "{settings:?}");
    for stream in [1, 3, 5] {
        peer.call(stream).await;
    }
    let refusal = peer.until(RST_STREAM).await.unwrap();
    assert_eq!((refusal.stream, &*refusal.payload), (5, &REFUSED_STREAM.to_be_bytes()[..]));
    drop(peer);
    upstream.goes_on_with([Reply::job()]);
    gateway.is_at_rest_and_serves().await;
}

#[tokio::test]
async fn a_peer_that_does_not_answer_any_more_is_given_up() {
    let upstream = Upstream::new([Reply::job().when(&Arc::new(Notify::new()))]).await;
    let keepalive_interval = Duration::from_millis(50);
    let keepalive_timeout = Duration::from_millis(500);
    let limits = server::ConnectionLimits { keepalive_interval, keepalive_timeout, ..limits() };
    let gateway = with(&upstream, limits).await;
    let mut half_open = Http2::new(gateway.address).await;
    half_open.call(1).await;
    upstream.has_seen(1).await;
    upstream.has_lost(1).await;
    while half_open.next().await.is_some() {}
    upstream.goes_on_with([Reply::job()]);
    gateway.is_at_rest_and_serves().await;
}

#[tokio::test]
async fn floods_end_the_connection_and_nobody_elses() {
    let upstream = Upstream::new([Reply::job().when(&Arc::new(Notify::new()))]).await;
    let gateway = with(&upstream, limits()).await;
    let open = frame(HEADERS, END_HEADERS, 1, &get_job_headers());
    let resets: Vec<_> = (0..1000)
        .flat_map(|call| {
            let stream = 2 * call + 1;
            let open = frame(HEADERS, END_HEADERS, stream, &get_job_headers());
            [open, frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())].concat()
        })
        .collect();
    let begun = frame(HEADERS, 0, 1, &get_job_headers());
    let more = frame(CONTINUATION, 0, 1, &header("x", "y"));
    let large = frame(CONTINUATION, 0, 1, &header("x", &"y".repeat(15_000)));
    for (what, flood) in [
        ("calls taken back", resets),
        ("headers without end", [begun.clone(), more.repeat(1_000)].concat()),
        ("headers too large", [begun, large.repeat(20)].concat()),
        ("messages of nothing", [open, frame(DATA, 0, 1, &[]).repeat(10_000)].concat()),
    ] {
        let mut peer = Http2::new(gateway.address).await;
        peer.until(SETTINGS).await.unwrap();
        let _ = peer.send(&flood).await;
        assert_eq!(peer.end().await, Some(ENHANCE_YOUR_CALM), "{what}");
        upstream.goes_on_with([Reply::job()]);
        gateway.is_at_rest_and_serves().await;
    }
}

#[tokio::test]
async fn who_takes_back_all_his_calls_at_once_is_cut() {
    let upstream = Upstream::new([Reply::job().when(&Arc::new(Notify::new()))]).await;
    let gateway = with(&upstream, limits()).await;
    let mut peer = Http2::new(gateway.address).await;
    // So few at a time that each has been looked at before it is taken back.
    let mut streams = (1..).step_by(2);
    loop {
        let streams: Vec<u32> = streams.by_ref().take(10).collect();
        let begin = streams.iter().map(|stream| call(*stream)).collect::<Vec<_>>();
        let withdraw = streams.iter().map(|it| frame(RST_STREAM, 0, *it, &CANCEL.to_be_bytes()));
        let withdraw = withdraw.collect::<Vec<_>>();
        let begun = peer.send(&begin.concat()).await;
        tokio::task::yield_now().await;
        if begun.and(peer.send(&withdraw.concat()).await).is_err() {
            break;
        }
    }
    let ended = "jobgate_connections_ended_total{by=\"withdrawals\"}";
    assert_eq!(gateway.metric(ended).await, 1);
    upstream.goes_on_with([Reply::job()]);
    gateway.is_at_rest_and_serves().await;
}

#[tokio::test]
async fn a_connection_has_no_more_headers_held_than_it_may() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = with(&upstream, limits()).await;
    let mut peer = Http2::new(gateway.address).await;
    peer.until(SETTINGS).await.unwrap();
    // 60,000 bytes for each call, and no message.
    let large = header("x", &"y".repeat(15_000));
    for call in 0..279 {
        let stream = 2 * call + 1;
        let more = |flags| frame(CONTINUATION, flags, stream, &large);
        let head = frame(HEADERS, 0, stream, &get_job_headers());
        let call = [head, more(0), more(0), more(0), more(END_HEADERS)].concat();
        peer.send(&call).await.unwrap();
    }
    let refusal = peer.until(HEADERS).await.unwrap();
    assert_eq!((refusal.stream, refusal.flags), (2 * 278 + 1, END_HEADERS | END_STREAM));
    assert_eq!(gateway.metric("jobgate_overloads_total{limit=\"headers_of_connection\"}").await, 1);
    // Other connections have their own.
    gateway.get().await.unwrap();
    // Those without a message are no failures of the gateway's.
    drop(peer);
    let gone = "rpc_server_call_duration_seconds_count{rpc_system_name=\"grpc\",\
                rpc_method=\"jobgate.v1.JobService/GetJob\",rpc_status_code=\"CANCELLED\"}";
    gateway.metric_is(gone, 278).await;
    upstream.goes_on_with([Reply::job()]);
    gateway.is_at_rest_and_serves().await;
}

#[tokio::test]
async fn a_watch_that_is_taken_back_in_the_breath_it_was_begun_in_leaves_nothing() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = with(&upstream, limits()).await;
    let mut peer = Http2::new(gateway.address).await;
    peer.until(SETTINGS).await.unwrap();
    let path = header(":path", "/jobgate.v1.JobService/WatchJob");
    let headers = get_job_headers();
    let of_get_job = header(":path", "/jobgate.v1.JobService/GetJob");
    let at = headers.windows(of_get_job.len()).position(|part| part == of_get_job).unwrap();
    let headers = [&headers[..at], &path, &headers[at + of_get_job.len()..]].concat();
    for stream in (1..40).step_by(2) {
        let watch = [
            frame(HEADERS, END_HEADERS, stream, &headers),
            frame(DATA, END_STREAM, stream, GET_JOB_MESSAGE),
            frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()),
        ];
        peer.send(&watch.concat()).await.unwrap();
        // Answered when all before it has been looked at.
        peer.send(&frame(PING, 0, 0, &[0; 8])).await.unwrap();
        while peer.next().await.unwrap().kind != PING {}
    }
    gateway.metric_is("jobgate_streams", 0).await;
    gateway.metric_is("jobgate_watchers", 0).await;
    peer.call(101).await;
    assert_eq!(peer.until(DATA).await.unwrap().stream, 101);
    drop(peer);
    gateway.is_at_rest_and_serves().await;
}

#[tokio::test]
async fn a_peer_that_reads_nothing_is_given_up() {
    const INITIAL_WINDOW: u16 = 4;
    const ANY: u32 = (1 << 31) - 1;
    let large = "x".repeat(3 << 20);
    let upstream = Upstream::new([Reply::state("RUNNING", &large)]).await;
    let keepalive_interval = Duration::from_millis(100);
    let keepalive_timeout = Duration::from_millis(500);
    let limits = server::ConnectionLimits { keepalive_interval, keepalive_timeout, ..limits() };
    let gateway = with(&upstream, limits).await;
    let mut peer = Http2::with(gateway.address, &[(INITIAL_WINDOW, ANY)]).await;
    let more = frame(WINDOW_UPDATE, 0, 0, &(ANY - 0xffff).to_be_bytes());
    peer.send(&more).await.unwrap();
    // More than the sockets' buffers hold.
    for stream in [1, 3, 5, 7, 9] {
        peer.call(stream).await;
    }
    upstream.has_seen(1).await;
    gateway.metric_is("jobgate_connections", 0).await;
    upstream.goes_on_with([Reply::job()]);
    gateway.is_at_rest_and_serves().await;
}

#[tokio::test]
async fn who_floods_and_reads_no_answers_is_given_up() {
    let upstream = Upstream::new([Reply::job()]).await;
    let keepalive_interval = Duration::from_millis(100);
    let keepalive_timeout = Duration::from_millis(500);
    let limits = server::ConnectionLimits { keepalive_interval, keepalive_timeout, ..limits() };
    let gateway = with(&upstream, limits).await;
    for flood in [frame(PING, 0, 0, &[7; 8]), frame(SETTINGS, 0, 0, &[])] {
        let mut peer = Http2::new(gateway.address).await;
        peer.flood(&flood.repeat(1_000)).await;
        gateway.is_at_rest_and_serves().await;
    }
}

#[tokio::test]
async fn an_answer_that_nobody_reads_keeps_nobody_waiting() {
    const INITIAL_WINDOW: u16 = 4;
    let upstream = Upstream::new([Reply::job()]).await;
    let mut config = config(upstream.address);
    config.grpc.limits.calls = 1;
    let gateway = Gateway::with(config).await;
    let mut peer = Http2::with(gateway.address, &[(INITIAL_WINDOW, 0)]).await;
    for call in 0..5 {
        peer.call(2 * call + 1).await;
        assert_eq!(peer.until(HEADERS).await.unwrap().stream, 2 * call + 1);
    }
    assert_eq!(gateway.metric("jobgate_streams").await, 5);
    gateway.get().await.unwrap();
    drop(peer);
    gateway.is_at_rest_and_serves().await;
}

#[tokio::test]
async fn headers_over_the_limit_cost_one_call_only() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = with(&upstream, limits()).await;
    let mut peer = Http2::new(gateway.address).await;
    let begun = frame(HEADERS, 0, 1, &get_job_headers());
    let large = frame(CONTINUATION, 0, 1, &header("x", &"y".repeat(15_000)));
    let end = frame(CONTINUATION, END_HEADERS, 1, &header("x", "y"));
    let message = frame(DATA, END_STREAM, 1, GET_JOB_MESSAGE);
    peer.send(&[begun, large.repeat(5), end, message].concat()).await.unwrap();
    let refused = peer.until(HEADERS).await.unwrap();
    assert_eq!(refused.stream, 1);
    peer.call(3).await;
    assert_eq!(peer.until(DATA).await.unwrap().stream, 3);
    assert_eq!(upstream.count(), 1);
}
