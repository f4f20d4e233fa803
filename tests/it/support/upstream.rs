//! A REST API that answers as it is told, down to the bytes on the wire.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    task::JoinHandle,
};

/// What is done with one request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// These bytes, and the connection stays open.
    Bytes(Vec<u8>),
    /// These bytes, then a close.
    BytesThenClose(Vec<u8>),
    /// These bytes, then a reset.
    BytesThenReset(Vec<u8>),
    /// These bytes, then blanks without end, one at a time.
    BytesThenDrip(Vec<u8>),
    /// These bytes, then zeros without end.
    BytesThenFlood(Vec<u8>),
    /// These bytes, then silence until the peer goes.
    BytesThenSilence(Vec<u8>),
    /// Another reply once the test says so.
    When(Arc<Notify>, Box<Reply>),
}

/// The API. Requests get the queued replies in turn, the last one for ever.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    replies: Mutex<VecDeque<Reply>>,
    requests: watch::Sender<Vec<String>>,
    /// Connections whose peer has gone.
    gone: watch::Sender<usize>,
    flooded: AtomicUsize,
}

// === impl Reply ===

impl Reply {
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::with(status, &[("content-type", "application/json")], body.as_bytes())
    }

    pub(crate) fn with(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut bytes = Self::head(status, headers, body.len());
        bytes.extend_from_slice(body);
        Self::Bytes(bytes)
    }

    /// The head of an answer with a body of `len` bytes.
    pub(crate) fn head(status: u16, headers: &[(&str, &str)], len: usize) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {status} Text\r\ncontent-length: {len}\r\n");
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        (head + "\r\n").into_bytes()
    }

    /// The job in this state, with what the text says of it.
    pub(crate) fn state(status: &str, text: &str) -> Self {
        let body = format!(r#"{{"status":"{status}","job_id":"j1","job_type":"{text}"}}"#);
        Self::json(200, &body)
    }

    /// A running job.
    pub(crate) fn job() -> Self {
        Self::json(200, r#"{"status":"RUNNING","job_id":"j1","job_type":"bksCreateBackup"}"#)
    }

    pub(crate) fn when(self, told: &Arc<Notify>) -> Self {
        Self::When(Arc::clone(told), Box::new(self))
    }
}

// === impl Upstream ===

impl Upstream {
    pub(crate) async fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            replies: Mutex::new(replies.into_iter().collect()),
            requests: watch::Sender::new(Vec::new()),
            gone: watch::Sender::new(0),
            flooded: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let shared = Arc::clone(&shared);
                    tokio::spawn(async move {
                        shared.serve(stream).await;
                        shared.gone.send_modify(|gone| *gone += 1);
                    });
                }
            }
        });
        Self { address, shared, accepting }
    }

    /// The heads of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.requests.borrow().clone()
    }

    /// Gives these replies to all requests from now on.
    pub(crate) fn goes_on_with(&self, replies: impl IntoIterator<Item = Reply>) {
        *self.shared.replies.lock().unwrap() = replies.into_iter().collect();
    }

    pub(crate) fn count(&self) -> usize {
        self.shared.requests.borrow().len()
    }

    /// Returns once there were this many requests.
    pub(crate) async fn has_seen(&self, count: usize) {
        let mut requests = self.shared.requests.subscribe();
        requests.wait_for(|requests| requests.len() >= count).await.unwrap();
    }

    /// Returns once this many connections have ended.
    pub(crate) async fn has_lost(&self, count: usize) {
        self.shared.gone.subscribe().wait_for(|gone| *gone >= count).await.unwrap();
    }

    /// How many bytes of floods were taken.
    pub(crate) fn flooded(&self) -> usize {
        self.shared.flooded.load(Ordering::Relaxed)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

// === impl Shared ===

impl Shared {
    fn next_reply(&self) -> Reply {
        let mut replies = self.replies.lock().unwrap();
        if replies.len() > 1 {
            return replies.pop_front().unwrap();
        }
        replies.front().cloned().unwrap_or_else(Reply::job)
    }

    async fn serve(&self, mut stream: TcpStream) {
        while let Some(request) = read_head(&mut stream).await {
            self.requests.send_modify(|requests| requests.push(request));
            let mut reply = self.next_reply();
            while let Reply::When(told, next) = reply {
                tokio::select! {
                    () = told.notified() => reply = *next,
                    () = silence(&mut stream) => return,
                }
            }
            if !self.play(&mut stream, reply).await {
                return;
            }
        }
    }

    /// Plays a reply; false if the connection is over.
    async fn play(&self, stream: &mut TcpStream, reply: Reply) -> bool {
        match reply {
            Reply::Bytes(bytes) => stream.write_all(&bytes).await.is_ok(),
            Reply::BytesThenClose(bytes) => {
                let _ = stream.write_all(&bytes).await;
                false
            }
            Reply::BytesThenReset(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.set_zero_linger();
                false
            }
            Reply::BytesThenDrip(bytes) => {
                let _ = stream.write_all(&bytes).await;
                while stream.write_all(b" ").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                false
            }
            Reply::BytesThenFlood(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let zeros = vec![b' '; 64 << 10];
                while let Ok(count) = stream.write(&zeros).await {
                    self.flooded.fetch_add(count, Ordering::Relaxed);
                }
                false
            }
            Reply::BytesThenSilence(bytes) => {
                let _ = stream.write_all(&bytes).await;
                silence(stream).await;
                false
            }
            Reply::When(..) => unreachable!("unpacked by the caller"),
        }
    }
}

async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// Ready when the peer has gone.
async fn silence(stream: &mut TcpStream) {
    let mut byte = [0];
    while stream.read(&mut byte).await.is_ok_and(|count| count > 0) {}
}
