//! Whether a peer has said enough yet to know what it wants.
//!
//! A graceful end of an HTTP/2 connection waits for the peer's preface, and a peer that never
//! sends all of one would hold it for ever.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The length of the preface of HTTP/2 (RFC 9113, section 3.4). Over HTTP/1.1, whole requests may be
/// shorter; they have been answered by the time somebody asks.
const LEN: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();

/// How much of the first words has come.
#[derive(Clone)]
pub(super) struct Preface(Arc<AtomicUsize>);

/// A stream that takes note of its first bytes.
pub(super) struct Watched<S> {
    stream: S,
    preface: Preface,
}

/// Watches a stream for its first bytes.
pub(super) fn watch<S>(stream: S) -> (Watched<S>, Preface) {
    let preface = Preface(Arc::default());
    (Watched { stream, preface: preface.clone() }, preface)
}

// === impl Preface ===

impl Preface {
    pub(super) fn seen(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= LEN
    }
}

// === impl Watched ===

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if !self.preface.seen() {
            self.preface.0.fetch_add(buf.filled().len() - before, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    /// Says no, whatever the stream can: else the HTTP/2 library writes each message of more than 256
    /// bytes by itself. So it gathers those of up to 1 KiB, which most jobs are, and writes the answers
    /// of many calls at once.
    fn is_write_vectored(&self) -> bool {
        false
    }
}
