//! How a connection to the job API is made: name, TCP, the proxy if there is one, TLS.

use std::{io, time::Duration};

use http::{HeaderValue, Uri};
use hyper::rt::{Read, Write};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::{HttpConnector, proxy::Tunnel};
use tokio_rustls::rustls::ClientConfig;
use tower::{BoxError, Service, ServiceExt as _};

/// A connection's bytes, whatever carries them.
pub(super) trait Stream: Read + Write + Unpin + Send {}

impl<T: Read + Write + Unpin + Send> Stream for T {}

/// A proxy, and what it wants to be shown.
#[derive(Clone)]
pub(super) struct Via {
    pub(super) proxy: Uri,
    pub(super) authorization: Option<HeaderValue>,
}

/// Connects to one host.
pub(super) struct Connector {
    target: Uri,
    way: Way,
    timeout: Duration,
}

enum Way {
    Direct(HttpsConnector<HttpConnector>),
    /// Through the proxy, which sees nothing of what goes through.
    Tunnel(HttpsConnector<Tunnel<HttpsConnector<HttpConnector>>>),
    /// To the proxy, which asks by itself.
    Forward(HttpsConnector<HttpConnector>, Via),
}

// === impl Connector ===

impl Connector {
    /// `timeout` is for all of it, TLS included.
    pub(super) fn new(target: Uri, tls: ClientConfig, via: Option<Via>, timeout: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Several addresses share the time.
        tcp.set_connect_timeout(Some(timeout));
        let direct = secured(tls.clone(), tcp);
        let way = match via {
            None => Way::Direct(direct),
            Some(via) if target.scheme_str() == Some("https") => {
                let tunnel = Tunnel::new(via.proxy, direct);
                let tunnel = match via.authorization {
                    Some(authorization) => tunnel.with_auth(authorization),
                    None => tunnel,
                };
                Way::Tunnel(secured(tls, tunnel))
            }
            Some(via) => Way::Forward(direct, via),
        };
        Self { target, way, timeout }
    }

    /// The proxy that is asked in the target's place, if there is one.
    pub(super) fn forward(&self) -> Option<&Via> {
        match &self.way {
            Way::Forward(_, via) => Some(via),
            Way::Direct(_) | Way::Tunnel(_) => None,
        }
    }

    pub(super) async fn connect(&self) -> Result<Box<dyn Stream>, BoxError> {
        let connecting = async {
            match &self.way {
                Way::Direct(way) => open(way, &self.target).await,
                Way::Tunnel(way) => open(way, &self.target).await,
                Way::Forward(way, via) => open(way, &via.proxy).await,
            }
        };
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
        tokio::time::timeout(self.timeout, connecting).await.map_err(late)?
    }
}

fn secured<C>(tls: ClientConfig, inner: C) -> HttpsConnector<C> {
    hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(inner)
}

async fn open<C>(way: &C, to: &Uri) -> Result<Box<dyn Stream>, BoxError>
where
    C: Service<Uri, Error = BoxError> + Clone,
    C::Response: Stream + 'static,
{
    let stream = way.clone().oneshot(to.clone()).await?;
    Ok(Box::new(stream))
}
