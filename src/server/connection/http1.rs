//! What a peer may do on an HTTP/1.1 connection.
//!
//! There is one call at a time. The library reads no further than its buffer while one is under way,
//! so requests that are sent ahead wait in it or with the peer.

use hyper_util::{rt::TokioTimer, server::conn::auto::Builder};

use super::life::PREFACE_TIMEOUT;

/// The most bytes of a call's head, as over HTTP/2.
const MAX_HEADERS: usize = 64 << 10;

/// The most headers of a call. Browsers send about twenty.
const MAX_HEADER_COUNT: usize = 64;

/// Sets the limits. The time for a head is also the longest that a connection waits for its next
/// call.
pub(super) fn limit<E>(builder: &mut Builder<E>) {
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(PREFACE_TIMEOUT)
        .max_buf_size(MAX_HEADERS)
        .max_headers(MAX_HEADER_COUNT);
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use tokio::{io::AsyncWriteExt as _, time::Instant};

    use super::*;
    use crate::server::connection::{Connections, Limits, Protocol};

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_end_has_its_time() {
        for text in ["GET / HTTP/1.1\r\nhost: a-name-of-some-length\r\n", "GET "] {
            let (mut peer, stream) = tokio::io::duplex(1 << 10);
            peer.write_all(text.as_bytes()).await.unwrap();
            let Connections(ground) =
                &Connections::new(Protocol::Any, None, Limits::default(), None);
            let life = ground.life(([127, 0, 0, 1], 1).into(), Router::new());
            let begun = Instant::now();
            life.begin(stream, None).await;
            assert_eq!(begun.elapsed().as_secs(), PREFACE_TIMEOUT.as_secs(), "{text}");
        }
    }
}
