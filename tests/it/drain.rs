//! An orderly end.

use std::{sync::Arc, time::Duration};

use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::Notify};
use tonic::Code;

use crate::support::{Gateway, Reply, Upstream, gateway::config, get_job};

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
