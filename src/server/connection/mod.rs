//! The connections of one listener: accepted, served, and ended in order.

mod activity;
mod calls;
mod http1;
mod http2;
mod life;
mod limits;
mod metrics;
mod withdrawals;

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{BoxError, body::Bytes};
use http::{Request, Response};
use hyper_util::server::conn::auto;
use prometheus_client::registry::Registry;
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::body::Body;
use tower::Service;

pub use self::limits::Limits;
use self::{
    activity::Activity,
    calls::{Begun, Calls},
    life::Life,
    metrics::Metrics,
};
use super::{tls::Tls, workers::Workers};
use crate::access::Certificate;

/// How long to wait after a failure to accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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

/// What answers calls. It is always ready for the next one.
pub(super) trait Answers:
    Service<
        Request<Body>,
        Response = Response<Self::Answer>,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
    + Sync
    + 'static
{
    type Answer: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static;
}

impl<S, A> Answers for S
where
    S: Service<Request<Body>, Response = Response<A>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    A: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    type Answer = A;
}

/// The connections of one listener. They end in two steps: drained, then cut.
pub(super) struct Connections(Ground);

/// What connections have in common. Cheap to clone.
#[derive(Clone)]
struct Ground {
    protocol: Protocol,
    tls: Option<Tls>,
    limits: Limits,
    draining: CancellationToken,
    cutting: CancellationToken,
    tasks: TaskTracker,
    /// Those of all connections.
    calls: TaskTracker,
    metrics: Metrics,
    /// Where they are served, if not all where they are accepted.
    workers: Option<Workers>,
}

// === impl Caller ===

impl Caller {
    /// The first name in the certificate that the peer has shown.
    pub(super) fn certificate_name(&self) -> Option<&str> {
        self.certificate.as_ref().and_then(Certificate::name)
    }

    /// Whether all connections are ended where they are.
    pub(super) fn is_cut(&self) -> bool {
        self.cutting.is_cancelled()
    }
}

// === impl Connections ===

impl Drop for Connections {
    fn drop(&mut self) {
        self.0.draining.cancel();
        self.0.cutting.cancel();
    }
}

impl Connections {
    pub(super) fn new(
        protocol: Protocol,
        tls: Option<Tls>,
        limits: Limits,
        workers: Option<Workers>,
    ) -> Self {
        let (draining, cutting) = (CancellationToken::new(), CancellationToken::new());
        let (tasks, calls) = (TaskTracker::new(), TaskTracker::new());
        let metrics = Metrics::default();
        Self(Ground { protocol, tls, limits, draining, cutting, tasks, calls, metrics, workers })
    }

    /// Makes known how many there are.
    pub(super) fn register(&self, registry: &mut Registry) {
        self.0.metrics.register(registry, &self.0.tasks, &self.0.calls);
    }

    /// Accepts connections until they are drained or cut.
    pub(super) fn accept(&self, listener: TcpListener, services: impl Answers) {
        let accepting = self.0.clone().accept(listener, services);
        tokio::spawn(self.0.draining.clone().run_until_cancelled_owned(accepting));
    }

    /// How many connections there are.
    pub(super) fn count(&self) -> usize {
        self.0.tasks.len()
    }

    /// Accepts no more, and waits until all connections have finished their calls.
    pub(super) async fn drain(&self) {
        self.0.draining.cancel();
        for tasks in [&self.0.tasks, &self.0.calls] {
            tasks.close();
            tasks.wait().await;
        }
    }

    /// Ends all connections where they are.
    pub(super) async fn cut(&self) {
        self.0.cutting.cancel();
        self.drain().await;
    }
}

// === impl Ground ===

impl Ground {
    async fn accept(self, listener: TcpListener, services: impl Answers) {
        let max = self.limits.max_connections;
        let mut full = false;
        loop {
            let (stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "can't accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if self.tasks.len() >= max {
                // Said once for a time of it: a flood of connections is not to be one of lines.
                if !full {
                    tracing::warn!(max, "too many connections: more are closed at once");
                }
                full = true;
                self.metrics.refused.inc();
                continue;
            }
            full = false;
            let _ = stream.set_nodelay(true);
            self.serve(stream, address, services.clone());
        }
    }

    /// Serves a connection, in a task of its own.
    fn serve(&self, stream: TcpStream, address: SocketAddr, services: impl Answers) {
        let life = self.life(address, services);
        let cutting = life.cutting.clone();
        let tls = self.tls.clone();
        let Some(workers) = &self.workers else {
            self.tasks.spawn(cutting.run_until_cancelled_owned(life.begin(stream, tls)));
            return;
        };
        let (runtime, seat) = workers.seat();
        // Events of a socket go to the runtime that it belongs to.
        let Ok(stream) = stream.into_std() else { return };
        let moved = async move {
            match TcpStream::from_std(stream) {
                Ok(stream) => life.begin(stream, tls).await,
                Err(error) => tracing::warn!(%error, "can't serve a connection"),
            }
            drop(seat);
        };
        self.tasks.spawn_on(cutting.run_until_cancelled_owned(moved), runtime);
    }

    /// What a connection begins with.
    fn life<A>(&self, address: SocketAddr, services: A) -> Life<A> {
        // A child: one connection can be cut without the others.
        let cutting = self.cutting.child_token();
        let begun = Begun::default();
        let calls = Calls { activity: Activity::new(), all: self.calls.clone() };
        Life {
            caller: Caller { address, certificate: None, cutting: self.cutting.clone() },
            services,
            builder: builder(self.protocol, begun.clone(), &self.limits),
            begun,
            calls,
            limits: self.limits,
            draining: self.draining.clone(),
            cutting,
            metrics: self.metrics.clone(),
        }
    }
}

fn builder(protocol: Protocol, begun: Begun, limits: &Limits) -> auto::Builder<Begun> {
    let mut builder = auto::Builder::new(begun);
    http1::limit(&mut builder);
    http2::limit(&mut builder, limits);
    match protocol {
        Protocol::Any => builder,
        Protocol::Http2 => builder.http2_only(),
    }
}
