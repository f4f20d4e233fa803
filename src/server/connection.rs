//! The connections of one listener: accepted, served, and ended in order.

use std::{net::SocketAddr, pin::pin, time::Duration};

use axum::Router;
use hyper::{body::Incoming, rt::Executor};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::{ServiceExt as _, service_fn};

use super::{
    preface::{self, Preface},
    tls::{self, Tls},
};
use crate::access::Certificate;

/// How long a peer may take to say what it speaks, or over HTTP/1.1 what it wants.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a drain waits for the first words of a peer that may just have come.
const DRAIN_GRACE: Duration = Duration::from_millis(500);

/// How long to wait after a failure to accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often an idle peer is asked whether it is still there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// How long it may take to answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// The most bytes of a call's headers. The API's gateway takes 32 KiB in one, and old tokens need it.
const MAX_HEADERS: u32 = 64 << 10;

/// The most calls at a time on a connection. A client library puts all its watches on one, and
/// lets those wait in silence that are too many.
const MAX_STREAMS: u32 = 20_000;

/// Who calls, in a request's extensions.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The address of the peer.
    pub(super) address: SocketAddr,
    /// The names of the peer, if it has shown a certificate.
    certificate: Option<Certificate>,
    cutting: CancellationToken,
}

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Protocol {
    /// HTTP/1.1 or HTTP/2, as the peer begins.
    Any,
    /// HTTP/2 only.
    Http2,
}

/// The connections of one listener. They end in two steps: drained, then cut.
pub(super) struct Connections {
    protocol: Protocol,
    tls: Option<Tls>,
    draining: CancellationToken,
    cutting: CancellationToken,
    tasks: TaskTracker,
    calls: Calls,
}

/// The calls of all connections: hyper runs each as a task of its own.
#[derive(Clone)]
struct Calls {
    cutting: CancellationToken,
    tasks: TaskTracker,
}

/// What a connection is served with.
struct Service {
    caller: Caller,
    routes: Router,
    builder: auto::Builder<Calls>,
    draining: CancellationToken,
}

// === impl Calls ===

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Calls {
    fn execute(&self, call: F) {
        self.tasks.spawn(self.cutting.clone().run_until_cancelled_owned(call));
    }
}

// === impl Caller ===

impl Caller {
    /// The first name in the certificate that the peer has shown.
    pub(super) fn certificate_name(&self) -> Option<&str> {
        self.certificate.as_ref().and_then(Certificate::name)
    }

    /// Whether the connection is ended where it is.
    pub(super) fn is_cut(&self) -> bool {
        self.cutting.is_cancelled()
    }
}

// === impl Connections ===

impl Drop for Connections {
    fn drop(&mut self) {
        self.draining.cancel();
        self.cutting.cancel();
    }
}

impl Connections {
    pub(super) fn new(protocol: Protocol, tls: Option<Tls>) -> Self {
        let cutting = CancellationToken::new();
        let calls = Calls { cutting: cutting.clone(), tasks: TaskTracker::new() };
        let draining = CancellationToken::new();
        Self { protocol, tls, draining, cutting, tasks: TaskTracker::new(), calls }
    }

    /// Accepts connections until they are drained or cut.
    pub(super) fn accept(&self, listener: TcpListener, routes: Router) {
        let (protocol, tls, draining, cutting, tasks, calls) = (
            self.protocol,
            self.tls.clone(),
            self.draining.clone(),
            self.cutting.clone(),
            self.tasks.clone(),
            self.calls.clone(),
        );
        let accepting = async move {
            loop {
                match listener.accept().await {
                    Ok((stream, address)) => {
                        let _ = stream.set_nodelay(true);
                        let caller =
                            Caller { address, certificate: None, cutting: cutting.clone() };
                        let service = Service {
                            caller,
                            routes: routes.clone(),
                            builder: builder(protocol, calls.clone()),
                            draining: draining.clone(),
                        };
                        let serving = start(stream, tls.clone(), service);
                        tasks.spawn(cutting.clone().run_until_cancelled_owned(serving));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "can't accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        tokio::spawn(self.draining.clone().run_until_cancelled_owned(accepting));
    }

    /// How many connections there are.
    pub(super) fn count(&self) -> usize {
        self.tasks.len()
    }

    /// Accepts no more, and waits until all connections have finished their calls.
    pub(super) async fn drain(&self) {
        self.draining.cancel();
        for tasks in [&self.tasks, &self.calls.tasks] {
            tasks.close();
            tasks.wait().await;
        }
    }

    /// Ends all connections where they are.
    pub(super) async fn cut(&self) {
        self.cutting.cancel();
        self.drain().await;
    }
}

fn builder(protocol: Protocol, calls: Calls) -> auto::Builder<Calls> {
    let mut builder = auto::Builder::new(calls);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PREFACE_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADERS)
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    match protocol {
        Protocol::Any => builder,
        Protocol::Http2 => builder.http2_only(),
    }
}

/// Serves a connection, through TLS if there is any.
async fn start<S>(stream: S, tls: Option<Tls>, mut service: Service)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Some(tls) = tls else {
        return serve(stream, service).await;
    };
    // In a box of its own, so that connections without TLS do not pay for it.
    let serving = Box::pin(async move {
        let peer = service.caller.address;
        let draining = service.draining.clone();
        let given_up = async {
            draining.cancelled().await;
            sleep(DRAIN_GRACE).await;
        };
        match tls.accept(stream, given_up).await {
            Ok(stream) => {
                service.caller.certificate = tls::certificate(&stream);
                serve(stream, service).await;
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(tracing::field::display);
                tracing::info!(%peer, cause, "{error}");
            }
        }
    });
    serving.await;
}

async fn serve<S>(stream: S, service: Service)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Service { caller, routes, builder, draining } = service;
    let peer = caller.address;
    let routes = service_fn(move |mut request: http::Request<Incoming>| {
        if let Some(certificate) = &caller.certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        request.extensions_mut().insert(caller.clone());
        routes.clone().oneshot(request)
    });
    let (stream, preface) = preface::watch(stream);
    let connection =
        builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    let mut connection = pin!(connection);
    tokio::select! {
        // A peer that is cut off or talks nonsense is its own affair; its calls have been logged.
        _ = connection.as_mut() => return,
        () = silent(&preface) => {
            tracing::debug!(%peer, "said too little for too long");
            return;
        }
        () = draining.cancelled() => {}
    }
    // A graceful end waits for a preface that may never come.
    if !preface.seen() && timeout(DRAIN_GRACE, connection.as_mut()).await.is_ok() {
        return;
    }
    if !preface.seen() {
        return;
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// Ready once the peer has been silent for too long from the start.
async fn silent(preface: &Preface) {
    sleep(PREFACE_TIMEOUT).await;
    if preface.seen() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_drain_gives_a_handshake_its_grace_and_no_more() {
        let (_peer, stream) = tls::tests::half().await;
        let connections = Connections::new(Protocol::Http2, Some(tls::tests::tls()));
        connections.draining.cancel();
        let (cutting, draining) = (connections.cutting.clone(), connections.draining.clone());
        let service = Service {
            caller: Caller { address: ([127, 0, 0, 1], 1).into(), certificate: None, cutting },
            routes: Router::new(),
            builder: builder(Protocol::Http2, connections.calls.clone()),
            draining,
        };
        let begun = Instant::now();
        start(stream, connections.tls.clone(), service).await;
        assert_eq!(begun.elapsed(), DRAIN_GRACE);
    }
}
