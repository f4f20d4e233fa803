//! The calls of a connection, which go on in the connection's task.
//!
//! As tasks of their own they would be woken one by one, each would wake the connection's task to have
//! its answer sent, and each would listen for the end of the connection.

use std::{
    future::poll_fn,
    mem,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use axum::body::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use http::Response;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use super::activity::{Activity, Open};

/// What goes on, up to what its end means.
type Going<'a> = Pin<Box<dyn Future<Output = End> + Send + 'a>>;

/// What ended.
enum End {
    Call,
    Connection,
}

/// Counts the calls of a connection. Cheap to clone.
#[derive(Clone)]
pub(super) struct Calls {
    pub(super) activity: Activity,
    /// Those of all connections.
    pub(super) all: TaskTracker,
}

/// A call. Dropped, it is over.
pub(super) struct Call {
    _open: Open,
    _counted: TaskTrackerToken,
}

/// The body of an answer, with the call that it belongs to.
pub(super) struct Held<B> {
    body: B,
    _call: Call,
}

/// The calls that the HTTP/2 library has begun, and that nobody looks after yet. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Begun(Arc<Mutex<Vec<Going<'static>>>>);

// === impl Calls ===

impl Calls {
    pub(super) fn begin(&self) -> Call {
        Call { _open: self.activity.begin(), _counted: self.all.token() }
    }
}

// === impl Call ===

impl Call {
    /// Goes on until the last of the answer has been sent.
    pub(super) fn until_sent<B>(self, answer: Response<B>) -> Response<Held<B>> {
        answer.map(|body| Held { body, _call: self })
    }
}

// === impl Held ===

impl<B: Body<Data = Bytes> + Unpin> Body for Held<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// === impl Begun ===

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Begun {
    fn execute(&self, call: F) {
        // A panic is one call's misfortune, as it would be in a task.
        let call = AssertUnwindSafe(call).catch_unwind().map(|_| End::Call);
        self.calls().push(Box::pin(call));
    }
}

impl Begun {
    /// Runs a connection with its calls, until it or `ending` is done: then all of it ends.
    pub(super) async fn run(
        self,
        connection: impl Future<Output = ()> + Send,
        ending: impl Future<Output = ()> + Send,
    ) {
        let mut going = FuturesUnordered::<Going<'_>>::new();
        going.push(Box::pin(connection.map(|()| End::Connection)));
        going.push(Box::pin(ending.map(|()| End::Connection)));
        let ended = poll_fn(|cx| {
            loop {
                let mut begun = mem::take(&mut *self.calls());
                going.extend(begun.drain(..));
                match going.poll_next_unpin(cx) {
                    Poll::Ready(Some(End::Connection) | None) => return Poll::Ready(()),
                    Poll::Pending if self.calls().is_empty() => return Poll::Pending,
                    // A call has ended, or the connection has just begun some.
                    Poll::Ready(Some(End::Call)) | Poll::Pending => {}
                }
            }
        });
        ended.await;
        // Begun with the connection's last breath. They have this list in their hands: left in it, each
        // would keep the other for ever.
        let last = mem::take(&mut *self.calls());
        drop(last);
    }

    /// The list is whole between any two statements, so a panic elsewhere does not spoil it.
    fn calls(&self) -> MutexGuard<'_, Vec<Going<'static>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::{sync::oneshot, task::yield_now};

    use super::*;

    #[tokio::test]
    async fn a_panic_costs_one_call() {
        let begun = Begun::default();
        let (done, other) = oneshot::channel();
        begun.execute(async { panic!("one call's own") });
        begun.execute(async {
            yield_now().await;
            done.send(()).unwrap();
        });
        begun.run(other.map(Result::unwrap), pending()).await;
    }

    #[tokio::test]
    async fn a_call_begun_with_the_last_breath_ends_too() {
        let begun = Begun::default();
        let begins = begun.clone();
        let held = Arc::new(());
        let lasting = (Arc::clone(&held), begun.clone());
        let connection = async move {
            begins.execute(pending::<()>().inspect(move |()| drop(lasting)));
        };
        begun.run(connection, pending()).await;
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test]
    async fn calls_end_with_their_connection() {
        let begun = Begun::default();
        let begins = begun.clone();
        let held = Arc::new(());
        let lasting = Arc::clone(&held);
        let connection = async move {
            let (running, runs) = oneshot::channel();
            begins.execute(async move {
                running.send(()).unwrap();
                pending::<()>().await;
                drop(lasting);
            });
            runs.await.unwrap();
        };
        begun.run(connection, pending()).await;
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
