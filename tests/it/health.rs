//! Health by gRPC and by HTTP.

use std::{net::SocketAddr, sync::Arc};

use jobgate::proto::health::{
    HealthCheckRequest, HealthListRequest, health_check_response::ServingStatus,
    health_client::HealthClient,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
};
use tonic::Code;

use crate::support::{Gateway, Reply, Upstream, gateway::channel, get_job, reason};

/// One GET over HTTP/1.1: the status and the rest.
pub(crate) async fn http_get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer[9..12].parse().unwrap(), answer)
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test]
async fn check_and_list_know_the_services() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    for address in [gateway.address, gateway.admin] {
        let mut client = HealthClient::new(channel(address).await);
        for service in ["", "jobgate.v1.JobService"] {
            let answer = client.check(of(service)).await.unwrap().into_inner();
            assert_eq!(answer.status(), ServingStatus::Serving);
        }
        assert_eq!(client.check(of("no.such")).await.unwrap_err().code(), Code::NotFound);
        let list = client.list(HealthListRequest {}).await.unwrap().into_inner().statuses;
        let mut names: Vec<_> = list.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["", "jobgate.v1.JobService"]);
        assert!(list.values().all(|answer| answer.status() == ServingStatus::Serving));
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_watch_tells_the_drain_and_ends() {
    let go = Arc::new(Notify::new());
    let upstream = Upstream::new([Reply::job().when(&go)]).await;
    let mut gateway = Gateway::new(&upstream).await;
    let mut client = HealthClient::new(gateway.channel().await);
    let mut known = client.watch(of("")).await.unwrap().into_inner();
    assert_eq!(known.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let mut unknown = client.watch(of("no.such")).await.unwrap().into_inner();
    assert_eq!(unknown.message().await.unwrap().unwrap().status(), ServingStatus::ServiceUnknown);

    // A call under way holds the drain open.
    let mut jobs = gateway.client().await;
    let call = tokio::spawn(async move { jobs.get_job(get_job()).await });
    upstream.has_seen(1).await;
    assert_eq!(http_get(gateway.admin, "/readyz").await.0, 200);
    gateway.stop();
    assert_eq!(known.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    for stream in [&mut known, &mut unknown] {
        let status = stream.message().await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::Unavailable, "SERVER_DRAINING")
        );
    }
    assert_eq!(http_get(gateway.admin, "/readyz").await.0, 503);
    assert_eq!(http_get(gateway.admin, "/healthz").await.0, 200);
    let mut admin = HealthClient::new(channel(gateway.admin).await);
    let answer = admin.check(of("")).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::NotServing);

    go.notify_one();
    assert!(call.await.unwrap().is_ok());
    gateway.stopped().await;
}

#[tokio::test]
async fn the_admin_port_knows_no_other_paths() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    assert_eq!(http_get(gateway.admin, "/").await.0, 404);
    assert_eq!(http_get(gateway.admin, "/metrics").await.0, 200);
}
