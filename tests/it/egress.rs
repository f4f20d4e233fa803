//! The way out: a proxy only when it is said.

use std::fs;

use jobgate::{
    proto::v1::job_service_client::JobServiceClient,
    upstream::{BaseUrl, HttpProxy},
};
use tempfile::TempDir;

use crate::support::{
    Gateway, Reply, Upstream, becomes,
    gateway::{channel, config},
    get_job,
    program::Server,
};

#[tokio::test]
async fn a_proxy_is_used_when_it_is_said_and_told_who_asks() {
    let proxy = Upstream::new([Reply::job()]).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("proxy");
    fs::write(&file, "me:pass:word\n").unwrap();
    let mut config = config(proxy.address);
    config.upstream.base = BaseUrl::parse("http://vbs.invalid").unwrap();
    config.upstream.transport.proxy = Some(HttpProxy {
        url: BaseUrl::parse(&format!("http://{}", proxy.address)).unwrap(),
        credentials: Some(file.clone()),
    });
    let reload = config.reload.clone();
    let gateway = Gateway::with(config).await;
    gateway.get().await.unwrap();
    let sent = proxy.requests().remove(0);
    assert!(sent.starts_with("GET http://vbs.invalid/v1/p1/jobs/j1 HTTP/1.1\r\n"), "{sent}");
    assert!(sent.contains("proxy-authorization: Basic bWU6cGFzczp3b3Jk\r\n"), "{sent}");

    fs::write(&file, "me:another\n").unwrap();
    reload.now();
    becomes(async || {
        gateway.get().await.unwrap();
        proxy.requests().pop().unwrap().contains("proxy-authorization: Basic bWU6YW5vdGhlcg==")
    })
    .await;
}

#[tokio::test]
async fn the_systems_proxy_is_not_looked_at() {
    let upstream = Upstream::new([Reply::job()]).await;
    let nobody = "http://127.0.0.1:1";
    let env = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].map(|name| (name, nobody));
    let server = Server::with(&upstream.address.to_string(), &[], &env).await;
    JobServiceClient::new(channel(server.address).await).get_job(get_job()).await.unwrap();
    assert!(upstream.requests().remove(0).starts_with("GET /v1/"));
}
