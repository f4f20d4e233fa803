//! Connections to the job API, each for one request at a time, and kept for the next one.
//!
//! A connection has no task: it makes progress while somebody waits for its answer, in his task, and
//! an idle one has nothing to do. So a request wakes nobody but its caller. What hyper's own pool
//! does beyond that, such as HTTP/2, is of no use here.

use std::{
    future::poll_fn,
    mem,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, response::Parts};
use http_body::Body as _;
use http_body_util::Empty;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use tokio::{
    runtime::{self, Handle},
    time::{Instant, sleep},
};
use tower::BoxError;

use super::{
    connector::{Connector, Stream},
    error::chain,
    transport::{self, Head},
};

/// For how long one is kept.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// The connections. Cheap to clone.
#[derive(Clone)]
pub(super) struct Pool(Arc<Inner>);

struct Inner {
    connector: Connector,
    /// The most connections that are kept for the next request.
    max_idle: usize,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// The latest at the end.
    kept: Vec<Kept>,
    /// Whether a task looks after them.
    swept: bool,
}

struct Kept {
    connection: Box<Connection>,
    since: Instant,
}

/// In a box wherever it goes: it is large, and goes from hand to hand.
struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    driver: Driver,
    /// The one that hears of its socket, whoever uses it.
    runtime: runtime::Id,
}

/// What moves a connection on; nothing, once it has ended.
struct Driver(Option<http1::Connection<Box<dyn Stream>, Empty<Bytes>>>);

/// An answer, of which the head has come.
pub(super) struct Answer {
    body: Incoming,
    connection: Box<Connection>,
    pool: Pool,
}

/// A request that brought no answer.
struct Failed {
    error: hyper::Error,
    /// The request, if none of it was sent.
    unsent: Option<Request<Empty<Bytes>>>,
}

// === impl Pool ===

impl Pool {
    /// With `max_idle` below the number of requests at a time, a crowd of them would connect anew
    /// for most, which costs more than they do.
    pub(super) fn new(connector: Connector, max_idle: usize) -> Self {
        Self(Arc::new(Inner { connector, max_idle, idle: Mutex::default() }))
    }

    pub(super) fn connector(&self) -> &Connector {
        &self.0.connector
    }

    /// Sends a request, on a connection that is there or a new one. What is left in its place is
    /// an empty one: it is large, and there is to be one only.
    pub(super) async fn send(
        &self,
        request: &mut Request<Empty<Bytes>>,
    ) -> Result<(Head, Answer), BoxError> {
        loop {
            let (mut connection, is_new) = match self.take() {
                Some(connection) => (connection, false),
                // Rare, and large: in a box of its own, so that the others do not carry it along.
                None => (Box::pin(self.connect()).await?, true),
            };
            match connection.send(mem::take(request)).await {
                Ok(response) => return Ok(self.answer(connection, response)),
                // The peer has just closed it, as he may.
                Err(Failed { unsent: Some(unsent), .. }) if !is_new => *request = unsent,
                Err(Failed { error, .. }) => return Err(error.into()),
            }
        }
    }

    async fn connect(&self) -> Result<Box<Connection>, BoxError> {
        let stream = self.0.connector.connect().await?;
        let (sender, driver) = http1::handshake(stream).await?;
        let runtime = Handle::current().id();
        Ok(Box::new(Connection { sender, driver: Driver(Some(driver)), runtime }))
    }

    fn answer(&self, connection: Box<Connection>, response: Response<Incoming>) -> (Head, Answer) {
        let (Parts { status, headers, .. }, body) = response.into_parts();
        let head = Head { status, headers, announced: body.size_hint().exact() };
        (head, Answer { body, connection, pool: self.clone() })
    }

    /// An idle connection, if there is one that still lives.
    fn take(&self) -> Option<Box<Connection>> {
        // One of this thread, if there is one: nobody is woken across threads for it.
        let here = Handle::current().id();
        let mut idle = self.idle();
        loop {
            let at = idle.kept.iter().rposition(|kept| kept.connection.runtime == here);
            let at = at.or(idle.kept.len().checked_sub(1))?;
            let mut connection = idle.kept.remove(at).connection;
            if connection.is_idle() {
                return Some(connection);
            }
        }
    }

    fn keep(&self, mut connection: Box<Connection>) {
        if !connection.is_idle() {
            return;
        }
        let mut idle = self.idle();
        if idle.kept.len() >= self.0.max_idle {
            idle.kept.remove(0);
        }
        idle.kept.push(Kept { connection, since: Instant::now() });
        if !idle.swept {
            idle.swept = true;
            tokio::spawn(self.clone().sweep());
        }
    }

    /// Closes connections that nobody has used for long, or that the peer has closed, as long as
    /// there are any.
    async fn sweep(self) {
        loop {
            sleep(IDLE_TIMEOUT / 4).await;
            let mut idle = self.idle();
            idle.kept.retain_mut(|kept| {
                kept.since.elapsed() < IDLE_TIMEOUT && kept.connection.is_idle()
            });
            if idle.kept.is_empty() {
                idle.swept = false;
                return;
            }
        }
    }

    /// The list is whole between any two statements, so a panic elsewhere does not spoil it.
    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Connection ===

impl Connection {
    async fn send(&mut self, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, Failed> {
        let Self { sender, driver, runtime: _ } = self;
        let mut answering = pin!(sender.try_send_request(request));
        let answer = poll_fn(|cx| {
            driver.poll(cx);
            answering.as_mut().poll(cx)
        });
        answer.await.map_err(|mut failed| {
            let unsent = failed.take_message();
            Failed { error: failed.into_error(), unsent }
        })
    }

    /// Whether it is open, and has nothing to do.
    fn is_idle(&mut self) -> bool {
        self.driver.poll(&mut Context::from_waker(Waker::noop()));
        self.driver.0.is_some() && self.sender.is_ready()
    }
}

// === impl Driver ===

impl Driver {
    /// Goes on, as far as it can. How it ends, whoever waits for an answer is told.
    fn poll(&mut self, cx: &mut Context<'_>) {
        if self.0.as_mut().is_some_and(|connection| pin!(connection).poll(cx).is_ready()) {
            self.0 = None;
        }
    }
}

// === impl Answer ===

impl Answer {
    /// Keeps the connection. An answer that was not read to its end ends its connection.
    pub(super) fn finish(self) {
        self.pool.keep(self.connection);
    }
}

impl transport::Body for Answer {
    async fn piece(&mut self) -> Result<Option<Bytes>, String> {
        if self.body.is_end_stream() {
            return Ok(None);
        }
        let Self { body, connection, .. } = self;
        let driver = &mut connection.driver;
        loop {
            let mut asked = false;
            let frame = poll_fn(|cx| {
                driver.poll(cx);
                let frame = pin!(&mut *body).poll_frame(cx);
                if frame.is_pending() && !asked {
                    // Only now it knows that somebody wants it, and may well have it already.
                    asked = true;
                    driver.poll(cx);
                    return pin!(&mut *body).poll_frame(cx);
                }
                frame
            });
            match frame.await.transpose().map_err(|error| chain(&error))? {
                None => return Ok(None),
                // Trailers say nothing here.
                Some(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
