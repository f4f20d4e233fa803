//! An orderly end.

use std::{sync::Arc, time::Duration};

use jobgate::proto::health::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::Notify};
use tonic::Code;

use crate::support::{
    Gateway, Reply, Upstream,
    gateway::config,
    get_job,
    http2::{GOAWAY, Http2, NO_ERROR, SETTINGS},
    program::Server,
    reason,
};

#[tokio::test]
async fn a_call_under_way_is_finished_and_new_connections_are_refused() {
    let go = Arc::new(Notify::new());
    let upstream = Upstream::new([Reply::job().when(&go)]).await;
    let mut gateway = Gateway::new(&upstream).await;
    let address = gateway.address;
    let mut client = gateway.client().await;
    let call = tokio::spawn(async move { client.get_job(get_job()).await });
    upstream.has_seen(1).await;
    gateway.stop();
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    go.notify_one();
    assert_eq!(call.await.unwrap().unwrap().into_inner().job_id, "j1");
    gateway.stopped().await;
}

#[tokio::test]
async fn a_silent_peer_does_not_hold_the_end() {
    let upstream = Upstream::new([Reply::job()]).await;
    let mut config = config(upstream.address);
    config.drain_timeout = Duration::from_hours(1);
    let gateway = Gateway::with(config).await;
    let _silent = TcpStream::connect(gateway.address).await.unwrap();
    let _silent_admin = TcpStream::connect(gateway.admin).await.unwrap();
    let mut half = TcpStream::connect(gateway.address).await.unwrap();
    half.write_all(b"PRI * HT").await.unwrap();
    // A call on another connection: by then the silent ones have been accepted.
    gateway.get().await.unwrap();
    // Far below the drain timeout, far above what it takes.
    tokio::time::timeout(Duration::from_mins(1), gateway.stopped()).await.unwrap();
}

#[tokio::test]
async fn the_drain_timeout_cuts_what_does_not_end() {
    let upstream = Upstream::new([Reply::job().when(&Arc::new(Notify::new()))]).await;
    let mut config = config(upstream.address);
    config.drain_timeout = Duration::from_millis(50);
    let gateway = Gateway::with(config).await;
    // Half a preface, and no more.
    let mut half = TcpStream::connect(gateway.address).await.unwrap();
    half.write_all(b"PRI * HT").await.unwrap();
    let mut client = gateway.client().await;
    let call = tokio::spawn(async move { client.get_job(get_job()).await });
    upstream.has_seen(1).await;
    gateway.stopped().await;
    assert_ne!(call.await.unwrap().unwrap_err().code(), Code::Ok);
}

#[tokio::test]
async fn at_first_health_alone_says_that_it_ends() {
    let upstream = Upstream::new([Reply::job()]).await;
    let mut config = config(upstream.address);
    config.drain_delay = Duration::from_hours(1);
    config.grpc.watch.heartbeat = Duration::from_millis(10);
    let mut gateway = Gateway::with(config).await;
    let mut watch = gateway.watch().await.unwrap();
    let mut health = HealthClient::new(gateway.channel().await);
    let mut news = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(news.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    gateway.stop();
    assert_eq!(news.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert_eq!(crate::health::http_get(gateway.admin, "/readyz").await.0, 503);
    // New connections, new calls, new watches and old ones.
    gateway.get().await.unwrap();
    assert!(gateway.watch().await.unwrap().message().await.unwrap().is_some());
    for _ in 0..5 {
        assert!(watch.message().await.unwrap().is_some());
    }
}

#[tokio::test]
async fn after_the_delay_all_are_told_to_go() {
    let upstream = Upstream::new([Reply::job()]).await;
    let mut config = config(upstream.address);
    config.drain_delay = Duration::from_millis(50);
    let mut gateway = Gateway::with(config).await;
    let mut watch = gateway.watch().await.unwrap();
    assert!(watch.message().await.unwrap().is_some());
    let mut health = HealthClient::new(gateway.channel().await);
    let mut news = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(news.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let mut peer = Http2::new(gateway.address).await;
    peer.until(SETTINGS).await.unwrap();
    gateway.stop();
    let goaway = peer.until(GOAWAY).await.unwrap();
    assert_eq!(goaway.payload[4..8], NO_ERROR.to_be_bytes());
    assert_eq!(news.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    for status in [watch.message().await.unwrap_err(), news.message().await.unwrap_err()] {
        assert_eq!((status.code(), &*reason(&status)), (Code::Unavailable, "SERVER_DRAINING"));
    }
    // It answers the gateway's pings, as it must for the last GOAWAY.
    peer.end().await;
    gateway.stopped().await;
}

#[tokio::test]
async fn a_second_signal_ends_the_delay_and_all_else() {
    let upstream = Upstream::new([Reply::job()]).await;
    let mut server = Server::new(&upstream.address.to_string(), &["--drain-delay", "1h"]).await;
    server.signal("-TERM");
    server.logs("about to drain").await;
    server.signal("-TERM");
    assert_eq!(server.end().await.0.code(), Some(0));
}
