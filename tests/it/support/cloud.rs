//! The simulated cloud, and the HTTP client that asks it.

use std::net::SocketAddr;

use jobgate::simulator::{self, Script};
use serde_json::Value;

/// A cloud that plays this script.
pub(crate) async fn simulator(script: &str) -> SocketAddr {
    let script = Script::parse("test", script).unwrap();
    let listen = ([127, 0, 0, 1], 0).into();
    let simulator = simulator::bind(simulator::Config { listen, script }).await.unwrap();
    let address = simulator.local_addr();
    tokio::spawn(simulator.run(std::future::pending()));
    address
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Value,
}

/// The answer to a request; its body is null if it is no JSON.
pub(crate) async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    Answer { status, headers, body: serde_json::from_str(&text).unwrap_or_default() }
}

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}
