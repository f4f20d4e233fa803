//! The life of one connection, and its end.

use std::{pin::pin, time::Duration};

use hyper::{body::Incoming, service::service_fn};
use hyper_util::{rt::TokioIo, server::conn::auto::Builder};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};
use tokio_io_timeout::TimeoutWriter;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use super::{
    Answers, Caller, Limits,
    activity::Activity,
    calls::{Begun, Calls},
    metrics::{End, Metrics},
    withdrawals::Withdrawals,
};
use crate::{
    grpc::{HeldHeaders, Peer},
    server::{
        preface::{self, Preface},
        tls::{self, Tls},
    },
};

/// How long a peer may take to say what it speaks, or over HTTP/1.1 what it wants.
pub(super) const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a drain waits for the first words of a peer that may just have come.
const DRAIN_GRACE: Duration = Duration::from_millis(500);

/// How long after its grace a connection is cut: watches end when that is over at the latest, and
/// have to say so.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// All that a connection needs.
pub(super) struct Life<A> {
    pub(super) caller: Caller,
    pub(super) services: A,
    pub(super) builder: Builder<Begun>,
    pub(super) begun: Begun,
    pub(super) calls: Calls,
    pub(super) limits: Limits,
    pub(super) draining: CancellationToken,
    /// For this connection alone.
    pub(super) cutting: CancellationToken,
    pub(super) metrics: Metrics,
}

// === impl Life ===

impl<A: Answers> Life<A> {
    /// Serves a connection, through TLS if there is any.
    pub(super) async fn begin<S>(mut self, stream: S, tls: Option<Tls>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Some(tls) = tls else {
            return self.serve(stream).await;
        };
        // In a box of its own, so that connections without TLS do not pay for it.
        let serving = Box::pin(async move {
            let peer = self.caller.address;
            let draining = self.draining.clone();
            let given_up = async {
                draining.cancelled().await;
                sleep(DRAIN_GRACE).await;
            };
            match tls.accept(stream, given_up).await {
                Ok(stream) => {
                    self.caller.certificate = tls::certificate(&stream);
                    self.serve(stream).await;
                }
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(tracing::field::display);
                    tracing::info!(%peer, cause, "{error}");
                }
            }
        });
        serving.await;
    }

    async fn serve<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Self { caller, services, builder, begun, calls, limits, draining, cutting, metrics } =
            self;
        let address = caller.address;
        let aged_at = limits.age().map(|age| Instant::now() + age);
        let peer = Peer { address: address.ip(), until: aged_at.map(|at| at + limits.grace) };
        let (withdrawals, activity) = (Withdrawals::default(), calls.activity.clone());
        let (withdrawable, headers) = (withdrawals.clone(), HeldHeaders::default());
        let services = service_fn(move |request: http::Request<Incoming>| {
            let mut request = request.map(Body::new);
            if let Some(certificate) = &caller.certificate {
                request.extensions_mut().insert(certificate.clone());
            }
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(headers.clone());
            request.extensions_mut().insert(caller.clone());
            let (call, unanswered) = (calls.begin(), withdrawable.begin());
            let answering = services.clone().call(request);
            async move {
                let answer = answering.await;
                unanswered.answered();
                answer.map(|answer| call.until_sent(answer))
            }
        });
        // The library's keepalive says GOAWAY to a peer that is gone, and waits until it is written.
        let mut stream = TimeoutWriter::new(stream);
        stream.set_timeout(Some(limits.keepalive_timeout));
        let (stream, preface) = preface::watch(Box::pin(stream));
        let (go, told_to_go) = oneshot::channel();
        let connection = async move {
            let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), services));
            tokio::select! {
                // A peer that is cut off or talks nonsense is its own affair; its calls have been logged.
                _ = connection.as_mut() => return,
                _ = told_to_go => {}
            }
            // Says GOAWAY; calls that are under way go on.
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        };
        let ending = async move {
            let end = tokio::select! {
                () = silent(&preface) => {
                    tracing::debug!(peer = %address, "said too little for too long");
                    return;
                }
                () = withdrawals.too_many() => End::Withdrawals,
                () = idle(&activity, limits.idle) => End::Idle,
                () = passed(aged_at) => End::Age,
                () = draining.cancelled() => End::Drain,
            };
            metrics.ended(end);
            let grace = match end {
                // The drain has a limit of its own.
                End::Drain => None,
                End::Age | End::Idle => Some(limits.grace + LAST_WORDS),
                End::Withdrawals => {
                    tracing::warn!(peer = %address, "takes back most of its calls at once: cut");
                    return cutting.cancel();
                }
            };
            // A graceful end waits for a preface that may never come.
            if !preface.seen() {
                sleep(DRAIN_GRACE).await;
            }
            if !preface.seen() {
                return;
            }
            let _ = go.send(());
            passed(grace.map(|grace| Instant::now() + grace)).await;
            tracing::debug!(peer = %address, "calls went on beyond the grace and were cut");
            cutting.cancel();
        };
        begun.run(connection, ending).await;
    }
}

/// Ready once the peer has been silent for too long from the start.
async fn silent(preface: &Preface) {
    sleep(PREFACE_TIMEOUT).await;
    if preface.seen() {
        std::future::pending::<()>().await;
    }
}

async fn idle(activity: &Activity, time: Option<Duration>) {
    match time {
        Some(time) => activity.idle_for(time).await,
        None => std::future::pending().await,
    }
}

async fn passed(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::connection::{Connections, Protocol};

    #[tokio::test(start_paused = true)]
    async fn a_drain_gives_a_handshake_its_grace_and_no_more() {
        let (_peer, stream) = tls::tests::half().await;
        let tls = Some(tls::tests::tls());
        let Connections(ground) = &Connections::new(Protocol::Http2, tls, Limits::default(), None);
        ground.draining.cancel();
        let life = ground.life(([127, 0, 0, 1], 1).into(), axum::Router::new());
        let begun = Instant::now();
        life.begin(stream, ground.tls.clone()).await;
        assert_eq!(begun.elapsed(), DRAIN_GRACE);
    }
}
