//! The threads that serve.
//!
//! Each has a runtime of its own, and its share of the connections: a call begins and ends on the
//! thread of its connection, and wakes nobody elsewhere.

use std::{
    io,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver},
    },
    thread,
    time::Duration,
};

use tokio::runtime::{self, Handle};
use tokio_util::sync::CancellationToken;

/// How long the end waits for the threads: what they still have is dropped then, and calls that are
/// dropped have lines of log to write.
const END: Duration = Duration::from_secs(1);

/// The threads. Cheap to clone; the last clone ends those that were started.
#[derive(Clone)]
pub(super) struct Workers {
    all: Arc<[Worker]>,
    _started: Arc<Started>,
}

/// A thread, and how many connections it has.
#[derive(Clone)]
pub(super) struct Worker {
    runtime: Handle,
    seats: Arc<()>,
}

/// The threads that were started. Dropped, they end.
struct Started {
    stop: CancellationToken,
    /// Of which each thread has a sender, and never sends.
    ended: Mutex<Receiver<()>>,
}

/// A connection's share in a worker. Dropped, it is free for another one.
pub(super) struct Seat(#[expect(dead_code, reason = "counted")] Arc<()>);

// === impl Workers ===

impl Workers {
    /// The runtime that this is called in, and so many threads more that there are `count`.
    pub(super) fn start(count: NonZeroUsize) -> io::Result<Self> {
        let (running, ended) = mpsc::channel();
        let stop = CancellationToken::new();
        let started = Arc::new(Started { stop: stop.clone(), ended: Mutex::new(ended) });
        let mut all = vec![Worker::new(Handle::current())];
        for number in 1..count.get() {
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            all.push(Worker::new(runtime.handle().clone()));
            let (stopped, running) = (stop.clone().cancelled_owned(), running.clone());
            thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
                runtime.block_on(stopped);
                // A lookup of a name may still sit in a thread; nothing waits for it.
                runtime.shutdown_background();
                drop(running);
            })?;
        }
        Ok(Self { all: all.into(), _started: started })
    }

    /// The worker with the fewest connections, and a seat there.
    pub(super) fn seat(&self) -> (&Handle, Seat) {
        let free = self.all.iter().min_by_key(|worker| Arc::strong_count(&worker.seats));
        let worker = free.unwrap_or(&self.all[0]);
        (&worker.runtime, Seat(Arc::clone(&worker.seats)))
    }

    /// The runtimes of all.
    pub(super) fn runtimes(&self) -> impl Iterator<Item = &Handle> {
        self.all.iter().map(|worker| &worker.runtime)
    }
}

// === impl Worker ===

impl Worker {
    fn new(runtime: Handle) -> Self {
        Self { runtime, seats: Arc::default() }
    }
}

// === impl Started ===

impl Drop for Started {
    fn drop(&mut self) {
        self.stop.cancel();
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Done at once when the last of them has ended.
        let _ = ended.recv_timeout(END);
    }
}
